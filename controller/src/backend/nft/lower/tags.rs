//! Step 1: addresses and tags of a frame, up to its VLAN.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::shape::Shape;
use super::{ether, fast};
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Rule, Statement, Verdict};

/// EtherTypes of tags.
pub(super) const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const CUSTOMER: u16 = 0x8100;
const OUTER_9100: u16 = 0x9100;
const VID: [u8; 2] = [0x0f, 0xff];
const PRIORITY: [u8; 2] = [0, 0];
const RESERVED: [u8; 2] = [0x0f, 0xff];

/// The EtherType or outer TPID.
fn outer_type() -> Field {
    Raw::whole(Header::Link, 12, 2)
}

/// The outer VID, of a tag that the kernel took off.
fn stripped_vid() -> Field {
    Raw::masked(Header::Link, 14, &VID)
}

/// Bytes behind the EtherType that the kernel found.
fn payload(offset: u32, length: u32) -> Field {
    Raw::whole(Header::Network, offset, length)
}

fn payload_vid(offset: u32) -> Field {
    Raw::masked(Header::Network, offset, &VID)
}

/// Fewer than so many bytes behind the EtherType that the kernel found.
fn payload_below(bytes: u32) -> Statement {
    Statement::below(Field::Length, &bytes.to_be_bytes())
}

/// The rules of the base chain.
pub(super) fn entry(build: &mut Build<'_>) -> Vec<Rule> {
    let tagged = build.chain("tagged", tagged);
    let pair = build.chain("outer9100", outer_9100);
    let of = |tpid: u16, chain: &str| {
        Rule::new(vec![Statement::equal(outer_type(), &tpid.to_be_bytes()), Statement::goto(chain)])
    };
    let rules = [of(0x8100, &tagged), of(0x88a8, &tagged), of(OUTER_9100, &pair)];
    // The most frequent first.
    fast::rules(build, |build| {
        let untagged = [martian(build, Shape::Untagged), untagged(build, Shape::Untagged)];
        rules.into_iter().chain(untagged).collect()
    })
}

/// A source with the group bit.
fn martian(build: &mut Build<'_>, shape: Shape) -> Rule {
    build
        .bars(DropReason::Martian, shape, vec![Statement::equal(Raw::masked(Header::Link, 6, &[1]), &[1])])
        .with_comment("source address of a group")
}

/// To the zone of untagged frames.
fn untagged(build: &mut Build<'_>, shape: Shape) -> Rule {
    let zone = build.zones.iter().position(|zone| zone.untagged);
    match zone {
        Some(zone) => Rule::new(vec![Statement::goto(ether::zone(build, zone, shape))]),
        None => build.bars(DropReason::VlanNotAllowed, shape, Vec::new()),
    }
}

/// Frames whose outer tag was taken off.
fn tagged(build: &mut Build<'_>) -> Vec<Rule> {
    let shape = Shape::Tagged;
    let mut rules = vec![martian(build, shape)];
    let reserved = vec![Statement::equal(stripped_vid(), &RESERVED)];
    rules.push(build.bars(DropReason::Malformed, shape, reserved));
    let pair = build.chain("pair", pair);
    for tpid in TAGS {
        let inner = Statement::equal(Field::Protocol, &tpid.to_be_bytes());
        rules.push(Rule::new(vec![inner, Statement::goto(&pair)]));
    }
    let service = vec![Statement::differs(outer_type(), &CUSTOMER.to_be_bytes())];
    rules.push(build.bars(DropReason::VlanStack, shape, service));
    let mut priority = untagged(build, shape);
    priority.statements.insert(0, Statement::equal(stripped_vid(), &PRIORITY));
    rules.push(priority);
    for zone in 0..build.zones.len() {
        rules.extend(singles(build, zone));
    }
    rules.push(build.bars(DropReason::VlanNotAllowed, shape, Vec::new()));
    rules
}

/// Lone tags of a zone: a set of VIDs, and a rule for each range.
fn singles(build: &mut Build<'_>, zone: usize) -> Vec<Rule> {
    let spans = build.zones[zone].singles.clone();
    if spans.is_empty() {
        return Vec::new();
    }
    let chain = ether::zone(build, zone, Shape::Tagged);
    let (ranges, single): (Vec<_>, Vec<_>) = spans.into_iter().partition(|(low, high)| high - low >= 8);
    let mut rules = Vec::new();
    if !single.is_empty() {
        let name = format!("zone{zone}.vids");
        let key = vec![Part::Raw { header: Header::Link, offset: 14, length: 2 }];
        let set = build.set(&name, "VIDs of one zone", key, false, || {
            let vids = single.iter().flat_map(|&(low, high)| low..=high);
            vids.map(|vid| Element { key: vec![(vid.into(), vid.into())], to: None }).collect()
        });
        let member = Statement::Member { fields: vec![stripped_vid()], set, inside: true };
        rules.push(Rule::new(vec![member, Statement::goto(&chain)]));
    }
    for (low, high) in ranges {
        rules.push(Rule::new(vec![
            Statement::above(stripped_vid(), &(low - 1).to_be_bytes()),
            Statement::below(stripped_vid(), &(high + 1).to_be_bytes()),
            Statement::goto(&chain),
        ]));
    }
    rules
}

/// Two tags, the outer one taken off: the inner one begins the payload.
fn pair(build: &mut Build<'_>) -> Vec<Rule> {
    let shape = Shape::Pair;
    let mut rules = vec![build.bars(DropReason::Truncated, shape, vec![payload_below(4)])];
    rules.extend(inner(build, shape, stripped_vid(), 0));
    let not_customer = vec![Statement::differs(Field::Protocol, &CUSTOMER.to_be_bytes())];
    rules.push(build.bars(DropReason::VlanStack, shape, not_customer));
    let other_outer = vec![Statement::differs(outer_type(), &build.interface.outer_tag.to_be_bytes())];
    rules.push(build.bars(DropReason::VlanStack, shape, other_outer));
    let outer = (stripped_vid(), Part::Raw { header: Header::Link, offset: 14, length: 2 });
    rules.extend(pairs(build, shape, outer, 0));
    rules
}

/// An outer tag that is none to the kernel.
fn outer_9100(build: &mut Build<'_>) -> Vec<Rule> {
    let shape = Shape::Pair9100;
    let mut rules = vec![martian(build, shape)];
    rules.push(build.bars(DropReason::Truncated, shape, vec![payload_below(4)]));
    let reserved = vec![Statement::equal(payload_vid(0), &RESERVED)];
    rules.push(build.bars(DropReason::Malformed, shape, reserved));
    let stacked = build.chain("pair9100", |build| {
        let mut rules = vec![build.bars(DropReason::Truncated, shape, vec![payload_below(8)])];
        rules.extend(inner(build, shape, payload_vid(0), 4));
        let not_customer = vec![Statement::differs(payload(2, 2), &CUSTOMER.to_be_bytes())];
        rules.push(build.bars(DropReason::VlanStack, shape, not_customer));
        if build.interface.outer_tag != OUTER_9100 {
            rules.push(build.bars(DropReason::VlanStack, shape, Vec::new()));
            return rules;
        }
        let outer = (payload_vid(0), Part::Raw { header: Header::Network, offset: 0, length: 2 });
        rules.extend(pairs(build, shape, outer, 4));
        rules
    });
    for tpid in TAGS {
        let inner = Statement::equal(payload(2, 2), &tpid.to_be_bytes());
        rules.push(Rule::new(vec![inner, Statement::goto(&stacked)]));
    }
    rules.push(build.bars(DropReason::VlanStack, shape, Vec::new()));
    rules
}

/// What holds of every inner tag, whose TCI is at `at` of the payload.
fn inner(build: &mut Build<'_>, shape: Shape, outer_vid: Field, at: u32) -> Vec<Rule> {
    let reserved = vec![Statement::equal(payload_vid(at), &RESERVED)];
    let mut rules = vec![build.bars(DropReason::Malformed, shape, reserved)];
    let mut stack = |tests| rules.push(build.bars(DropReason::VlanStack, shape, tests));
    for tpid in TAGS {
        stack(vec![Statement::equal(payload(at + 2, 2), &tpid.to_be_bytes())]);
    }
    stack(vec![Statement::equal(outer_vid, &PRIORITY)]);
    stack(vec![Statement::equal(payload_vid(at), &PRIORITY)]);
    rules
}

/// Pairs to their zones.
fn pairs(build: &mut Build<'_>, shape: Shape, outer: (Field, Part), at: u32) -> Vec<Rule> {
    let mut rules = Vec::new();
    for zone in 0..build.zones.len() {
        let pairs = build.zones[zone].pairs.clone();
        if pairs.is_empty() {
            continue;
        }
        let chain = ether::zone(build, zone, shape);
        let key = vec![outer.1.clone(), Part::Raw { header: Header::Network, offset: at, length: 2 }];
        let set = build.set(
            &format!("zone{zone}.{}", shape.name()),
            "outer and inner VIDs of one zone",
            key,
            false,
            || {
                let exact = |vid: u16| (u128::from(vid), u128::from(vid));
                pairs.iter().map(|&(o, i)| Element { key: vec![exact(o), exact(i)], to: None }).collect()
            },
        );
        let member = Statement::Member { fields: vec![outer.0.clone(), payload_vid(at)], set, inside: true };
        rules.push(Rule::new(vec![member, Statement::Verdict(Verdict::Goto(chain))]));
    }
    rules.push(build.bars(DropReason::VlanNotAllowed, shape, Vec::new()));
    rules
}
