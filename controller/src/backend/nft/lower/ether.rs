//! A frame on a VLAN: which layer 3 it has, and everything that is neither IP nor ARP.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::entries::{NEVER, end};
use super::shape::Shape;
use super::tags::TAGS;
use super::{arp, ipv4, ipv6, lengths};
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Rule, Statement, To, Verdict};
use crate::ruleset::ether;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// Below it is a length.
const FIRST: u16 = 0x0600;
const LONGEST: u16 = 1500;
const SPANNING_TREE: [u8; 2] = [0x42, 0x42];
const SNAP: [u8; 3] = [0xaa, 0xaa, 0x03];

/// The EtherType after the last tag.
fn kind(shape: Shape) -> Field {
    match shape {
        Shape::Untagged | Shape::Tagged => Field::Protocol,
        Shape::Pair => Raw::whole(Header::Network, 2, 2),
        Shape::Pair9100 => Raw::whole(Header::Network, 6, 2),
    }
}

/// The length field in its place, where it can be read.
fn length(shape: Shape) -> Option<Field> {
    match shape {
        Shape::Untagged => Some(Raw::whole(Header::Link, 12, 2)),
        Shape::Tagged => None,
        Shape::Pair | Shape::Pair9100 => Some(kind(shape)),
    }
}

/// The chain of frames of one shape on one zone.
pub(super) fn zone(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.{}", shape.name()), |build| {
        let v4 = ipv4::zone(build, zone, shape);
        let v6 = ipv6::zone(build, zone, shape);
        let arp = arp::zone(build, zone, shape);
        let llc = length_field(build, zone, shape);
        let is = |number: u16, chain: &str| {
            Rule::new(vec![Statement::equal(kind(shape), &number.to_be_bytes()), Statement::goto(chain)])
        };
        let mut rules = vec![is(IPV4, &v4), is(IPV6, &v6), is(ARP, &arp)];
        let short = vec![Statement::below(kind(shape), &FIRST.to_be_bytes()), Statement::goto(&llc)];
        rules.push(Rule::new(short));
        rules.extend(oversize(build, zone, shape));
        rules.extend(ethertypes(build, zone, shape));
        rules.push(build.fails(DropReason::NoRule, shape, Vec::new()));
        rules
    })
}

/// Step 4 for what has no length of its own.
pub(super) fn oversize(build: &mut Build<'_>, zone: usize, shape: Shape) -> Option<Rule> {
    let most = shape.shift() + build.zones[zone].mtu;
    let over = vec![Statement::above(Field::Length, &most.to_be_bytes())];
    build.drops_oversize().then(|| build.fails(DropReason::Oversize, shape, over))
}

/// The rules on a zone that name an EtherType or one of [`ether`]'s keys, up to the first that does not end.
fn rules_of(build: &Build<'_>, zone: usize, key: u16) -> Vec<u32> {
    let names = |rule: &u32| build.ruleset.rules[*rule as usize].ethertypes.contains(&key);
    let mut found: Vec<u32> = build.zones[zone].rules.iter().copied().filter(names).collect();
    if let Some(last) = found.iter().position(|&rule| end(&build.ruleset.rules[rule as usize]) == NEVER) {
        found.truncate(last + 1);
    }
    found
}

/// What becomes of a frame with this key.
pub(super) fn decide(build: &mut Build<'_>, zone: usize, key: u16, shape: Shape) -> Verdict {
    match rules_of(build, zone, key)[..] {
        [] => build.reason(DropReason::NoRule, shape),
        [rule] if end(&build.ruleset.rules[rule as usize]) == NEVER => build.credit(rule, shape),
        ref rules => {
            let number = build.zones[zone].rules_number;
            let name = format!("rules{number}.ethertype{key}.{}", shape.name());
            Verdict::Goto(build.chain(&name, |build| {
                let mut all: Vec<Rule> = rules.iter().map(|&rule| build.credit_rule(rule, shape)).collect();
                all.push(build.fails(DropReason::NoRule, shape, Vec::new()));
                all
            }))
        }
    }
}

/// Step 7 for EtherTypes.
fn ethertypes(build: &mut Build<'_>, zone: usize, shape: Shape) -> Option<Rule> {
    let rules = build.zones[zone].rules.clone();
    let mut types: Vec<u16> = rules
        .iter()
        .flat_map(|&rule| build.ruleset.rules[rule as usize].ethertypes.clone())
        .filter(|&number| number >= FIRST && number != ARP)
        .collect();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() {
        return None;
    }
    let elements: Vec<Element> = types
        .into_iter()
        .map(|number| Element {
            key: vec![(number.into(), number.into())],
            to: Some(To::Verdict(decide(build, zone, number, shape))),
        })
        .collect();
    let part = match kind(shape) {
        Field::Raw(Raw { header, offset, length, .. }) => Part::Raw { header, offset, length },
        _ => Part::EtherType,
    };
    let number = build.zones[zone].rules_number;
    let name = format!("rules{number}.ethertypes.{}", shape.name());
    let map =
        build.set(&name, "EtherTypes and the rules they are credited to", vec![part], false, || elements);
    Some(Rule::new(vec![Statement::Dispatch { fields: vec![kind(shape)], map }]))
}

/// Frames with a length where others have an EtherType.
fn length_field(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.llc.{}", shape.name()), |build| {
        let Some(length) = length(shape) else {
            let unread = build.fails(DropReason::Malformed, shape, Vec::new());
            return vec![unread.with_comment("the kernel does not show a length behind a tag")];
        };
        let check = llc(build, shape, &length);
        let mut rules = vec![Rule::new(vec![Statement::jump(check)])];
        rules.extend(oversize(build, zone, shape));
        let stp = Statement::equal(shape.layer3(0, 2), &SPANNING_TREE);
        let snap = Statement::equal(shape.layer3(0, 3), &SNAP);
        for (tests, key) in [(vec![stp], ether::STP), (vec![snap], ether::SNAP), (Vec::new(), ether::LLC)] {
            let verdict = decide(build, zone, key, shape);
            rules.push(Rule::new(super::all([tests, vec![Statement::Verdict(verdict)]])));
        }
        rules
    })
}

/// The end of step 1; returns where the frame is in order.
fn llc(build: &mut Build<'_>, shape: Shape, length: &Field) -> String {
    build.chain(&format!("llc.{}", shape.name()), |build| {
        let mut rules = Vec::new();
        for wrong in [
            Statement::above(length.clone(), &LONGEST.to_be_bytes()),
            Statement::below(length.clone(), &3u16.to_be_bytes()),
        ] {
            rules.push(build.fails(DropReason::Malformed, shape, vec![wrong]));
        }
        let Field::Raw(Raw { header, offset, .. }) = *length else { return rules };
        let snap = Statement::goto(snap(build, shape, length));
        let length = lengths::bytes(header, offset);
        rules.extend(lengths::in_frame(build, ("llc.length", shape), &length, 0, &snap));
        rules.push(build.fails(DropReason::Truncated, shape, Vec::new()));
        rules
    })
}

/// SNAP that is none, or hides something; returns where the frame is in order.
fn snap(build: &mut Build<'_>, shape: Shape, length: &Field) -> String {
    build.chain(&format!("llc.snap.{}", shape.name()), |build| {
        let mut rules = Vec::new();
        let snap = || Statement::equal(shape.layer3(0, 3), &SNAP);
        let short = vec![snap(), Statement::below(length.clone(), &8u16.to_be_bytes())];
        rules.push(build.fails(DropReason::Malformed, shape, short));
        for hidden in [IPV4, ARP, IPV6].into_iter().chain(TAGS) {
            let tests = vec![snap(), Statement::equal(shape.layer3(6, 2), &hidden.to_be_bytes())];
            rules.push(build.fails(DropReason::Malformed, shape, tests));
        }
        rules
    })
}
