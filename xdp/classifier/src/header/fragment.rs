//! Fragments of either family (RFC 791, RFC 8200, RFC 3128): step 5.
//!
//! Promises: an atomic fragment counts as whole; of every other one it is known whether it begins its packet. Fragments
//! are never put together: what only the whole packet would show is not judged.

use super::protocol::TCP;
use super::transport::shortest;
use crate::learned::fragment;
use crate::tables::Family;
use crate::verdict::DropReason;

/// Largest packet that fragments may make up, headers before the fragment included.
const LARGEST_PACKET: u32 = 65_535;
/// Offsets, and all lengths but the last, are counted in units of so many bytes.
const UNIT: u32 = 8;

/// What a header says about its fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where this payload belongs in the packet, in bytes.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// Bytes of payload in this fragment.
    pub length: u32,
    /// Bytes of the headers before the payload that count towards the size of the packet: the IPv4 header, or what
    /// stands between the fixed IPv6 header and the fragment header.
    pub headers: u32,
}

/// Which part of its packet a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    First,
    Later,
}

impl Fragment {
    /// Judges the fragment under `fragments: stateless`, or under `drop`. `layer4` is the length of what follows every
    /// header that was walked.
    #[inline(always)]
    pub fn judge(
        self,
        stateless: bool,
        family: Family,
        protocol: u8,
        layer4: u32,
    ) -> Result<Part, DropReason> {
        if self.is_whole() {
            return Ok(Part::Whole);
        }
        if self.is_malformed() {
            return Err(DropReason::Malformed);
        }
        if !stateless {
            return Err(DropReason::Fragment);
        }
        match self.offset {
            _ if self.is_tiny(family, protocol, layer4) => Err(DropReason::FragmentTiny),
            0 => Ok(Part::First),
            _ => Ok(Part::Later),
        }
    }

    /// What the fragment counts as (see [`fragment`]), however it is judged; what is malformed is none.
    #[inline(always)]
    pub fn kind(self, family: Family, protocol: u8, layer4: u32) -> u32 {
        if self.is_whole() || self.is_malformed() {
            return fragment::NONE;
        }
        if self.is_tiny(family, protocol, layer4) {
            return fragment::TINY;
        }
        match (self.offset, self.more) {
            (0, _) => fragment::FIRST,
            (_, true) => fragment::MIDDLE,
            (_, false) => fragment::LAST,
        }
    }

    /// An atomic fragment.
    #[inline(always)]
    fn is_whole(self) -> bool {
        self.offset == 0 && !self.more
    }

    #[inline(always)]
    fn is_malformed(self) -> bool {
        let overflows = self.offset + self.length + self.headers > LARGEST_PACKET;
        overflows || (self.more && !self.length.is_multiple_of(UNIT))
    }

    /// Too short to show what rules ask about, or so placed that it could overwrite it.
    #[inline(always)]
    fn is_tiny(self, family: Family, protocol: u8, layer4: u32) -> bool {
        match self.offset {
            0 => layer4 < shortest(family, protocol),
            UNIT => family == Family::V6 || protocol == TCP,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{ICMP, ICMPV6, SCTP, UDP};
    use super::*;
    use DropReason::{Fragment as Refused, FragmentTiny, Malformed};
    use Family::{V4, V6};

    const ESP: u8 = 50;

    fn fragment(offset: u32, more: bool, length: u32) -> Fragment {
        Fragment { offset, more, length, headers: 20 }
    }

    fn stateless(fragment: Fragment, family: Family, protocol: u8) -> Result<Part, DropReason> {
        fragment.judge(true, family, protocol, fragment.length)
    }

    #[test]
    fn an_atomic_fragment_is_whole_under_every_setting() {
        for setting in [true, false] {
            assert_eq!(fragment(0, false, 3).judge(setting, V6, TCP, 3), Ok(Part::Whole));
        }
    }

    #[test]
    fn drop_refuses_what_is_well_formed() {
        assert_eq!(fragment(0, true, 64).judge(false, V4, UDP, 64), Err(Refused));
        assert_eq!(fragment(8, false, 3).judge(false, V4, TCP, 3), Err(Refused));
        assert_eq!(fragment(0, true, 63).judge(false, V4, UDP, 63), Err(Malformed));
    }

    #[test]
    fn the_packet_ends_within_65535_bytes() {
        let last = |offset, length| stateless(fragment(offset, false, length), V4, UDP);
        assert_eq!(last(65_512, 3), Ok(Part::Later));
        assert_eq!(last(65_512, 4), Err(Malformed));
        assert_eq!(last(65_528, 0), Err(Malformed));
    }

    #[test]
    fn all_but_the_last_come_in_units_of_eight() {
        assert_eq!(stateless(fragment(64, true, 16), V4, UDP), Ok(Part::Later));
        assert_eq!(stateless(fragment(64, true, 17), V4, UDP), Err(Malformed));
        assert_eq!(stateless(fragment(64, false, 17), V4, UDP), Ok(Part::Later));
        assert_eq!(stateless(fragment(64, true, 0), V4, UDP), Ok(Part::Later));
    }

    #[test]
    fn a_first_fragment_shows_its_whole_header() {
        let cases = [
            (V4, TCP, 24, 16),
            (V4, UDP, 8, 0),
            (V4, SCTP, 16, 8),
            (V4, ICMP, 8, 0),
            (V6, TCP, 24, 16),
            (V6, ICMPV6, 8, 0),
        ];
        for (family, protocol, enough, tiny) in cases {
            assert_eq!(stateless(fragment(0, true, enough), family, protocol), Ok(Part::First));
            assert_eq!(stateless(fragment(0, true, tiny), family, protocol), Err(FragmentTiny));
        }
        assert_eq!(stateless(fragment(0, true, 0), V4, ESP), Ok(Part::First));
        assert_eq!(stateless(fragment(0, true, 0), V6, ICMP), Ok(Part::First));
        // What counts is what follows the headers behind the fragment header.
        assert_eq!(fragment(0, true, 24).judge(true, V6, TCP, 16), Err(FragmentTiny));
    }

    #[test]
    fn every_well_formed_fragment_is_of_one_kind() {
        use crate::learned::fragment::{FIRST, LAST, MIDDLE, NONE, TINY};
        let kind = |offset, more, length| fragment(offset, more, length).kind(V4, TCP, length);
        assert_eq!([kind(0, true, 24), kind(16, true, 8), kind(16, false, 5)], [FIRST, MIDDLE, LAST]);
        assert_eq!([kind(0, true, 16), kind(8, true, 8), kind(8, false, 5)], [TINY; 3]);
        assert_eq!([kind(0, false, 24), kind(0, true, 23), kind(65_512, false, 4)], [NONE; 3]);
    }

    #[test]
    fn nothing_may_overwrite_the_flags() {
        assert_eq!(stateless(fragment(8, true, 64), V4, TCP), Err(FragmentTiny));
        assert_eq!(stateless(fragment(8, false, 64), V4, UDP), Ok(Part::Later));
        assert_eq!(stateless(fragment(8, false, 64), V6, UDP), Err(FragmentTiny));
        assert_eq!(stateless(fragment(16, true, 64), V4, TCP), Ok(Part::Later));
    }
}
