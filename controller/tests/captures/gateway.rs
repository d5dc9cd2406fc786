//! A minute at the gateway of `rules/gateway.yaml`.

use super::build::{
    ACK, CLIENT, FIN, L3, PSH, SYN, arp, cut, ether, icmp, icmpv6, ipv4, ipv4_with, ipv6, llc, on_vlan,
    padded, patched, tagged, tcp, udp,
};
use super::{Capture, Format, Frame, GATEWAY, denied, dropped, pass};
use perimeter_classifier::verdict::DropReason::{
    Fragment, IpOptions, Ipv6Extension, Malformed, Martian, NoRule, Oversize, TcpFlags, Truncated,
    VlanNotAllowed, VlanSourceMismatch, VlanStack,
};

const WEB: &str = "203.0.113.2";
const WEB6: &str = "2001:db8:10:80::2";
const FILES: &str = "203.0.113.4";
const CLIENT6: &str = "2001:db8:51::10";

pub(crate) fn captures() -> Vec<Capture> {
    let day = [internet(), answers(), inside(), rejected()].into_iter().flatten().collect();
    let attack = Capture::new(
        "gateway-attack",
        GATEWAY,
        "What a scanner and a forger try against the gateway.",
        attack(),
    );
    vec![
        Capture::new("gateway", GATEWAY, "A minute at the gateway: mostly work, some noise.", day),
        Capture { format: Format::Pcapng, ..attack },
    ]
}

fn internet() -> Vec<Frame> {
    let web = |flags, data: &[u8]| tcp(CLIENT, WEB, (50_001, 443), flags, data);
    vec![
        pass("neighbours", "the provider asks for our address", arp(1, "203.0.113.14", "203.0.113.2")),
        pass(
            "router",
            "the provider's router advertises itself",
            icmpv6("fe80::1", "ff02::1", 255, 134, 0, &[0; 12]),
        ),
        pass("public-web", "a browser: SYN", web(SYN, &[])),
        pass("public-web", "ACK", web(ACK, &[])),
        pass("public-web", "a request", web(PSH | ACK, b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n")),
        pass("public-web", "a full segment", web(ACK, &[0x47; 1460])),
        pass("public-web", "FIN", web(FIN | ACK, &[])),
        pass("public-web", "HTTP/3", udp(CLIENT, "203.0.113.3", (50_002, 443), &[0x40; 1200])),
        pass("public-web", "over IPv6", tcp(CLIENT6, WEB6, (50_003, 80), SYN, &[])),
        pass("public-ping", "a monitor", icmp("198.51.100.200", WEB, 8, 0, &[0x61; 56])),
        pass("pmtu", "fragmentation needed", icmp("198.51.100.1", WEB, 3, 4, &[0x45; 28])),
        pass("pmtu", "packet too big", icmpv6("2001:db8:51::1", WEB6, 60, 2, 0, &[0; 52])),
    ]
}

fn answers() -> Vec<Frame> {
    vec![
        pass(
            "dns-replies",
            "a resolver answers",
            udp("198.51.100.53", "203.0.113.1", (53, 40_001), &[0; 64]),
        ),
        dropped(NoRule, "somebody else answers", udp("198.51.100.54", "203.0.113.1", (53, 40_001), &[0; 64])),
        pass(
            "ntp-replies",
            "a time server answers",
            udp("198.51.100.123", "203.0.113.1", (123, 123), &[0; 48]),
        ),
        pass(
            "tcp-replies",
            "a server out there answers",
            tcp("192.0.2.80", "203.0.113.1", (443, 40_002), SYN | ACK, &[]),
        ),
        dropped(NoRule, "a SYN to the same port", tcp("192.0.2.80", "203.0.113.1", (443, 40_002), SYN, &[])),
        pass("ping-replies", "an echo reply", icmp("192.0.2.80", "203.0.113.1", 0, 0, &[0x61; 56])),
    ]
}

fn inside() -> Vec<Frame> {
    let mgmt = |frame| on_vlan(10, frame);
    let office = |frame| on_vlan(20, frame);
    let guests = |frame| on_vlan(30, frame);
    vec![
        pass("admin-ssh", "an administrator", mgmt(tcp("10.0.10.7", "10.0.10.1", (50_010, 22), SYN, &[]))),
        pass("admin-ssh", "over IPv6", mgmt(tcp("fd00:10::7", "fd00:10::1", (50_011, 22), SYN, &[]))),
        dropped(
            NoRule,
            "a device that wants a shell: the upper half are devices",
            mgmt(tcp("10.0.10.200", "10.0.10.1", (50_012, 22), SYN, &[])),
        ),
        pass(
            "device-logs",
            "a switch logs",
            mgmt(udp("10.0.10.200", "10.0.10.1", (50_013, 514), b"<13>link up")),
        ),
        dropped(
            VlanSourceMismatch,
            "an office machine on the management VLAN",
            mgmt(tcp("10.0.20.9", "10.0.10.1", (50_014, 22), SYN, &[])),
        ),
        pass("neighbours", "ARP on the office VLAN", office(arp(1, "10.0.20.9", "10.0.20.1"))),
        pass(
            "office-out",
            "the office browses",
            office(tcp("10.0.20.9", "192.0.2.80", (50_015, 443), SYN, &[])),
        ),
        pass("office-out", "and resolves", office(udp("10.0.20.9", "198.51.100.53", (50_016, 53), &[0; 30]))),
        denied(
            "office-stays-out",
            "the office looks at the switches",
            office(tcp("10.0.20.9", "10.0.10.200", (50_017, 443), SYN, &[])),
        ),
        pass(
            "guests-out",
            "a guest browses, with a priority in the tag",
            tagged(&[(0x8100, 0xa000 | 30)], tcp("10.0.30.5", "192.0.2.80", (50_018, 443), SYN, &[])),
        ),
        denied(
            "guests-stay-out",
            "a guest looks at the office",
            guests(tcp("10.0.30.5", "10.0.20.9", (50_019, 443), SYN, &[])),
        ),
        dropped(NoRule, "a guest sends mail", guests(tcp("10.0.30.5", "192.0.2.80", (50_020, 25), SYN, &[]))),
        dropped(
            Oversize,
            "a guest's segment over the VLAN's mtu of 1400",
            guests(tcp("10.0.30.5", "192.0.2.80", (50_021, 443), ACK, &[0; 1400])),
        ),
    ]
}

fn rejected() -> Vec<Frame> {
    vec![
        denied("bad-neighbours", "a bad neighbour", tcp("192.0.2.66", WEB, (50_030, 443), SYN, &[])),
        denied(
            "our-own-from-outside",
            "our own address, from outside",
            tcp("203.0.113.3", WEB, (50_031, 443), SYN, &[]),
        ),
        denied(
            "our-own-from-outside",
            "an inside address, from outside",
            tcp("10.0.10.7", "203.0.113.1", (50_032, 22), SYN, &[]),
        ),
        dropped(NoRule, "ssh from the internet", tcp(CLIENT, FILES, (50_033, 22), SYN, &[])),
        dropped(NoRule, "telnet from the internet", tcp(CLIENT, WEB, (50_034, 23), SYN, &[])),
        dropped(
            VlanNotAllowed,
            "a VLAN that is not ours",
            on_vlan(40, tcp(CLIENT, WEB, (50_035, 443), SYN, &[])),
        ),
        dropped(NoRule, "LLDP of the provider's switch", padded(ether(0x88cc, &[2, 7, 4]))),
        dropped(NoRule, "its spanning tree", padded(llc(&[0x42, 0x42, 3, 0, 0]))),
    ]
}

fn attack() -> Vec<Frame> {
    [scans(), smuggling(), hopping(), forgeries()].into_iter().flatten().collect()
}

/// A segment to the web server.
fn web(flags: u8) -> Vec<u8> {
    tcp(CLIENT, WEB, (51_000, 443), flags, &[])
}

fn scans() -> Vec<Frame> {
    let flags = |flags: u8| patched(web(ACK), L3 + 20 + 13, &[flags]);
    vec![
        dropped(TcpFlags, "null scan", flags(0)),
        dropped(TcpFlags, "Christmas tree scan", flags(0x29)),
        dropped(TcpFlags, "FIN scan", flags(0x01)),
    ]
}

/// What hides from a filter behind fragments, options and headers.
fn smuggling() -> Vec<Frame> {
    vec![
        dropped(
            Fragment,
            "a first fragment too short for the flags",
            ipv4_with(CLIENT, WEB, 6, 0x2000, &[], &[0; 8]),
        ),
        dropped(
            Fragment,
            "a fragment that would overwrite them",
            ipv4_with(CLIENT, WEB, 6, 1, &[], &[0; 24]),
        ),
        dropped(
            IpOptions,
            "a source route through us",
            ipv4_with(CLIENT, WEB, 6, 0, &[131, 7, 4, 10, 0, 10, 1, 0], &[0; 20]),
        ),
        dropped(
            Ipv6Extension,
            "a routing header of type 0",
            ipv6(
                CLIENT6,
                WEB6,
                43,
                64,
                &[6, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
        ),
    ]
}

/// From one VLAN into another.
fn hopping() -> Vec<Frame> {
    vec![
        dropped(
            VlanStack,
            "a double tag to hop into management",
            tagged(&[(0x8100, 0), (0x8100, 10)], web(SYN)),
        ),
        dropped(
            VlanNotAllowed,
            "a double tag through guests",
            tagged(&[(0x8100, 30), (0x8100, 10)], web(SYN)),
        ),
    ]
}

/// What pretends to be somebody, or something, else.
fn forgeries() -> Vec<Frame> {
    vec![
        dropped(
            VlanSourceMismatch,
            "ARP for the guests' gateway by a stranger",
            on_vlan(30, arp(2, "10.0.20.1", "10.0.30.5")),
        ),
        dropped(NoRule, "a rogue router", icmpv6("fe80::666", "ff02::1", 255, 134, 0, &[0; 12])),
        dropped(
            Malformed,
            "a neighbour advertisement from afar",
            icmpv6("fe80::666", WEB6, 64, 136, 0, &[0; 20]),
        ),
        dropped(
            VlanSourceMismatch,
            "a neighbour advertisement for somebody else's address",
            on_vlan(10, icmpv6("fe80::666", "ff02::1", 255, 136, 0, &[0x20; 20])),
        ),
        dropped(Martian, "from loopback", ipv4("127.0.0.1", WEB, 17, &[0; 8])),
        dropped(
            Malformed,
            "an IPv4 packet inside SNAP",
            llc(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &[0x45; 40]].concat()),
        ),
        dropped(Truncated, "a frame cut inside TCP", cut(web(SYN), L3 + 30)),
        pass(
            "tcp-replies",
            "a blind ACK: stateless rules let it through, to the ports named",
            tcp(CLIENT, "203.0.113.1", (443, 50_000), ACK, &[]),
        ),
    ]
}
