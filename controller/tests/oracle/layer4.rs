//! Step 6: TCP, UDP, SCTP, ICMP, ICMPv6 and neighbour discovery.

use super::addresses::is_link_local;
use super::network::Packet;
use super::{Step, be16, be128, holds_v6};
use perimeter::ruleset::{AddressSet, Family};
use perimeter_classifier::verdict::DropReason;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Carries out step 6.
pub(crate) fn check(packet: &Packet<'_>, sources: Option<&AddressSet>) -> Step<()> {
    if packet.is_later_fragment() {
        return Ok(());
    }
    if is_short(packet) {
        return Err(DropReason::Malformed);
    }
    match (packet.family(), packet.protocol) {
        (_, 6) => check_tcp(packet.payload),
        (_, 17) => check_udp(packet),
        (Family::V6, 58) if (133..=137).contains(&packet.payload[0]) => check_nd(packet, sources),
        _ => Ok(()),
    }
}

/// The first list of the step: less payload than the protocol's smallest header.
pub(crate) fn is_short(packet: &Packet<'_>) -> bool {
    let least = match (packet.family(), packet.protocol) {
        (_, 6) => 20,
        (_, 17) => 8,
        (_, 132) => 12,
        (Family::V4, 1) => 8,
        (Family::V6, 58) => 4,
        _ => 0,
    };
    packet.payload.len() < least
}

fn check_tcp(payload: &[u8]) -> Step<()> {
    let data_offset = usize::from(payload[12] / 16);
    if data_offset < 5 || data_offset * 4 > payload.len() {
        return Err(DropReason::Malformed);
    }
    let set = |flag| payload[13] & flag != 0;
    let none = !set(SYN) && !set(ACK) && !set(RST);
    if none || (set(SYN) && (set(FIN) || set(RST))) || (set(FIN) && !set(ACK)) {
        return Err(DropReason::TcpFlags);
    }
    Ok(())
}

fn check_udp(packet: &Packet<'_>) -> Step<()> {
    let length = usize::from(be16(packet.payload, 4));
    let beyond = length > packet.payload.len() && !packet.is_fragment();
    if length < 8 || beyond { Err(DropReason::Malformed) } else { Ok(()) }
}

fn check_nd(packet: &Packet<'_>, sources: Option<&AddressSet>) -> Step<()> {
    let message = packet.payload;
    let least = match message[0] {
        133 => 8,
        134 => 16,
        135 | 136 => 24,
        _ => 40,
    };
    if packet.hop_limit != 255 || message[1] != 0 || packet.fragment.is_some() || message.len() < least {
        return Err(DropReason::Malformed);
    }
    if message[0] == 136 {
        let target = be128(message, 8);
        let may_claim = sources.is_none_or(|sources| holds_v6(sources, target));
        if !is_link_local(target) && !may_claim {
            return Err(DropReason::VlanSourceMismatch);
        }
    }
    Ok(())
}
