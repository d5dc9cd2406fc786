//! Frames with a length where others have an EtherType (IEEE 802.3, 802.2): the rest of step 1.
//!
//! Promises: SNAP never hides IP, ARP or a tag, whatever its OUI.

use super::ethertype;
use crate::frame::{Frame, View};
use crate::tables::ether;
use crate::verdict::DropReason;

const LONGEST: u32 = 1500;
/// DSAP, SSAP and control.
const LENGTH: usize = 3;
/// The same, and OUI and type of SNAP.
const SNAP_LENGTH: usize = 8;
const SNAP_TYPE: usize = 6;
const SNAP: u32 = 0x00aa_aa03;
const SPANNING_TREE: u16 = 0x4242;

/// The key (`tables::ether`) of the frame whose `length` field ends at `at`.
#[inline(always)]
pub fn read<F: Frame>(frame: &F, at: u32, length: u16) -> Result<u16, DropReason> {
    let length = u32::from(length);
    if length > LONGEST || length < LENGTH as u32 {
        return Err(DropReason::Malformed);
    }
    if at + length > frame.len() {
        return Err(DropReason::Truncated);
    }
    let header = frame.view::<LENGTH>(at).ok_or(DropReason::Truncated)?;
    let access_points = header.be16::<0>();
    if access_points == SPANNING_TREE {
        return Ok(ether::STP);
    }
    if u32::from(access_points) << 8 | u32::from(header.u8::<2>()) != SNAP {
        return Ok(ether::LLC);
    }
    if length < SNAP_LENGTH as u32 {
        return Err(DropReason::Malformed);
    }
    let kind = frame.view::<SNAP_LENGTH>(at).ok_or(DropReason::Truncated)?.be16::<SNAP_TYPE>();
    match kind {
        ethertype::IPV4 | ethertype::ARP | ethertype::IPV6 => Err(DropReason::Malformed),
        kind if ethertype::is_tag(kind) => Err(DropReason::Malformed),
        _ => Ok(ether::SNAP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{Malformed, Truncated};

    fn judge(length: u16, bytes: &[u8]) -> Result<u16, DropReason> {
        read(&Slice(bytes), 0, length)
    }

    #[test]
    fn the_first_bytes_tell_the_kind() {
        assert_eq!(judge(3, &[0x42, 0x42, 3]), Ok(ether::STP));
        assert_eq!(judge(3, &[0x42, 0x42, 0]), Ok(ether::STP));
        assert_eq!(judge(3, &[0xaa, 0xaa, 0]), Ok(ether::LLC));
        assert_eq!(judge(3, &[0xaa, 0x42, 3]), Ok(ether::LLC));
        assert_eq!(judge(3, &[0xe0, 0xe0, 3, 9, 9]), Ok(ether::LLC));
        assert_eq!(judge(8, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0x00]), Ok(ether::SNAP));
    }

    #[test]
    fn a_length_fits_its_field_and_the_frame() {
        let frame = [0; 1535];
        assert_eq!(judge(1500, &frame), Ok(ether::LLC));
        for length in [0, 1, 2, 1501, 1535] {
            assert_eq!(judge(length, &frame), Err(Malformed), "{length}");
        }
        assert_eq!(judge(4, &[0; 3]), Err(Truncated));
        assert_eq!(judge(1501, &[]), Err(Malformed));
    }

    #[test]
    fn snap_is_whole_and_hides_nothing() {
        assert_eq!(judge(7, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 1]), Err(Malformed));
        for kind in [0x0800_u16, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x9100] {
            let [high, low] = kind.to_be_bytes();
            assert_eq!(judge(8, &[0xaa, 0xaa, 3, 9, 9, 9, high, low]), Err(Malformed), "{kind:#06x}");
        }
    }
}
