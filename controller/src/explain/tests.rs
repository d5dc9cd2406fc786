//! Questions to one small policy. The verdicts are the model's; these tests are about the frames and the reasons.

use perimeter_classifier::verdict::DropReason;

use super::*;
use crate::ruleset::{Service, TcpState, VlanId, ether};

const POLICY: &str = r#"
version: 1
interfaces:
  wan0: { vlans: [untagged, mgmt, 20-29, 100/200], outer_tag: 0x88a8, sources: [192.0.2.0/24, 198.51.100.7, "2001:db8::/32"] }
  lan0: { ip_options: pass, mtu: 68 }
vlans:
  mgmt: { id: 10, sources: [10.0.10.0/24] }
networks:
  staff: { include: [192.0.2.0/24], except: [192.0.2.128/25] }
deny:
  - { id: bad, from: 192.0.2.66 }
allow:
  - { id: ssh-in, interface: wan0, vlan: [untagged, mgmt], from: staff, to: 203.0.113.10, service: ssh, tcp: new }
  - { id: web, to: 203.0.113.0/24, service: [tcp/80, https] }
  - { id: dns-back, service: udp, source_port: 53 }
  - { id: arp, ethertype: arp }
  - { id: base, bundle: [nd, pmtu] }
  - { id: six, vlan: [untagged, 100/200], from: "2001:db8::/32", service: any }
"#;

fn ruleset(text: &str) -> Ruleset {
    let reading = crate::policy::read(
        "p.yaml",
        text.as_bytes(),
        &mut |_| Err(std::io::ErrorKind::NotFound.into()),
        jiff::Timestamp::UNIX_EPOCH,
    );
    let complaints: Vec<String> = reading.diagnostics.iter().map(ToString::to_string).collect();
    reading.ruleset.unwrap_or_else(|| panic!("{}", complaints.join("\n")))
}

fn ip(from: &str, to: &str, content: Content) -> Packet {
    let addresses = Addresses::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    Packet::Ip { addresses, content }
}

fn tcp(destination: u16) -> Content {
    Content::Tcp { source: 49_152, destination, state: TcpState::New }
}

fn ask(interface: usize, vlan: VlanId, packet: Packet) -> (Explanation, Ruleset) {
    let ruleset = ruleset(POLICY);
    let explanation = explain(&ruleset, interface, &Question { vlan, packet }, &mut |_, _| None).unwrap();
    (explanation, ruleset)
}

/// The near rules with what they lack.
fn near(explanation: &Explanation, ruleset: &Ruleset) -> Vec<(String, String)> {
    let lacks = |nearness: &Nearness| {
        let lacks = nearness
            .conditions
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.key, one.lacks.as_ref()?)));
        lacks.collect::<Vec<_>>().join("; ")
    };
    explanation.near.iter().map(|one| (ruleset.rules[one.rule].id.clone(), lacks(one))).collect()
}

fn step(interface: usize, vlan: VlanId, packet: Packet) -> (DropReason, String) {
    let (explanation, _) = ask(interface, vlan, packet);
    (explanation.decision.reason().unwrap(), explanation.step.unwrap())
}

#[test]
fn near_rules_say_what_they_lack() {
    let (explanation, ruleset) = ask(0, VlanId::Untagged, ip("192.0.2.200", "203.0.113.10", tcp(22)));
    assert_eq!(explanation.decision, Decision::Drop(DropReason::NoRule));
    let expected = [
        ("bad", "from: 192.0.2.200 is not in 192.0.2.66"),
        ("ssh-in", "from: 192.0.2.200 is not in staff"),
        ("web", "service: tcp/22 is not tcp/80, https"),
        ("base", "bundle: tcp/22 is not nd, pmtu"),
        ("six", "from: 192.0.2.200 is not in 2001:db8::/32"),
    ];
    assert_eq!(near(&explanation, &ruleset), expected.map(|(id, lacks)| (id.to_owned(), lacks.to_owned())));
    assert_eq!(explanation.rules, 7);
}

#[test]
fn source_ports_and_states_are_conditions_of_their_own() {
    let established = Content::Tcp { source: 1, destination: 22, state: TcpState::Established };
    let (explanation, ruleset) = ask(0, VlanId::Untagged, ip("192.0.2.1", "203.0.113.10", established));
    assert!(
        near(&explanation, &ruleset).contains(&("ssh-in".into(), "tcp: the segment is established".into()))
    );
    let (explanation, ruleset) = ask(
        0,
        VlanId::Untagged,
        ip("192.0.2.1", "203.0.113.10", Content::Udp { source: 54, destination: 9 }),
    );
    assert!(near(&explanation, &ruleset).contains(&("dns-back".into(), "source_port: 54 is not 53".into())));
}

#[test]
fn a_deciding_rule_is_shown_with_its_conditions() {
    let (explanation, ruleset) = ask(0, VlanId::Untagged, ip("192.0.2.1", "203.0.113.10", tcp(443)));
    let decider = explanation.decider.as_ref().unwrap();
    assert_eq!((ruleset.rules[decider.rule].id.as_str(), decider.lacking()), ("web", 0));
    // The deny rule that would have come first, and no allow rule that lacks something.
    assert_eq!(
        near(&explanation, &ruleset),
        [("bad".to_owned(), "from: 192.0.2.1 is not in 192.0.2.66".to_owned())]
    );

    let (explanation, ruleset) = ask(0, VlanId::Untagged, ip("192.0.2.66", "203.0.113.10", tcp(22)));
    assert_eq!(explanation.decision, Decision::Denied(0));
    assert_eq!(near(&explanation, &ruleset), [("ssh-in".to_owned(), String::new())]);
}

#[test]
fn steps_before_the_rules_say_what_they_ask_for() {
    let packet = ip("192.0.2.1", "203.0.113.10", tcp(22));
    let (reason, text) = step(0, VlanId::Single(30), packet);
    assert_eq!(reason, DropReason::VlanNotAllowed);
    assert_eq!(text, "30 is not among the vlans of wan0: untagged, mgmt, 20-29, 100/200");
    let (reason, text) = step(0, VlanId::Single(10), packet);
    assert_eq!(reason, DropReason::VlanSourceMismatch);
    assert_eq!(text, "192.0.2.1 is not among the sources of vlan mgmt (10): 10.0.10.0/24");
    let (_, text) = step(0, VlanId::Untagged, ip("10.0.10.1", "203.0.113.10", tcp(22)));
    assert_eq!(text, "10.0.10.1 is not among the sources of wan0: 192.0.2.0/24, 198.51.100.7, 2001:db8::/32");
    let (_, text) = step(
        0,
        VlanId::Single(10),
        Packet::Arp { sender: [10, 0, 11, 1].into(), target: [10, 0, 10, 2].into() },
    );
    assert_eq!(text, "10.0.11.1 is not among the sources of vlan mgmt (10): 10.0.10.0/24");
}

#[test]
fn martians_are_told_by_the_address_that_is_to_blame() {
    let cases = [
        ("127.0.0.1", "203.0.113.10", "127.0.0.1 cannot be the source of a packet on a wire"),
        ("192.0.2.1", "127.0.0.1", "127.0.0.1 cannot be the destination of a packet on a wire"),
        ("::1", "2001:db8::1", "::1 cannot be the source of a packet on a wire"),
        (
            "2001:db8::1",
            "::ffff:192.0.2.1",
            "::ffff:192.0.2.1 cannot be the destination of a packet on a wire",
        ),
    ];
    for (from, to, expected) in cases {
        let (reason, text) = step(0, VlanId::Untagged, ip(from, to, tcp(22)));
        assert_eq!((reason, text.as_str()), (DropReason::Martian, expected));
    }
    let (_, text) = step(
        0,
        VlanId::Untagged,
        Packet::Arp { sender: [127, 0, 0, 1].into(), target: [10, 0, 0, 1].into() },
    );
    assert_eq!(text, "127.0.0.1 cannot be the sender of an ARP message on a wire");
}

#[test]
fn other_steps_are_told_in_general() {
    let code = Content::Icmp { kind: 135, code: 3 };
    let (reason, text) = step(0, VlanId::Untagged, ip("2001:db8::1", "2001:db8::2", code));
    assert_eq!(
        (reason, text.as_str()),
        (DropReason::Malformed, "a field has a value that its protocol forbids")
    );
    let (reason, text) =
        step(1, VlanId::Untagged, ip("2001:db8::1", "2001:db8::2", Content::Icmp { kind: 137, code: 0 }));
    assert_eq!(
        (reason, text.as_str()),
        (DropReason::Oversize, "the packet is larger than the mtu of 68 bytes")
    );
}

/// Whatever the words, the frame passes every step before the rules of an interface that asks for nothing.
#[test]
fn frames_are_plain() {
    let ruleset = ruleset(
        "version: 1\ninterfaces: { wan0: { vlans: [untagged, 1-4094, 100/200], outer_tag: 0x9100 } }\n\
         allow: [{ id: ip }, { id: other, ethertype: [arp, lldp, stp, snap, llc, 0x88f7] }]",
    );
    let mut contents: Vec<Content> = (0..=255).map(Content::Protocol).collect();
    contents
        .retain(|content| !matches!(content, Content::Protocol(0 | 1 | 6 | 17 | 43 | 44 | 58 | 60 | 132)));
    contents.extend((0..=255).map(|kind| Content::Icmp { kind, code: 0 }));
    contents.extend([tcp(0), Content::Tcp { source: 0, destination: 65_535, state: TcpState::Established }]);
    contents
        .extend([Content::Udp { source: 1, destination: 2 }, Content::Sctp { source: 1, destination: 2 }]);
    let mut packets: Vec<Packet> = Vec::new();
    for content in contents {
        packets.push(ip("192.0.2.1", "198.51.100.1", content));
        packets.push(ip("2001:db8::1", "2001:db8::2", content));
    }
    packets.extend([ether::STP, ether::SNAP, ether::LLC, 0x88cc, 0x88f7].map(Packet::Other));
    packets.push(Packet::Arp { sender: [0; 4].into(), target: [192, 0, 2, 1].into() });
    let model = Model::new(&ruleset, 0).unwrap();
    for vlan in [VlanId::Untagged, VlanId::Single(4094), VlanId::Stacked { outer: 100, inner: 200 }] {
        for &packet in &packets {
            let question = Question { vlan, packet };
            let decision = model.judge(&frame::build(&question, 0x9100));
            let decider = decision.rule().and_then(|rule| near::of(&ruleset, rule as usize, &question));
            assert_eq!(decider.map(|decider| decider.lacking()), Some(0), "{question:?}: {decision:?}");
            assert_eq!(decision.reason(), None, "{question:?}");
        }
    }
}

/// A rule that lacks nothing matches, and one that lacks something does not: reasons and verdicts agree.
#[test]
fn conditions_agree_with_the_verdict() {
    let ruleset = ruleset(POLICY);
    let model = Model::new(&ruleset, 0).unwrap();
    let v4 = ["192.0.2.1", "192.0.2.66", "192.0.2.200", "198.51.100.7"].map(|from| (from, "203.0.113.10"));
    let ends = v4.into_iter().chain([("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")]);
    let icmp = [(8, 0), (3, 4), (1, 0), (135, 0)].map(|(kind, code)| Content::Icmp { kind, code });
    let contents =
        [tcp(22), tcp(80), tcp(81), Content::Udp { source: 53, destination: 9 }, Content::Protocol(50)];
    for ends in ends {
        for content in contents.into_iter().chain(icmp) {
            for vlan in [VlanId::Untagged, VlanId::Single(20), VlanId::Stacked { outer: 100, inner: 200 }] {
                let question = Question { vlan, packet: ip(ends.0, ends.1, content) };
                let decision = model.judge(&frame::build(&question, 0x88a8));
                let matching = (0..ruleset.rules.len() as u32).find(|rule| {
                    near::of(&ruleset, *rule as usize, &question)
                        .is_some_and(|nearness| nearness.lacking() == 0)
                });
                assert_eq!(decision.rule(), matching, "{question:?}: {decision:?}");
            }
        }
    }
}

#[test]
fn words_that_are_more_than_one_packet_are_refused() {
    let v4 = Addresses::new("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()).unwrap();
    let v6 = Addresses::new("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()).unwrap();
    let protocol = |number| Service { protocol: Some(number), ..Service::default() };
    let port = Service { destination_ports: Some((22, 22)), ..protocol(6) };
    let refused = |addresses, service: &Service, source, state| {
        Packet::new(addresses, service, source, state).unwrap_err().to_string()
    };
    let vague = "that service is more than one packet: ";
    assert_eq!(
        refused(v4, &Service::default(), None, None),
        format!("{vague}name a protocol, such as tcp/443")
    );
    assert_eq!(refused(v4, &protocol(17), None, None), format!("{vague}name one port, such as tcp/443"));
    assert_eq!(
        refused(v4, &protocol(1), None, None),
        format!("{vague}name a type, such as icmp/echo-request")
    );
    assert_eq!(
        refused(v6, &protocol(44), None, None),
        "protocol 44 is an extension header in IPv6, not what a packet carries"
    );
    assert_eq!(refused(v4, &protocol(50), Some(1), None), "a source port is for tcp, udp and sctp");
    assert_eq!(refused(v4, &protocol(50), None, Some(TcpState::New)), "new and established are for tcp");
    let six = Service { family: Some(crate::ruleset::Family::V6), ..protocol(58) };
    assert_eq!(
        refused(v4, &six, None, None),
        "every packet of that service is of the other family than 192.0.2.1"
    );
    assert_eq!(
        Addresses::new(v4.from(), v6.to()).unwrap_err().to_string(),
        "192.0.2.1 and 2001:db8::2 are of different families: a packet has one"
    );
    let established = Content::Tcp { source: 7, destination: 22, state: TcpState::Established };
    assert_eq!(
        Packet::new(v4, &port, Some(7), Some(TcpState::Established)),
        Ok(Packet::Ip { addresses: v4, content: established })
    );
}
