//! Fields of a frame and numbers, in nft's words.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::backend::nft::ir::{Field, Header, Raw};

/// How nft calls a field.
pub(super) fn field(field: &Field) -> String {
    let name = match field {
        Field::Protocol => "meta protocol",
        Field::L4Protocol => "meta l4proto",
        Field::Length => "meta length",
        Field::Time => "meta time",
        Field::Ip4Source => "ip saddr",
        Field::Ip4Destination => "ip daddr",
        Field::Ip4Protocol => "ip protocol",
        Field::Ip6Next => "ip6 nexthdr",
        Field::Ip6Source => "ip6 saddr",
        Field::Ip6Destination => "ip6 daddr",
        Field::SourcePort => "th sport",
        Field::DestinationPort => "th dport",
        Field::IcmpType => "icmp type",
        Field::IcmpCode => "icmp code",
        Field::Icmp6Type => "icmpv6 type",
        Field::Icmp6Code => "icmpv6 code",
        Field::LengthBits(mask) => return format!("meta length & {mask:#x}"),
        Field::Raw(raw) => return bytes(raw),
        Field::Prefix(of, rest) => return format!("{} & {}", self::field(of), mask(of, *rest)),
    };
    name.to_owned()
}

/// A mask that takes the last bits away, as nft writes it beside `field`.
fn mask(field: &Field, rest: u32) -> String {
    match field {
        Field::Ip4Source | Field::Ip4Destination => {
            Ipv4Addr::from_bits(u32::MAX.checked_shl(rest).unwrap_or(0)).to_string()
        }
        _ => Ipv6Addr::from_bits(u128::MAX.checked_shl(rest).unwrap_or(0)).to_string(),
    }
}

fn bytes(raw: &Raw) -> String {
    let place = place(raw.header, raw.offset, raw.length);
    match &raw.mask {
        Some(mask) => format!("{place} & 0x{}", hex(mask)),
        None => place,
    }
}

/// `@nh,96,32`: header, offset and length in bits.
pub(super) fn place(header: Header, offset: u32, length: u32) -> String {
    let header = match header {
        Header::Link => "ll",
        Header::Network => "nh",
        Header::Transport => "th",
    };
    format!("@{header},{},{}", offset * 8, length * 8)
}

/// A number as nft writes it beside `field`.
pub(super) fn value(field: &Field, number: &[u8]) -> String {
    let decimal = || number.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    match field {
        Field::Raw(_) | Field::Protocol => format!("0x{}", hex(number)),
        // In seconds, where the kernel has nanoseconds.
        Field::Time => (decimal() / 1_000_000_000).to_string(),
        _ => decimal().to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let trimmed = digits.trim_start_matches('0');
    if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
}
