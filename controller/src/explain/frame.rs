//! The frame that the words describe: as plain as the classifier lets it be.
//!
//! Promises: nothing in it but what was asked for can make a step before the rules fail. Checksums stay zero, since they
//! never matter.

use crate::ruleset::{TcpState, VlanId, ether};

use super::question::{Addresses, Content, Packet, Question};

/// Two unicast addresses that are locally administered.
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

const TAG: u16 = 0x8100;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The frame of a question. `outer_tag` is the TPID of the outer tag of a stacked pair.
pub(super) fn build(question: &Question, outer_tag: u16) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    let mut tag = |tpid: u16, vid: u16| frame.extend([tpid.to_be_bytes(), vid.to_be_bytes()].concat());
    match question.vlan {
        VlanId::Untagged => {}
        VlanId::Single(vid) => tag(TAG, vid),
        VlanId::Stacked { outer, inner } => {
            tag(outer_tag, outer);
            tag(TAG, inner);
        }
    }
    match question.packet {
        Packet::Ip { addresses: Addresses::V4 { from, to }, content } => {
            let payload = payload(content);
            let total = 20 + payload.len() as u16;
            let protocol = content.protocol(crate::ruleset::Family::V4);
            frame.extend(IPV4.to_be_bytes());
            frame.extend([0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, protocol, 0, 0]);
            frame.extend([from.octets(), to.octets()].concat());
            frame.extend(payload);
        }
        Packet::Ip { addresses: Addresses::V6 { from, to }, content } => {
            let payload = neighbour_discovery(content, from.octets()).unwrap_or_else(|| payload(content));
            let protocol = content.protocol(crate::ruleset::Family::V6);
            frame.extend(IPV6.to_be_bytes());
            // Hop limit 255: neighbour discovery is nothing else, and nothing else minds.
            frame.extend([0x60, 0, 0, 0, 0, payload.len() as u8, protocol, 255]);
            frame.extend([from.octets(), to.octets()].concat());
            frame.extend(payload);
        }
        Packet::Arp { sender, target } => {
            frame.extend(ether::ARP.to_be_bytes());
            frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
            frame.extend(&MACS[6..]);
            frame.extend(sender.octets());
            frame.extend([0; 6]);
            frame.extend(target.octets());
        }
        Packet::Other(key) => frame.extend(not_ip(key)),
    }
    frame
}

/// Layer 4 with its shortest header, and something for protocols that have none here.
fn payload(content: Content) -> Vec<u8> {
    let ports = content
        .ports()
        .map(|(source, destination)| [source.to_be_bytes(), destination.to_be_bytes()].concat());
    let mut bytes = ports.unwrap_or_default();
    match content {
        Content::Tcp { state, .. } => {
            let flags = match state {
                TcpState::New => 0x02,
                TcpState::Established => 0x10,
            };
            bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        }
        Content::Udp { .. } => bytes.extend([0, 8, 0, 0]),
        Content::Sctp { .. } => bytes.extend([0; 8]),
        Content::Icmp { kind, code } => bytes.extend([kind, code, 0, 0, 0, 0, 0, 0]),
        Content::Protocol(_) => bytes.extend([0; 8]),
    }
    bytes
}

/// A neighbour discovery message (RFC 4861, section 4) of its full length; an advertisement speaks of its sender.
fn neighbour_discovery(content: Content, from: [u8; 16]) -> Option<Vec<u8>> {
    let Content::Icmp { kind: kind @ 133..=137, code } = content else { return None };
    let length = [8, 16, 24, 24, 40][usize::from(kind - 133)];
    let mut bytes = vec![0; length];
    bytes[..2].copy_from_slice(&[kind, code]);
    if kind == 136 {
        bytes[8..24].copy_from_slice(&from);
    }
    Some(bytes)
}

/// A frame with an EtherType that is not IP, or with a length and LLC.
fn not_ip(key: u16) -> Vec<u8> {
    // SNAP with an OUI and type of nobody in particular (IEEE 802, local experiments).
    let llc: &[u8] = match key {
        ether::SNAP => &[0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0xb5],
        ether::STP => &[0x42, 0x42, 3],
        ether::LLC => &[0xfe, 0xfe, 3],
        ethertype => return [&ethertype.to_be_bytes()[..], &[0; 46]].concat(),
    };
    [&(llc.len() as u16).to_be_bytes()[..], llc].concat()
}
