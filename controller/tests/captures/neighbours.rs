//! ARP, neighbour discovery, multicast listeners.

use super::build::{
    SERVER, SERVER6, arp, cut, icmpv6, icmpv6_message, ipv4_with, ipv6, on_vlan, patched, trailed,
};
use super::{Capture, Frame, STRICT, dropped, pass};
use perimeter_classifier::verdict::DropReason::{
    IpOptions, Ipv6Extension, Malformed, Martian, NoRule, Oversize, Truncated, VlanSourceMismatch,
};

const LINK_LOCAL: &str = "fe80::7";
const ROUTER: &str = "fe80::1";
const ALL_NODES: &str = "ff02::1";

pub(crate) fn captures() -> Vec<Capture> {
    vec![
        Capture::new("arp", STRICT, "ARP: requests, replies, and what is not ARP.", arps()),
        Capture::new(
            "neighbour-discovery",
            STRICT,
            "Neighbour discovery: hop limit, code, lengths.",
            discovery(),
        ),
        Capture::new(
            "neighbour-targets",
            STRICT,
            "Advertisements on VLAN 10: whose address is it?",
            targets(),
        ),
        Capture::new("multicast-listeners", STRICT, "IGMP and MLD with their router alerts.", listeners()),
    ]
}

fn arps() -> Vec<Frame> {
    let request = || arp(1, "198.51.100.10", SERVER);
    vec![
        pass("link", "request", request()),
        pass("link", "reply", arp(2, "198.51.100.10", SERVER)),
        pass("link", "probe", arp(1, "0.0.0.0", SERVER)),
        pass("link", "28 bytes, unpadded", cut(request(), 14 + 28)),
        dropped(Truncated, "27 bytes", cut(request(), 14 + 27)),
        dropped(Malformed, "operation 3, reverse ARP", arp(3, "198.51.100.10", SERVER)),
        dropped(Malformed, "operation 0", arp(0, "198.51.100.10", SERVER)),
        dropped(Malformed, "hardware type 6", patched(request(), 14, &[0, 6])),
        dropped(Malformed, "protocol IPv6", patched(request(), 16, &[0x86, 0xdd])),
        dropped(Malformed, "hardware addresses of 8 bytes", patched(request(), 18, &[8])),
        dropped(Malformed, "protocol addresses of 16 bytes", patched(request(), 19, &[16])),
        dropped(Martian, "a loopback sender", arp(1, "127.0.0.1", SERVER)),
        dropped(Martian, "a group as sender", arp(2, "224.0.0.1", SERVER)),
        dropped(Martian, "0.0.0.1 is not 0.0.0.0", arp(1, "0.0.0.1", SERVER)),
        dropped(Oversize, "a trailer of 1,500 bytes counts", trailed(cut(request(), 42), &[0; 1473])),
    ]
}

/// What follows the first 4 bytes of a message about this target, no options.
fn about(target: &str) -> Vec<u8> {
    let target: std::net::Ipv6Addr = target.parse().expect("an IPv6 literal of the captures");
    [&[0; 4][..], &target.octets()].concat()
}

fn discovery() -> Vec<Frame> {
    let solicit =
        |hop_limit, code| icmpv6(LINK_LOCAL, "ff02::1:ff00:5", hop_limit, 135, code, &about(SERVER6));
    let message = icmpv6_message(LINK_LOCAL, SERVER6, 135, 0, &about(SERVER6));
    let in_fragment = [&[58, 0, 0, 0, 0, 0, 0, 1][..], &message].concat();
    vec![
        pass("base", "solicitation", solicit(255, 0)),
        dropped(Malformed, "hop limit 254: it was routed", solicit(254, 0)),
        dropped(Malformed, "code 1", solicit(255, 1)),
        dropped(Malformed, "23 bytes", icmpv6(LINK_LOCAL, SERVER6, 255, 135, 0, &about(SERVER6)[..19])),
        dropped(
            Malformed,
            "in an atomic fragment (RFC 6980)",
            ipv6(LINK_LOCAL, SERVER6, 44, 255, &in_fragment),
        ),
        pass(
            "base",
            "duplicate address detection, from ::",
            icmpv6("::", "ff02::1:ff00:5", 255, 135, 0, &about(SERVER6)),
        ),
        pass("base", "advertisement", icmpv6(LINK_LOCAL, ALL_NODES, 255, 136, 0, &about("2001:db8:51::7"))),
        pass("base", "router solicitation", icmpv6(LINK_LOCAL, "ff02::2", 255, 133, 0, &[0; 4])),
        dropped(
            Malformed,
            "router solicitation of 7 bytes",
            icmpv6(LINK_LOCAL, "ff02::2", 255, 133, 0, &[0; 3]),
        ),
        pass("router", "advertisement of the router", icmpv6(ROUTER, ALL_NODES, 255, 134, 0, &[0; 12])),
        dropped(
            NoRule,
            "advertisement of another router",
            icmpv6(LINK_LOCAL, ALL_NODES, 255, 134, 0, &[0; 12]),
        ),
        dropped(
            Malformed,
            "router advertisement of 15 bytes",
            icmpv6(ROUTER, ALL_NODES, 255, 134, 0, &[0; 11]),
        ),
        dropped(NoRule, "redirect", icmpv6(ROUTER, SERVER6, 255, 137, 0, &[0; 36])),
        dropped(Malformed, "redirect of 39 bytes", icmpv6(ROUTER, SERVER6, 255, 137, 0, &[0; 35])),
        dropped(Martian, "from :: to a host", icmpv6("::", SERVER6, 255, 135, 0, &about(SERVER6))),
    ]
}

fn targets() -> Vec<Frame> {
    let advert = |from, target| on_vlan(10, icmpv6(from, ALL_NODES, 255, 136, 0, &about(target)));
    vec![
        pass("base", "a link-local target", advert(LINK_LOCAL, LINK_LOCAL)),
        pass("base", "a target among the sources", advert(LINK_LOCAL, "fd00:10::7")),
        pass("base", "from and about a source", advert("fd00:10::7", "fd00:10::7")),
        dropped(VlanSourceMismatch, "somebody else's address", advert(LINK_LOCAL, "fd00:20::1")),
        dropped(VlanSourceMismatch, "the server's address", advert("fd00:10::7", SERVER6)),
        dropped(VlanSourceMismatch, "fec0::1 is beyond fe80::/10", advert(LINK_LOCAL, "fec0::1")),
        dropped(
            Malformed,
            "malformed goes before",
            on_vlan(10, icmpv6(LINK_LOCAL, ALL_NODES, 64, 136, 0, &about("fd00:20::1"))),
        ),
    ]
}

fn listeners() -> Vec<Frame> {
    let igmp = |options: &[u8]| {
        ipv4_with("198.51.100.10", "224.0.0.22", 2, 0x4000, options, &[0x22, 0, 0, 0, 0, 0, 0, 0])
    };
    let report = icmpv6_message(LINK_LOCAL, "ff02::16", 143, 0, &[0; 4]);
    let mld = |options: [u8; 6]| {
        let header = [&[58, 0][..], &options].concat();
        ipv6(LINK_LOCAL, "ff02::16", 0, 1, &[header, report.clone()].concat())
    };
    vec![
        pass("base", "IGMPv3 report with router alert", igmp(&[0x94, 4, 0, 0])),
        pass("base", "IGMP without options", igmp(&[])),
        dropped(IpOptions, "IGMP with another value", igmp(&[0x94, 4, 0, 1])),
        dropped(IpOptions, "IGMP with router alert and more", igmp(&[0x94, 4, 0, 0, 1, 1, 1, 1])),
        pass("base", "MLDv2 report, router alert and PadN", mld([5, 2, 0, 0, 1, 0])),
        pass("base", "MLDv2 report, router alert and two Pad1", mld([5, 2, 0, 0, 0, 0])),
        dropped(Ipv6Extension, "padding before the alert", mld([1, 0, 5, 2, 0, 0])),
        dropped(Ipv6Extension, "another alert value", mld([5, 2, 0, 1, 1, 0])),
        dropped(Ipv6Extension, "a jumbo option in its place", mld([0xc2, 4, 0, 1, 0, 0])),
    ]
}
