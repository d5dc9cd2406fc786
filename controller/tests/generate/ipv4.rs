//! IPv4 packets: options, fragments, and fields that lie.

use super::layer4::Layer4;
use super::{Rng, bytes, once_in, pick};
use std::net::Ipv4Addr;

/// One option, alone in its words; the last byte strings are at fault.
const OPTIONS: [&[u8]; 14] = [
    &[0x94, 0x04, 0, 0],
    &[0x94, 0x04, 0, 1],
    &[1, 1, 1, 1],
    &[0, 0, 0, 0],
    &[0, 0x83, 3, 4],
    &[7, 7, 4, 0, 0, 0, 0, 1],
    &[0x44, 0x08, 5, 0, 0, 0, 0, 0],
    &[0x82, 2, 1, 1],
    &[0x83, 3, 4, 1],
    &[1, 0x89, 3, 4],
    &[0x83, 1, 0, 0],
    &[0x44, 0, 0, 0],
    &[1, 1, 1, 0x44],
    &[0x83, 0x27, 4, 0],
];

/// A packet between these addresses.
pub(crate) fn packet(rng: &mut Rng, source: Ipv4Addr, destination: Ipv4Addr, above: &Layer4) -> Vec<u8> {
    let options = options(rng, above.protocol);
    let (fields, payload) = fragment(rng, &above.payload);
    let header = 20 + options.len();
    let length = (header + payload.len()).min(0xffff);
    let mut packet = vec![0x40 | (header / 4) as u8, rng.u8(..)];
    packet.extend((length as u16).to_be_bytes());
    packet.extend(bytes(rng, 2));
    packet.extend(fields.to_be_bytes());
    packet.extend([above.hop_limit, above.protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(options);
    packet.extend(payload);
    if once_in(rng, 25) {
        lie(rng, &mut packet);
    }
    packet
}

fn options(rng: &mut Rng, protocol: u8) -> Vec<u8> {
    if protocol == 2 && rng.bool() {
        return OPTIONS[0].to_vec();
    }
    if !once_in(rng, 12) {
        return Vec::new();
    }
    let mut options: Vec<u8> = (0..rng.usize(1..4)).flat_map(|_| pick(rng, &OPTIONS)).copied().collect();
    if once_in(rng, 6) {
        let words = rng.usize(1..=10);
        options = bytes(rng, words * 4);
    }
    options
}

/// The word of flags and offset, and the payload cut to fit it, mostly.
fn fragment(rng: &mut Rng, payload: &[u8]) -> (u16, Vec<u8>) {
    let (untouched, reserved) = (rng.u16(..) & 0x4000, rng.u16(..) & 0x8000);
    if !once_in(rng, 8) {
        return (untouched | reserved, payload.to_vec());
    }
    let (offset, more) = piece(rng);
    (reserved | u16::from(more) << 13 | offset, cut_to_eight(rng, payload, more))
}

/// An offset in units of 8 bytes and the flag for more: a first, middle or last fragment of every size.
pub(crate) fn piece(rng: &mut Rng) -> (u16, bool) {
    let offset = match rng.u32(0..8) {
        0..=2 => 0,
        3 => 1,
        4 => pick(rng, &[2, 3, 8, 0x1fff, 0x1ffe, 0x1ff0]),
        _ => rng.u16(0..0x2000),
    };
    (offset, offset == 0 || rng.bool())
}

/// A payload that is a multiple of 8 bytes where more follows, mostly.
pub(crate) fn cut_to_eight(rng: &mut Rng, payload: &[u8], more: bool) -> Vec<u8> {
    let mut length = payload.len();
    if more && !once_in(rng, 8) {
        length = length / 8 * 8;
    }
    if once_in(rng, 6) {
        length = length.min(pick(rng, &[0, 8, 16, 24]));
    }
    payload[..length].to_vec()
}

/// Changes version, IHL or total length so that they no longer fit.
fn lie(rng: &mut Rng, packet: &mut [u8]) {
    match rng.u32(0..4) {
        0 => packet[0] = packet[0] & 0x0f | rng.u8(0..16) << 4,
        1 => packet[0] = packet[0] & 0xf0 | rng.u8(0..16),
        2 => packet[2..4].copy_from_slice(&rng.u16(..).to_be_bytes()),
        _ => {
            let length = u16::from_be_bytes([packet[2], packet[3]]);
            let nearby = length.wrapping_add(rng.u16(0..9)).wrapping_sub(4);
            packet[2..4].copy_from_slice(&nearby.to_be_bytes());
        }
    }
}
