//! Step 7.

use crate::oracle::plain::{addresses, allow, deny, entry, ethertypes, interface, ruleset};
use crate::{Reason, check, dropped, oracle, zeros};
use perimeter::ruleset::{
    Action, Family, Icmp, Interface, Rule, Ruleset, Service, TcpState, VlanRange, ether,
};
use perimeter_classifier::verdict::Decision;

const NO_RULE: Decision = dropped(Reason::NoRule);
const FIRST: Decision = Decision::Pass(0);
const SECOND: Decision = Decision::Pass(1);

const ANY: Service = Service {
    family: None,
    protocol: None,
    destination_ports: None,
    source_ports: None,
    icmp: None,
    tcp: None,
};

/// UDP from 192.0.2.1 to 203.0.113.10 with these ports.
fn udp(source: u16, destination: u16) -> String {
    format!("0800 4500 001c 0000 0000 4011 0000 c0000201 cb00710a {source:04x}{destination:04x} 0008 0000")
}

/// TCP with these flags to port 443.
fn tcp(flags: &str) -> String {
    let header = format!("c00001bb 00000000 00000000 50{flags} 0000 0000 0000");
    format!("0800 4500 0028 0000 0000 4006 0000 c0000201 cb00710a {header}")
}

fn icmp(kind: u8, code: u8) -> String {
    format!("0800 4500 001c 0000 0000 4001 0000 c0000201 cb00710a {kind:02x}{code:02x} 0000 00000000")
}

fn alone(rule: Rule) -> Ruleset {
    ruleset(interface(), vec![rule])
}

#[test]
fn nothing_matches_an_empty_list() {
    check(&ruleset(interface(), Vec::new()), &[("IP", udp(1, 2), NO_RULE), ("LLDP", "88cc".into(), NO_RULE)]);
}

#[test]
fn the_first_match_is_credited_deny_before_allow() {
    let some = Service { protocol: Some(17), ..ANY };
    let rules = vec![
        deny("d0", &[Service { protocol: Some(6), ..ANY }]),
        deny("d1", &[Service { destination_ports: Some((53, 53)), ..some }]),
        deny("d2", &[Service { destination_ports: Some((50, 60)), ..some }]),
        allow("a3", &[Service { destination_ports: Some((100, 200)), ..some }]),
        allow("a4", &[some]),
        allow("a5", &[ANY]),
    ];
    check(
        &ruleset(interface(), rules),
        &[
            ("first deny", udp(9, 53), Decision::Denied(1)),
            ("second deny", udp(9, 54), Decision::Denied(2)),
            ("first allow", udp(9, 150), Decision::Pass(3)),
            ("second allow", udp(9, 61), Decision::Pass(4)),
            ("third allow", icmp(8, 0), Decision::Pass(5)),
            ("deny of TCP", tcp("02"), Decision::Denied(0)),
            ("rules of IP packets only", "88cc".into(), NO_RULE),
        ],
    );
}

#[test]
fn ports() {
    let range = Service { protocol: Some(17), destination_ports: Some((1000, 2000)), ..ANY };
    check(
        &alone(allow("r", &[range])),
        &[
            ("below", udp(1500, 999), NO_RULE),
            ("first", udp(0, 1000), FIRST),
            ("last", udp(65_535, 2000), FIRST),
            ("above", udp(1500, 2001), NO_RULE),
            ("another protocol", tcp("02"), NO_RULE),
        ],
    );
    let both = Service { source_ports: Some((0, 0)), ..range };
    check(
        &alone(allow("r", &[both, Service { destination_ports: Some((7, 7)), ..range }])),
        &[
            ("both hold", udp(0, 1000), FIRST),
            ("source does not", udp(1, 1000), NO_RULE),
            ("the other alternative", udp(1, 7), FIRST),
        ],
    );
}

#[test]
fn tcp_states() {
    let state = |tcp| alone(allow("r", &[Service { protocol: Some(6), tcp: Some(tcp), ..ANY }]));
    let cases = [
        ("02", true, false),
        ("12", false, true),
        ("10", false, true),
        ("04", false, true),
        ("c2", true, false),
    ];
    for (flags, new, established) in cases {
        let expected = |it_is| if it_is { FIRST } else { NO_RULE };
        check(&state(TcpState::New), &[("new", tcp(flags), expected(new))]);
        check(&state(TcpState::Established), &[("established", tcp(flags), expected(established))]);
    }
}

#[test]
fn icmp_types_and_codes() {
    let v4 = Service { family: Some(Family::V4), protocol: Some(1), ..ANY };
    let asked = |icmp| alone(allow("r", &[Service { icmp, ..v4 }]));
    check(&asked(None), &[("every type", icmp(200, 9), FIRST)]);
    check(
        &asked(Some(Icmp { kind: 3, code: None })),
        &[("every code", icmp(3, 4), FIRST), ("another type", icmp(4, 4), NO_RULE)],
    );
    check(
        &asked(Some(Icmp { kind: 3, code: Some(4) })),
        &[("the code", icmp(3, 4), FIRST), ("another code", icmp(3, 3), NO_RULE)],
    );
    let in_ipv6 = "86dd 60000000 0008 0140 20010db8000000000000000000000001 20010db8000000000000000000000002";
    check(&asked(None), &[("ICMP in IPv6", format!("{in_ipv6} 0304 0000 00000000"), NO_RULE)]);
    check(
        &alone(allow("r", &[Service { protocol: Some(1), ..ANY }])),
        &[("ip/1 matches either family", format!("{in_ipv6} 0304 0000 00000000"), FIRST)],
    );
}

#[test]
fn addresses_of_both_ends() {
    let from = |prefixes: &[&str]| Rule { from: addresses(prefixes), ..allow("r", &[ANY]) };
    let to = |prefixes: &[&str]| Rule { to: addresses(prefixes), ..allow("r", &[ANY]) };
    check(&alone(from(&["192.0.2.1/32"])), &[("from", udp(1, 2), FIRST)]);
    check(&alone(from(&["192.0.2.0/32", "192.0.2.2/31"])), &[("not from", udp(1, 2), NO_RULE)]);
    check(&alone(from(&["::/0"])), &[("the other family", udp(1, 2), NO_RULE)]);
    check(&alone(to(&["203.0.113.0/28"])), &[("to", udp(1, 2), FIRST)]);
    check(&alone(to(&["203.0.113.11/32"])), &[("not to", udp(1, 2), NO_RULE)]);
}

#[test]
fn vlans_of_a_rule() {
    let interface = Interface {
        vlans: vec![
            entry(VlanRange::Untagged),
            entry(VlanRange::Single { low: 10, high: 30 }),
            entry(VlanRange::Stacked { outer: 10, inner: 20 }),
        ],
        ..interface()
    };
    let on = |vlans: &[VlanRange]| {
        ruleset(interface.clone(), vec![Rule { vlans: Some(vlans.to_vec()), ..allow("r", &[ANY]) }])
    };
    let tags = |tags: &str| format!("{tags} {}", udp(1, 2));
    check(
        &on(&[VlanRange::Single { low: 10, high: 20 }]),
        &[
            ("in the range", tags("8100 0014"), FIRST),
            ("above the range", tags("8100 0015"), NO_RULE),
            ("untagged", udp(1, 2), NO_RULE),
            ("10 is never 10/x", tags("8100 000a 8100 0014"), NO_RULE),
        ],
    );
    check(
        &on(&[VlanRange::Stacked { outer: 10, inner: 20 }, VlanRange::Untagged]),
        &[
            ("the pair", tags("8100 000a 8100 0014"), FIRST),
            ("its inner", tags("8100 0014"), NO_RULE),
            ("untagged", udp(1, 2), FIRST),
            ("a priority tag", tags("8100 6000"), FIRST),
        ],
    );
}

#[test]
fn interfaces_of_a_rule() {
    let mut two = ruleset(interface(), vec![Rule { interfaces: vec![1], ..allow("r", &[ANY]) }]);
    two.interfaces.push(Interface { name: "lan0".into(), ..interface() });
    let frame = crate::hex(&format!("{} {}", crate::MACS, udp(1, 2)));
    assert_eq!(oracle::judge(&two, 0, &frame), NO_RULE);
    assert_eq!(oracle::judge(&two, 1, &frame), FIRST);
}

#[test]
fn frames_that_are_not_ip() {
    let rules = vec![
        ethertypes("d", Action::Deny, &[0x88cc]),
        ethertypes("a", Action::Allow, &[ether::ARP, 0x88cc, ether::LLC, 0xffff]),
    ];
    let arp = "0806 0001 0800 0604 0001 020000000001 c0000201 000000000000 c0000202";
    check(
        &ruleset(interface(), rules),
        &[
            ("deny", "88cc".into(), Decision::Denied(0)),
            ("ARP", arp.into(), SECOND),
            ("the last EtherType", "ffff".into(), SECOND),
            ("LLC", "0003 e0e003".into(), SECOND),
            ("SNAP", "0008 aaaa03 000000 2000".into(), NO_RULE),
            ("not named", "88f7".into(), NO_RULE),
            ("IP", udp(1, 2), NO_RULE),
            ("EtherType 1 is a length", format!("0001 {}", zeros(46)), dropped(Reason::Malformed)),
        ],
    );
}
