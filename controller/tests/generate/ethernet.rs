//! Frames: MACs, tags, ARP, frames with a length, IP, padding.

use super::aim::{self, Aim, aim};
use super::layer4::layer4;
use super::{Rng, bytes, ipv4, ipv6, once_in, pick, spoil};
use perimeter::ruleset::{Family, Ruleset, VlanId, ether};
use std::net::IpAddr;

/// A frame for this interface of `ruleset`.
pub(crate) fn frame(rng: &mut Rng, ruleset: &Ruleset, interface_index: usize) -> Vec<u8> {
    let aim = aim(rng, ruleset, interface_index);
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if once_in(rng, 100) {
        frame[6] |= 1;
    }
    tags(rng, &aim, &mut frame);
    let body = body(rng, &aim);
    frame.extend(body);
    if once_in(rng, 4) && frame.len() < 60 {
        frame.resize(60, 0);
    }
    if once_in(rng, 10) {
        spoil::spoil(rng, &mut frame);
    }
    frame
}

fn tags(rng: &mut Rng, aim: &Aim<'_>, frame: &mut Vec<u8>) {
    let outer_tag = aim.interface.outer_tag;
    let mut tags = match aim.vlan {
        VlanId::Untagged if once_in(rng, 8) => vec![(0x8100, 0)],
        VlanId::Untagged => Vec::new(),
        VlanId::Single(vid) => vec![(0x8100, vid)],
        VlanId::Stacked { outer, inner } => vec![(outer_tag, outer), (0x8100, inner)],
    };
    if once_in(rng, 16) {
        wrong_tags(rng, &mut tags);
    }
    for (tpid, vid) in tags {
        let tci = vid | rng.u16(..) & 0xf000;
        frame.extend([tpid >> 8, tpid & 0xff, tci >> 8, tci & 0xff].map(|byte| byte as u8));
    }
}

/// One tag more, less or other.
fn wrong_tags(rng: &mut Rng, tags: &mut Vec<(u16, u16)>) {
    let random = (pick(rng, &[0x8100, 0x88a8, 0x9100]), pick(rng, &[0, 1, 10, 11, 100, 200, 4094, 4095]));
    match rng.u32(0..4) {
        0 => tags.insert(0, random),
        1 => tags.push(random),
        2 => {
            for _ in 0..rng.usize(1..5) {
                tags.push(random);
            }
        }
        _ => match tags.last_mut() {
            Some(last) if rng.bool() => last.0 = random.0,
            Some(last) => last.1 = random.1,
            None => tags.push(random),
        },
    }
}

/// The EtherType or length, and what follows.
fn body(rng: &mut Rng, aim: &Aim<'_>) -> Vec<u8> {
    match aim.ethertype {
        Some(ether::ARP) => arp(rng, aim),
        Some(key @ (ether::LLC | ether::SNAP | ether::STP)) => with_length(rng, aim, key),
        Some(ethertype) => with_ethertype(rng, aim, ethertype),
        None => match rng.u32(0..60) {
            0 | 1 => arp(rng, aim),
            2 | 3 => {
                let key = pick(rng, &[ether::LLC, ether::SNAP, ether::STP]);
                with_length(rng, aim, key)
            }
            4 => {
                let any = rng.u16(..);
                let ethertype = pick(rng, &[0x88cc, 0x05ff, 0x0600, 0x86dc, 0x0801, any]);
                with_ethertype(rng, aim, ethertype)
            }
            _ => ip(rng, aim),
        },
    }
}

fn with_ethertype(rng: &mut Rng, aim: &Aim<'_>, ethertype: u16) -> Vec<u8> {
    let count = size(rng, aim, 0);
    [&ethertype.to_be_bytes()[..], &bytes(rng, count)].concat()
}

/// How many bytes of data, with `headers` before them: few, mostly; at times about as many as the MTU allows.
fn size(rng: &mut Rng, aim: &Aim<'_>, headers: usize) -> usize {
    match rng.u32(0..30) {
        0 => (aim.mtu as usize + rng.usize(0..4)).saturating_sub(headers + 2).min(9100),
        1 => rng.usize(0..2000),
        2 => 0,
        _ => rng.usize(0..48),
    }
}

fn arp(rng: &mut Rng, aim: &Aim<'_>) -> Vec<u8> {
    let sender = match aim.source {
        _ if once_in(rng, 8) => aim::special(rng, Family::V4),
        IpAddr::V4(_) => aim.source,
        IpAddr::V6(_) => aim.sources.map_or(aim.source, |sources| aim::address(rng, Family::V4, sources)),
    };
    let sender = match sender {
        IpAddr::V4(sender) => sender.octets(),
        IpAddr::V6(sender) => [192, 0, 2, sender.octets()[15]],
    };
    let mut packet = vec![0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, rng.u8(1..=2)];
    packet.extend([2, 0, 0, 0, 0, 1]);
    packet.extend(sender);
    packet.extend(bytes(rng, 10));
    if once_in(rng, 8) {
        packet[rng.clone().usize(2..10)] ^= 1 << rng.u8(0..8);
    }
    if once_in(rng, 10) {
        packet.truncate(rng.usize(2..=packet.len()));
    }
    if once_in(rng, 20) {
        packet.extend(vec![0; size(rng, aim, 26)]);
    }
    packet
}

fn with_length(rng: &mut Rng, aim: &Aim<'_>, key: u16) -> Vec<u8> {
    let snap_type =
        pick(rng, &[0x2000u16, 0x010b, 0x0001, 0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x88cc]);
    let snap_type = if once_in(rng, 4) { snap_type } else { 0x2000 };
    let mut payload = match key {
        ether::SNAP => [&[0xaa, 0xaa, 3, 0, 0, rng.u8(..)][..], &snap_type.to_be_bytes()].concat(),
        ether::STP => vec![0x42, 0x42, rng.u8(..)],
        _ => vec![pick(rng, &[0xe0, 0xaa, 0x42, 0xf0]), pick(rng, &[0xe0, 0xab, 0x43]), 3],
    };
    let count = size(rng, aim, 8).min(1495);
    payload.extend(bytes(rng, count));
    let length = payload.len() as u16;
    let length = match rng.u32(0..16) {
        0 => pick(rng, &[0, 1, 2, 3, 4, 7, 8, 1500, 1501, 0x05ff]),
        1 => length + 1,
        2 => length - 1,
        _ => length,
    };
    [&length.to_be_bytes()[..], &payload].concat()
}

fn ip(rng: &mut Rng, aim: &Aim<'_>) -> Vec<u8> {
    let headers = if aim.source.is_ipv4() { 40 } else { 60 };
    let data = size(rng, aim, headers);
    let above = layer4(rng, aim, data);
    match (aim.source, aim.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let packet = ipv4::packet(rng, source, destination, &above);
            [&ethertype(rng, 0x0800)[..], &packet].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let packet = ipv6::packet(rng, source, destination, &above);
            [&ethertype(rng, 0x86dd)[..], &packet].concat()
        }
        _ => Vec::new(),
    }
}

/// IPv4 under IPv6's EtherType and the other way round, now and then.
fn ethertype(rng: &mut Rng, right: u16) -> [u8; 2] {
    let chosen = if once_in(rng, 200) { pick(rng, &[0x0800, 0x86dd, 0x0806]) } else { right };
    chosen.to_be_bytes()
}
