//! IPv4 (RFC 791): its part of step 2.
//!
//! Promises: header and payload lie inside the frame; no options but those that the setting lets through; bytes after the
//! total length are padding. Checksum, TTL, DSCP, ECN, DF and the reserved bit are not read.

use super::fragment::Fragment;
use super::{ipv4_options, protocol};
use crate::frame::{Frame, View};
use crate::verdict::DropReason;

const LENGTH: usize = 20;
const VERSION_AND_IHL: usize = 0;
const TOTAL_LENGTH: usize = 2;
const FRAGMENT: usize = 6;
const PROTOCOL: usize = 9;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

/// Version 4, no options.
const PLAIN: u8 = 0x45;
const MORE_FRAGMENTS: u16 = 0x2000;
/// In units of 8 bytes.
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// The one options field that IGMP may always carry (RFC 2113).
const ROUTER_ALERT: u32 = 0x9404_0000;

/// What the verdict needs of an IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    pub source: u32,
    pub destination: u32,
    pub protocol: u8,
    /// Header and payload, in bytes.
    pub total_length: u32,
    /// Offset of the payload in the frame.
    pub payload: u32,
    /// Bytes of payload.
    pub length: u32,
    /// Set where the packet is a fragment.
    pub fragment: Option<Fragment>,
}

impl Ipv4 {
    /// Reads the packet that begins at `at`. `options_pass`: `ip_options: pass`.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, at: u32, options_pass: bool) -> Result<Self, DropReason> {
        let view = frame.view::<LENGTH>(at).ok_or(DropReason::Truncated)?;
        let first = view.u8::<VERSION_AND_IHL>();
        let header = if first == PLAIN { LENGTH as u32 } else { header_length(first)? };
        let total_length = u32::from(view.be16::<TOTAL_LENGTH>());
        if total_length < header {
            return Err(DropReason::Malformed);
        }
        // The header is inside the total length.
        if at + total_length > frame.len() {
            return Err(DropReason::Truncated);
        }
        let protocol = view.u8::<PROTOCOL>();
        if header > LENGTH as u32 {
            judge_options(frame, at + LENGTH as u32, header - LENGTH as u32, protocol, options_pass)?;
        }
        let length = total_length - header;
        Ok(Self {
            source: view.be32::<SOURCE>(),
            destination: view.be32::<DESTINATION>(),
            protocol,
            total_length,
            payload: at + header,
            length,
            fragment: fragment(view.be16::<FRAGMENT>(), header, length),
        })
    }
}

/// Bytes of a header with options.
#[inline(always)]
fn header_length(version_and_ihl: u8) -> Result<u32, DropReason> {
    let header = u32::from(version_and_ihl & 0x0f) * 4;
    if version_and_ihl >> 4 != 4 || header < LENGTH as u32 {
        return Err(DropReason::Malformed);
    }
    Ok(header)
}

/// `at` and `length` are those of the options.
#[inline(always)]
fn judge_options<F: Frame>(
    frame: &F,
    at: u32,
    length: u32,
    protocol: u8,
    options_pass: bool,
) -> Result<(), DropReason> {
    if options_pass {
        return ipv4_options::judge(frame, at, length);
    }
    let options = frame.view::<4>(at).ok_or(DropReason::Truncated)?;
    if protocol == protocol::IGMP && length == 4 && options.be32::<0>() == ROUTER_ALERT {
        return Ok(());
    }
    Err(DropReason::IpOptions)
}

#[inline(always)]
fn fragment(field: u16, headers: u32, length: u32) -> Option<Fragment> {
    if field & (MORE_FRAGMENTS | FRAGMENT_OFFSET) == 0 {
        return None;
    }
    let offset = u32::from(field & FRAGMENT_OFFSET) * 8;
    Some(Fragment { offset, more: field & MORE_FRAGMENTS != 0, length, headers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{IpOptions, Malformed, Truncated};

    /// UDP from 192.0.2.1 to 198.51.100.7, 8 bytes of payload.
    #[rustfmt::skip]
    const PACKET: [u8; 28] = [
        0x45, 0, 0, 28, 0, 1, 0x40, 0, 64, 17, 0, 0,
        192, 0, 2, 1, 198, 51, 100, 7,
        0, 1, 0, 2, 0, 8, 0, 0,
    ];

    fn read(bytes: &[u8]) -> Result<Ipv4, DropReason> {
        Ipv4::read(&Slice(bytes), 0, false)
    }

    fn with(changes: &[(usize, u8)]) -> Result<Ipv4, DropReason> {
        let mut packet = PACKET;
        changes.iter().for_each(|&(at, byte)| packet[at] = byte);
        read(&packet)
    }

    #[test]
    fn a_plain_header() {
        let header = Ipv4 {
            source: 0xc000_0201,
            destination: 0xc633_6407,
            protocol: 17,
            total_length: 28,
            payload: 20,
            length: 8,
            fragment: None,
        };
        assert_eq!(read(&PACKET), Ok(header));
        // Padding is ignored, the reserved bit never matters.
        let mut padded = [0; 46];
        padded[..28].copy_from_slice(&PACKET);
        padded[6] = 0x80;
        assert_eq!(read(&padded), Ok(header));
    }

    #[test]
    fn every_cut_is_truncated() {
        for length in 0..28 {
            assert_eq!(read(&PACKET[..length]), Err(Truncated), "{length} bytes");
        }
    }

    #[test]
    fn a_header_that_contradicts_itself_is_malformed() {
        assert_eq!(with(&[(0, 0x55)]), Err(Malformed));
        assert_eq!(with(&[(0, 0x44)]), Err(Malformed));
        assert_eq!(with(&[(3, 19)]), Err(Malformed));
        assert_eq!(with(&[(0, 0x46), (3, 23)]), Err(Malformed));
        assert_eq!(with(&[(3, 20)]).map(|header| header.length), Ok(0));
        assert_eq!(with(&[(3, 29)]), Err(Truncated));
        assert_eq!(with(&[(2, 0xff)]), Err(Truncated));
        // Malformed is judged before truncated.
        assert_eq!(with(&[(0, 0x4f), (3, 59)]), Err(Malformed));
        assert_eq!(with(&[(0, 0x4f), (3, 60)]), Err(Truncated));
    }

    #[test]
    fn fragments_are_seen() {
        let fragment = |offset, more| Some(Fragment { offset, more, length: 8, headers: 20 });
        let seen = |high, low| with(&[(6, high), (7, low)]).unwrap().fragment;
        assert_eq!(seen(0xc0, 0), None);
        assert_eq!(seen(0x20, 0), fragment(0, true));
        assert_eq!(seen(0x00, 1), fragment(8, false));
        assert_eq!(seen(0x3f, 0xff), fragment(65_528, true));
    }

    #[test]
    fn only_igmp_may_alert_routers() {
        let mut packet = [0; 32];
        packet[..20].copy_from_slice(&PACKET[..20]);
        packet[0] = 0x46;
        packet[3] = 32;
        packet[9] = 2;
        packet[20..24].copy_from_slice(&[0x94, 4, 0, 0]);
        assert_eq!(read(&packet).map(|header| (header.payload, header.length)), Ok((24, 8)));
        packet[9] = 17;
        assert_eq!(read(&packet), Err(IpOptions));
        assert!(Ipv4::read(&Slice(&packet), 0, true).is_ok());
        packet[9] = 2;
        packet[23] = 1;
        assert_eq!(read(&packet), Err(IpOptions));
        packet[23] = 0;
        packet[0] = 0x47;
        assert_eq!(read(&packet), Err(IpOptions));
        packet[20] = 131;
        assert_eq!(Ipv4::read(&Slice(&packet), 0, true), Err(IpOptions));
    }
}
