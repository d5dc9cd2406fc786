//! What nftables cannot express: the declared divergences.
//!
//! Promises: the list is whole, and every class drops what XDP might pass, never the other way round. The table in the README
//! is this one (a test compares them); the campaign in `tests/equivalence` accepts no other difference.

use crate::ruleset::{Interface, IpOptions};

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
/// Hop-by-hop, routing, fragment, authentication, destination options.
const WALKED: [u8; 5] = [0, 43, 44, 51, 60];

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

fn ipv4(packet: &[u8], interface: &Interface) -> Option<&'static Divergence> {
    let options = packet.first()? & 0x0f > 5;
    (options && interface.ip_options == IpOptions::Pass).then_some(&IPV4_OPTIONS)
}

fn ipv6(packet: &[u8], interface: &Interface) -> Option<&'static Divergence> {
    let walked = WALKED.contains(packet.get(6)?);
    (walked && interface.ip_options == IpOptions::Pass).then_some(&IPV6_EXTENSIONS)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
