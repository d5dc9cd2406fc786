//! Frames: well-formed ones by etherparse, with right checksums; odd ones by changing those or byte by byte.

use etherparse::checksum::Sum16BitWords;
use etherparse::{PacketBuilder, TcpHeader};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The machine that is guarded.
pub(crate) const US: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The other side of the cable.
pub(crate) const THEM: [u8; 6] = [2, 0, 0, 0, 0, 9];

pub(crate) const CLIENT: &str = "198.51.100.10";
pub(crate) const SERVER: &str = "203.0.113.5";
pub(crate) const CLIENT6: &str = "2001:db8:51::10";
pub(crate) const SERVER6: &str = "2001:db8:113::5";

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// Where a well-formed frame's IP header begins, untagged.
pub(crate) const L3: usize = 14;

fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an IPv4 literal of the captures")
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an IPv6 literal of the captures")
}

fn is_v6(address: &str) -> bool {
    address.contains(':')
}

/// EtherType (or length) and payload behind the usual MACs.
pub(crate) fn ether(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&US[..], &THEM, &ethertype.to_be_bytes(), payload].concat()
}

/// A UDP datagram with right length and checksum.
pub(crate) fn udp(from: &str, to: &str, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let link = PacketBuilder::ethernet2(THEM, US);
    let written = if is_v6(from) {
        link.ipv6(v6(from).octets(), v6(to).octets(), 64).udp(ports.0, ports.1).write(&mut frame, payload)
    } else {
        link.ipv4(v4(from).octets(), v4(to).octets(), 64).udp(ports.0, ports.1).write(&mut frame, payload)
    };
    written.expect("a Vec takes everything");
    frame
}

/// A TCP segment with these flags.
pub(crate) fn tcp(from: &str, to: &str, ports: (u16, u16), flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(ports.0, ports.1, 1_000_000, 64_240);
    let set = |flag: u8| flags & flag != 0;
    (header.fin, header.syn, header.rst, header.psh, header.ack) =
        (set(FIN), set(SYN), set(RST), set(PSH), set(ACK));
    header.acknowledgment_number = if header.ack { 2_000_000 } else { 0 };
    let mut frame = Vec::new();
    let link = PacketBuilder::ethernet2(THEM, US);
    let written = if is_v6(from) {
        link.ipv6(v6(from).octets(), v6(to).octets(), 64).tcp_header(header).write(&mut frame, payload)
    } else {
        link.ipv4(v4(from).octets(), v4(to).octets(), 64).tcp_header(header).write(&mut frame, payload)
    };
    written.expect("a Vec takes everything");
    frame
}

/// An IPv4 packet with any protocol, the header checksum right.
pub(crate) fn ipv4(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(from, to, protocol, 0x4000, &[], payload)
}

/// The same with the word of flags and fragment offset, and options (whole words).
pub(crate) fn ipv4_with(
    from: &str,
    to: &str,
    protocol: u8,
    fields: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let words = 5 + options.len() / 4;
    let length = (words * 4 + payload.len()) as u16;
    let mut header = vec![0x40 | words as u8, 0];
    header.extend(length.to_be_bytes());
    header.extend([0x1d, 0x2e]);
    header.extend(fields.to_be_bytes());
    header.extend([64, protocol, 0, 0]);
    header.extend(v4(from).octets());
    header.extend(v4(to).octets());
    header.extend(options);
    let checksum = Sum16BitWords::new().add_slice(&header).ones_complement().to_be_bytes();
    header[10..12].copy_from_slice(&checksum);
    ether(0x0800, &[&header[..], payload].concat())
}

/// An IPv6 packet with any first next header.
pub(crate) fn ipv6(from: &str, to: &str, next: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend([next, hop_limit]);
    header.extend(v6(from).octets());
    header.extend(v6(to).octets());
    ether(0x86dd, &[&header[..], payload].concat())
}

/// An ICMP message in IPv4: type, code, and the rest of its 8 bytes, then data; the checksum right.
pub(crate) fn icmp(from: &str, to: &str, kind: u8, code: u8, data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0, 0, 1, 0, 1][..], data].concat();
    let checksum = Sum16BitWords::new().add_slice(&message).ones_complement().to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    ipv4(from, to, 1, &message)
}

/// An ICMPv6 message (its first 4 bytes are type, code and checksum), the checksum right.
pub(crate) fn icmpv6_message(from: &str, to: &str, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], rest].concat();
    let checksum = Sum16BitWords::new()
        .add_16bytes(v6(from).octets())
        .add_16bytes(v6(to).octets())
        .add_4bytes((message.len() as u32).to_be_bytes())
        .add_2bytes([0, 58])
        .add_slice(&message)
        .ones_complement()
        .to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    message
}

/// The same in a packet with this hop limit.
pub(crate) fn icmpv6(from: &str, to: &str, hop_limit: u8, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    ipv6(from, to, 58, hop_limit, &icmpv6_message(from, to, kind, code, rest))
}

/// An ARP request (1) or reply (2).
pub(crate) fn arp(operation: u16, sender: &str, target: &str) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4];
    packet.extend(operation.to_be_bytes());
    packet.extend(THEM);
    packet.extend(v4(sender).octets());
    packet.extend([0; 6]);
    packet.extend(v4(target).octets());
    padded(ether(0x0806, &packet))
}

/// A frame with a length instead of an EtherType.
pub(crate) fn llc(payload: &[u8]) -> Vec<u8> {
    ether(payload.len() as u16, payload)
}

/// Padded to the 60 bytes that Ethernet sends at least.
pub(crate) fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The frame with these tags (TPID, TCI) before its EtherType.
pub(crate) fn tagged(tags: &[(u16, u16)], mut frame: Vec<u8>) -> Vec<u8> {
    let bytes = tags.iter().flat_map(|(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat());
    frame.splice(12..12, bytes);
    frame
}

/// The frame with one 802.1Q tag.
pub(crate) fn on_vlan(vid: u16, frame: Vec<u8>) -> Vec<u8> {
    tagged(&[(0x8100, vid)], frame)
}

/// The frame with these bytes written at `offset`.
pub(crate) fn patched(mut frame: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
    frame
}

/// The first `length` bytes of the frame.
pub(crate) fn cut(mut frame: Vec<u8>, length: usize) -> Vec<u8> {
    frame.truncate(length);
    frame
}

/// The frame with these bytes after it.
pub(crate) fn trailed(mut frame: Vec<u8>, trailer: &[u8]) -> Vec<u8> {
    frame.extend(trailer);
    frame
}

/// What stands above a well-formed frame's IPv4 or IPv6 header.
pub(crate) fn above(frame: &[u8]) -> &[u8] {
    if frame[12] == 0x08 { &frame[L3 + 20..] } else { &frame[L3 + 40..] }
}
