//! What accepted policies mean: the words of the contract against the ruleset that the reader makes of them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use perimeter::policy;
use perimeter::ruleset::{
    Action, AddressSet, Family, Fragments, Icmp, Interface, IpOptions, Mode, Oversize, Rule, Ruleset,
    Service, TcpState, VlanId, VlanRange, ether,
};

use super::corpus;

/// The ruleset of sections that stand under `version: 1`; `list.txt` holds two prefixes.
fn ruleset(sections: &str) -> Ruleset {
    let mut files =
        |_: &str| -> io::Result<Vec<u8>> { Ok(b"198.51.100.0/24 # one\n\n2001:db8::/32\n".to_vec()) };
    let text = format!("version: 1\n{sections}");
    let reading = policy::read("meaning.yaml", text.as_bytes(), &mut files, corpus::day());
    reading.ruleset.unwrap_or_else(|| panic!("refused: {}", reading.diagnostics[0]))
}

/// The one rule with these keys, on an interface that allows every VLAN.
fn rule(keys: &str) -> Rule {
    let sections =
        format!("interfaces: {{ wan0: {{ vlans: [untagged, 1-4094] }} }}\nallow: [{{ id: a, {keys} }}]\n");
    ruleset(&sections).rules.remove(0)
}

fn services(keys: &str) -> Vec<Service> {
    rule(keys).services
}

fn v4(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().expect("a literal").into()
}

fn v6(text: &str) -> u128 {
    text.parse::<Ipv6Addr>().expect("a literal").into()
}

fn protocol(number: u8) -> Service {
    Service { protocol: Some(number), ..Service::default() }
}

fn ports(number: u8, low: u16, high: u16) -> Service {
    Service { destination_ports: Some((low, high)), ..protocol(number) }
}

fn icmp(family: Family, kind: u8, code: Option<u8>) -> Service {
    let number = if family == Family::V4 { 1 } else { 58 };
    Service { family: Some(family), icmp: Some(Icmp { kind, code }), ..protocol(number) }
}

#[test]
fn an_interface_without_a_value_takes_every_default() {
    let Interface { mode, enforce, mtu, oversize, fragments, ip_options, outer_tag, vlans, sources, .. } =
        ruleset("interfaces:\n  wan0:\n").interfaces.remove(0);
    assert_eq!((mode, enforce, mtu, oversize), (Mode::Auto, true, 1500, Oversize::Drop));
    assert_eq!((fragments, ip_options, outer_tag), (Fragments::Drop, IpOptions::Drop, 0x8100));
    assert_eq!((vlans.len(), vlans[0].range, sources), (1, VlanRange::Untagged, None));
}

#[test]
fn vlan_entries_keep_their_order_and_the_words_they_were_written_in() {
    let read = ruleset(
        "interfaces: { wan0: { vlans: [20-29, mgmt, 100/200, untagged], outer_tag: 0x88a8 } }\n\
         vlans: { mgmt: { id: 10, mtu: 9000, sources: [10.0.10.0/24] }, carrier: { id: 100/200 } }\n",
    );
    let entries: Vec<(&str, VlanRange)> =
        read.interfaces[0].vlans.iter().map(|entry| (entry.label.as_str(), entry.range)).collect();
    let expected = [
        ("20-29", VlanRange::Single { low: 20, high: 29 }),
        ("mgmt", VlanRange::Single { low: 10, high: 10 }),
        ("100/200", VlanRange::Stacked { outer: 100, inner: 200 }),
        ("untagged", VlanRange::Untagged),
    ];
    assert_eq!((entries.as_slice(), read.interfaces[0].outer_tag), (&expected[..], 0x88a8));
    assert_eq!((read.vlans[0].id, read.vlans[0].mtu), (VlanId::Single(10), Some(9000)));
    assert_eq!(read.vlans[1].id, VlanId::Stacked { outer: 100, inner: 200 });
}

#[test]
fn networks_are_what_is_included_and_listed_less_what_is_excepted() {
    let read = ruleset(
        "interfaces: { wan0: }\n\
         networks:\n\
         \x20 office: [192.0.2.0/24, 10.0.0.1]\n\
         \x20 staff: { include: [office], file: list.txt, except: [192.0.2.128/25, holes] }\n\
         \x20 holes: [198.51.100.255, 2001:db8::/33]\n\
         allow: [{ id: a, from: staff, to: [office, 203.0.113.0/31] }]\n",
    );
    let from = AddressSet::new(
        vec![
            (v4("10.0.0.1"), v4("10.0.0.1")),
            (v4("192.0.2.0"), v4("192.0.2.127")),
            (v4("198.51.100.0"), v4("198.51.100.254")),
        ],
        vec![(v6("2001:db8:8000::"), v6("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"))],
    );
    assert_eq!(read.rules[0].from, from);
    assert!(
        read.rules[0].to.contains_v4(v4("203.0.113.1")) && !read.rules[0].to.contains_v4(v4("203.0.113.2"))
    );
    assert!(read.rules[0].to.v6().is_empty());
}

#[test]
fn omitted_conditions_match_any_ip_packet_and_nothing_else() {
    for keys in ["log: false", "from: any, to: any, service: any, vlan: any"] {
        let Rule { interfaces, vlans, from, to, services, ethertypes, .. } = rule(keys);
        assert_eq!((interfaces, vlans), (vec![0], None));
        assert!(from.is_any() && to.is_any() && ethertypes.is_empty());
        assert_eq!(services, [Service::default()]);
    }
}

#[test]
fn every_word_of_the_service_grammar_means_what_it_says() {
    let (v4, v6) = (Family::V4, Family::V6);
    let cases = [
        ("tcp", protocol(6)),
        ("udp", protocol(17)),
        ("sctp", protocol(132)),
        ("tcp/80", ports(6, 80, 80)),
        ("udp/0-65535", ports(17, 0, 65_535)),
        ("sctp/1-2", ports(132, 1, 2)),
        ("icmp", Service { family: Some(v4), ..protocol(1) }),
        ("icmpv6", Service { family: Some(v6), ..protocol(58) }),
        ("icmp/8", icmp(v4, 8, None)),
        ("icmp/echo-request", icmp(v4, 8, None)),
        ("icmp/destination-unreachable/4", icmp(v4, 3, Some(4))),
        ("icmpv6/packet-too-big/0", icmp(v6, 2, Some(0))),
        ("esp", protocol(50)),
        ("ah", protocol(51)),
        ("gre", protocol(47)),
        ("igmp", protocol(2)),
        ("ip/6", protocol(6)),
        ("ip/255", protocol(255)),
        ("any", Service::default()),
        ("https", ports(6, 443, 443)),
    ];
    for (word, service) in cases {
        assert_eq!(services(&format!("service: {word}")), [service], "{word}");
    }
}

#[test]
fn built_in_names_stand_for_the_transport_in_common_use() {
    let one = [
        ("ssh", ports(6, 22, 22)),
        ("http", ports(6, 80, 80)),
        ("ldaps", ports(6, 636, 636)),
        ("syslog-tls", ports(6, 6514, 6514)),
        ("modbus", ports(6, 502, 502)),
        ("ntp", ports(17, 123, 123)),
        ("snmp", ports(17, 161, 161)),
        ("syslog", ports(17, 514, 514)),
    ];
    for (name, service) in one {
        assert_eq!(services(&format!("service: {name}")), [service], "{name}");
    }
    let mut dns = services("service: dns");
    dns.sort();
    assert_eq!(dns, [ports(6, 53, 53), ports(17, 53, 53)]);
}

#[test]
fn a_definition_takes_the_place_of_a_built_in() {
    let read = ruleset(
        "interfaces: { wan0: }\nservices: { http: [tcp/8080], web: [http, https] }\n\
         allow: [{ id: a, service: web }]\n",
    );
    assert_eq!(read.rules[0].services, [ports(6, 8080, 8080), ports(6, 443, 443)]);
}

#[test]
fn source_ports_and_tcp_states_narrow_every_alternative() {
    let mut found = services("service: [https, tcp/1-2], source_port: [53, 1024-65535], tcp: established");
    found.sort();
    let with = |service: Service, source_ports| Service {
        source_ports: Some(source_ports),
        tcp: Some(TcpState::Established),
        ..service
    };
    let mut expected: Vec<Service> = [ports(6, 443, 443), ports(6, 1, 2)]
        .into_iter()
        .flat_map(|service| [with(service, (53, 53)), with(service, (1024, 65_535))])
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(services("service: tcp, tcp: new")[0].tcp, Some(TcpState::New));
}

#[test]
fn bundles_are_the_lists_of_the_contract() {
    let of =
        |family, kinds: &[u8]| kinds.iter().map(|kind| icmp(family, *kind, None)).collect::<Vec<Service>>();
    let lease = |family, from: u16, to: u16| Service {
        family: Some(family),
        source_ports: Some((from, from)),
        ..ports(17, to, to)
    };
    let cases = [
        ("nd", of(Family::V6, &[133, 135, 136])),
        ("ra", of(Family::V6, &[134])),
        ("pmtu", [of(Family::V4, &[3, 11, 12]), of(Family::V6, &[1, 2, 3, 4])].concat()),
        ("multicast", [vec![protocol(2)], of(Family::V6, &[130, 131, 132, 143])].concat()),
        ("dhcp-client", vec![lease(Family::V4, 67, 68)]),
        ("dhcpv6-client", vec![lease(Family::V6, 547, 546)]),
    ];
    for (bundle, mut expected) in cases {
        let Rule { mut services, ethertypes, .. } = rule(&format!("bundle: {bundle}"));
        services.sort();
        expected.sort();
        assert_eq!((services, ethertypes), (expected, vec![]), "{bundle}");
    }
    let arp = rule("bundle: arp");
    assert_eq!((arp.services, arp.ethertypes), (vec![], vec![ether::ARP]));
    let both = rule("bundle: [arp, ra]");
    assert_eq!((both.services.len(), both.ethertypes), (1, vec![ether::ARP]));
}

#[test]
fn ethertypes_are_keys_and_leave_ip_alone() {
    let Rule { services, ethertypes, .. } =
        rule("ethertype: [0x88F7, lldp, eapol, lacp, arp, stp, snap, llc, 0x0806, 0x600]");
    assert!(services.is_empty());
    let expected = [ether::LLC, ether::SNAP, ether::STP, 0x0600, 0x0806, 0x8809, 0x888e, 0x88cc, 0x88f7];
    assert_eq!(ethertypes, expected);
}

#[test]
fn deny_stands_before_allow_and_both_in_file_order() {
    let read = ruleset(
        "interfaces: { wan0: , lan0: , dmz0: }\n\
         allow: [{ id: a1, interface: [dmz0, wan0] }, { id: a2, vlan: untagged }]\n\
         deny: [{ id: d1, from: 192.0.2.1 }, { id: d2, from: 192.0.2.2 }]\n",
    );
    let order: Vec<(&str, Action)> = read.rules.iter().map(|rule| (rule.id.as_str(), rule.action)).collect();
    let expected = [("d1", Action::Deny), ("d2", Action::Deny), ("a1", Action::Allow), ("a2", Action::Allow)];
    assert_eq!(order, expected);
    assert_eq!((&read.rules[2].interfaces[..], &read.rules[3].interfaces[..]), (&[0, 2][..], &[0, 1, 2][..]));
    assert_eq!(read.rules[3].vlans, Some(vec![VlanRange::Untagged]));
}

#[test]
fn the_last_day_counts_to_its_last_second() {
    let text = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: a, expires: 2026-11-21 }, { id: b }]\n";
    for (at, rules) in [("2026-11-21T23:59:59.999Z", 2), ("2026-11-22T00:00:00Z", 1)] {
        let at = at.parse().expect("a literal");
        let mut files = |_: &str| -> io::Result<Vec<u8>> { Ok(Vec::new()) };
        let reading = policy::read("meaning.yaml", text.as_bytes(), &mut files, at);
        assert_eq!(reading.ruleset.expect("an accepted policy").rules.len(), rules, "{at}");
    }
}

#[test]
fn metadata_is_carried_as_written() {
    let about = rule("owner: no, ticket: 0x10, control: 010, description: 1e3, expires: 2027-06-30").about;
    let words = [about.owner, about.ticket, about.control, about.description, about.expires];
    let words: Vec<&str> = words.iter().map(|word| word.as_deref().expect("a value")).collect();
    assert_eq!(words, ["no", "0x10", "010", "1e3", "2027-06-30"]);
}
