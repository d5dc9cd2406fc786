//! IPv4 headers, options, martians, sizes.

use super::build::{
    ACK, CLIENT, CLIENT6, L3, SERVER, SERVER6, SYN, ether, ipv4, ipv4_with, padded, patched, tcp, trailed,
    udp,
};
use super::{Capture, Frame, LENIENT, STRICT, dropped, pass};
use perimeter_classifier::verdict::DropReason::{IpOptions, Malformed, Martian, NoRule, Oversize, Truncated};

pub(crate) fn captures() -> Vec<Capture> {
    vec![
        Capture::new("ipv4-headers", STRICT, "IPv4 headers that lie.", headers()),
        Capture::new("ipv4-options", STRICT, "IPv4 options under `ip_options: drop`.", options_dropped()),
        Capture::new("ipv4-options-pass", LENIENT, "IPv4 options under `ip_options: pass`.", options_read()),
        Capture::new("martians-ipv4", STRICT, "IPv4 addresses that cannot be.", martians()),
        Capture::new("martians-ipv6", STRICT, "IPv6 addresses that cannot be.", martians6()),
        Capture::new("sizes", STRICT, "Layer-3 sizes around an mtu of 1500.", sizes()),
        Capture::new("sizes-counted", LENIENT, "Over the mtu under `oversize: count`.", counted()),
    ]
}

fn web() -> Vec<u8> {
    tcp(CLIENT, SERVER, (49_152, 443), SYN, &[])
}

fn headers() -> Vec<Frame> {
    vec![
        pass("web", "an honest one", web()),
        dropped(Malformed, "version 6 under IPv4's EtherType", patched(web(), L3, &[0x65])),
        dropped(Malformed, "IHL 4", patched(web(), L3, &[0x44])),
        dropped(Malformed, "IHL 0", patched(web(), L3, &[0x40])),
        dropped(Malformed, "IHL 15 beside a total length of 40", patched(web(), L3, &[0x4f])),
        dropped(Malformed, "total length 0, as TSO leaves it", patched(web(), L3 + 2, &[0, 0])),
        dropped(Malformed, "total length 19", patched(web(), L3 + 2, &[0, 19])),
        dropped(Truncated, "total length 41 of 40", patched(web(), L3 + 2, &[0, 41])),
        dropped(Truncated, "total length 65,535", patched(web(), L3 + 2, &[0xff, 0xff])),
        dropped(Malformed, "total length 39: TCP is a byte short", patched(web(), L3 + 2, &[0, 39])),
        pass("web", "a wrong checksum does not matter", patched(web(), L3 + 10, &[0, 0])),
        pass("web", "the reserved bit does not matter", patched(web(), L3 + 6, &[0xc0])),
        pass("web", "nor do TTL 0, DSCP and ECN", patched(patched(web(), L3 + 8, &[0]), L3 + 1, &[0xff])),
    ]
}

fn options_dropped() -> Vec<Frame> {
    let with = |options: &[u8]| ipv4_with(CLIENT, SERVER, 50, 0, options, &[0; 8]);
    vec![
        dropped(IpOptions, "no-operations", with(&[1, 1, 1, 1])),
        dropped(IpOptions, "end of list alone", with(&[0, 0, 0, 0])),
        dropped(IpOptions, "record route", with(&[7, 7, 4, 0, 0, 0, 0, 0])),
        dropped(IpOptions, "loose source route", with(&[131, 7, 4, 192, 0, 2, 1, 0])),
        dropped(IpOptions, "router alert beside ESP", with(&[0x94, 4, 0, 0])),
        dropped(IpOptions, "an option of length 0 is an option", with(&[0x44, 0, 0, 0])),
        dropped(NoRule, "none: ESP from a stranger", with(&[])),
    ]
}

fn options_read() -> Vec<Frame> {
    let with = |options: &[u8]| ipv4_with(CLIENT, SERVER, 253, 0, options, &[0; 8]);
    vec![
        pass("experiment", "no-operations", with(&[1, 1, 1, 1])),
        pass("experiment", "record route", with(&[7, 7, 4, 0, 0, 0, 0, 0])),
        pass("experiment", "a timestamp that fills the header", with(&[0x44, 8, 5, 0, 0, 0, 0, 0])),
        pass("experiment", "a source route after end of list is not read", with(&[0, 131, 3, 4])),
        dropped(IpOptions, "loose source route", with(&[131, 7, 4, 192, 0, 2, 1, 0])),
        dropped(IpOptions, "strict source route after a no-operation", with(&[1, 137, 3, 4])),
        dropped(Malformed, "length 0", with(&[0x44, 0, 0, 0])),
        dropped(Malformed, "length 1", with(&[0x44, 1, 0, 0])),
        dropped(Malformed, "a length past the header", with(&[0x44, 5, 0, 0])),
        dropped(Malformed, "a length that is missing", with(&[1, 1, 1, 0x44])),
        dropped(
            Malformed,
            "a source route with a length of 1: the length goes before",
            with(&[131, 1, 0, 0]),
        ),
        dropped(Malformed, "two faults, the length first", with(&[0x44, 1, 131, 3])),
        dropped(IpOptions, "two faults, the source route first", with(&[131, 3, 4, 0x44])),
    ]
}

fn martians() -> Vec<Frame> {
    let esp = |from: &str, to: &str| ipv4(from, to, 50, &[0; 8]);
    vec![
        dropped(Martian, "from 0.0.0.0 to a host", esp("0.0.0.0", SERVER)),
        dropped(NoRule, "from 0.0.0.0 to all: excepted, and no rule", esp("0.0.0.0", "255.255.255.255")),
        dropped(NoRule, "from 0.0.0.0 to a group: excepted, and no rule", esp("0.0.0.0", "224.0.0.1")),
        dropped(Martian, "from 0.0.0.1 to all", esp("0.0.0.1", "255.255.255.255")),
        dropped(Martian, "from loopback", esp("127.0.0.1", SERVER)),
        dropped(NoRule, "from 128.0.0.0, just past loopback", esp("128.0.0.0", SERVER)),
        dropped(Martian, "from a group", esp("224.0.0.1", SERVER)),
        dropped(Martian, "from a reserved address", esp("240.0.0.1", SERVER)),
        dropped(Martian, "from broadcast", esp("255.255.255.255", SERVER)),
        dropped(Martian, "to 0.0.0.0", esp(CLIENT, "0.0.0.0")),
        dropped(Martian, "to loopback", esp(CLIENT, "127.0.0.1")),
        dropped(Martian, "to a reserved address", esp(CLIENT, "255.255.255.254")),
        dropped(NoRule, "to broadcast is allowed, by no rule here", esp(CLIENT, "255.255.255.255")),
        dropped(NoRule, "private addresses are the policy's business", esp("10.1.2.3", SERVER)),
    ]
}

fn martians6() -> Vec<Frame> {
    let web = |from: &str, to: &str| tcp(from, to, (49_152, 443), SYN, &[]);
    vec![
        pass("web", "an honest one", web(CLIENT6, SERVER6)),
        dropped(Martian, "from ::1", web("::1", SERVER6)),
        dropped(Martian, "from ::", web("::", SERVER6)),
        dropped(Martian, "from an IPv4-compatible address", web("::198.51.100.10", SERVER6)),
        dropped(Martian, "from an IPv4-mapped address", web("::ffff:198.51.100.10", SERVER6)),
        pass("web", "from ::1:0:0, just past ::/96", web("::1:0:0", SERVER6)),
        dropped(Martian, "from a group", web("ff02::1", SERVER6)),
        dropped(Martian, "to ::1", web(CLIENT6, "::1")),
        dropped(Martian, "to an IPv4-mapped address", web(CLIENT6, "::ffff:203.0.113.5")),
        dropped(NoRule, "to a group", web(CLIENT6, "ff02::1")),
        dropped(NoRule, "from :: to a group: excepted, and no rule", web("::", "ff02::1")),
        dropped(Martian, "from ::1 to a group", web("::1", "ff02::1")),
    ]
}

fn sizes() -> Vec<Frame> {
    let segment = |data: usize| tcp(CLIENT, SERVER, (49_152, 443), ACK, &vec![0x55; data]);
    let segment6 = |data: usize| tcp(CLIENT6, SERVER6, (49_152, 443), ACK, &vec![0x55; data]);
    vec![
        pass("web", "1,500", segment(1460)),
        dropped(Oversize, "1,501", segment(1461)),
        pass("web", "1,500 and a trailer: the IP length counts", trailed(segment(1460), &[0; 50])),
        pass("web", "IPv6, 1,500", segment6(1440)),
        dropped(Oversize, "IPv6, 1,501", segment6(1441)),
        pass("link", "LLDP, 1,500", ether(0x88cc, &[0; 1500])),
        dropped(Oversize, "LLDP, 1,501", ether(0x88cc, &[0; 1501])),
        dropped(Oversize, "a merged segment of 9,000: an offload that is still on", segment(8960)),
        dropped(
            Oversize,
            "a fragment of 1,501: size goes before fragments",
            ipv4_with(CLIENT, SERVER, 17, 0x2000, &[], &[0; 1481]),
        ),
    ]
}

fn counted() -> Vec<Frame> {
    vec![
        pass("web", "1,501", tcp(CLIENT, SERVER, (49_152, 443), ACK, &[0; 1461])),
        pass("datagrams", "9,000", udp(CLIENT, SERVER, (49_152, 443), &[0; 8972])),
        dropped(Malformed, "over the mtu, and then no UDP", padded(ipv4(CLIENT, SERVER, 17, &[0; 1600]))),
    ]
}
