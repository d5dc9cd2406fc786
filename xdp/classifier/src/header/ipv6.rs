//! IPv6 and its extension headers (RFC 8200): its part of step 2.
//!
//! Promises: at most eight extension headers are walked, each whole within the payload; what is not walked (AH and ESP
//! included) is the protocol. Traffic class and flow label are not read.

use super::address::Ipv6Address;
use super::fragment::Fragment;
use super::repeat;
use crate::frame::{Frame, View};
use crate::verdict::DropReason;

const LENGTH: usize = 40;
const VERSION: usize = 0;
const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

/// Shortest extension header, and the unit of their lengths.
const EXTENSION: usize = 8;
const EXTENSION_LENGTH: usize = 1;
const ROUTING_TYPE: usize = 2;
const SEGMENTS_LEFT: usize = 3;
const FRAGMENT_FIELD: usize = 2;
const FRAGMENT_OFFSET: u16 = 0xfff8;
const MORE_FRAGMENTS: u16 = 0x0001;
/// Hop-by-hop headers that MLD needs (RFC 2711): ICMPv6 next, router alert 0, padded by an empty PadN or two Pad1.
const ALERT_PADN: u64 = 0x3a00_0502_0000_0100;
const ALERT_PAD1: u64 = 0x3a00_0502_0000_0000;

/// The fixed header of an IPv6 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    pub source: Ipv6Address,
    pub destination: Ipv6Address,
    pub hop_limit: u8,
    /// Header and payload, in bytes.
    pub total_length: u32,
    next: u8,
    /// Offsets in the frame where the payload begins and ends.
    start: u32,
    end: u32,
}

/// What follows the last header that was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    pub protocol: u8,
    /// Offset in the frame.
    pub at: u32,
    /// Bytes to the end of the packet.
    pub length: u32,
    /// Set where there is a fragment header, an atomic one included.
    pub fragment: Option<Fragment>,
}

impl Ipv6 {
    /// Reads the fixed header of the packet that begins at `at`.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, at: u32) -> Result<Self, DropReason> {
        let view = frame.view::<LENGTH>(at).ok_or(DropReason::Truncated)?;
        let payload_length = u32::from(view.be16::<PAYLOAD_LENGTH>());
        let next = view.u8::<NEXT_HEADER>();
        if view.u8::<VERSION>() >> 4 != 6 || (payload_length == 0 && next != NO_NEXT_HEADER) {
            return Err(DropReason::Malformed);
        }
        let start = at + LENGTH as u32;
        let end = start + payload_length;
        if end > frame.len() {
            return Err(DropReason::Truncated);
        }
        let address = |high, low| Ipv6Address { high, low };
        Ok(Self {
            source: address(view.be64::<SOURCE>(), view.be64::<{ SOURCE + 8 }>()),
            destination: address(view.be64::<DESTINATION>(), view.be64::<{ DESTINATION + 8 }>()),
            hop_limit: view.u8::<HOP_LIMIT>(),
            total_length: LENGTH as u32 + payload_length,
            next,
            start,
            end,
        })
    }

    /// Walks the extension headers. `options_pass`: `ip_options: pass`.
    #[inline(always)]
    pub fn payload<F: Frame>(&self, frame: &F, options_pass: bool) -> Result<Payload, DropReason> {
        let &Self { next, start, end, .. } = self;
        let mut walk = Walk { next, at: start, start, end, fragment: None };
        walk.run(frame, options_pass)?;
        Ok(Payload { protocol: walk.next, at: walk.at, length: end - walk.at, fragment: walk.fragment })
    }
}

/// A walk over the extension headers of one packet; offsets are in the frame.
struct Walk {
    next: u8,
    at: u32,
    start: u32,
    end: u32,
    fragment: Option<Fragment>,
}

impl Walk {
    #[inline(always)]
    fn run<F: Frame>(&mut self, frame: &F, options_pass: bool) -> Result<(), DropReason> {
        repeat!(8, {
            if !self.step(frame, options_pass)? {
                return Ok(());
            }
        });
        match self.next {
            HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS => Err(DropReason::Ipv6Extension),
            _ => Ok(()),
        }
    }

    /// Takes one header; false where the walk ends.
    #[inline(always)]
    fn step<F: Frame>(&mut self, frame: &F, options_pass: bool) -> Result<bool, DropReason> {
        match self.next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => self.options(frame, options_pass),
            FRAGMENT => self.fragment(frame),
            _ => Ok(false),
        }
    }

    #[inline(always)]
    fn options<F: Frame>(&mut self, frame: &F, options_pass: bool) -> Result<bool, DropReason> {
        if self.next == HOP_BY_HOP && self.at != self.start {
            return Err(DropReason::Ipv6Extension);
        }
        let header = self.whole(frame)?;
        let length = (u32::from(header.u8::<EXTENSION_LENGTH>()) + 1) * EXTENSION as u32;
        if self.at + length > self.end {
            return Err(DropReason::Truncated);
        }
        let routes = header.u8::<ROUTING_TYPE>() == 0 || header.u8::<SEGMENTS_LEFT>() != 0;
        if self.next == ROUTING && routes {
            return Err(DropReason::Ipv6Extension);
        }
        let bytes = header.be64::<0>();
        let alert = self.next == HOP_BY_HOP && (bytes == ALERT_PADN || bytes == ALERT_PAD1);
        if !options_pass && !alert {
            return Err(DropReason::Ipv6Extension);
        }
        self.next = header.u8::<0>();
        self.at += length;
        Ok(true)
    }

    #[inline(always)]
    fn fragment<F: Frame>(&mut self, frame: &F) -> Result<bool, DropReason> {
        if self.fragment.is_some() {
            return Err(DropReason::Ipv6Extension);
        }
        let header = self.whole(frame)?;
        let field = header.be16::<FRAGMENT_FIELD>();
        let headers = self.at - self.start;
        self.next = header.u8::<0>();
        self.at += EXTENSION as u32;
        let offset = u32::from(field & FRAGMENT_OFFSET);
        let more = field & MORE_FRAGMENTS != 0;
        self.fragment = Some(Fragment { offset, more, length: self.end - self.at, headers });
        Ok(offset == 0)
    }

    /// The first bytes of the header at hand.
    #[inline(always)]
    fn whole<F: Frame>(&self, frame: &F) -> Result<F::View<EXTENSION>, DropReason> {
        if self.at + EXTENSION as u32 > self.end {
            return Err(DropReason::Truncated);
        }
        frame.view::<EXTENSION>(self.at).ok_or(DropReason::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{Ipv6Extension, Malformed, Truncated};

    const UDP: u8 = 17;
    const ICMPV6: u8 = 58;
    const LAST: [u8; 8] = [0, 1, 0, 2, 0, 8, 0, 0];

    fn judge(bytes: &[u8], pass: bool) -> Result<Payload, DropReason> {
        Ipv6::read(&Slice(bytes), 0)?.payload(&Slice(bytes), pass)
    }

    /// Walks a packet with these headers and [`LAST`], followed by 4 bytes of padding.
    fn read(next: u8, headers: &[[u8; 8]], pass: bool) -> Result<Payload, DropReason> {
        let mut bytes = [0; 256];
        let payload = headers.len() * 8 + 8;
        bytes[..8].copy_from_slice(&[0x6f, 0xff, 0xff, 0xff, 0, payload as u8, next, 64]);
        for (to, from) in bytes[40..].chunks_exact_mut(8).zip(headers.iter().chain([&LAST])) {
            to.copy_from_slice(from);
        }
        judge(&bytes[..40 + payload + 4], pass)
    }

    fn refused(next: u8, headers: &[[u8; 8]], pass: bool) -> Option<DropReason> {
        read(next, headers, pass).err()
    }

    #[test]
    fn a_plain_header() {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 8, UDP, 64]);
        bytes[8..12].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        bytes[23] = 1;
        bytes[24..28].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        bytes[39] = 2;
        let ip = Ipv6::read(&Slice(&bytes), 0).unwrap();
        let address = |low| Ipv6Address { high: 0x2001_0db8_0000_0000, low };
        assert_eq!((ip.source, ip.destination), (address(1), address(2)));
        assert_eq!((ip.hop_limit, ip.total_length), (64, 48));
        let payload = Payload { protocol: UDP, at: 40, length: 8, fragment: None };
        assert_eq!(judge(&bytes, false), Ok(payload));
        // AH and ESP end the walk.
        assert_eq!(read(51, &[], false), Ok(Payload { protocol: 51, ..payload }));
    }

    #[test]
    fn lengths_fit() {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 8, UDP, 64]);
        for length in 0..48 {
            assert_eq!(judge(&bytes[..length], false), Err(Truncated), "{length} bytes");
        }
        assert!(judge(&bytes, false).is_ok());
        bytes[5] = 9;
        assert_eq!(judge(&bytes, false), Err(Truncated));
        bytes[5] = 0;
        assert_eq!(judge(&bytes, false), Err(Malformed));
        bytes[6] = NO_NEXT_HEADER;
        assert_eq!(judge(&bytes, false).map(|payload| payload.length), Ok(0));
        bytes[0] = 0x40;
        assert_eq!(judge(&bytes, false), Err(Malformed));
    }

    #[test]
    fn options_are_walked_under_pass_only() {
        let options = [UDP, 0, 1, 4, 0, 0, 0, 0];
        for kind in [HOP_BY_HOP, DESTINATION_OPTIONS] {
            assert_eq!(read(kind, &[options], true).map(|ip| (ip.protocol, ip.at)), Ok((UDP, 48)));
            assert_eq!(refused(kind, &[options], false), Some(Ipv6Extension));
        }
        let long = [UDP, 1, 1, 12, 0, 0, 0, 0];
        assert_eq!(read(HOP_BY_HOP, &[long, [0; 8]], true).map(|ip| ip.length), Ok(8));
        assert_eq!(refused(HOP_BY_HOP, &[long], false), Some(Ipv6Extension));
    }

    #[test]
    fn a_header_lies_within_the_payload() {
        for pass in [true, false] {
            // Truncated is judged before the setting; the padding after the payload does not help.
            assert_eq!(refused(DESTINATION_OPTIONS, &[[UDP, 2, 0, 0, 0, 0, 0, 0]], pass), Some(Truncated));
        }
        // Nothing is left of the payload where the next header should begin.
        let chain = [[DESTINATION_OPTIONS, 1, 0, 0, 0, 0, 0, 0]];
        assert_eq!(refused(DESTINATION_OPTIONS, &chain, true), Some(Truncated));
        assert_eq!(refused(ROUTING, &[[UDP, 9, 0, 0, 0, 0, 0, 0]], true), Some(Truncated));
    }

    #[test]
    fn only_the_first_header_is_hop_by_hop() {
        let to = |next| [next, 0, 1, 4, 0, 0, 0, 0];
        assert_eq!(refused(HOP_BY_HOP, &[to(HOP_BY_HOP), to(UDP)], true), Some(Ipv6Extension));
        assert_eq!(refused(DESTINATION_OPTIONS, &[to(HOP_BY_HOP), to(UDP)], true), Some(Ipv6Extension));
        assert_eq!(refused(HOP_BY_HOP, &[to(DESTINATION_OPTIONS), to(UDP)], true), None);
    }

    #[test]
    fn routing_headers_route_nothing() {
        assert_eq!(refused(ROUTING, &[[UDP, 0, 2, 0, 0, 0, 0, 0]], true), None);
        assert_eq!(refused(ROUTING, &[[UDP, 0, 0, 0, 0, 0, 0, 0]], true), Some(Ipv6Extension));
        assert_eq!(refused(ROUTING, &[[UDP, 0, 4, 1, 0, 0, 0, 0]], true), Some(Ipv6Extension));
        assert_eq!(refused(ROUTING, &[[UDP, 0, 2, 0, 0, 0, 0, 0]], false), Some(Ipv6Extension));
    }

    #[test]
    fn eight_headers_and_no_more() {
        let mut chain = [[DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0]; 9];
        chain[8][0] = UDP;
        assert_eq!(refused(DESTINATION_OPTIONS, &chain, true), Some(Ipv6Extension));
        chain[7][0] = UDP;
        assert_eq!(refused(DESTINATION_OPTIONS, &chain[..8], true), None);
        // A later fragment ends the walk, whatever is named as next.
        chain[7] = [DESTINATION_OPTIONS, 0, 0, 8, 0, 0, 0, 0];
        chain[6][0] = FRAGMENT;
        assert_eq!(read(DESTINATION_OPTIONS, &chain[..8], true).map(|ip| ip.protocol), Ok(60));
    }

    #[test]
    fn mld_may_alert_routers() {
        let alert = |last: [u8; 2], next| [next, 0, 5, 2, 0, 0, last[0], last[1]];
        assert_eq!(refused(HOP_BY_HOP, &[alert([1, 0], ICMPV6)], false), None);
        assert_eq!(refused(HOP_BY_HOP, &[alert([0, 0], ICMPV6)], false), None);
        for strange in [alert([0, 1], ICMPV6), alert([1, 0], UDP), [ICMPV6, 0, 5, 2, 0, 1, 1, 0]] {
            assert_eq!(refused(HOP_BY_HOP, &[strange], false), Some(Ipv6Extension), "{strange:?}");
            assert_eq!(refused(HOP_BY_HOP, &[strange], true), None);
        }
        assert_eq!(refused(DESTINATION_OPTIONS, &[alert([1, 0], ICMPV6)], false), Some(Ipv6Extension));
    }

    #[test]
    fn fragment_headers_are_read() {
        let header = |high, low| [UDP, 0, high, low, 0, 0, 0, 7];
        let seen = |header: [u8; 8]| read(FRAGMENT, &[header], false).map(|ip| (ip.protocol, ip.fragment));
        let fragment = |offset, more| Ok((UDP, Some(Fragment { offset, more, length: 8, headers: 0 })));
        assert_eq!(seen(header(0, 0)), fragment(0, false));
        assert_eq!(seen(header(0, 7)), fragment(0, true));
        assert_eq!(seen(header(0, 8)), fragment(8, false));
        assert_eq!(seen(header(0xff, 0xff)), fragment(65_528, true));
        assert_eq!(refused(FRAGMENT, &[[44, 0, 0, 0, 0, 0, 0, 0], header(0, 0)], false), Some(Ipv6Extension));
        let after = read(DESTINATION_OPTIONS, &[[FRAGMENT, 0, 1, 4, 0, 0, 0, 0], header(0, 9)], true);
        let expected = Fragment { offset: 8, more: true, length: 8, headers: 8 };
        assert_eq!(after.map(|ip| ip.fragment), Ok(Some(expected)));
    }

    #[test]
    fn a_later_fragment_ends_the_walk() {
        let later = [ROUTING, 0, 0, 8, 0, 0, 0, 0];
        assert_eq!(read(FRAGMENT, &[later], false).map(|ip| (ip.protocol, ip.length)), Ok((ROUTING, 8)));
        let first = [ROUTING, 0, 0, 1, 0, 0, 0, 0];
        // The first fragment must hold the whole chain; LAST reads as a routing header with segments left.
        assert_eq!(refused(FRAGMENT, &[first], true), Some(Truncated));
    }
}
