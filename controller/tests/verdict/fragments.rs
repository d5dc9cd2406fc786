//! Step 5, and what step 7 makes of later fragments.

use crate::oracle::plain::{allow, deny, interface, open, open_with, ruleset};
use crate::{IP, Reason, check, dropped, zeros};
use perimeter::ruleset::{Fragments, Icmp, Interface, Ruleset, Service, TcpState};
use perimeter_classifier::verdict::Decision;

const FRAGMENT: Decision = dropped(Reason::Fragment);
const MALFORMED: Decision = dropped(Reason::Malformed);
const TINY: Decision = dropped(Reason::FragmentTiny);
const NO_RULE: Decision = dropped(Reason::NoRule);

const V6_ADDRESSES: &str = "20010db8000000000000000000000001 20010db8000000000000000000000002";
/// 20 bytes: a TCP SYN from 49152 to 443.
const SYN: &str = "c00001bb 00000000 00000000 5002 0000 0000 0000";

fn bytes(text: &str) -> usize {
    text.split_whitespace().collect::<String>().len() / 2
}

/// An IPv4 packet with these fragment fields (MF is 0x2000, offsets in units of 8 bytes).
fn v4(protocol: u8, fields: u16, payload: &str) -> String {
    let length = 20 + bytes(payload);
    format!("0800 4500 {length:04x} 0001 {fields:04x} 40{protocol:02x} 0000 c0000201 cb00710a {payload}")
}

/// An IPv6 packet with a fragment header (offset in units of 8 bytes).
fn v6(protocol: u8, offset: u16, more: bool, payload: &str) -> String {
    let (length, fields) = (8 + bytes(payload), offset * 8 + u16::from(more));
    format!("86dd 60000000 {length:04x} 2c40 {V6_ADDRESSES} {protocol:02x}00 {fields:04x} 00000001 {payload}")
}

fn stateless() -> Interface {
    Interface { fragments: Fragments::Stateless, mtu: 65_535, ..interface() }
}

#[test]
fn under_drop() {
    check(
        &open(),
        &[
            ("first", v4(17, 0x2000, &zeros(8)), FRAGMENT),
            ("middle", v4(17, 0x2002, &zeros(8)), FRAGMENT),
            ("last", v4(17, 0x0002, &zeros(5)), FRAGMENT),
            ("DF is no fragment", v4(253, 0x4000, ""), IP),
            ("IPv6 first", v6(253, 0, true, &zeros(8)), FRAGMENT),
            ("IPv6 last", v6(253, 2, false, &zeros(8)), FRAGMENT),
            ("atomic is none", v6(253, 0, false, &zeros(3)), IP),
            ("tiny ones too", v4(6, 0x2000, &zeros(8)), FRAGMENT),
            ("odd length goes before", v4(17, 0x2000, &zeros(9)), MALFORMED),
        ],
    );
}

#[test]
fn pieces_that_fit_nowhere() {
    let ruleset = open_with(|changed| *changed = stateless());
    check(
        &ruleset,
        &[
            ("more to come and 7 bytes", v4(17, 0x2010, &zeros(7)), MALFORMED),
            ("more to come and none", v4(17, 0x2010, ""), IP),
            ("the last may be odd", v4(17, 0x0010, &zeros(7)), IP),
            ("the offset and the header alone", v4(17, 0x1fff, ""), MALFORMED),
            ("20 + 65,512 + 3", v4(17, 0x1ffd, &zeros(3)), IP),
            ("20 + 65,512 + 4", v4(17, 0x1ffd, &zeros(4)), MALFORMED),
            ("IPv6 65,528 + 7", v6(17, 0x1fff, false, &zeros(7)), IP),
            ("IPv6 65,528 + 8", v6(17, 0x1fff, false, &zeros(8)), MALFORMED),
            ("IPv6 odd", v6(17, 0, true, &zeros(12)), MALFORMED),
        ],
    );
}

#[test]
fn headers_before_the_fragment_header_count() {
    let ruleset = open_with(|changed| {
        *changed = stateless();
        changed.ip_options = perimeter::ruleset::IpOptions::Pass;
    });
    let after_options = |offset: u16, payload: &str| {
        let (length, fields) = (16 + bytes(payload), offset * 8);
        let headers = format!("2c00 0104 00000000 1100 {fields:04x} 00000001");
        format!("86dd 60000000 {length:04x} 3c40 {V6_ADDRESSES} {headers} {payload}")
    };
    let v4_options = "0800 4600 001b 0001 1ffd 40fd 0000 c0000201 cb00710a 01010101 000000";
    check(
        &ruleset,
        &[
            ("IPv6 8 + 65,520 + 7", after_options(0x1ffe, &zeros(7)), IP),
            ("IPv6 8 + 65,520 + 8", after_options(0x1ffe, &zeros(8)), MALFORMED),
            ("IPv4 24 + 65,512 + 3", v4_options.into(), MALFORMED),
            (
                "headers after it are payload",
                v6(60, 0, true, &format!("fd00 0104 00000000 {}", zeros(8))),
                IP,
            ),
        ],
    );
}

#[test]
fn tiny_fragments() {
    let ruleset = open_with(|changed| *changed = stateless());
    check(
        &ruleset,
        &[
            ("TCP 16", v4(6, 0x2000, &SYN[..SYN.len() - 10]), TINY),
            ("TCP 24", v4(6, 0x2000, &format!("{SYN} 00000000")), IP),
            ("UDP 0", v4(17, 0x2000, ""), TINY),
            ("UDP 8", v4(17, 0x2000, "c000 0035 00ff 0000"), IP),
            ("SCTP 8", v4(132, 0x2000, &zeros(8)), TINY),
            ("SCTP 16", v4(132, 0x2000, &zeros(16)), IP),
            ("ICMP 0", v4(1, 0x2000, ""), TINY),
            ("ICMP 8", v4(1, 0x2000, &zeros(8)), IP),
            ("ICMP's number in IPv6", v6(1, 0, true, ""), IP),
            ("ICMPv6 0", v6(58, 0, true, ""), TINY),
            ("ICMPv6 8", v6(58, 0, true, "8000000000000000"), IP),
            ("ICMPv6's number in IPv4", v4(58, 0x2000, ""), IP),
            ("ND lengths are not in the list", v6(58, 0, true, "8700000000000000"), MALFORMED),
            ("TCP at 8", v4(6, 0x0001, &zeros(40)), TINY),
            ("UDP at 8", v4(17, 0x0001, &zeros(40)), IP),
            ("TCP at 16", v4(6, 0x0002, &zeros(40)), IP),
            ("IPv6 UDP at 8", v6(17, 1, false, &zeros(40)), TINY),
            ("IPv6 at 16", v6(6, 2, false, &zeros(40)), IP),
            (
                "behind destination options",
                v6(60, 0, true, "0600 0104 00000000"),
                dropped(Reason::Ipv6Extension),
            ),
            ("a protocol without a header", v4(253, 0x2000, ""), IP),
        ],
    );
}

#[test]
fn first_fragments_are_judged_as_packets() {
    let ruleset = open_with(|changed| *changed = stateless());
    check(
        &ruleset,
        &[
            ("UDP longer than the piece", v4(17, 0x2000, "c000 0035 ffff 0000"), IP),
            ("UDP under 8", v4(17, 0x2000, "c000 0035 0007 0000"), MALFORMED),
            (
                "TCP data offset beyond the piece",
                v4(6, 0x2000, &format!("{SYN} 00000000").replace("5002", "7002")),
                MALFORMED,
            ),
            (
                "TCP without flags",
                v4(6, 0x2000, &format!("{SYN} 00000000").replace("5002", "5000")),
                dropped(Reason::TcpFlags),
            ),
            ("later pieces are not", v4(6, 0x0002, &zeros(40)), IP),
            ("atomic: the whole length counts", v6(17, 0, false, "c000 0035 0009 0000"), MALFORMED),
        ],
    );
}

fn one(rule: perimeter::ruleset::Rule) -> Ruleset {
    ruleset(stateless(), vec![rule, allow("any", &[Service::default()])])
}

#[test]
fn later_fragments_meet_rules() {
    let udp = Service { protocol: Some(17), ..Service::default() };
    let dns = Service { destination_ports: Some((53, 53)), ..udp };
    let every_port = Service { destination_ports: Some((0, 65_535)), ..udp };
    let from_port = Service { source_ports: Some((0, 65_535)), ..udp };
    let new = Service { protocol: Some(6), tcp: Some(TcpState::New), ..Service::default() };
    let echo = Service {
        family: Some(perimeter::ruleset::Family::V4),
        protocol: Some(1),
        icmp: Some(Icmp { kind: 8, code: None }),
        ..Service::default()
    };
    let later = |protocol| v4(protocol, 0x0005, &zeros(16));
    let alone = |service| ruleset(stateless(), vec![allow("r", &[service])]);
    check(&alone(udp), &[("the bare word", later(17), IP), ("another protocol", later(6), NO_RULE)]);
    check(&alone(dns), &[("a port", later(17), NO_RULE)]);
    check(&alone(every_port), &[("a written range is a condition", later(17), NO_RULE)]);
    check(&alone(from_port), &[("a source port is a condition", later(17), NO_RULE)]);
    check(&alone(new), &[("flags", later(6), NO_RULE)]);
    check(&alone(echo), &[("a type", later(1), NO_RULE)]);
    let denied = Decision::Denied(0);
    check(
        &one(deny("r", &[dns])),
        &[("deny by port", later(17), denied), ("not its protocol", later(6), Decision::Pass(1))],
    );
    check(&one(deny("r", &[new])), &[("deny by flags", later(6), denied)]);
    check(&one(deny("r", &[echo])), &[("deny by type", later(1), denied)]);
    check(
        &one(deny("r", &[echo])),
        &[("deny of the other family", v6(1, 5, false, &zeros(16)), Decision::Pass(1))],
    );
    check(&one(allow("r", &[dns, udp])), &[("alternatives one by one", later(17), IP)]);
}
