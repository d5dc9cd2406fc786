//! TCP, UDP, SCTP, ICMP and ICMPv6 (RFC 9293, 768, 9260, 792, 4443): step 6 but for neighbour discovery.
//!
//! Promises: what is returned lies within the payload of the packet, never in its padding. Checksums are not read.

use super::fragment::Part;
use super::protocol::{ICMP, ICMPV6, SCTP, TCP, UDP};
use crate::frame::{Frame, View};
use crate::tables::{Family, Layer4};
use crate::verdict::DropReason;

const TCP_LENGTH: usize = 20;
const UDP_LENGTH: usize = 8;
const SCTP_LENGTH: usize = 12;
const ICMP_LENGTH: usize = 8;
const ICMPV6_LENGTH: usize = 4;

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
/// Data offset in the first four bits, flags in the last six.
const TCP_OFFSET_AND_FLAGS: usize = 12;
const UDP_LENGTH_FIELD: usize = 4;
/// In ICMP type 3 code 4, and in ICMPv6 type 2, which has eight bytes before the packet that it is about.
const NEXT_HOP_MTU: usize = 6;
const MTU: usize = 4;
const PACKET_TOO_BIG_LENGTH: usize = 8;

const FIN: u16 = 0x01;
const SYN: u16 = 0x02;
const RST: u16 = 0x04;
const ACK: u16 = 0x10;
/// The flags that decide, and the set of their sensible combinations, one bit each.
const DECIDING: u16 = FIN | SYN | RST | ACK;
const SENSIBLE: u32 = sensible_flags();

/// Fewest bytes of payload that `protocol` can have in a packet of `family`.
#[inline(always)]
pub const fn shortest(family: Family, protocol: u8) -> u32 {
    match (family, protocol) {
        (_, TCP) => TCP_LENGTH as u32,
        (_, UDP) => UDP_LENGTH as u32,
        (_, SCTP) => SCTP_LENGTH as u32,
        (Family::V4, ICMP) => ICMP_LENGTH as u32,
        (Family::V6, ICMPV6) => ICMPV6_LENGTH as u32,
        _ => 0,
    }
}

/// The last header of a packet, and where its payload lies.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    pub family: Family,
    pub protocol: u8,
    pub part: Part,
    /// Offset of the header in the frame.
    pub at: u32,
    /// Bytes from there to the end of the packet.
    pub length: u32,
}

impl Transport {
    /// The first `N` bytes of the payload.
    #[inline(always)]
    fn header<F: Frame, const N: usize>(self, frame: &F) -> Result<F::View<N>, DropReason> {
        if self.length < N as u32 {
            return Err(DropReason::Malformed);
        }
        self.bytes(frame)
    }

    /// `N` bytes of the frame: payload, or padding after it. Where they are not there, the payload is shorter still.
    #[inline(always)]
    fn bytes<F: Frame, const N: usize>(self, frame: &F) -> Result<F::View<N>, DropReason> {
        frame.view::<N>(self.at).ok_or(DropReason::Malformed)
    }

    /// A segment whose data offset and flags make sense.
    #[inline(always)]
    pub fn tcp<F: Frame>(self, frame: &F) -> Result<Layer4, DropReason> {
        let header = self.bytes::<F, TCP_LENGTH>(frame)?;
        let offset_and_flags = header.be16::<TCP_OFFSET_AND_FLAGS>();
        let data_offset = u32::from(offset_and_flags >> 12) * 4;
        // A payload of less than 20 bytes fails one or the other.
        if data_offset < TCP_LENGTH as u32 || data_offset > self.length {
            return Err(DropReason::Malformed);
        }
        if SENSIBLE >> (offset_and_flags & DECIDING) & 1 == 0 {
            return Err(DropReason::TcpFlags);
        }
        Ok(Layer4::Tcp {
            source: header.be16::<SOURCE_PORT>(),
            destination: header.be16::<DESTINATION_PORT>(),
            new: offset_and_flags & (SYN | ACK) == SYN,
        })
    }

    /// A datagram whose length makes sense.
    #[inline(always)]
    pub fn udp<F: Frame>(self, frame: &F) -> Result<Layer4, DropReason> {
        let header = self.header::<F, UDP_LENGTH>(frame)?;
        let length = u32::from(header.be16::<UDP_LENGTH_FIELD>());
        let beyond = length > self.length && self.part == Part::Whole;
        if length < UDP_LENGTH as u32 || beyond {
            return Err(DropReason::Malformed);
        }
        Ok(Layer4::Udp {
            source: header.be16::<SOURCE_PORT>(),
            destination: header.be16::<DESTINATION_PORT>(),
        })
    }

    /// The ports of an SCTP packet.
    #[inline(always)]
    pub fn sctp<F: Frame>(self, frame: &F) -> Result<Layer4, DropReason> {
        let header = self.header::<F, SCTP_LENGTH>(frame)?;
        Ok(Layer4::Sctp {
            source: header.be16::<SOURCE_PORT>(),
            destination: header.be16::<DESTINATION_PORT>(),
        })
    }

    /// The type and code of an ICMP message, and the MTU that it would announce.
    #[inline(always)]
    pub fn icmp<F: Frame>(self, frame: &F) -> Result<(Layer4, u32), DropReason> {
        // One view for both: the verifier does not see that a second one is within the first.
        let header = self.header::<F, ICMP_LENGTH>(frame)?;
        let mtu = u32::from(header.be16::<NEXT_HOP_MTU>());
        Ok((kind_and_code(header), mtu))
    }

    /// The type and code of an ICMPv6 message.
    #[inline(always)]
    pub fn icmpv6<F: Frame>(self, frame: &F) -> Result<Layer4, DropReason> {
        Ok(kind_and_code(self.header::<F, ICMPV6_LENGTH>(frame)?))
    }

    /// The MTU that an ICMPv6 message would announce; 0 where it ends before.
    #[inline(always)]
    pub fn icmpv6_mtu<F: Frame>(self, frame: &F) -> u32 {
        self.header::<F, PACKET_TOO_BIG_LENGTH>(frame).map_or(0, |message| message.be32::<MTU>())
    }
}

/// Whether a message says that a packet was too large for its path (RFC 1191, section 4; RFC 4443, section 3.2).
#[inline(always)]
pub fn is_too_big(family: Family, layer4: Layer4) -> bool {
    match (family, layer4) {
        (Family::V4, Layer4::Icmp { kind, code }) => kind == 3 && code == 4,
        (Family::V6, Layer4::Icmp { kind, .. }) => kind == 2,
        _ => false,
    }
}

#[inline(always)]
fn kind_and_code<const N: usize>(message: impl View<N>) -> Layer4 {
    let [kind, code] = message.be16::<0>().to_be_bytes();
    Layer4::Icmp { kind, code }
}

/// One bit for every combination of [`DECIDING`] that a TCP stack may send.
const fn sensible_flags() -> u32 {
    let mut set = 0;
    let mut flags = 0;
    while flags <= DECIDING {
        let none = flags & (SYN | ACK | RST) == 0;
        let syn_ends = flags & SYN != 0 && flags & (FIN | RST) != 0;
        let fin_alone = flags & FIN != 0 && flags & ACK == 0;
        if !none && !syn_ends && !fin_alone {
            set |= 1 << flags;
        }
        flags += 1;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{Malformed, TcpFlags};
    use Family::{V4, V6};

    fn read(family: Family, protocol: u8, part: Part, bytes: &[u8]) -> Result<Layer4, DropReason> {
        let transport = Transport { family, protocol, part, at: 0, length: bytes.len() as u32 };
        match protocol {
            TCP => transport.tcp(&Slice(bytes)),
            UDP => transport.udp(&Slice(bytes)),
            SCTP => transport.sctp(&Slice(bytes)),
            ICMP => transport.icmp(&Slice(bytes)).map(|(layer4, _)| layer4),
            _ => transport.icmpv6(&Slice(bytes)),
        }
    }

    fn whole(family: Family, protocol: u8, bytes: &[u8]) -> Result<Layer4, DropReason> {
        read(family, protocol, Part::Whole, bytes)
    }

    fn tcp(data_offset: u8, flags: u8) -> Result<Layer4, DropReason> {
        let mut segment = [0; 24];
        segment[..4].copy_from_slice(&[0x12, 0x34, 0, 22]);
        segment[12] = data_offset << 4 | 0x0f;
        segment[13] = flags;
        whole(V4, TCP, &segment)
    }

    #[test]
    fn a_header_is_whole_within_the_payload() {
        for (family, protocol, length) in
            [(V4, TCP, 20), (V6, TCP, 20), (V4, UDP, 8), (V6, SCTP, 12), (V4, ICMP, 8), (V6, ICMPV6, 4)]
        {
            let mut bytes = [0; 20];
            bytes[5] = 8;
            bytes[12] = 0x50;
            bytes[13] = 0x10;
            assert_eq!(shortest(family, protocol), length as u32);
            assert!(whole(family, protocol, &bytes[..length]).is_ok(), "{family:?} {protocol}");
            for cut in 0..length {
                assert_eq!(whole(family, protocol, &bytes[..cut]).err(), Some(Malformed), "{cut} bytes");
            }
        }
    }

    #[test]
    fn tcp_data_offset() {
        assert!(matches!(tcp(5, 0x02), Ok(Layer4::Tcp { source: 0x1234, destination: 22, new: true })));
        assert!(tcp(6, 0x02).is_ok());
        assert_eq!(tcp(4, 0x02).err(), Some(Malformed));
        assert_eq!(tcp(7, 0x02).err(), Some(Malformed));
        // Judged before the flags.
        assert_eq!(tcp(0, 0x00).err(), Some(Malformed));
    }

    #[test]
    fn tcp_flags() {
        let sensible = [0x02, 0x04, 0x10, 0x11, 0x12, 0x14, 0x15];
        for flags in 0..=255_u8 {
            let seen = tcp(5, flags);
            // PSH, URG, ECE and CWR do not matter.
            if !sensible.contains(&(flags & 0x17)) {
                assert_eq!(seen.err(), Some(TcpFlags), "{flags:#04x}");
                continue;
            }
            let starts = flags & 0x12 == 0x02;
            assert!(matches!(seen, Ok(Layer4::Tcp { new, .. }) if new == starts), "{flags:#04x}");
        }
    }

    #[test]
    fn udp_length() {
        let udp = |part, length: u8| read(V4, UDP, part, &[0, 53, 0, 54, 0, length, 0, 0, 1, 2]);
        for length in [8, 9, 10] {
            assert!(matches!(udp(Part::Whole, length), Ok(Layer4::Udp { source: 53, destination: 54 })));
        }
        assert_eq!(udp(Part::Whole, 7).err(), Some(Malformed));
        assert_eq!(udp(Part::Whole, 11).err(), Some(Malformed));
        assert_eq!(udp(Part::First, 7).err(), Some(Malformed));
        assert!(udp(Part::First, 255).is_ok());
    }

    #[test]
    fn icmp_type_and_code() {
        assert!(matches!(whole(V4, ICMP, &[8, 1, 0, 0, 0, 0, 0, 0]), Ok(Layer4::Icmp { kind: 8, code: 1 })));
        assert!(matches!(whole(V6, ICMPV6, &[128, 2, 0, 0]), Ok(Layer4::Icmp { kind: 128, code: 2 })));
    }
}
