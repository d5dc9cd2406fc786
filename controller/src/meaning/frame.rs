//! A frame with given header fields: as plain as they let it be.
//!
//! Promises: the frame has exactly these fields, and nothing else in it makes a step before the rules fail. Checksums stay
//! zero, since they never matter. Refuses fields that no frame has together, such as a size below what the protocol needs.

use std::net::{IpAddr, SocketAddr};

use crate::ruleset::{VlanId, ether};
use crate::space::{Dimension, Kind, Part, TAGS, stack_number};

/// The fields of one frame, by dimension, and its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) kind: Kind,
    pub(super) values: [u128; Dimension::ALL.len()],
}

/// Two unicast addresses that are locally administered.
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const NO_NEXT_HEADER: u8 = 59;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
/// Three times nothing and the end of the list.
const NOTHING: [u8; 4] = [1, 1, 1, 0];

impl Fields {
    pub(super) fn get(&self, dimension: Dimension) -> u128 {
        self.values[dimension as usize]
    }

    pub(super) fn set(&mut self, dimension: Dimension, value: u128) {
        self.values[dimension as usize] = value;
    }

    fn byte(&self, dimension: Dimension) -> u8 {
        self.get(dimension) as u8
    }

    fn word(&self, dimension: Dimension) -> [u8; 2] {
        (self.get(dimension) as u16).to_be_bytes()
    }

    fn part(&self) -> Part {
        match self.get(Dimension::Part) {
            0 => Part::Whole,
            1 => Part::First,
            _ => Part::Later,
        }
    }
}

/// A segment of an established TCP connection, as it arrives from `peer`; nothing where the two are of different families.
pub fn segment(vlan: VlanId, outer_tag: u16, peer: SocketAddr, local: SocketAddr) -> Option<Vec<u8>> {
    let tag = TAGS.iter().position(|tag| *tag == outer_tag)?;
    let (kind, from, to) = match (peer.ip(), local.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (Kind::V4, from.to_bits().into(), to.to_bits().into()),
        (IpAddr::V6(from), IpAddr::V6(to)) => (Kind::V6, from.to_bits(), to.to_bits()),
        _ => return None,
    };
    let mut fields = Fields { kind, values: [0; Dimension::ALL.len()] };
    fields.set(Dimension::Stack, stack_number(vlan, tag));
    fields.set(Dimension::Source, from);
    fields.set(Dimension::Destination, to);
    fields.set(Dimension::Protocol, TCP.into());
    fields.set(Dimension::SourcePort, peer.port().into());
    fields.set(Dimension::DestinationPort, local.port().into());
    fields.set(Dimension::Tcp, 1);
    build(&fields, None)
}

/// The frame whose layer 3 has `size` bytes; the smallest there is where that is `None`.
pub(super) fn build(fields: &Fields, size: Option<u128>) -> Option<Vec<u8>> {
    let size = size.map(usize::try_from).transpose().ok()?;
    let mut frame = MACS.to_vec();
    frame.extend(tags(fields.get(Dimension::Stack))?);
    match fields.kind {
        Kind::V4 => {
            frame.extend([0x08, 0x00]);
            // IGMP may carry a router alert anywhere, which gives other sizes.
            let options: &[&[u8]] = match (fields.get(Dimension::Options), fields.byte(Dimension::Protocol)) {
                (0, IGMP) => &[&[], &ROUTER_ALERT],
                (0, _) => &[&[]],
                _ => &[&NOTHING, &[1, 1, 1, 1, 1, 1, 1, 0]],
            };
            frame.extend(options.iter().find_map(|options| ipv4(fields, options, size))?);
        }
        Kind::V6 => {
            frame.extend([0x86, 0xdd]);
            frame.extend(ipv6(fields, size)?);
        }
        Kind::Ether if fields.get(Dimension::Protocol) == ether::ARP.into() => {
            frame.extend(ether::ARP.to_be_bytes());
            frame.extend(filled(arp(fields), size)?);
        }
        Kind::Ether => frame.extend(not_ip(fields.get(Dimension::Protocol), size)?),
    }
    Some(frame)
}

/// The tags of a VLAN stack; nothing where there is no such stack.
fn tags(stack: u128) -> Option<Vec<u8>> {
    let (line, inner) = (stack / 4096, (stack % 4096) as u16);
    let tag = |tpid: u16, vid: u16| [tpid.to_be_bytes(), vid.to_be_bytes()].concat();
    match line.checked_sub(1) {
        None if inner == 0 => Some(Vec::new()),
        None => (inner < 4095).then(|| tag(0x8100, inner)),
        Some(rest) => {
            let (tpid, outer) = (*TAGS.get((rest / 4096) as usize)?, (rest % 4096) as u16);
            let are_vids = [outer, inner].iter().all(|vid| (1..4095).contains(vid));
            are_vids.then(|| [tag(tpid, outer), tag(0x8100, inner)].concat())
        }
    }
}

/// `bytes` with zeros up to `size`; nothing where they are too many.
fn filled(mut bytes: Vec<u8>, size: Option<usize>) -> Option<Vec<u8>> {
    let size = size.unwrap_or(bytes.len());
    (bytes.len() <= size).then(|| {
        bytes.resize(size, 0);
        bytes
    })
}

fn arp(fields: &Fields) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, 1];
    bytes.extend(&MACS[6..]);
    bytes.extend((fields.get(Dimension::Source) as u32).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    bytes
}

/// A frame with an EtherType that is not IP, or with a length and LLC.
fn not_ip(key: u128, size: Option<usize>) -> Option<Vec<u8>> {
    let key = u16::try_from(key).ok()?;
    // SNAP with an OUI and type of nobody in particular (IEEE 802, local experiments).
    let llc: &[u8] = match key {
        ether::SNAP => &[0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0xb5],
        ether::STP => &[0x42, 0x42, 3],
        ether::LLC => &[0xfe, 0xfe, 3],
        ethertype => return Some([&ethertype.to_be_bytes()[..], &filled(Vec::new(), size)?].concat()),
    };
    Some([&(llc.len() as u16).to_be_bytes()[..], &filled(llc.to_vec(), size)?].concat())
}

fn ipv4(fields: &Fields, options: &[u8], size: Option<usize>) -> Option<Vec<u8>> {
    let protocol = fields.byte(Dimension::Protocol);
    let header = 20 + options.len();
    let payload = payload(
        fields,
        size.map(|size| size.checked_sub(header)).map_or(Some(None), |rest| rest.map(Some))?,
    )?;
    let total = u16::try_from(header + payload.len()).ok()?;
    let flags = match fields.part() {
        Part::Whole => 0,
        Part::First => 0x2000,
        Part::Later => later_offset(fields.kind, protocol, usize::from(total))?,
    };
    let mut packet = vec![0x40 | (header / 4) as u8, 0];
    packet.extend([total.to_be_bytes(), [0, 0], flags.to_be_bytes()].concat());
    packet.extend([64, protocol, 0, 0]);
    for end in [Dimension::Source, Dimension::Destination] {
        packet.extend((fields.get(end) as u32).to_be_bytes());
    }
    packet.extend(options);
    packet.extend(payload);
    Some(packet)
}

/// Where a later fragment stands, in units of 8 bytes: the first place at which nothing is wrong with it. `most` bytes
/// and the offset make no packet that is too large.
fn later_offset(kind: Kind, protocol: u8, most: usize) -> Option<u16> {
    let offset = if kind == Kind::V6 || protocol == TCP { 2 } else { 1 };
    (most + usize::from(offset) * 8 <= 65_535).then_some(offset)
}

fn ipv6(fields: &Fields, size: Option<usize>) -> Option<Vec<u8>> {
    let protocol = fields.byte(Dimension::Protocol);
    let has_options = fields.get(Dimension::Options) == 1;
    let is_piece = fields.part() != Part::Whole;
    let extensions = 8 * (usize::from(has_options) + usize::from(is_piece));
    let rest =
        size.map(|size| size.checked_sub(40 + extensions)).map_or(Some(None), |rest| rest.map(Some))?;
    let mut payload = payload(fields, rest)?;
    if payload.is_empty() && extensions == 0 && protocol != NO_NEXT_HEADER {
        // Nothing behind the header is for "no next header" alone.
        payload = rest.is_none().then(|| vec![0])?;
    }
    let length = u16::try_from(extensions + payload.len()).ok()?;
    let first = match (has_options, is_piece) {
        (true, _) => DESTINATION_OPTIONS,
        (false, true) => FRAGMENT,
        (false, false) => protocol,
    };
    let mut packet = vec![0x60, 0, 0, 0];
    // Hop limit 255: neighbour discovery is nothing else, and nothing else minds.
    packet.extend([length.to_be_bytes(), [first, 255]].concat());
    packet.extend(fields.get(Dimension::Source).to_be_bytes());
    packet.extend(fields.get(Dimension::Destination).to_be_bytes());
    if has_options {
        packet.extend([if is_piece { FRAGMENT } else { protocol }, 0, 1, 4, 0, 0, 0, 0]);
    }
    if is_piece {
        let headers = if has_options { 8 } else { 0 };
        let fields = match fields.part() {
            Part::First => 1,
            _ => later_offset(Kind::V6, protocol, payload.len() + headers)? << 3,
        };
        packet.extend([protocol, 0]);
        packet.extend(fields.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
    }
    packet.extend(payload);
    Some(packet)
}

/// What follows the IP headers, `size` bytes of it or as few as there can be.
fn payload(fields: &Fields, size: Option<usize>) -> Option<Vec<u8>> {
    if fields.part() == Part::Later {
        return filled(Vec::new(), size);
    }
    let header = layer4(fields);
    let is_first = fields.part() == Part::First;
    let least = if is_first { header.len().next_multiple_of(8) } else { header.len() };
    let size = size.unwrap_or(least);
    if is_first && !size.is_multiple_of(8) {
        return None;
    }
    let mut bytes = filled(header, Some(size))?;
    if fields.byte(Dimension::Protocol) == UDP {
        bytes[4..6].copy_from_slice(&(size as u16).to_be_bytes());
    }
    Some(bytes)
}

/// The shortest header of layer 4.
fn layer4(fields: &Fields) -> Vec<u8> {
    let ports = [fields.word(Dimension::SourcePort), fields.word(Dimension::DestinationPort)].concat();
    let [kind, code] = fields.word(Dimension::Icmp);
    match (fields.kind, fields.byte(Dimension::Protocol)) {
        (_, TCP) => {
            let flags = if fields.get(Dimension::Tcp) == 0 { 0x02 } else { 0x10 };
            [&ports[..], &[0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]].concat()
        }
        (_, UDP) => [&ports[..], &[0, 8, 0, 0]].concat(),
        (_, SCTP) => [&ports[..], &[0; 8]].concat(),
        (Kind::V4, ICMP) => vec![kind, code, 0, 0, 0, 0, 0, 0],
        (Kind::V6, ICMPV6) => {
            // Neighbour discovery of its full length (RFC 4861, section 4).
            let least = match kind {
                133 => 8,
                134 => 16,
                135 | 136 => 24,
                137 => 40,
                _ => 4,
            };
            let mut message = vec![0; least];
            message[..2].copy_from_slice(&[kind, code]);
            if kind == 136 {
                message[8..].copy_from_slice(&fields.get(Dimension::Target).to_be_bytes());
            }
            message
        }
        _ => Vec::new(),
    }
}
