//! Many ranges that are no prefixes: nftables looks them up in buckets, and says what the oracle says at every edge.

use crate::campaign::compare;
use crate::nft::can_judge;
use crate::oracle::plain;
use perimeter::backend::nft::judge::Judge;
use perimeter::backend::nft::{Options, lower};
use perimeter::ruleset::{Action, AddressSet, Rule, Ruleset, Service};

/// Rules of each family.
const RULES: u32 = 160;
const V6: u128 = 0x2001_0db8 << 96;

/// Sources in ranges that do not meet, destinations in ranges that do, some of them wide, some rules that deny.
fn ranges(chance: &mut fastrand::Rng) -> Ruleset {
    let mut rules: Vec<Rule> = Vec::new();
    for number in 0..RULES {
        let action = if number % 7 == 0 { Action::Deny } else { Action::Allow };
        let place = number * 256;
        let from = (
            0x0a00_0003 + place,
            0x0a00_0003 + place + chance.u32(1..if number % 9 == 0 { 4000 } else { 240 }),
        );
        let to = (0xc612_0001, 0xc612_0001 + chance.u32(5..60_000));
        let port = chance.u16(1..4) * 1000;
        let udp =
            Service { protocol: Some(17), destination_ports: Some((port, port + 2)), ..Service::default() };
        let tcp = Service { protocol: Some(6), destination_ports: Some((port, port)), ..Service::default() };
        let wide =
            |(low, high): (u32, u32)| vec![(V6 | u128::from(low) << 16, V6 | u128::from(high) << 16 | 7)];
        let families = [
            (AddressSet::new(vec![from], Vec::new()), AddressSet::new(vec![to], Vec::new())),
            (AddressSet::new(Vec::new(), wide(from)), AddressSet::new(Vec::new(), wide(to))),
        ];
        for (name, (from, to)) in ["v4", "v6"].iter().zip(families) {
            let rule = plain::rule(&format!("{name}-{number}"), action);
            rules.push(Rule { from, to, services: vec![tcp, udp], ..rule });
        }
    }
    plain::ruleset(plain::interface(), rules)
}

#[test]
fn many_ranges_are_looked_up_in_buckets() {
    let mut chance = fastrand::Rng::with_seed(11);
    let ruleset = ranges(&mut chance);
    let table = lower(&ruleset, 0, &Options::default()).expect("some hundred elements");
    let bucket = |name: &str| table.chains.iter().any(|chain| chain.name.starts_with(name));
    assert!(bucket("rules0.tcp.v4.untagged.1.") && bucket("rules0.udp.v6.untagged.1."), "there are buckets");
    if can_judge() {
        let frames: Vec<Vec<u8>> = (0..3000).map(|_| frame(&ruleset, &mut chance)).collect();
        compare::<Judge>(&ruleset, frames.into_iter());
    }
}

/// A segment or a datagram at or beside an edge of some rule.
fn frame(ruleset: &Ruleset, chance: &mut fastrand::Rng) -> Vec<u8> {
    let rule = &ruleset.rules[chance.usize(..ruleset.rules.len())];
    let beside = |chance: &mut fastrand::Rng, (low, high): (u128, u128)| match chance.u8(0..5) {
        0 => low - 1,
        1 => low,
        2 => high,
        3 => high + 1,
        _ => chance.u128(low..=high),
    };
    let port = chance.u16(1..4) * 1000 + chance.u16(0..4);
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    let tcp = chance.bool();
    let protocol = if tcp { 6 } else { 17 };
    if let (&[from], &[to]) = (rule.from.v4(), rule.to.v4()) {
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0]);
        for (low, high) in [from, to] {
            let address = beside(chance, (low.into(), high.into())) as u32;
            frame.extend(address.to_be_bytes());
        }
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protocol, 64]);
        for span in [rule.from.v6()[0], rule.to.v6()[0]] {
            frame.extend(beside(chance, span).to_be_bytes());
        }
    }
    frame.extend(49_152u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend(if tcp { [0, 0, 0, 1, 0, 0, 0, 1] } else { [0, 20, 0, 0, 0, 0, 0, 0] });
    let flags = [0x10, 0x18, 0x02, 0x11, 0x14, 0x12][chance.usize(0..6)];
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame
}
