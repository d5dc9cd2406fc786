//! Layer 4: headers that answer a service, or nearly so.

use super::aim::{self, Aim};
use super::{Rng, bytes, near_edge, once_in, pick};
use perimeter::ruleset::{Family, Icmp, TcpState};
use std::net::IpAddr;

/// What stands above IP.
pub(crate) struct Layer4 {
    pub(crate) protocol: u8,
    pub(crate) hop_limit: u8,
    pub(crate) payload: Vec<u8>,
}

/// A segment, datagram or message for this aim, with `size` bytes of data.
pub(crate) fn layer4(rng: &mut Rng, aim: &Aim<'_>, size: usize) -> Layer4 {
    let family = if aim.source.is_ipv4() { Family::V4 } else { Family::V6 };
    let anything = [6, 6, 17, 17, if family == Family::V4 { 1 } else { 58 }, 132, 2, 50, 59];
    let wanted = aim.service.protocol.unwrap_or_else(|| pick(rng, &anything));
    let protocol = if once_in(rng, 50) { rng.u8(..) } else { wanted };
    let mut payload = match (protocol, family) {
        (6, _) => tcp(rng, aim, size),
        (17, _) => udp(rng, aim, size),
        (132, _) => [&ports(rng, aim)[..], &bytes(rng, 8 + size)[..]].concat(),
        (1, Family::V4) => icmp(rng, aim, 6 + size),
        (58, Family::V6) => icmpv6(rng, aim, size),
        _ => bytes(rng, size),
    };
    if once_in(rng, 40) {
        payload.truncate(rng.usize(0..=payload.len().min(40)));
    }
    let nd = family == Family::V6
        && protocol == 58
        && payload.first().is_some_and(|kind| (133..=137).contains(kind));
    let hop_limit = if nd && !once_in(rng, 20) { 255 } else { rng.u8(..) };
    Layer4 { protocol, hop_limit, payload }
}

fn ports(rng: &mut Rng, aim: &Aim<'_>) -> [u8; 4] {
    let mut port = |wanted: Option<(u16, u16)>| match wanted {
        Some((low, high)) => near_edge(rng, low.into(), high.into(), 0xffff) as u16,
        None => rng.u16(..),
    };
    let (source, destination) = (port(aim.service.source_ports), port(aim.service.destination_ports));
    let (source, destination) = (source.to_be_bytes(), destination.to_be_bytes());
    [source[0], source[1], destination[0], destination[1]]
}

fn tcp(rng: &mut Rng, aim: &Aim<'_>, size: usize) -> Vec<u8> {
    let wanted = match aim.service.tcp {
        Some(TcpState::New) => 0x02,
        Some(TcpState::Established) => pick(rng, &[0x10, 0x18, 0x11, 0x12, 0x04, 0x14]),
        None => pick(rng, &[0x02, 0x10, 0x18, 0x12]),
    };
    let flags = if once_in(rng, 12) { rng.u8(..) } else { wanted };
    let options = if once_in(rng, 3) { rng.usize(1..=10) } else { 0 };
    let offset = if once_in(rng, 40) { rng.u8(0..16) } else { 5 + options as u8 };
    let mut header = ports(rng, aim).to_vec();
    header.extend(bytes(rng, 8));
    header.extend([offset << 4 | rng.u8(0..16), flags]);
    header.extend(bytes(rng, 6 + options * 4 + size));
    header
}

fn udp(rng: &mut Rng, aim: &Aim<'_>, size: usize) -> Vec<u8> {
    let length = (8 + size).min(0xffff) as u16;
    let length = match rng.u32(0..60) {
        0 => rng.u16(0..9),
        1 => length.saturating_add(1),
        2 => length.saturating_sub(1),
        _ => length,
    };
    let mut datagram = ports(rng, aim).to_vec();
    datagram.extend(length.to_be_bytes());
    datagram.extend(bytes(rng, 2 + size));
    datagram
}

fn icmp(rng: &mut Rng, aim: &Aim<'_>, rest: usize) -> Vec<u8> {
    let (kind, code) = kind_and_code(rng, aim.service.icmp);
    [&[kind, code][..], &bytes(rng, rest)[..]].concat()
}

fn kind_and_code(rng: &mut Rng, wanted: Option<Icmp>) -> (u8, u8) {
    let kind = match wanted {
        Some(icmp) if !once_in(rng, 12) => icmp.kind,
        Some(icmp) => icmp.kind.wrapping_add(1),
        None => pick(rng, &[0, 3, 8, 11, 128, 129, 133, 134, 135, 136, 137, 143, rng.clone().u8(..)]),
    };
    let code = wanted.and_then(|icmp| icmp.code).unwrap_or(if once_in(rng, 20) { rng.u8(..) } else { 0 });
    (kind, if once_in(rng, 20) { code.wrapping_add(1) } else { code })
}

fn icmpv6(rng: &mut Rng, aim: &Aim<'_>, size: usize) -> Vec<u8> {
    let (kind, code) = kind_and_code(rng, aim.service.icmp);
    let least = match kind {
        133 => 8,
        134 => 16,
        135 | 136 => 24,
        137 => 40,
        _ => 4,
    };
    let length = if once_in(rng, 30) { least - 1 } else { least + size / 8 * 8 };
    let mut message = [&[kind, code][..], &bytes(rng, length - 2)[..]].concat();
    if length >= 24 && (135..=137).contains(&kind) {
        message[8..24].copy_from_slice(&target(rng, aim));
    }
    message
}

/// What a neighbour advertises: link-local, one of the sources, or anything.
fn target(rng: &mut Rng, aim: &Aim<'_>) -> [u8; 16] {
    let found = match (rng.u32(0..8), aim.sources) {
        (0, _) => aim::special(rng, Family::V6),
        (1..=3, Some(sources)) => aim::address(rng, Family::V6, sources),
        (1..=5, _) => "fe80::7".parse().expect("a literal"),
        _ => aim.source,
    };
    match found {
        IpAddr::V6(found) => found.octets(),
        IpAddr::V4(found) => found.to_ipv6_mapped().octets(),
    }
}
