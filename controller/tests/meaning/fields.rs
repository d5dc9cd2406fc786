//! The header fields of a frame that the contract lets be judged, read naively.

use crate::oracle::{self, plain};
use perimeter::ruleset::{AddressSet, Fragments, IpOptions, Oversize, VlanId, VlanRange, ether};
use perimeter::space::{Dimension, Kind, LINK_LOCAL, stack_number};
use perimeter_classifier::verdict::Decision;

pub(crate) type Fields = (Kind, [u128; 12]);

/// The fields of a frame, if the most permissive policy there is lets it through.
pub(crate) fn fields(frame: &[u8]) -> Option<Fields> {
    let (stack, tag, at) = stack(frame)?;
    let mut open = plain::open_with(|interface| {
        interface.mtu = 65_535;
        interface.oversize = Oversize::Count;
        interface.fragments = Fragments::Stateless;
        interface.ip_options = IpOptions::Pass;
        interface.outer_tag = tag;
        interface.vlans = vec![plain::entry(VlanRange::from(stack))];
    });
    let mut values = [0; 12];
    let mut set = |dimension: Dimension, value: u128| values[dimension as usize] = value;
    let position = [0x8100, 0x88a8, 0x9100].iter().position(|known| *known == tag)?;
    set(Dimension::Stack, stack_number(stack, position));
    set(Dimension::Target, LINK_LOCAL);
    let ethertype = be(frame, at, 2)?;
    let rest = &frame[at + 2..];
    let kind = match ethertype {
        0x0800 => {
            ipv4(rest, &mut set)?;
            Kind::V4
        }
        0x86dd => {
            ipv6(rest, &mut set)?;
            Kind::V6
        }
        _ => {
            let key = key(ethertype as u16, rest)?;
            open.rules[1].ethertypes.push(key);
            set(Dimension::Protocol, key.into());
            set(Dimension::Size, rest.len() as u128);
            if key == ether::ARP {
                set(Dimension::Source, be(rest, 14, 4)?);
            }
            Kind::Ether
        }
    };
    // Every address may speak, so that no step but those about the frame itself is left.
    open.interfaces[0].sources = Some(AddressSet::any());
    matches!(oracle::judge(&open, 0, frame), Decision::Pass(_)).then_some((kind, values))
}

fn be(bytes: &[u8], at: usize, count: usize) -> Option<u128> {
    Some(bytes.get(at..at + count)?.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

/// The VLAN stack, the outer tag (0x8100 where there is no pair), and where the EtherType stands.
fn stack(frame: &[u8]) -> Option<(VlanId, u16, usize)> {
    let is_tag = |at| matches!(be(frame, at, 2), Some(0x8100 | 0x88a8 | 0x9100));
    let vid = |at: usize| be(frame, at + 2, 2).map(|tci| (tci & 0xfff) as u16);
    Some(match (is_tag(12), is_tag(16)) {
        (false, _) => (VlanId::Untagged, 0x8100, 12),
        (true, false) => match vid(12)? {
            0 => (VlanId::Untagged, 0x8100, 16),
            vid => (VlanId::Single(vid), 0x8100, 16),
        },
        (true, true) => {
            let pair = VlanId::Stacked { outer: vid(12)?, inner: vid(16)? };
            (pair, be(frame, 12, 2)? as u16, 20)
        }
    })
}

fn key(ethertype: u16, rest: &[u8]) -> Option<u16> {
    if ethertype >= 0x0600 {
        return Some(ethertype);
    }
    Some(match rest.get(..3)? {
        [0xaa, 0xaa, 3] => ether::SNAP,
        [0x42, 0x42, _] => ether::STP,
        _ => ether::LLC,
    })
}

fn ipv4(rest: &[u8], set: &mut impl FnMut(Dimension, u128)) -> Option<()> {
    let header = (be(rest, 0, 1)? % 16 * 4) as usize;
    let (size, protocol) = (be(rest, 2, 2)?, be(rest, 9, 1)?);
    let options = rest.get(20..header)?;
    let is_alert = protocol == 2 && options == [0x94, 4, 0, 0];
    set(Dimension::Options, u128::from(!options.is_empty() && !is_alert));
    let (more, offset) = (be(rest, 6, 2)? & 0x2000 != 0, be(rest, 6, 2)? & 0x1fff);
    set(Dimension::Part, part(more, offset));
    set(Dimension::Size, size);
    set(Dimension::Source, be(rest, 12, 4)?);
    set(Dimension::Destination, be(rest, 16, 4)?);
    set(Dimension::Protocol, protocol);
    if offset == 0 {
        layer4(protocol, protocol == 1, rest.get(header..size as usize)?, set)?;
    }
    Some(())
}

fn part(more: bool, offset: u128) -> u128 {
    match (offset, more) {
        (0, false) => 0,
        (0, true) => 1,
        _ => 2,
    }
}

fn ipv6(rest: &[u8], set: &mut impl FnMut(Dimension, u128)) -> Option<()> {
    let size = 40 + be(rest, 4, 2)?;
    let (mut next, mut at, mut headers, mut offset) = (be(rest, 6, 1)?, 40, 0, 0);
    let mut options = 0;
    while [0, 43, 44, 60].contains(&next) && offset == 0 && headers < 9 {
        headers += 1;
        let length = if next == 44 { 8 } else { 8 + be(rest, at + 1, 1)? as usize * 8 };
        let header = rest.get(at..at + length)?;
        let is_mld = next == 0
            && length == 8
            && header[0] == 58
            && header[2..6] == [5, 2, 0, 0]
            && ([[1, 0], [0, 0]].iter().any(|padding| header[6..] == *padding));
        if next == 44 {
            offset = be(header, 2, 2)? >> 3;
            set(Dimension::Part, part(header[3] & 1 == 1, offset));
        } else if !is_mld {
            options = 1;
        }
        next = header[0].into();
        at += length;
    }
    set(Dimension::Options, options);
    set(Dimension::Size, size);
    set(Dimension::Source, be(rest, 8, 16)?);
    set(Dimension::Destination, be(rest, 24, 16)?);
    set(Dimension::Protocol, next);
    if offset == 0 {
        let payload = rest.get(at..size as usize)?;
        layer4(next, next == 58, payload, set)?;
        if next == 58 && payload.first() == Some(&136) {
            set(Dimension::Target, be(payload, 8, 16)?);
        }
    }
    Some(())
}

fn layer4(
    protocol: u128,
    is_icmp: bool,
    payload: &[u8],
    set: &mut impl FnMut(Dimension, u128),
) -> Option<()> {
    match protocol {
        6 | 17 | 132 => {
            set(Dimension::SourcePort, be(payload, 0, 2)?);
            set(Dimension::DestinationPort, be(payload, 2, 2)?);
        }
        _ if is_icmp => set(Dimension::Icmp, be(payload, 0, 2)?),
        _ => {}
    }
    if protocol == 6 {
        set(Dimension::Tcp, u128::from(payload.get(13)? & 0x14 != 0));
    }
    Some(())
}
