//! The words for frames that are not IP.

use super::diagnostic::quoted;
use super::source::Fault;
use super::text::{hex16, suggest};
use crate::ruleset::ether;

/// Names of EtherTypes and of frames with a length instead of one, with their keys in a rule.
pub(super) const NAMES: [(&str, u16); 7] = [
    ("arp", ether::ARP),
    ("lldp", 0x88cc),
    ("eapol", 0x888e),
    ("lacp", 0x8809),
    ("stp", ether::STP),
    ("snap", ether::SNAP),
    ("llc", ether::LLC),
];

/// The first EtherType; what is below is a length (IEEE 802.3).
const FIRST: u16 = 0x0600;
const IP: [u16; 2] = [0x0800, 0x86dd];
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Reads one word of `ethertype`.
pub(super) fn parse(text: &str) -> Result<u16, Fault> {
    if let Some((_, key)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*key);
    }
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        let names = NAMES.iter().map(|(name, _)| *name);
        let remedy =
            suggest(text, names, "write arp, lldp, eapol, lacp, stp, snap, llc or a number such as 0x88f7");
        return Err(Fault::new(format!("unknown ethertype {}", quoted(text)), remedy));
    }
    let number = hex16(text, "ethertype")?;
    let fault = |message: &str, remedy: &str| Err(Fault::new(format!("{message}: {}", quoted(text)), remedy));
    match number {
        _ if number < FIRST => {
            fault("ethertype below 0x0600 is a length", "write stp, snap or llc for such frames")
        }
        _ if IP.contains(&number) => {
            fault("ethertype of IP", "write `service: any`, with `from` and `to` as wanted")
        }
        _ if TAGS.contains(&number) => fault("ethertype of a VLAN tag", "write `vlan` for tagged frames"),
        _ => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_and_ip_is_refused() {
        assert_eq!(parse("arp"), parse("0x0806"));
        assert_eq!(parse("0x88f7"), Ok(0x88f7));
        assert_eq!(parse("0x600"), Ok(0x0600));
        for bad in
            ["0x05ff", "0x0800", "0x86DD", "0x8100", "0x88a8", "0x9100", "35063", "ARP", "ipv4", "", "0x"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
