//! Step 3.

use crate::oracle::plain::{addresses, entry, open, open_with};
use crate::{Case, IP, OTHER, Reason, check, dropped};
use perimeter::ruleset::{Ruleset, Vlan, VlanId, VlanRange};
use perimeter_classifier::verdict::Decision;
use std::net::{Ipv4Addr, Ipv6Addr};

const MARTIAN: Decision = dropped(Reason::Martian);
const MISMATCH: Decision = dropped(Reason::VlanSourceMismatch);

/// An IPv4 packet without payload, protocol 253.
fn v4(source: &str, destination: &str) -> String {
    let bits = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
    format!("0800 4500 0014 0000 0000 40fd 0000 {:08x} {:08x}", bits(source), bits(destination))
}

/// An IPv6 packet of this protocol with 8 bytes of payload: an echo request where it is ICMPv6.
fn v6(protocol: u8, source: &str, destination: &str) -> String {
    let bits = |text: &str| text.parse::<Ipv6Addr>().unwrap().to_bits();
    let (source, destination) = (bits(source), bits(destination));
    format!("86dd 60000000 0008 {protocol:02x} 40 {source:032x} {destination:032x} 8000000000000000")
}

fn arp(sender: &str) -> String {
    let sender = sender.parse::<Ipv4Addr>().unwrap().to_bits();
    format!("0806 0001 0800 0604 0001 020000000001 {sender:08x} 000000000000 7f000001")
}

#[test]
fn martian_ipv4_sources() {
    let cases = [
        ("0.0.0.0", MARTIAN),
        ("0.255.255.255", MARTIAN),
        ("1.0.0.0", IP),
        ("126.255.255.255", IP),
        ("127.0.0.0", MARTIAN),
        ("127.255.255.255", MARTIAN),
        ("128.0.0.0", IP),
        ("10.0.0.1", IP),
        ("169.254.0.1", IP),
        ("223.255.255.255", IP),
        ("224.0.0.0", MARTIAN),
        ("239.1.2.3", MARTIAN),
        ("240.0.0.0", MARTIAN),
        ("255.255.255.255", MARTIAN),
    ];
    let cases = cases.map(|(source, expected)| (source, v4(source, "203.0.113.10"), expected));
    check(&open(), &cases);
}

#[test]
fn the_unspecified_ipv4_source() {
    let cases: [Case<'_>; 8] = [
        ("to all", v4("0.0.0.0", "255.255.255.255"), IP),
        ("to the first group", v4("0.0.0.0", "224.0.0.0"), IP),
        ("to the last group", v4("0.0.0.0", "239.255.255.255"), IP),
        ("to just below the groups", v4("0.0.0.0", "223.255.255.255"), MARTIAN),
        ("to reserved", v4("0.0.0.0", "240.0.0.0"), MARTIAN),
        ("to reserved below broadcast", v4("0.0.0.0", "255.255.255.254"), MARTIAN),
        ("its neighbour to all", v4("0.0.0.1", "255.255.255.255"), MARTIAN),
        ("loopback to a group", v4("127.0.0.1", "224.0.0.1"), MARTIAN),
    ];
    check(&open(), &cases);
}

#[test]
fn martian_ipv4_destinations() {
    let cases = [
        ("0.0.0.0", MARTIAN),
        ("0.255.255.255", MARTIAN),
        ("1.0.0.0", IP),
        ("126.255.255.255", IP),
        ("127.0.0.1", MARTIAN),
        ("128.0.0.0", IP),
        ("224.0.0.1", IP),
        ("239.255.255.255", IP),
        ("240.0.0.0", MARTIAN),
        ("255.255.255.254", MARTIAN),
        ("255.255.255.255", IP),
    ];
    check(
        &open(),
        &cases.map(|(destination, expected)| (destination, v4("192.0.2.1", destination), expected)),
    );
}

#[test]
fn martian_ipv6_addresses() {
    let sources = [
        ("::", MARTIAN),
        ("::1", MARTIAN),
        ("::ffff:ffff", MARTIAN),
        ("::1:0:0", IP),
        ("::fffe:ffff:ffff", IP),
        ("::ffff:0:0", MARTIAN),
        ("::ffff:ffff:ffff", MARTIAN),
        ("::1:0:0:0", IP),
        ("64:ff9b::1", IP),
        ("fe80::1", IP),
        ("fd00::1", IP),
        ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP),
        ("ff00::", MARTIAN),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", MARTIAN),
    ];
    check(&open(), &sources.map(|(source, expected)| (source, v6(253, source, "2001:db8::2"), expected)));
    let destinations = [
        ("::", MARTIAN),
        ("::1", MARTIAN),
        ("::1:0:0", IP),
        ("::ffff:192.0.2.1", MARTIAN),
        ("ff00::", IP),
        ("ff02::1", IP),
        ("fe80::1", IP),
    ];
    check(&open(), &destinations.map(|(to, expected)| (to, v6(253, "2001:db8::1", to), expected)));
    check(
        &open(),
        &[
            (":: to a group", v6(253, "::", "ff02::1"), IP),
            (":: to the first group", v6(253, "::", "ff00::"), IP),
            (":: to just below", v6(253, "::", "feff::1"), MARTIAN),
            ("::1 to a group", v6(253, "::1", "ff02::1"), MARTIAN),
            ("a group to a group", v6(253, "ff02::1", "ff02::1"), MARTIAN),
        ],
    );
}

#[test]
fn martian_arp_senders() {
    let senders = [
        ("0.0.0.0", OTHER),
        ("0.0.0.1", MARTIAN),
        ("127.0.0.1", MARTIAN),
        ("192.0.2.1", OTHER),
        ("223.255.255.255", OTHER),
        ("224.0.0.1", MARTIAN),
        ("255.255.255.255", MARTIAN),
    ];
    check(&open(), &senders.map(|(sender, expected)| (sender, arp(sender), expected)));
}

/// The interface lets 192.0.2.0/24 and 2001:db8::/32 speak; VLAN 10 lets 10.0.10.0/24 alone; VLAN 11 has a name only.
fn with_sources() -> Ruleset {
    let mut ruleset = open_with(|interface| {
        interface.sources = Some(addresses(&["192.0.2.0/24", "2001:db8::/32"]));
        interface.vlans = vec![entry(VlanRange::Untagged), entry(VlanRange::Single { low: 10, high: 12 })];
    });
    let vlan =
        |name: &str, id, sources| Vlan { name: name.into(), id: VlanId::Single(id), sources, mtu: None };
    ruleset.vlans = vec![vlan("mgmt", 10, Some(addresses(&["10.0.10.0/24"]))), vlan("lab", 11, None)];
    ruleset
}

#[test]
fn sources_of_the_interface() {
    check(
        &with_sources(),
        &[
            ("first", v4("192.0.2.0", "203.0.113.10"), IP),
            ("last", v4("192.0.2.255", "203.0.113.10"), IP),
            ("before", v4("192.0.1.255", "203.0.113.10"), MISMATCH),
            ("after", v4("192.0.3.0", "203.0.113.10"), MISMATCH),
            ("0.0.0.0 to all", v4("0.0.0.0", "255.255.255.255"), IP),
            ("0.0.0.0 to a host is martian", v4("0.0.0.0", "203.0.113.10"), MARTIAN),
            ("IPv6", v6(253, "2001:db8::1", "2001:db8::2"), IP),
            ("IPv6 outside", v6(253, "2001:db9::1", "2001:db8::2"), MISMATCH),
            (":: to a group", v6(253, "::", "ff02::1"), IP),
            ("link-local ICMPv6", v6(58, "fe80::1", "2001:db8::2"), IP),
            ("the last of fe80::/10", v6(58, "febf::1", "ff02::1"), IP),
            ("beyond fe80::/10", v6(58, "fec0::1", "ff02::1"), MISMATCH),
            ("link-local UDP", v6(253, "fe80::1", "ff02::1"), MISMATCH),
            ("ARP", arp("192.0.2.9"), OTHER),
            ("ARP outside", arp("192.0.3.9"), MISMATCH),
            ("ARP probe", arp("0.0.0.0"), OTHER),
            ("martian goes before", arp("127.0.0.1"), MARTIAN),
            ("what is neither IP nor ARP has no source", "88cc".into(), OTHER),
            (
                "a priority tag is untagged",
                format!("8100 0000 {}", v4("192.0.3.0", "203.0.113.10")),
                MISMATCH,
            ),
        ],
    );
}

#[test]
fn sources_of_the_vlan_go_before() {
    let tagged = |vid: u16, rest: String| format!("8100 {vid:04x} {rest}");
    check(
        &with_sources(),
        &[
            ("its own", tagged(10, v4("10.0.10.7", "203.0.113.10")), IP),
            ("the interface's", tagged(10, v4("192.0.2.1", "203.0.113.10")), MISMATCH),
            ("a family without sources", tagged(10, v6(253, "2001:db8::1", "2001:db8::2")), MISMATCH),
            ("link-local ICMPv6 there", tagged(10, v6(58, "fe80::1", "ff02::1")), IP),
            ("ARP there", tagged(10, arp("192.0.2.1")), MISMATCH),
            ("named without sources: the interface's", tagged(11, v4("192.0.2.1", "203.0.113.10")), IP),
            ("named without sources", tagged(11, v4("10.0.10.7", "203.0.113.10")), MISMATCH),
            ("no name: the interface's", tagged(12, v4("192.0.2.1", "203.0.113.10")), IP),
            ("no name", tagged(12, v4("10.0.10.7", "203.0.113.10")), MISMATCH),
        ],
    );
}
