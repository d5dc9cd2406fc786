//! Ethernet and its VLAN tags (IEEE 802.3, 802.1Q): step 1 up to the VLAN.
//!
//! Promises: a frame that is returned has at most two tags, in the order and of the kind that the contract allows; which
//! VLANs an interface admits is for the caller to ask. Priority and drop eligibility never matter.

use super::ethertype::is_tag;
use crate::frame::{Frame, View};
use crate::tables::VlanStack;
use crate::verdict::DropReason;

const SOURCE: usize = 6;
const ETHERTYPE: usize = 12;
const LENGTH: usize = 14;
/// TCI and the EtherType after it.
const TAG_LENGTH: usize = 4;
/// Group bit of a MAC address: the first that is on the wire.
const GROUP: u8 = 0x01;
const CUSTOMER_TAG: u16 = 0x8100;
const PRIORITY_VID: u16 = 0;
const RESERVED_VID: u16 = 4095;

/// What lies before the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// The tags, priority tags taken away.
    pub stack: VlanStack,
    /// EtherType after the last tag, or a length where it is below 0x0600.
    pub ethertype: u16,
    /// Offset of the first byte after `ethertype`.
    pub payload: u32,
}

impl Ethernet {
    /// Reads the addresses and every tag. `outer_tag` is the TPID that the interface expects on the outer of two tags.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, outer_tag: u32) -> Result<Self, DropReason> {
        let header = frame.view::<LENGTH>(0).ok_or(DropReason::Truncated)?;
        if header.u8::<SOURCE>() & GROUP != 0 {
            return Err(DropReason::Martian);
        }
        let tpid = header.be16::<ETHERTYPE>();
        let payload = LENGTH as u32;
        if !is_tag(tpid) {
            return Ok(Self { stack: VlanStack::Untagged, ethertype: tpid, payload });
        }
        let tag = Tag::read(frame, payload)?;
        let payload = payload + TAG_LENGTH as u32;
        if !is_tag(tag.ethertype) {
            return Ok(Self { stack: lone(tpid, tag.vid)?, ethertype: tag.ethertype, payload });
        }
        let inner = Tag::read(frame, payload)?;
        if is_tag(inner.ethertype) {
            return Err(DropReason::VlanStack);
        }
        let stack = stacked(u32::from(tpid) == outer_tag, tag, inner.vid)?;
        Ok(Self { stack, ethertype: inner.ethertype, payload: payload + TAG_LENGTH as u32 })
    }
}

/// One tag after its TPID.
#[derive(Clone, Copy)]
struct Tag {
    vid: u16,
    ethertype: u16,
}

impl Tag {
    #[inline(always)]
    fn read<F: Frame>(frame: &F, at: u32) -> Result<Self, DropReason> {
        let tag = frame.view::<TAG_LENGTH>(at).ok_or(DropReason::Truncated)?;
        let vid = tag.be16::<0>() & 0x0fff;
        if vid == RESERVED_VID {
            return Err(DropReason::Malformed);
        }
        Ok(Self { vid, ethertype: tag.be16::<2>() })
    }
}

#[inline(always)]
fn lone(tpid: u16, vid: u16) -> Result<VlanStack, DropReason> {
    if tpid != CUSTOMER_TAG {
        return Err(DropReason::VlanStack);
    }
    Ok(if vid == PRIORITY_VID { VlanStack::Untagged } else { VlanStack::Single(vid) })
}

/// `outer.ethertype` is the TPID of the inner tag.
#[inline(always)]
fn stacked(outer_tag_expected: bool, outer: Tag, inner: u16) -> Result<VlanStack, DropReason> {
    let priority = outer.vid == PRIORITY_VID || inner == PRIORITY_VID;
    if priority || outer.ethertype != CUSTOMER_TAG || !outer_tag_expected {
        return Err(DropReason::VlanStack);
    }
    Ok(VlanStack::Stacked { outer: outer.vid, inner })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{Malformed, Martian, Truncated, VlanStack as Stack};

    const UNICAST: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    fn read(outer_tag: u32, tags_and_type: &[u8]) -> Result<Ethernet, DropReason> {
        let mut frame = [0; 64];
        frame[..12].copy_from_slice(&UNICAST);
        frame[12..12 + tags_and_type.len()].copy_from_slice(tags_and_type);
        Ethernet::read(&Slice(&frame[..12 + tags_and_type.len()]), outer_tag)
    }

    #[test]
    fn up_to_two_tags_are_a_stack() {
        let header = |stack, payload| Ok(Ethernet { stack, ethertype: 0x0800, payload });
        let pair = VlanStack::Stacked { outer: 100, inner: 200 };
        assert_eq!(read(0x8100, &[8, 0]), header(VlanStack::Untagged, 14));
        assert_eq!(read(0x8100, &[0x81, 0, 0, 10, 8, 0]), header(VlanStack::Single(10), 18));
        assert_eq!(read(0x8100, &[0x81, 0, 0xff, 0xfe, 8, 0]), header(VlanStack::Single(4094), 18));
        assert_eq!(read(0x8100, &[0x81, 0, 0xf0, 0, 8, 0]), header(VlanStack::Untagged, 18));
        assert_eq!(read(0x8100, &[0x81, 0, 0, 100, 0x81, 0, 0, 200, 8, 0]), header(pair, 22));
        assert_eq!(read(0x88a8, &[0x88, 0xa8, 0, 100, 0x81, 0, 0, 200, 8, 0]), header(pair, 22));
        assert_eq!(read(0x9100, &[0x91, 0, 0, 100, 0x81, 0, 0, 200, 8, 0]), header(pair, 22));
    }

    #[test]
    fn other_stacks_have_a_reason() {
        let cases: [(&[u8], DropReason); 13] = [
            (&[0x88, 0xa8, 0, 10, 8, 0], Stack),               // a lone service tag
            (&[0x91, 0, 0, 0, 8, 0], Stack),                   // the same with VID 0
            (&[0x91, 0, 0x0f, 0xff, 8, 0], Malformed),         // VID 4095 is met first
            (&[0x81, 0, 0, 1, 0x88, 0xa8, 0, 2, 8, 0], Stack), // an inner service tag
            (&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0], Stack), // not the outer tag expected
            (&[0x81, 0, 0, 0, 0x81, 0, 0, 2, 8, 0], Stack),    // VID 0 outside
            (&[0x81, 0, 0, 1, 0x81, 0, 0, 0, 8, 0], Stack),    // VID 0 inside
            (&[0x81, 0, 0, 1, 0x81, 0, 0x0f, 0xff, 8, 0], Malformed), // VID 4095 inside
            (&[0x81, 0, 0, 1, 0x81, 0, 0x0f, 0xff, 0x81, 0], Malformed), // before the third tag
            (&[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0], Stack), // a third tag, though cut
            (&[0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x91, 0, 0, 3, 8, 0], Stack), // a third tag
            (&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x88, 0xa8], Stack), // also a third
            (&[0x81, 0, 0x0f, 0xff, 0x81, 0], Malformed),      // before the cut tag
        ];
        for (bytes, reason) in cases {
            assert_eq!(read(0x8100, bytes), Err(reason), "{bytes:02x?}");
        }
    }

    #[test]
    fn every_cut_is_truncated() {
        let frame = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 1, 0x81, 0, 0, 2, 8, 0];
        for length in (0..14).chain(14..18).chain(18..22) {
            assert_eq!(Ethernet::read(&Slice(&frame[..length]), 0x8100), Err(Truncated), "{length} bytes");
        }
        assert!(Ethernet::read(&Slice(&frame), 0x8100).is_ok());
    }

    #[test]
    fn a_group_source_is_martian_before_the_tags() {
        let mut frame = [0; 14];
        frame[6] = 0x01;
        frame[12] = 0x81;
        assert_eq!(Ethernet::read(&Slice(&frame), 0x8100), Err(Martian));
        frame[6] = 0xfe;
        assert_eq!(Ethernet::read(&Slice(&frame), 0x8100), Err(Truncated));
    }
}
