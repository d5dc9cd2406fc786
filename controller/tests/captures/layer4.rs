//! Step 6.

use super::build::{
    ACK, CLIENT, CLIENT6, FIN, L3, PSH, RST, SERVER, SERVER6, SYN, icmp, icmpv6, ipv4, ipv6, patched, tcp,
    udp,
};
use super::{Capture, Format, Frame, STRICT, dropped, pass};
use perimeter_classifier::verdict::DropReason::{Malformed, NoRule, TcpFlags};

pub(crate) fn captures() -> Vec<Capture> {
    let scans =
        Capture::new("tcp-flags", STRICT, "Combinations of TCP flags: connections and scans.", flags());
    vec![
        scans,
        Capture::new("tcp-headers", STRICT, "TCP headers that lie.", tcp_headers()),
        Capture::new("udp-lengths", STRICT, "UDP lengths.", udp_lengths()),
        Capture {
            format: Format::Pcapng,
            ..Capture::new("icmp", STRICT, "ICMP and ICMPv6: types, codes, lengths, families.", icmps())
        },
        Capture::new("other-protocols", STRICT, "SCTP, ESP, AH, GRE, IP in IP.", others()),
    ]
}

fn flags() -> Vec<Frame> {
    let web = |flags| tcp(CLIENT, SERVER, (49_152, 443), flags, &[]);
    let raw = |flags: u8| patched(web(ACK), L3 + 20 + 13, &[flags]);
    vec![
        pass("web", "SYN", web(SYN)),
        pass("web", "SYN ACK", web(SYN | ACK)),
        pass("web", "ACK", web(ACK)),
        pass("web", "PSH ACK", web(PSH | ACK)),
        pass("web", "FIN ACK", web(FIN | ACK)),
        pass("web", "RST", web(RST)),
        pass("web", "RST ACK", web(RST | ACK)),
        pass("web", "SYN with ECE and CWR", raw(0xc2)),
        dropped(TcpFlags, "none: a null scan", raw(0)),
        dropped(TcpFlags, "FIN PSH URG: a Christmas tree", raw(0x29)),
        dropped(TcpFlags, "FIN alone", raw(0x01)),
        dropped(TcpFlags, "PSH alone", raw(0x08)),
        dropped(TcpFlags, "SYN FIN", raw(0x03)),
        dropped(TcpFlags, "SYN RST", raw(0x06)),
        dropped(TcpFlags, "FIN RST without ACK", raw(0x05)),
        pass("web", "FIN RST ACK", raw(0x15)),
        dropped(TcpFlags, "every flag", raw(0xff)),
        dropped(
            TcpFlags,
            "the same in IPv6: none",
            patched(tcp(CLIENT6, SERVER6, (1, 443), ACK, &[]), L3 + 40 + 13, &[0]),
        ),
    ]
}

fn tcp_headers() -> Vec<Frame> {
    let web = |data: &[u8]| tcp(CLIENT, SERVER, (49_152, 443), ACK, data);
    let offset = |frame, offset: u8| patched(frame, L3 + 20 + 12, &[offset << 4]);
    vec![
        pass("web", "20 bytes", web(&[])),
        dropped(Malformed, "data offset 4", offset(web(&[]), 4)),
        dropped(Malformed, "data offset 0", offset(web(&[]), 0)),
        dropped(Malformed, "data offset 6 of 20 bytes", offset(web(&[]), 6)),
        pass("web", "data offset 6 of 24 bytes", offset(web(&[1; 4]), 6)),
        pass("web", "data offset 15 of 60 bytes", offset(web(&[1; 40]), 15)),
        dropped(Malformed, "19 bytes", ipv4(CLIENT, SERVER, 6, &[0; 19])),
        dropped(Malformed, "no byte", ipv4(CLIENT, SERVER, 6, &[])),
        dropped(Malformed, "19 bytes in IPv6", ipv6(CLIENT6, SERVER6, 6, 64, &[0; 19])),
    ]
}

fn udp_lengths() -> Vec<Frame> {
    let query = || udp(CLIENT, SERVER, (49_152, 53), &[0; 12]);
    let length = |length: u8| patched(query(), L3 + 20 + 4, &[0, length]);
    vec![
        pass("names", "20 of 20", query()),
        pass("names", "8 of 20: the rest is a surplus", length(8)),
        dropped(Malformed, "7", length(7)),
        dropped(Malformed, "0", length(0)),
        dropped(Malformed, "21 of 20", length(21)),
        dropped(Malformed, "a header of 7 bytes", ipv4(CLIENT, SERVER, 17, &[0; 7])),
        dropped(
            Malformed,
            "0 in IPv6: no jumbograms",
            patched(udp(CLIENT6, SERVER6, (1, 53), &[]), L3 + 40 + 4, &[0, 0]),
        ),
    ]
}

fn icmps() -> Vec<Frame> {
    let server = |kind, code| icmp(CLIENT, SERVER, kind, code, &[0x20; 16]);
    let server6 = |kind, code| icmpv6(CLIENT6, SERVER6, 64, kind, code, &[0; 4]);
    vec![
        pass("ping", "echo request", server(8, 0)),
        dropped(NoRule, "echo request with code 1: the rule asks for 0", server(8, 1)),
        dropped(NoRule, "echo reply", server(0, 0)),
        pass("base", "fragmentation needed: pmtu", server(3, 4)),
        pass("base", "port unreachable: the same type", server(3, 3)),
        pass("base", "time exceeded", server(11, 0)),
        dropped(NoRule, "redirect", server(5, 1)),
        dropped(Malformed, "7 bytes", ipv4(CLIENT, SERVER, 1, &[8, 0, 0, 0, 0, 0, 0])),
        pass("ping", "ICMPv6 echo request", server6(128, 0)),
        pass("ping", "any code: the rule asks for none", server6(128, 7)),
        pass("base", "packet too big", server6(2, 0)),
        dropped(NoRule, "ICMPv6 echo reply", server6(129, 0)),
        dropped(Malformed, "ICMPv6, 3 bytes", ipv6(CLIENT6, SERVER6, 58, 64, &[128, 0, 0])),
        dropped(NoRule, "ICMPv6 in IPv4", ipv4(CLIENT, SERVER, 58, &[128, 0, 0, 0, 0, 0, 0, 0])),
        dropped(NoRule, "ICMP in IPv6", ipv6(CLIENT6, SERVER6, 1, 64, &[8, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn others() -> Vec<Frame> {
    let peer = "198.51.100.7";
    let sctp = |port: u16| [&[0xc0, 0][..], &port.to_be_bytes(), &[0; 12]].concat();
    vec![
        pass("tunnels", "SCTP to the port of the rule", ipv4(peer, SERVER, 132, &sctp(3868))),
        dropped(NoRule, "SCTP to the next port", ipv4(peer, SERVER, 132, &sctp(3869))),
        dropped(Malformed, "SCTP, 11 bytes", ipv4(peer, SERVER, 132, &sctp(3868)[..11])),
        pass("tunnels", "ESP", ipv4(peer, SERVER, 50, &[0; 24])),
        pass("tunnels", "ESP over IPv6", ipv6("2001:db8:51::7", SERVER6, 50, 64, &[0; 24])),
        pass("tunnels", "AH over IPv6 ends the walk", ipv6("2001:db8:51::7", SERVER6, 51, 64, &[6, 4, 0, 0])),
        pass("tunnels", "GRE", ipv4(peer, SERVER, 47, &[0; 4])),
        pass(
            "tunnels",
            "IP in IP, by number; what is inside is not judged",
            ipv4(peer, SERVER, 4, &[0x45; 20]),
        ),
        dropped(NoRule, "ESP from a stranger", ipv4(CLIENT, SERVER, 50, &[0; 24])),
        dropped(NoRule, "OSPF from the peer", ipv4(peer, SERVER, 89, &[0; 24])),
    ]
}
