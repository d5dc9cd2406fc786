//! Neighbour discovery (RFC 4861, RFC 6980): the rest of step 6.
//!
//! Promises: a message of the five types comes from this link, in one piece and long enough for its fixed fields. Options
//! are not read.

use super::address::Ipv6Address;
use super::ipv6::Payload;
use crate::frame::{Frame, View};
use crate::verdict::DropReason;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// An advertisement up to the end of its target.
const LENGTH: usize = 24;
const TARGET: usize = 8;
/// What a router would have lowered.
const HOP_LIMIT: u8 = 255;

/// Judges the ICMPv6 message that is the payload of a packet with this hop limit; the target, where it advertises one.
#[inline(always)]
pub fn judge<F: Frame>(
    frame: &F,
    hop_limit: u8,
    payload: Payload,
) -> Result<Option<Ipv6Address>, DropReason> {
    let first = frame.view::<2>(payload.at).ok_or(DropReason::Truncated)?;
    let [kind, code] = first.be16::<0>().to_be_bytes();
    let Some(shortest) = shortest(kind) else {
        return Ok(None);
    };
    if hop_limit != HOP_LIMIT || code != 0 || payload.fragment.is_some() || payload.length < shortest {
        return Err(DropReason::Malformed);
    }
    if kind != NEIGHBOUR_ADVERTISEMENT {
        return Ok(None);
    }
    let message = frame.view::<LENGTH>(payload.at).ok_or(DropReason::Truncated)?;
    Ok(Some(Ipv6Address { high: message.be64::<TARGET>(), low: message.be64::<{ TARGET + 8 }>() }))
}

/// Bytes of the fixed fields of a message; `None` where it is not neighbour discovery.
#[inline(always)]
const fn shortest(kind: u8) -> Option<u32> {
    match kind {
        ROUTER_SOLICITATION => Some(8),
        ROUTER_ADVERTISEMENT => Some(16),
        NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT => Some(24),
        REDIRECT => Some(40),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fragment::Fragment;
    use super::*;
    use crate::frame::Slice;
    use DropReason::Malformed;

    const ATOMIC: Fragment = Fragment { offset: 0, more: false, length: 24, headers: 0 };

    fn payload(length: u32) -> Payload {
        Payload { protocol: 58, at: 0, length, fragment: None }
    }

    fn seen(payload: Payload, kind: u8, code: u8) -> Result<Option<Ipv6Address>, DropReason> {
        from_afar(255, payload, kind, code)
    }

    fn from_afar(
        hop_limit: u8,
        payload: Payload,
        kind: u8,
        code: u8,
    ) -> Result<Option<Ipv6Address>, DropReason> {
        let mut message = [0; 40];
        message[..2].copy_from_slice(&[kind, code]);
        message[8..12].copy_from_slice(&[0xfe, 0x80, 0, 0]);
        message[23] = 9;
        judge(&Slice(&message), hop_limit, payload)
    }

    #[test]
    fn each_type_has_its_length() {
        for (kind, length) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
            assert!(seen(payload(length), kind, 0).is_ok(), "{kind}");
            assert_eq!(seen(payload(length - 1), kind, 0), Err(Malformed), "{kind}");
        }
        assert_eq!(seen(payload(4), 132, 9), Ok(None));
        assert_eq!(seen(payload(4), 138, 9), Ok(None));
    }

    #[test]
    fn only_from_this_link_and_in_one_piece() {
        for kind in 133..=137 {
            assert_eq!(from_afar(254, payload(40), kind, 0), Err(Malformed));
            assert_eq!(seen(Payload { fragment: Some(ATOMIC), ..payload(40) }, kind, 0), Err(Malformed));
            assert_eq!(seen(payload(40), kind, 1), Err(Malformed));
        }
        assert_eq!(from_afar(1, payload(40), 128, 0), Ok(None));
    }

    #[test]
    fn an_advertisement_names_its_target() {
        let target = Ipv6Address { high: 0xfe80_0000_0000_0000, low: 9 };
        assert_eq!(seen(payload(24), 136, 0), Ok(Some(target)));
        assert_eq!(seen(payload(24), 135, 0), Ok(None));
    }
}
