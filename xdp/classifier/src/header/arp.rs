//! ARP for IPv4 on Ethernet (RFC 826): the first part of step 2.
//!
//! Promises: only requests and replies of that one kind; the target is not read.

use crate::frame::{Frame, View};
use crate::verdict::DropReason;

const LENGTH: usize = 28;
/// Hardware type, protocol type and both address lengths.
const KIND: usize = 0;
const ETHERNET_AND_IPV4: u64 = 0x0001_0800_0604;
const OPERATION: usize = 6;
const REQUEST: u64 = 1;
const REPLY: u64 = 2;
const SENDER: usize = 14;

/// What the verdict needs of an ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Protocol address of the sender.
    pub sender: u32,
}

impl Arp {
    /// Reads the ARP packet that begins at `at`.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &F, at: u32) -> Result<Self, DropReason> {
        let packet = frame.view::<LENGTH>(at).ok_or(DropReason::Truncated)?;
        // One load holds the kind (48 bits) and the operation after it (16 bits).
        const { assert!(OPERATION == KIND + 6) };
        match packet.be64::<KIND>() ^ ETHERNET_AND_IPV4 << 16 {
            REQUEST | REPLY => Ok(Self { sender: packet.be32::<SENDER>() }),
            _ => Err(DropReason::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{Malformed, Truncated};

    #[rustfmt::skip]
    const REQUEST_FROM_192_0_2_1: [u8; 28] = [
        0, 1, 8, 0, 6, 4, 0, 1,
        2, 0, 0, 0, 0, 1, 192, 0, 2, 1,
        0, 0, 0, 0, 0, 0, 192, 0, 2, 9,
    ];

    #[test]
    fn requests_and_replies_name_their_sender() {
        let mut packet = REQUEST_FROM_192_0_2_1;
        assert_eq!(Arp::read(&Slice(&packet), 0), Ok(Arp { sender: 0xc000_0201 }));
        packet[7] = 2;
        assert_eq!(Arp::read(&Slice(&packet), 0), Ok(Arp { sender: 0xc000_0201 }));
    }

    #[test]
    fn every_other_kind_is_malformed() {
        for at in 0..8 {
            for bit in 0..8 {
                let mut packet = REQUEST_FROM_192_0_2_1;
                packet[at] ^= 1 << bit;
                assert_eq!(Arp::read(&Slice(&packet), 0), Err(Malformed), "byte {at}, bit {bit}");
            }
        }
        let mut packet = REQUEST_FROM_192_0_2_1;
        packet[7] = 3;
        assert_eq!(Arp::read(&Slice(&packet), 0), Err(Malformed));
    }

    #[test]
    fn every_cut_is_truncated() {
        for length in 0..28 {
            assert_eq!(Arp::read(&Slice(&REQUEST_FROM_192_0_2_1[..length]), 0), Err(Truncated));
        }
    }
}
