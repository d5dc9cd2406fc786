//! Step 1: MACs, tags, VLANs, and frames that have a length instead of an EtherType.

use super::{Step, be16, remaining};
use perimeter::ruleset::{Interface, VlanId, ether};
use perimeter_classifier::verdict::DropReason;

/// One tag as it stood in the frame.
pub(crate) struct Tag {
    pub(crate) tpid: u16,
    pub(crate) vid: u16,
}

/// What step 1 leaves to the others.
pub(crate) struct Link<'a> {
    pub(crate) vlan: VlanId,
    /// The EtherType, or one of the keys of `ruleset::ether` for a frame with a length.
    pub(crate) ethertype: u16,
    /// Everything after the EtherType or length field, trailers included.
    pub(crate) rest: &'a [u8],
}

/// Carries out step 1.
pub(crate) fn read<'a>(interface: &Interface, frame: &'a [u8]) -> Step<Link<'a>> {
    let (vlan, tags) = vlan(interface, frame)?;
    let last = 12 + 4 * tags;
    let (ethertype, rest) = (be16(frame, last), &frame[last + 2..]);
    let ethertype = if ethertype < 0x0600 { length_key(ethertype, rest)? } else { ethertype };
    Ok(Link { vlan, ethertype, rest })
}

/// The VLAN that a frame is on, if it is allowed, and how many tags it has.
pub(crate) fn vlan(interface: &Interface, frame: &[u8]) -> Step<(VlanId, usize)> {
    if frame.len() < 14 {
        return Err(DropReason::Truncated);
    }
    if frame[6] % 2 == 1 {
        return Err(DropReason::Martian);
    }
    let tags = read_tags(frame)?;
    check_stack(interface.outer_tag, &tags)?;
    let vlan = remaining(&tags);
    if !interface.vlans.iter().any(|entry| entry.range.contains(vlan)) {
        return Err(DropReason::VlanNotAllowed);
    }
    Ok((vlan, tags.len()))
}

fn is_tpid(ethertype: u16) -> bool {
    [0x8100, 0x88a8, 0x9100].contains(&ethertype)
}

/// Each tag in turn, as it is met.
fn read_tags(frame: &[u8]) -> Step<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut at = 12;
    while is_tpid(be16(frame, at)) {
        if tags.len() == 2 {
            return Err(DropReason::VlanStack);
        }
        if frame.len() < at + 2 + 4 {
            return Err(DropReason::Truncated);
        }
        let vid = be16(frame, at + 2) % 4096;
        if vid == 4095 {
            return Err(DropReason::Malformed);
        }
        tags.push(Tag { tpid: be16(frame, at), vid });
        at += 4;
    }
    Ok(tags)
}

/// What may stand beside what, judged after the last tag.
fn check_stack(outer_tag: u16, tags: &[Tag]) -> Step<()> {
    let fine = match tags {
        [] => true,
        [lone] => lone.tpid == 0x8100,
        [outer, inner, ..] => {
            outer.vid != 0 && inner.vid != 0 && inner.tpid == 0x8100 && outer.tpid == outer_tag
        }
    };
    if fine { Ok(()) } else { Err(DropReason::VlanStack) }
}

/// What a frame with a length is: SNAP, spanning tree or other LLC.
fn length_key(length: u16, rest: &[u8]) -> Step<u16> {
    if !(3..=1500).contains(&length) {
        return Err(DropReason::Malformed);
    }
    if usize::from(length) > rest.len() {
        return Err(DropReason::Truncated);
    }
    if rest[..3] == [0xaa, 0xaa, 0x03] {
        if length < 8 {
            return Err(DropReason::Malformed);
        }
        let inside = be16(rest, 6);
        if [0x0800, 0x0806, 0x86dd].contains(&inside) || is_tpid(inside) {
            return Err(DropReason::Malformed);
        }
        return Ok(ether::SNAP);
    }
    Ok(if rest[..2] == [0x42, 0x42] { ether::STP } else { ether::LLC })
}
