//! What the step before the rules asks for, in the words of the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use perimeter_classifier::verdict::{Decision, DropReason};

use crate::ruleset::{AddressSet, Interface, Ruleset, Vlan};

use super::question::{Addresses, Packet, Question};

/// Addresses of documentation (RFC 5737, RFC 3849): never martian.
const PLAIN_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PLAIN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// What was asked of a frame that a step before the rules dropped; `None` where it came as far as the rules.
pub(super) fn wanted(
    ruleset: &Ruleset,
    interface: usize,
    question: &Question,
    decision: Decision,
    judge: impl Fn(&Question) -> Decision,
) -> Option<String> {
    let interface = &ruleset.interfaces[interface];
    let named = ruleset.vlans.iter().find(|vlan| vlan.id == question.vlan);
    match decision.reason()? {
        DropReason::NoRule | DropReason::Denied => None,
        DropReason::VlanNotAllowed => {
            let allowed: Vec<&str> = interface.vlans.iter().map(|entry| entry.label.as_str()).collect();
            Some(format!(
                "{} is not among the vlans of {}: {}",
                question.vlan,
                interface.name,
                allowed.join(", ")
            ))
        }
        DropReason::VlanSourceMismatch => Some(source_mismatch(interface, named, question)),
        DropReason::Martian => Some(martian(question, judge)),
        DropReason::Oversize => {
            let mtu = named.and_then(|vlan| vlan.mtu).unwrap_or(interface.mtu);
            Some(format!("the packet is larger than the mtu of {mtu} bytes"))
        }
        reason => Some(general(reason).into()),
    }
}

fn source_mismatch(interface: &Interface, named: Option<&Vlan>, question: &Question) -> String {
    let source = match question.packet {
        Packet::Ip { addresses, .. } => addresses.from().to_string(),
        Packet::Arp { sender, .. } => sender.to_string(),
        Packet::Other(_) => "the sender".into(),
    };
    let (whose, sources) = match named {
        Some(vlan) if vlan.sources.is_some() => (format!("vlan {} ({})", vlan.name, vlan.id), &vlan.sources),
        _ => (interface.name.clone(), &interface.sources),
    };
    let sources = sources.as_ref().map_or_else(|| "none".into(), ranges);
    format!("{source} is not among the sources of {whose}: {sources}")
}

/// The first few ranges of a set, as prefixes where they are.
fn ranges(set: &AddressSet) -> String {
    const SHOWN: usize = 4;
    let v4 = set.v4().iter().map(|&(low, high)| {
        let (first, last) = (Ipv4Addr::from(low).to_string(), Ipv4Addr::from(high).to_string());
        range(low.into(), high.into(), 32, first, &last)
    });
    let v6 = set.v6().iter().map(|&(low, high)| {
        let (first, last) = (Ipv6Addr::from(low).to_string(), Ipv6Addr::from(high).to_string());
        range(low, high, 128, first, &last)
    });
    let mut shown: Vec<String> = v4.chain(v6).take(SHOWN).collect();
    let hidden = set.v4().len() + set.v6().len() - shown.len();
    if hidden > 0 {
        shown.push(format!("{hidden} more"));
    }
    shown.join(", ")
}

/// One range of addresses of `bits` bits: an address, a prefix, or its two ends.
fn range(low: u128, high: u128, bits: u32, first: String, last: &str) -> String {
    let host = low ^ high;
    let is_prefix = host & host.wrapping_add(1) == 0 && low & host == 0;
    match bits - host.count_ones() {
        _ if !is_prefix => format!("{first}-{last}"),
        length if length == bits => first,
        length => format!("{first}/{length}"),
    }
}

/// Which address is to blame: the one without which the frame would come further.
fn martian(question: &Question, judge: impl Fn(&Question) -> Decision) -> String {
    let packet = |with: Addresses| match question.packet {
        Packet::Ip { content, .. } => Packet::Ip { addresses: with, content },
        other => other,
    };
    let (source, other) = match question.packet {
        Packet::Ip { addresses: Addresses::V4 { from, to }, .. } => {
            (IpAddr::V4(from), Addresses::V4 { from: PLAIN_V4, to })
        }
        Packet::Ip { addresses: Addresses::V6 { from, to }, .. } => {
            (IpAddr::V6(from), Addresses::V6 { from: PLAIN_V6, to })
        }
        Packet::Arp { sender, .. } => {
            return format!("{sender} cannot be the sender of an ARP message on a wire");
        }
        Packet::Other(_) => return general(DropReason::Martian).into(),
    };
    let changed = Question { packet: packet(other), vlan: question.vlan };
    if judge(&changed).reason() == Some(DropReason::Martian) {
        return format!("{} cannot be the destination of a packet on a wire", other.to());
    }
    format!("{source} cannot be the source of a packet on a wire")
}

/// What a step is about, where no setting has a say in it.
fn general(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Malformed => "a field has a value that its protocol forbids",
        DropReason::Martian => "an address that no frame on a wire may carry",
        _ => "a step before the rules drops such frames",
    }
}
