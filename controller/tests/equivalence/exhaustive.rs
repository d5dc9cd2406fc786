//! Small spaces, every value of them: VIDs, EtherTypes, protocols, ports, ICMP types and codes.

use crate::campaign::{Engine, compare};
use crate::oracle::plain::{allow, deny, entry, ethertypes, interface, open_with, ruleset};
use perimeter::ruleset::{Action, Family, Icmp, Interface, Rule, Ruleset, Service, VlanRange, ether};
use perimeter::simulate::Model;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

#[test]
fn model_small_spaces() {
    judge_all::<Model>();
}

/// Judges every frame of every space.
pub(crate) fn judge_all<E: Engine>() {
    for outer_tag in [0x8100, 0x88a8, 0x9100] {
        compare::<E>(&vlan_policy(outer_tag), vlan_frames());
    }
    compare::<E>(&ethertype_policy(), (0..=u16::MAX).map(ethertype_frame));
    compare::<E>(
        &protocol_policy(),
        (0..=u8::MAX).flat_map(|protocol| [v4(protocol, &[0; 40]), v6(protocol, &[0; 40])]),
    );
    for protocol in [6, 17, 132] {
        compare::<E>(&port_policy(protocol), (0..=u16::MAX).flat_map(|port| port_frames(protocol, port)));
    }
    for (family, protocol) in [(Family::V4, 1), (Family::V6, 58)] {
        compare::<E>(&icmp_policy(family, protocol), (0..=u16::MAX).map(|word| icmp_frame(family, word)));
    }
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// An IPv4 packet that asks for hop limit 255.
fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let header =
        [0x45, 0, length[0], length[1], 0, 0, 0, 0, 255, protocol, 0, 0, 192, 0, 2, 1, 203, 0, 113, 10];
    join(&[&MACS, &[8, 0], &header, payload])
}

fn v6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let address = |last| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let header = [0x60, 0, 0, 0, length[0], length[1], protocol, 255];
    join(&[&MACS, &[0x86, 0xdd], &header, &address(1), &address(2), payload])
}

fn vlan_policy(outer_tag: u16) -> Ruleset {
    let single = |low, high| VlanRange::Single { low, high };
    let pair = |outer, inner| VlanRange::Stacked { outer, inner };
    let vlans = [
        VlanRange::Untagged,
        single(1, 1),
        single(20, 29),
        single(1000, 2047),
        single(4094, 4094),
        pair(100, 200),
        pair(4094, 1),
        pair(20, 20),
    ];
    let interface = Interface { outer_tag, vlans: vlans.map(entry).to_vec(), ..interface() };
    let on = |id: &str, action, range| {
        let base = if action == Action::Deny {
            deny(id, &[Service::default()])
        } else {
            allow(id, &[Service::default()])
        };
        Rule { vlans: Some(vec![range]), ..base }
    };
    ruleset(
        interface,
        vec![
            on("deny-some", Action::Deny, single(1500, 1600)),
            on("twenties", Action::Allow, single(20, 24)),
            on("pair", Action::Allow, pair(100, 200)),
            on("untagged", Action::Allow, VlanRange::Untagged),
            on("wide", Action::Allow, single(1, 4094)),
        ],
    )
}

/// Every VID alone under each TPID, and as the outer and the inner of pairs; with every PCP and DEI in turn.
fn vlan_frames() -> impl Iterator<Item = Vec<u8>> {
    let tag = |tpid: u16, tci: u16| [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
    (0..=u16::MAX).flat_map(move |tci| {
        let packet = v4(253, &[]).split_off(12);
        let mut stacks = vec![tag(0x8100, tci)];
        if tci < 4096 {
            stacks.extend([tag(0x88a8, tci), tag(0x9100, tci)]);
            for other in [1, 20, 100, 200, 4094] {
                for outer in [0x8100, 0x88a8] {
                    stacks.push(join(&[&tag(outer, tci), &tag(0x8100, other)]));
                    stacks.push(join(&[&tag(outer, other), &tag(0x8100, tci)]));
                }
            }
        }
        stacks.into_iter().map(move |stack| join(&[&MACS, &stack, &packet]))
    })
}

fn ethertype_policy() -> Ruleset {
    let named = [ether::LLC, ether::SNAP, ether::STP, ether::ARP, 0x0600, 0x0801, 0x88cc, 0x88f7, 0xffff];
    ruleset(
        Interface { mtu: 9000, ..interface() },
        vec![ethertypes("slow", Action::Deny, &[0x8809, 0x88f7]), ethertypes("named", Action::Allow, &named)],
    )
}

/// The EtherType or length before bytes that are an ARP request as well as LLC.
fn ethertype_frame(ethertype: u16) -> Vec<u8> {
    let mut frame = join(&[&MACS, &ethertype.to_be_bytes(), &[0, 1, 8, 0, 6, 4, 0, 1], &[1; 20]]);
    frame.resize(14 + 1500, 0);
    frame
}

fn protocol_policy() -> Ruleset {
    let service = |protocol, family| Service { protocol: Some(protocol), family, ..Service::default() };
    let odd: Vec<Service> = (0..=u8::MAX).step_by(2).map(|even| service(even | 1, None)).collect();
    let v4_only: Vec<Service> =
        (0..=u8::MAX).step_by(3).map(|number| service(number, Some(Family::V4))).collect();
    ruleset(interface(), vec![deny("some", &[service(50, None)]), allow("odd", &odd), allow("v4", &v4_only)])
}

fn port_policy(protocol: u8) -> Ruleset {
    let to = |low, high| Service {
        protocol: Some(protocol),
        destination_ports: Some((low, high)),
        ..Service::default()
    };
    let from = |low, high| Service {
        protocol: Some(protocol),
        source_ports: Some((low, high)),
        ..Service::default()
    };
    let both = Service { source_ports: Some((1024, 65_535)), ..to(8000, 8099) };
    ruleset(
        interface(),
        vec![
            deny("x11", &[to(6000, 6010), from(0, 0)]),
            allow("some", &[to(0, 0), to(22, 22), to(80, 443), to(444, 444)]),
            allow("both", &[both]),
            allow("high", &[to(32_768, 60_999), to(65_535, 65_535)]),
            allow("from", &[from(53, 53), from(123, 130)]),
        ],
    )
}

/// This port as destination, and as source.
fn port_frames(protocol: u8, port: u16) -> [Vec<u8>; 2] {
    let rest: &[u8] = match protocol {
        6 => &[0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0],
        17 => &[0, 8, 0, 0],
        _ => &[0; 8],
    };
    let [high, low] = port.to_be_bytes();
    [v4(protocol, &join(&[&[0xc0, 0, high, low], rest])), v6(protocol, &join(&[&[high, low, 0xc0, 0], rest]))]
}

fn icmp_policy(family: Family, protocol: u8) -> Ruleset {
    let base = Service { family: Some(family), protocol: Some(protocol), ..Service::default() };
    let kind = |kind, code| Service { icmp: Some(Icmp { kind, code }), ..base };
    let mut policy = open_with(|_| ());
    policy.rules = vec![
        deny("some", &[kind(5, None), kind(3, Some(13)), kind(137, None)]),
        allow("errors", &[kind(3, None), kind(1, None), kind(2, Some(0))]),
        allow("echo", &[kind(8, Some(0)), kind(128, Some(0)), kind(0, Some(0)), kind(129, Some(0))]),
        allow("nd", &[kind(133, None), kind(135, None), kind(136, Some(0)), kind(255, Some(255))]),
    ];
    policy
}

/// The word is type and code.
fn icmp_frame(family: Family, word: u16) -> Vec<u8> {
    let mut message = join(&[&word.to_be_bytes(), &[0; 38]]);
    message[8] = 0xfe;
    message[9] = 0x80;
    if family == Family::V4 { v4(1, &message) } else { v6(58, &message) }
}
