//! Addresses and prefixes as the policy writes them.
//!
//! Promises: IPv4 in four decimal octets, IPv6 in any text form of RFC 4291, with or without a prefix length; nothing
//! else. Refuses leading zeros, host bits, netmasks, zones and brackets, each with its remedy.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::diagnostic::quoted;
use super::source::Fault;
use super::text::Decimal;
use crate::ruleset::AddressSet;

/// The addresses of a prefix, first and last, as numbers in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    V4(u32, u32),
    V6(u128, u128),
}

/// Blocks on their way into a set.
#[derive(Default)]
pub(super) struct Blocks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Blocks {
    pub(super) fn add(&mut self, block: Block) {
        match block {
            Block::V4(low, high) => self.v4.push((low, high)),
            Block::V6(low, high) => self.v6.push((low, high)),
        }
    }

    pub(super) fn add_set(&mut self, set: &AddressSet) {
        self.v4.extend_from_slice(set.v4());
        self.v6.extend_from_slice(set.v6());
    }

    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(super) fn into_set(self) -> AddressSet {
        AddressSet::new(self.v4, self.v6)
    }
}

/// Whether a word is written as an address rather than as a name.
pub(super) fn looks_like_address(word: &str) -> bool {
    word.contains(':') || word.starts_with(|first: char| first.is_ascii_digit()) || word.starts_with('[')
}

/// Reads an address or a prefix.
pub(super) fn parse(text: &str) -> Result<Block, Fault> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if let Some((bare, zone)) = address.split_once('%') {
        let message = format!("an address with a zone: {}", quoted(text));
        return Err(Fault::new(message, format!("write {bare} without %{zone}")));
    }
    if address.contains(':') {
        return v6(text, address, length);
    }
    v4(text, address, length)
}

fn v4(text: &str, address: &str, length: Option<&str>) -> Result<Block, Fault> {
    let Ok(parsed) = address.parse::<Ipv4Addr>() else { return Err(not_v4(text, address, length)) };
    let length = match length {
        Some(mask) if mask.contains('.') => return Err(netmask(text, parsed, mask)),
        Some(length) => Decimal { what: "prefix length", word: text, low: 0, high: 32 }.read(length)?,
        None => 32,
    };
    let host = u32::MAX.checked_shr(length).unwrap_or(0);
    let first = u32::from(parsed);
    if first & host != 0 {
        return Err(host_bits(text, format!("{}/{length}", Ipv4Addr::from(first & !host)), address));
    }
    Ok(Block::V4(first, first | host))
}

fn v6(text: &str, address: &str, length: Option<&str>) -> Result<Block, Fault> {
    let Ok(parsed) = address.parse::<Ipv6Addr>() else {
        let remedy = if address.starts_with('[') {
            "write the address without brackets and port"
        } else {
            "write an IPv6 address such as 2001:db8::1, or a prefix such as 2001:db8::/32"
        };
        return Err(Fault::new(format!("not an IPv6 address or prefix: {}", quoted(text)), remedy));
    };
    let length = match length {
        Some(length) => Decimal { what: "prefix length", word: text, low: 0, high: 128 }.read(length)?,
        None => 128,
    };
    let host = u128::MAX.checked_shr(length).unwrap_or(0);
    let first = u128::from(parsed);
    if first & host != 0 {
        return Err(host_bits(text, format!("{}/{length}", Ipv6Addr::from(first & !host)), address));
    }
    Ok(Block::V6(first, first | host))
}

fn host_bits(text: &str, network: String, address: &str) -> Fault {
    Fault::new(format!("prefix has host bits set: {text}"), network_or_host(&network, address))
}

fn network_or_host(network: &str, address: &str) -> String {
    format!("write {network} for the network, or {address} for the host")
}

fn netmask(text: &str, address: Ipv4Addr, mask: &str) -> Fault {
    let ones =
        mask.parse::<Ipv4Addr>().map(u32::from).ok().filter(|mask| mask.leading_ones() == mask.count_ones());
    let bits = u32::from(address);
    let network = |mask: u32| format!("{}/{}", Ipv4Addr::from(bits & mask), mask.leading_ones());
    let remedy = match ones {
        Some(mask) if bits & !mask == 0 => format!("write {}", network(mask)),
        Some(mask) => network_or_host(&network(mask), &address.to_string()),
        None => "write a prefix length from 0 to 32".into(),
    };
    Fault::new(format!("a netmask instead of a prefix length: {}", quoted(text)), remedy)
}

/// Why `address`, which has no colon, is no IPv4 address.
fn not_v4(text: &str, address: &str, length: Option<&str>) -> Fault {
    let octets: Vec<&str> = address.split('.').collect();
    let length = length.map_or(String::new(), |length| format!("/{length}"));
    let are_numbers = octets.iter().all(|octet| octet.parse::<u8>().is_ok());
    if are_numbers && octets.iter().any(|octet| octet.len() > 1 && octet.starts_with('0')) {
        let plain: Vec<String> = octets
            .iter()
            .filter_map(|octet| octet.parse::<u8>().ok())
            .map(|octet| octet.to_string())
            .collect();
        return Fault::new(
            format!("an octet has a leading zero: {}", quoted(text)),
            format!("write {}{length}: octets are decimal", plain.join(".")),
        );
    }
    if are_numbers && octets.len() < 4 && !length.is_empty() {
        let full = [octets.as_slice(), &["0"; 3][..4 - octets.len()]].concat().join(".");
        return Fault::new(format!("a shortened prefix: {}", quoted(text)), format!("write {full}{length}"));
    }
    let remedy = match address.split_once('-') {
        Some(_) => "write the prefixes that make up the range",
        None => "write four octets such as 192.0.2.1, or a prefix such as 192.0.2.0/24",
    };
    Fault::new(format!("not an IPv4 address or prefix: {}", quoted(text)), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(text: &str) -> String {
        parse(text).unwrap_err().remedy
    }

    #[test]
    fn addresses_and_prefixes_become_blocks() {
        assert_eq!(parse("192.0.2.1"), Ok(Block::V4(0xc000_0201, 0xc000_0201)));
        assert_eq!(parse("10.0.0.0/8"), Ok(Block::V4(0x0a00_0000, 0x0aff_ffff)));
        assert_eq!(parse("0.0.0.0/0"), Ok(Block::V4(0, u32::MAX)));
        assert_eq!(parse("::/0"), Ok(Block::V6(0, u128::MAX)));
        assert_eq!(parse("FE80::/10"), Ok(Block::V6(0xfe80 << 112, (0xfec0 << 112) - 1)));
        assert_eq!(parse("2001:0DB8:0:0:0:0:0:1"), parse("2001:db8::1"));
        assert_eq!(parse("::ffff:192.0.2.1/128"), parse("::ffff:c000:201"));
    }

    #[test]
    fn mistakes_name_their_remedy() {
        assert_eq!(remedy("10.0.0.1/8"), "write 10.0.0.0/8 for the network, or 10.0.0.1 for the host");
        assert_eq!(
            remedy("2001:db8::1/32"),
            "write 2001:db8::/32 for the network, or 2001:db8::1 for the host"
        );
        assert_eq!(remedy("010.0.0.1"), "write 10.0.0.1: octets are decimal");
        assert_eq!(remedy("10.0.0.0/08"), "write 8: numbers are decimal");
        assert_eq!(remedy("10.0.0.0/255.0.0.0"), "write 10.0.0.0/8");
        assert_eq!(
            remedy("10.0.0.1/255.0.0.0"),
            "write 10.0.0.0/8 for the network, or 10.0.0.1 for the host"
        );
        assert_eq!(remedy("10/8"), "write 10.0.0.0/8");
        assert_eq!(remedy("fe80::1%eth0"), "write fe80::1 without %eth0");
        assert_eq!(remedy("[::1]:80"), "write the address without brackets and port");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let bad = [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0",
            "256.0.0.1",
            "1.2.3.4.5",
            "::/129",
            "1::2::3",
            "12345::",
            "10.0.0.1-10.0.0.9",
            "0x0a.0.0.1",
            " 10.0.0.1",
            "::ffff:010.0.0.1",
            "10.0.0.0/255.0.255.0",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
