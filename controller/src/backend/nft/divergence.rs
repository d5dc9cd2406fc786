//! What nftables cannot express: the declared divergences.
//!
//! Promises: the list is whole, and every class drops what XDP might pass, never the other way round. The table in the README
//! is this one (a test compares them); the campaign in `tests/equivalence` accepts no other difference.

use crate::ruleset::{Action, Interface, IpOptions, Ruleset, VlanRange};

/// A class of frames that nftables drops whatever the policy says, or drops under another reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    pub id: &'static str,
    /// Which frames.
    pub what: &'static str,
    /// What becomes of them.
    pub then: &'static str,
    pub why: &'static str,
}

/// Every class.
pub const ALL: [Divergence; 4] = [TAG_CUT, LENGTH_BEHIND_TAG, IPV4_OPTIONS, IPV6_EXTENSIONS];

pub const TAG_CUT: Divergence = Divergence {
    id: "tag-cut",
    what: "frames that end less than two bytes after a tag 0x8100 or 0x88a8",
    then: "dropped by the kernel, not counted",
    why: "the core takes tags off before the hook, and drops what it cannot take them off",
};

pub const LENGTH_BEHIND_TAG: Divergence = Divergence {
    id: "length-behind-tag",
    what: "frames with one tag and a length (LLC, SNAP, spanning tree) behind it",
    then: "`malformed`",
    why: "where the tag was taken off, the kernel shows that there is a length, not which",
};

pub const IPV4_OPTIONS: Divergence = Divergence {
    id: "ipv4-options",
    what: "IPv4 options under `ip_options: pass`, but for IGMP's router alert",
    then: "`ip_options`, as under `drop`",
    why: "options are a list, and nftables has no loop and no offset that is read from the frame",
};

pub const IPV6_EXTENSIONS: Divergence = Divergence {
    id: "ipv6-extensions",
    what: "hop-by-hop, routing and destination-options headers under `ip_options: pass`, but for what MLD needs",
    then: "`ipv6_extension`, as under `drop`",
    why: "the same",
};

const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Below it is a length.
const FIRST_ETHERTYPE: u16 = 0x0600;
const IGMP: u8 = 2;
/// IGMP's router alert, the whole of the options (RFC 2113).
const IGMP_ALERT: [u8; 4] = [0x94, 4, 0, 0];
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// MLD's hop-by-hop headers: router alert 0, padded in either way (RFC 2711).
const MLD_ALERTS: [[u8; 8]; 2] = [[58, 0, 5, 2, 0, 0, 1, 0], [58, 0, 5, 2, 0, 0, 0, 0]];

/// The class of a frame on an interface with these settings; `None` where every engine must say the same.
pub fn of(frame: &[u8], interface: &Interface) -> Option<&'static Divergence> {
    let stripped = matches!(word(frame, 12), Some(0x8100 | 0x88a8));
    if stripped && frame.len() < 20 {
        return Some(&TAG_CUT);
    }
    let mut at = 12;
    let mut tags = 0;
    while word(frame, at).is_some_and(|kind| TAGS.contains(&kind)) {
        at += 4;
        tags += 1;
    }
    let kind = word(frame, at)?;
    let packet = frame.get(at + 2..)?;
    match kind {
        _ if kind < FIRST_ETHERTYPE => (stripped && tags == 1).then_some(&LENGTH_BEHIND_TAG),
        IPV4 => ipv4(packet, interface),
        IPV6 => ipv6(packet, interface),
        _ => None,
    }
}

/// The classes whose frames might pass on an interface if XDP alone judged them. What is cut at its tags never does.
pub fn felt(ruleset: &Ruleset, index: usize) -> Vec<&'static Divergence> {
    let interface = &ruleset.interfaces[index];
    let has_length = |kind: &u16| *kind < FIRST_ETHERTYPE;
    let mut passed = ruleset.rules.iter().filter(|rule| rule.action == Action::Allow);
    let passes_lengths =
        passed.any(|rule| rule.interfaces.contains(&index) && rule.ethertypes.iter().any(has_length));
    // An untagged frame may have a tag with a priority and no VLAN.
    let takes_tags = interface.vlans.iter().any(|one| !matches!(one.range, VlanRange::Stacked { .. }));
    let mut felt = Vec::new();
    if passes_lengths && takes_tags {
        felt.push(&LENGTH_BEHIND_TAG);
    }
    if interface.ip_options == IpOptions::Pass {
        felt.extend([&IPV4_OPTIONS, &IPV6_EXTENSIONS]);
    }
    felt
}

fn ipv4(packet: &[u8], interface: &Interface) -> Option<&'static Divergence> {
    let words = packet.first()? & 0x0f;
    let alert = words == 6 && packet.get(9) == Some(&IGMP) && packet.get(20..24) == Some(&IGMP_ALERT);
    (words > 5 && !alert && interface.ip_options == IpOptions::Pass).then_some(&IPV4_OPTIONS)
}

fn ipv6(packet: &[u8], interface: &Interface) -> Option<&'static Divergence> {
    let first = packet.get(40..48);
    let alert = packet.get(6) == Some(&HOP_BY_HOP) && MLD_ALERTS.iter().any(|alert| first == Some(alert));
    // A fragment header hides the next one; a second is refused by every engine.
    let next = match *packet.get(6)? {
        FRAGMENT => *packet.get(40)?,
        other => other,
    };
    let walked = matches!(next, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) && !alert;
    (walked && interface.ip_options == IpOptions::Pass).then_some(&IPV6_EXTENSIONS)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::ruleset;

    /// A frame of this EtherType with these bytes in the packet.
    fn frame(kind: u16, length: usize, bytes: &[(usize, &[u8])]) -> Vec<u8> {
        let mut frame = vec![0; 14 + length];
        frame[12..14].copy_from_slice(&kind.to_be_bytes());
        for (at, bytes) in bytes {
            frame[14 + at..14 + at + bytes.len()].copy_from_slice(bytes);
        }
        frame
    }

    #[test]
    fn a_class_holds_no_more_than_it_says() {
        let mut interface = ruleset(&["wan0"]).interfaces.remove(0);
        interface.ip_options = IpOptions::Pass;
        let class = |frame: Vec<u8>| of(&frame, &interface).map(|class| class.id);
        let ipv4 =
            |protocol, options: &[u8]| frame(IPV4, 40, &[(0, &[0x46]), (9, &[protocol]), (20, options)]);
        assert_eq!(class(ipv4(6, &[1, 1, 1, 1])), Some("ipv4-options"));
        assert_eq!(class(ipv4(6, &IGMP_ALERT)), Some("ipv4-options"));
        assert_eq!(class(ipv4(IGMP, &IGMP_ALERT)), None);
        let ipv6 = |next, header: &[u8]| frame(IPV6, 80, &[(6, &[next]), (40, header)]);
        for next in [HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS] {
            assert_eq!(class(ipv6(next, &[6])), Some("ipv6-extensions"));
            assert_eq!(class(ipv6(FRAGMENT, &[next])), Some("ipv6-extensions"));
        }
        for (next, header) in [(FRAGMENT, &[6][..]), (FRAGMENT, &[FRAGMENT]), (51, &[6]), (6, &[0])] {
            assert_eq!(class(ipv6(next, header)), None, "{next}");
        }
        assert!(MLD_ALERTS.iter().all(|alert| class(ipv6(HOP_BY_HOP, alert)).is_none()));
    }
}
