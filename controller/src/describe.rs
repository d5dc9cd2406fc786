//! One line about a frame, for people: its VLANs, addresses, ports and flags.
//!
//! Promises: any bytes give a line; what cannot be read is said, not guessed. No verdict depends on it: this is another
//! parser (`etherparse`) than the one that judges, so that a frame that is misjudged is not misdescribed in the same way.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};

/// Bytes of the two MAC addresses.
const MACS: usize = 12;

/// Describes the frame in one line, such as `802.1ad 100 / 802.1Q 200, 10.2.0.4:5000 -> 10.3.0.9:443 tcp [S]`.
pub fn describe(frame: &[u8]) -> String {
    let mut line = String::new();
    let mut rest = frame.get(MACS..).unwrap_or_default();
    let mut separator = "";
    let ethertype = loop {
        let Some((&kind, after)) = rest.split_first_chunk() else {
            let _ = write!(line, "{separator}cut off after {} bytes", frame.len());
            return line;
        };
        rest = after;
        let kind = u16::from_be_bytes(kind);
        let (0x8100 | 0x88a8 | 0x9100, Some((&tag, after))) = (kind, rest.split_first_chunk()) else {
            break kind;
        };
        rest = after;
        let joint = if separator.is_empty() { "" } else { " / " };
        let _ = write!(line, "{joint}{} {}", tag_name(kind), u16::from_be_bytes(tag) & 0xfff);
        separator = ", ";
    };
    line + separator + &payload(ethertype, rest)
}

/// The addresses of an IP packet or of an ARP message, whatever tags it has; `None` for any other frame.
pub fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let mut rest = frame.get(MACS..)?;
    while let [0x81, 0, _, _, after @ ..] | [0x88, 0xa8, _, _, after @ ..] | [0x91, 0, _, _, after @ ..] =
        rest
    {
        rest = after;
    }
    let (kind, bytes) = rest.split_first_chunk()?;
    match u16::from_be_bytes(*kind) {
        0x0806 => {
            let fixed = bytes.first_chunk::<28>()?;
            let address = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
            Some((address(14).into(), address(24).into()))
        }
        kind @ (0x0800 | 0x86dd) => ip_addresses(&LaxSlicedPacket::from_ether_type(EtherType(kind), bytes)),
        _ => None,
    }
}

fn ip_addresses(packet: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(v4) => {
            Some((v4.header().source_addr().into(), v4.header().destination_addr().into()))
        }
        LaxNetSlice::Ipv6(v6) => {
            Some((v6.header().source_addr().into(), v6.header().destination_addr().into()))
        }
    }
}

fn tag_name(tpid: u16) -> &'static str {
    match tpid {
        0x8100 => "802.1Q",
        0x88a8 => "802.1ad",
        _ => "802.1Q (0x9100)",
    }
}

fn payload(ethertype: u16, bytes: &[u8]) -> String {
    match ethertype {
        0x0800 | 0x86dd => ip(ethertype, bytes),
        0x0806 => arp(bytes),
        0..0x0600 => format!("802.3, length {ethertype}, {}", link_layer(bytes)),
        0x88cc => "lldp".into(),
        0x888e => "eapol".into(),
        0x8809 => "lacp".into(),
        other => format!("EtherType 0x{other:04x}, {} bytes", bytes.len()),
    }
}

fn link_layer(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xaa, 0xaa, 3, ..] => "snap",
        [0x42, 0x42, ..] => "stp",
        _ => "llc",
    }
}

fn arp(bytes: &[u8]) -> String {
    let Some(fixed) = bytes.first_chunk::<28>() else {
        return format!("arp, cut off after {} bytes", bytes.len());
    };
    let address = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
    let operation = match u16::from_be_bytes([fixed[6], fixed[7]]) {
        1 => "request".into(),
        2 => "reply".into(),
        other => format!("operation {other}"),
    };
    format!("arp {operation} {} -> {}", address(14), address(24))
}

fn ip(ethertype: u16, bytes: &[u8]) -> String {
    let packet = LaxSlicedPacket::from_ether_type(EtherType(ethertype), bytes);
    let Some((from, to)) = ip_addresses(&packet) else {
        return format!("{} that cannot be read", if ethertype == 0x0800 { "IPv4" } else { "IPv6" });
    };
    let payload = packet.ip_payload();
    let protocol = payload.map_or(IpNumber(59), |payload| payload.ip_number);
    let line = match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            format!("{} tcp [{}]", ends(from, to, tcp.source_port(), tcp.destination_port()), flags(tcp))
        }
        Some(TransportSlice::Udp(udp)) => {
            format!("{} udp", ends(from, to, udp.source_port(), udp.destination_port()))
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            format!("{from} -> {to} icmp/{}/{}", icmp.type_u8(), icmp.code_u8())
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            format!("{from} -> {to} icmpv6/{}/{}", icmp.type_u8(), icmp.code_u8())
        }
        None => match (protocol, payload.and_then(|payload| payload.payload.first_chunk::<4>())) {
            (IpNumber::SCTP, Some(&[a, b, c, d])) if !payload.is_some_and(|payload| payload.fragmented) => {
                format!("{} sctp", ends(from, to, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
            }
            _ => format!("{from} -> {to} {}", protocol_name(protocol)),
        },
    };
    line + if payload.is_some_and(|payload| payload.fragmented) { ", fragment" } else { "" }
}

/// `10.0.0.1:5000 -> 10.0.0.2:443`, with brackets around IPv6.
fn ends(from: IpAddr, to: IpAddr, source: u16, destination: u16) -> String {
    let end = |address: IpAddr, port: u16| match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    };
    format!("{} -> {}", end(from, source), end(to, destination))
}

/// The flags as tcpdump writes them.
fn flags(tcp: &TcpSlice<'_>) -> String {
    let flags = [
        (tcp.fin(), 'F'),
        (tcp.syn(), 'S'),
        (tcp.rst(), 'R'),
        (tcp.psh(), 'P'),
        (tcp.ack(), '.'),
        (tcp.urg(), 'U'),
        (tcp.ece(), 'E'),
        (tcp.cwr(), 'W'),
    ];
    let set: String = flags.iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
    if set.is_empty() { "none".into() } else { set }
}

fn protocol_name(protocol: IpNumber) -> String {
    let name = match protocol.0 {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        132 => "sctp",
        other => return format!("ip/{other}"),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn frame(tags: &[u8], ethertype: u16, payload: &[u8]) -> Vec<u8> {
        [&[2; 12][..], tags, &ethertype.to_be_bytes(), payload].concat()
    }

    #[test]
    fn tags_addresses_ports_and_flags() {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 2, 0, 4], [10, 3, 0, 9], 64).tcp(5000, 443, 0, 0).syn();
        builder.write(&mut packet, &[]).unwrap();
        let tagged = frame(&[0x88, 0xa8, 0, 100, 0x81, 0, 0x20, 200], 0x0800, &packet);
        assert_eq!(describe(&tagged), "802.1ad 100 / 802.1Q 200, 10.2.0.4:5000 -> 10.3.0.9:443 tcp [S]");
    }

    #[test]
    fn ipv6_has_brackets_and_icmp_has_type_and_code() {
        let (from, to) = ([0x20; 16], [0x30; 16]);
        let mut packet = Vec::new();
        PacketBuilder::ipv6(from, to, 64).udp(53, 53).write(&mut packet, &[]).unwrap();
        let [from, to] = [from, to].map(|bytes| std::net::Ipv6Addr::from(bytes).to_string());
        assert_eq!(describe(&frame(&[], 0x86dd, &packet)), format!("[{from}]:53 -> [{to}]:53 udp"));
        packet.clear();
        PacketBuilder::ipv4([1, 2, 3, 4], [5, 6, 7, 8], 1)
            .icmpv4_raw(3, 4, [0; 4])
            .write(&mut packet, &[])
            .unwrap();
        assert_eq!(describe(&frame(&[], 0x0800, &packet)), "1.2.3.4 -> 5.6.7.8 icmp/3/4");
    }

    #[test]
    fn frames_that_are_not_ip() {
        let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 2, 2, 2, 2, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
        assert_eq!(describe(&frame(&[], 0x0806, &arp)), "arp request 10.0.0.1 -> 10.0.0.2");
        assert_eq!(describe(&frame(&[], 38, &[0x42, 0x42, 3])), "802.3, length 38, stp");
        assert_eq!(
            describe(&frame(&[0x81, 0, 0, 7], 0x88f7, &[0; 4])),
            "802.1Q 7, EtherType 0x88f7, 4 bytes"
        );
    }

    #[test]
    fn every_cut_and_every_byte_gives_a_line() {
        assert_eq!(describe(&[1, 2, 3]), "cut off after 3 bytes");
        assert_eq!(
            describe(&frame(&[0x81, 0, 0, 7, 0x81], 0x0100, &[])[..17]),
            "802.1Q 7, cut off after 17 bytes"
        );
        let mut packet = Vec::new();
        PacketBuilder::ipv6([1; 16], [2; 16], 64).tcp(1, 2, 0, 0).write(&mut packet, &[0; 9]).unwrap();
        let whole = frame(&[0x81, 0, 0, 7], 0x86dd, &packet);
        for at in 0..whole.len() {
            assert!(!describe(&whole[..at]).is_empty());
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                assert!(!describe(&changed).is_empty());
            }
        }
    }
}
