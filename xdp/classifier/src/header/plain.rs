//! The plain frame, as nearly every frame is: at most one tag, IPv4 without options or fragments, TCP or UDP.
//!
//! Promises: the walk over the same frame meets no fault in steps 1, 2 and 6 and no martian in step 3, is asked nothing in
//! step 5, and reads the same of it. It says only this: whatever is rarer, or wrong in any way, is `None`, and the walk
//! tells what it is. So a few comparisons of several fields at once stand for some forty, and no drop reason is named here.

use super::address::is_ordinary_v4;
use super::ethertype;
use super::protocol::{TCP, UDP};
use crate::frame::{Frame, View};
use crate::tables::VlanStack;

/// Ethernet with one tag, and [`PACKET`].
const LENGTH: usize = TAGGED + PACKET;
const UNTAGGED: usize = 14;
const TAGGED: usize = 18;
/// IPv4 without options, and TCP without.
const PACKET: usize = 40;

const SOURCE_MAC: usize = 6;
const GROUP: u8 = 0x01;
const ETHERTYPE: usize = 12;
const TAG: usize = 14;
const TAG_ETHERTYPE: usize = 16;
const CUSTOMER_TAG: u16 = 0x8100;

/// Version 4, a header of 20 bytes.
const VERSION_AND_IHL: u8 = 0x45;
const IP_LENGTH: u32 = 20;
/// Fragment, time to live, protocol: of these the fragment but for DF and the reserved bit, and the protocol.
const TOTAL_LENGTH: usize = 2;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;
const PORTS: usize = 20;
const FRAGMENT_TO_PROTOCOL: usize = 6;
const FRAGMENT_AND_PROTOCOL: u32 = 0x3fff_00ff;
const WHOLE_TCP: u32 = TCP as u32;
const WHOLE_UDP: u32 = UDP as u32;

/// Data offset in the first four bits.
const TCP_OFFSET: usize = 32;
const TCP_FLAGS: usize = 33;
const TCP_LENGTH: u32 = 20;
const UDP_LENGTH_FIELD: usize = 24;
const UDP_LENGTH: u32 = 8;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// SYN, ACK and what makes something else of them: RST, FIN.
const DECIDING: u8 = SYN | ACK | 0x05;

/// What the verdict needs of a plain frame.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Untagged, or one tag whose VID may be 0 or 4095: no interface allows these.
    pub stack: VlanStack,
    pub source: u32,
    pub destination: u32,
    /// Of the packet, in bytes.
    pub total_length: u32,
    pub kind: Kind,
    /// The source port in the upper half, the destination port in the lower one.
    pub ports: u32,
}

/// What the packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP segment with ACK alone of the flags that decide.
    Segment,
    /// A TCP segment with SYN alone.
    Opening,
    /// A UDP datagram.
    Datagram,
}

impl Plain {
    /// Reads a plain frame; any other is `None`.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F) -> Option<Self> {
        let view = frame.view::<LENGTH>(0)?;
        if view.u8::<SOURCE_MAC>() & GROUP != 0 {
            return None;
        }
        let (stack, at, packet) = match view.be16::<ETHERTYPE>() {
            CUSTOMER_TAG if view.be16::<TAG_ETHERTYPE>() == ethertype::IPV4 => {
                (VlanStack::Single(view.be16::<TAG>() & 0x0fff), TAGGED, view.part::<TAGGED, PACKET>())
            }
            ethertype::IPV4 => (VlanStack::Untagged, UNTAGGED, view.part::<UNTAGGED, PACKET>()),
            _ => return None,
        };
        Self::packet(frame, stack, at as u32, packet)
    }

    /// The rest, from the IPv4 header on, which begins at `at`.
    #[inline(always)]
    fn packet<F: Frame, V: View<PACKET>>(frame: &F, stack: VlanStack, at: u32, view: V) -> Option<Self> {
        let total_length = u32::from(view.be16::<TOTAL_LENGTH>());
        if view.u8::<0>() != VERSION_AND_IHL || at + total_length > frame.len() {
            return None;
        }
        if !is_ordinary_v4(view.u8::<SOURCE>(), view.u8::<DESTINATION>()) {
            return None;
        }
        let carried = view.be32::<FRAGMENT_TO_PROTOCOL>() & FRAGMENT_AND_PROTOCOL;
        // The most frequent first.
        let kind = if carried == WHOLE_TCP {
            segment(&view, total_length)?
        } else if carried == WHOLE_UDP {
            datagram(&view, total_length)?
        } else {
            return None;
        };
        Some(Self {
            stack,
            source: view.be32::<SOURCE>(),
            destination: view.be32::<DESTINATION>(),
            total_length,
            kind,
            ports: view.be32::<PORTS>(),
        })
    }
}

#[inline(always)]
fn segment(view: &impl View<PACKET>, total_length: u32) -> Option<Kind> {
    let header = u32::from(view.u8::<TCP_OFFSET>() >> 4) * 4;
    if header < TCP_LENGTH || IP_LENGTH + header > total_length {
        return None;
    }
    match view.u8::<TCP_FLAGS>() & DECIDING {
        ACK => Some(Kind::Segment),
        SYN => Some(Kind::Opening),
        _ => None,
    }
}

#[inline(always)]
fn datagram(view: &impl View<PACKET>, total_length: u32) -> Option<Kind> {
    let length = u32::from(view.be16::<UDP_LENGTH_FIELD>());
    if length < UDP_LENGTH || IP_LENGTH + length > total_length {
        return None;
    }
    Some(Kind::Datagram)
}
