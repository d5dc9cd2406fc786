//! A universe so small that every frame of it is judged.

use crate::claims::claim;
use crate::generate::{Rng, once_in, pick};
use crate::oracle::plain;
use perimeter::ruleset::{
    Action, AddressSet, Icmp, Rule, Ruleset, Service, TcpState, VlanEntry, VlanRange, ether,
};

const BASE: u32 = 0x0a00_0000;
const SIZE: u32 = 4;

/// Every frame: three VLANs, four sources and destinations, five things above them, ARP from every sender.
fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for tag in [&[][..], &[0x81, 0, 0, 1], &[0x81, 0, 0, 2]] {
        let head = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], tag].concat();
        for source in BASE..BASE + SIZE {
            let arp =
                [&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1][..], &source.to_be_bytes(), &[0; 10]];
            frames.push([&head[..], &arp.concat()].concat());
            for to in BASE..BASE + SIZE {
                for (protocol, payload) in payloads() {
                    for (flags, data) in [(0u8, &payload[..]), (0x20, &payload), (0, &[0; 60])] {
                        let length = 20 + data.len() as u8;
                        let later = u8::from(data.len() == 60) * 3;
                        let ip = [0x45, 0, 0, length, 0, 0, flags, later, 64, protocol, 0, 0];
                        let ends = [source.to_be_bytes(), to.to_be_bytes()].concat();
                        frames.push([&head[..], &[8, 0], &ip, &ends, data].concat());
                    }
                }
            }
        }
    }
    frames
}

fn payloads() -> Vec<(u8, Vec<u8>)> {
    let mut found = vec![(50, vec![0; 8])];
    for port in 0..3u8 {
        for flags in [2, 16] {
            let tcp = [0, 9, 0, port, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            found.push((6, tcp.to_vec()));
        }
        found.push((17, vec![0, 9, 0, port, 0, 8, 0, 0]));
        found.push((1, vec![port, 0, 0, 0, 0, 0, 0, 0]));
    }
    found
}

fn side(rng: &mut Rng) -> AddressSet {
    if once_in(rng, 4) {
        return AddressSet::any();
    }
    let low = rng.u32(0..SIZE);
    AddressSet::new(vec![(BASE + low, BASE + rng.u32(low..SIZE))], Vec::new())
}

fn service(rng: &mut Rng) -> Service {
    let low = rng.u16(0..3);
    let ports = (!once_in(rng, 3)).then(|| (low, rng.u16(low..3)));
    let plain = Service::default();
    match rng.u32(0..6) {
        0 => plain,
        1 => Service { protocol: Some(50), ..plain },
        2 => {
            let icmp = ports.map(|(kind, _)| Icmp { kind: kind as u8, code: None });
            Service { family: Some(perimeter::ruleset::Family::V4), protocol: Some(1), icmp, ..plain }
        }
        3 => Service { protocol: Some(17), destination_ports: ports, ..plain },
        _ => {
            let tcp = pick(rng, &[None, Some(TcpState::New), Some(TcpState::Established)]);
            Service { protocol: Some(6), destination_ports: ports, tcp, ..plain }
        }
    }
}

fn vlan(rng: &mut Rng) -> VlanRange {
    let low = rng.u16(1..3);
    pick(rng, &[VlanRange::Untagged, VlanRange::Single { low, high: 2 }])
}

fn policy(rng: &mut Rng) -> Ruleset {
    let mut interface = plain::interface();
    interface.fragments =
        pick(rng, &[perimeter::ruleset::Fragments::Drop, perimeter::ruleset::Fragments::Stateless]);
    interface.sources = once_in(rng, 3).then(|| side(rng));
    interface.mtu = pick(rng, &[1500, 80, 68]);
    interface.vlans =
        (0..2).map(|_| vlan(rng)).map(|range| VlanEntry { label: range.to_string(), range }).collect();
    let rules = (0..rng.usize(1..6)).map(|at| rule(rng, at)).collect::<Vec<Rule>>();
    let mut ruleset = plain::ruleset(interface, rules);
    ruleset.rules.sort_by_key(|rule| rule.action);
    ruleset
}

fn rule(rng: &mut Rng, at: usize) -> Rule {
    let action = if once_in(rng, 3) { Action::Deny } else { Action::Allow };
    let base = plain::rule(&format!("r{at}"), action);
    let vlans = once_in(rng, 3).then(|| vec![vlan(rng)]);
    if once_in(rng, 6) {
        return Rule { vlans, services: Vec::new(), ethertypes: vec![ether::ARP], ..base };
    }
    let services = (0..rng.usize(1..3)).map(|_| service(rng)).collect();
    Rule { vlans, from: side(rng), to: side(rng), services, ..base }
}

/// Goal: nothing is missed at the edges. Method: two unrelated policies, every frame there is.
#[test]
fn every_frame_of_a_tiny_universe() {
    let frames = frames();
    let mut different = 0;
    for seed in 0..120 {
        let mut rng = Rng::with_seed(seed);
        let (before, mut after) = (policy(&mut rng), policy(&mut rng));
        if once_in(&mut rng, 2) {
            after.interfaces.clone_from(&before.interfaces);
        }
        let claim = claim(&before, &after, 0, 3_000_000).expect("tiny policies compile");
        assert!(claim.meaning.is_complete);
        claim.check_witnesses();
        different += frames.iter().filter(|frame| claim.check(frame)).count();
    }
    assert!(different > 5_000, "only {different}");
}
