//! IPv6 packets: chains of extension headers, fragments, and fields that lie.

use super::ipv4::{cut_to_eight, piece};
use super::layer4::Layer4;
use super::{Rng, bytes, once_in, pick};
use std::net::Ipv6Addr;

/// A packet between these addresses.
pub(crate) fn packet(rng: &mut Rng, source: Ipv6Addr, destination: Ipv6Addr, above: &Layer4) -> Vec<u8> {
    let chain = chain(rng, above.protocol);
    let mut payload = above.payload.clone();
    let (mut headers, mut next) = (Vec::new(), above.protocol);
    for &kind in chain.iter().rev() {
        let header = header(rng, kind, next, &mut payload);
        headers.splice(0..0, header);
        next = kind;
    }
    let length = (headers.len() + payload.len()).min(0xffff);
    let mut packet = vec![0x60 | rng.u8(0..16), rng.u8(..), rng.u8(..), rng.u8(..)];
    packet.extend((length as u16).to_be_bytes());
    packet.extend([next, above.hop_limit]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(headers);
    packet.extend(payload);
    if once_in(rng, 25) {
        lie(rng, &mut packet);
    }
    packet
}

/// The kinds of headers between the fixed one and layer 4.
fn chain(rng: &mut Rng, protocol: u8) -> Vec<u8> {
    if protocol == 58 && once_in(rng, 6) {
        return vec![0];
    }
    match rng.u32(0..40) {
        0..=3 => vec![44],
        4 => vec![pick(rng, &[0, 43, 60])],
        5 => vec![0, 60, 43, 44, 60],
        6 => (0..rng.usize(1..5)).map(|_| pick(rng, &[0, 43, 44, 60, 60])).collect(),
        7 => {
            let mut long = vec![60; rng.usize(7..=9)];
            let middle = rng.usize(0..long.len());
            long[middle] = pick(rng, &[60, 43, 44]);
            long
        }
        _ => Vec::new(),
    }
}

/// One header that names `next`; a fragment header may cut the payload.
fn header(rng: &mut Rng, kind: u8, next: u8, payload: &mut Vec<u8>) -> Vec<u8> {
    if kind == 44 {
        let (offset, more) = if once_in(rng, 4) { (0, false) } else { piece(rng) };
        *payload = cut_to_eight(rng, payload, more);
        let fields = offset << 3 | rng.u16(0..4) << 1 | u16::from(more);
        return [&[next, rng.u8(..)][..], &fields.to_be_bytes(), &bytes(rng, 4)].concat();
    }
    if kind == 0 && !once_in(rng, 4) {
        let padding = pick(rng, &[[1, 0], [0, 0], [1, 0], [0, 1]]);
        return [&[next, 0, 5, 2, 0, 0][..], &padding].concat();
    }
    let units = pick(rng, &[0, 0, 0, 1, 2, rng.clone().u8(..)]);
    let mut header = bytes(rng, 8 + usize::from(units.min(4)) * 8);
    header[..2].copy_from_slice(&[next, units]);
    if kind == 43 && !once_in(rng, 3) {
        header[2..4].copy_from_slice(&[pick(rng, &[2, 4]), 0]);
    } else if kind == 43 {
        header[2..4].copy_from_slice(&pick(rng, &[[0, 0], [2, 1], [0, 1]]));
    }
    header
}

/// Changes version, payload length or next header so that they no longer fit.
fn lie(rng: &mut Rng, packet: &mut [u8]) {
    match rng.u32(0..4) {
        0 => packet[0] = rng.u8(..),
        1 => packet[4..6].copy_from_slice(&pick(rng, &[0u16, 1, 8, 0xffff]).to_be_bytes()),
        2 => packet[6] = pick(rng, &[0, 43, 44, 60, 59, 51, 135]),
        _ => {
            let length = u16::from_be_bytes([packet[4], packet[5]]);
            let nearby = length.wrapping_add(rng.u16(0..9)).wrapping_sub(4);
            packet[4..6].copy_from_slice(&nearby.to_be_bytes());
        }
    }
}
