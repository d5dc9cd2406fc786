//! The short way: frames as most are, judged in few expressions.
//!
//! Promises: what passes or is denied here, or dropped as `no_rule`, would be on the long way too. A frame that fails a
//! test here, for whatever reason, goes the long way, which names the reason.
//!
//! One load from the link header reads 16 bytes across Ethernet and IP, and one comparison judges them all at once:
//! source no group, EtherType, version and header length, no fragment. Layer 4
//! is only shown where the kernel's own validation has found the lengths right.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::entries::Kind;
use super::layer4::{SENSIBLE, TCP, UDP};
use super::shape::{Place, Shape};
use super::{ipv4, ipv6, lookup};
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Rule, Statement};
use crate::ruleset::Family;

/// Interfaces and VLANs with a smaller MTU take the long way (RFC 8200: no IPv6 link has).
const SMALLEST_MTU: u32 = 1280;
/// The longest datagram that is recognised by its two lengths alone.
const LONGEST_DATAGRAM: u32 = 1500;
/// With so much payload every data offset of TCP fits.
const ANY_OFFSET: u32 = 60;
/// Data offset and the flags that decide.
const OFFSET_AND_FLAGS: [u8; 2] = [0xf0, 0x17];
/// Where the load across the headers begins: with the source address.
const WINDOW: u32 = 6;
const VID: [u8; 2] = [0x0f, 0xff];

/// The rules that stand first on the way of a shape.
pub(super) fn rules(build: &mut Build<'_>, shape: Shape) -> Vec<Rule> {
    let mut rules = Vec::new();
    for zone in 0..build.zones.len() {
        let holds = match shape {
            Shape::Untagged => build.zones[zone].untagged,
            Shape::Tagged => !build.zones[zone].singles.is_empty(),
            Shape::Pair | Shape::Pair9100 => false,
        };
        if holds && build.zones[zone].mtu >= SMALLEST_MTU {
            rules.push(entry(build, zone, shape, Family::V4));
            rules.push(entry(build, zone, shape, Family::V6));
        }
    }
    rules
}

/// Takes the packets of one family that look ordinary.
fn entry(build: &mut Build<'_>, zone: usize, shape: Shape, family: Family) -> Rule {
    let chain = chain(build, zone, shape, family);
    let ordinary = match shape {
        Shape::Untagged => untagged(family),
        _ => tagged(build, zone, family),
    };
    Rule::new(vec![ordinary, Statement::goto(chain)])
}

/// No group, no tag, and for IPv4 five words of header and no fragment.
fn untagged(family: Family) -> Statement {
    let (mut mask, mut value) = ([0; 16], [0; 16]);
    mask[0] = 1;
    (mask[6], mask[7]) = (0xff, 0xff);
    match family {
        Family::V4 => {
            (mask[8], mask[14], mask[15]) = (0xff, 0x3f, 0xff);
            (value[6], value[7], value[8]) = (0x08, 0x00, 0x45);
        }
        Family::V6 => (value[6], value[7]) = (0x86, 0xdd),
    }
    Statement::equal(Raw::masked(Header::Link, WINDOW, &mask), &value)
}

/// No group, one customer tag of the zone, and for IPv4 five words of header.
fn tagged(build: &mut Build<'_>, zone: usize, family: Family) -> Statement {
    let (mut mask, mut value) = ([0; 16], [0; 16]);
    mask[0] = 1;
    mask[6..12].copy_from_slice(&[0xff, 0xff, VID[0], VID[1], 0xff, 0xff]);
    (value[6], value[7]) = (0x81, 0x00);
    match family {
        Family::V4 => {
            mask[12] = 0xff;
            (value[10], value[11], value[12]) = (0x08, 0x00, 0x45);
        }
        Family::V6 => (value[10], value[11]) = (0x86, 0xdd),
    }
    let window = Raw::masked(Header::Link, WINDOW, &mask);
    let spans = build.zones[zone].singles.clone();
    let with = |vid: u16| {
        let mut value = value;
        value[8..10].copy_from_slice(&vid.to_be_bytes());
        value
    };
    if let [(low, high)] = spans[..]
        && low == high
    {
        return Statement::equal(window, &with(low));
    }
    let word = if family == Family::V4 { "v4" } else { "v6" };
    let key = vec![Part::Raw { header: Header::Link, offset: WINDOW, length: 16 }];
    let about = "ordinary packets on the VLANs of one zone";
    let set = build.set(&format!("fast.zone{zone}.{word}"), about, key, false, || {
        let vids = spans.iter().flat_map(|&(low, high)| low..=high);
        let exact = |vid: u16| u128::from_be_bytes(with(vid));
        vids.map(|vid| Element { key: vec![(exact(vid), exact(vid))], verdict: None }).collect()
    });
    Statement::Member { fields: vec![window], set, inside: true }
}

/// The ordinary packets of one family on a zone: protocol by protocol, and the long way for what is left.
fn chain(build: &mut Build<'_>, zone: usize, shape: Shape, family: Family) -> String {
    let place = if family == Family::V4 { Place::v4(shape) } else { Place::v6(shape, 0) };
    build.chain(&format!("fast.zone{zone}.{}", place.name()), |build| {
        let mut rules = Vec::new();
        // What the first load has not seen.
        if family == Family::V4 && shape == Shape::Tagged {
            let fragment =
                Statement::differs(shape.layer3_masked(ipv4::FRAGMENT, &ipv4::MF_OR_OFFSET), &[0, 0]);
            rules.push(Rule::new(vec![fragment, Statement::goto(long_way(build, zone, place))]));
        }
        // What is read of layer 4 below shows that the kernel has found it, right behind this header and its lengths true.
        let is = |protocol: u8| vec![Statement::equal(place.protocol(), &[protocol])];
        if !lookup::asks_for_state(build, zone) {
            let next = judged(build, zone, place, Kind::TcpNew);
            let short = short_segment(build, place);
            rules.push(Rule::new(super::all([is(TCP), vec![short, Statement::goto(&next)]])));
            let long = long_segment(build, zone, place);
            rules.push(Rule::new(super::all([is(TCP), long, vec![Statement::goto(&next)]])));
        }
        let next = judged(build, zone, place, Kind::Udp);
        let datagram = datagram(build, zone, place);
        rules.push(Rule::new(super::all([is(UDP), vec![datagram, Statement::goto(&next)]])));
        rules.push(Rule::new(vec![Statement::goto(long_way(build, zone, place))]));
        rules
    })
}

fn long_way(build: &mut Build<'_>, zone: usize, place: Place) -> String {
    match place.family {
        Family::V4 => ipv4::zone(build, zone, place.shape),
        Family::V6 => ipv6::zone(build, zone, place.shape),
    }
}

fn raw(field: &Field) -> Part {
    match field {
        Field::Raw(Raw { header, offset, length, .. }) => {
            Part::Raw { header: *header, offset: *offset, length: *length }
        }
        _ => Part::Length,
    }
}

/// A set of exact pairs of numbers that stand in two fields.
fn pairs(
    build: &mut Build<'_>,
    (name, about): (&str, &str),
    fields: [Field; 2],
    rows: impl FnOnce() -> Vec<[u32; 2]>,
) -> Statement {
    let key = fields.iter().map(raw).collect();
    let set = build.set(name, about, key, false, || {
        let exact = |number: u32| (u128::from(number), u128::from(number));
        rows().into_iter().map(|row| Element { key: row.map(exact).to_vec(), verdict: None }).collect()
    });
    Statement::Member { fields: fields.to_vec(), set, inside: true }
}

/// Data offsets with flags that make sense together.
fn offsets_and_flags() -> impl Iterator<Item = (u32, u32)> {
    (5..=15).flat_map(|words| SENSIBLE.iter().map(move |flags| (words, words << 12 | u32::from(*flags))))
}

/// A segment of less than [`ANY_OFFSET`] bytes: its length decides which data offsets fit.
fn short_segment(build: &mut Build<'_>, place: Place) -> Statement {
    let name = format!("fast.tcp.short.{}", place.set_name());
    let about = "data offset and flags of TCP, and the lengths of short packets that hold them";
    let fields = [place.at_masked(12, &OFFSET_AND_FLAGS), place.length()];
    pairs(build, (&name, about), fields, || {
        let lengths = |words: u32| place.counted() + words * 4..place.counted() + ANY_OFFSET;
        let rows = |(words, field): (u32, u32)| lengths(words).map(move |length| [field, length]);
        offsets_and_flags().flat_map(rows).collect()
    })
}

/// A segment of [`ANY_OFFSET`] bytes and more.
fn long_segment(build: &mut Build<'_>, zone: usize, place: Place) -> Vec<Statement> {
    let least = (place.counted() + ANY_OFFSET - 1) as u16;
    let mut tests = vec![Statement::above(place.length(), &least.to_be_bytes())];
    let most = longest(build, zone, place);
    if most < 65_535 {
        tests.push(Statement::below(place.length(), &(most as u16 + 1).to_be_bytes()));
    }
    let field = place.at_masked(12, &OFFSET_AND_FLAGS);
    let about = "data offset and flags of TCP";
    let set = build.set("fast.tcp", about, vec![raw(&field)], false, || {
        let exact = |field: u32| (u128::from(field), u128::from(field));
        offsets_and_flags().map(|(_, field)| Element { key: vec![exact(field)], verdict: None }).collect()
    });
    tests.push(Statement::Member { fields: vec![field], set, inside: true });
    tests
}

/// A datagram that fills its packet.
fn datagram(build: &mut Build<'_>, zone: usize, place: Place) -> Statement {
    let most = longest(build, zone, place).min(LONGEST_DATAGRAM);
    let name = format!("fast.udp{most}.{}", place.set_name());
    let about = "lengths of packets, and of datagrams that fill them";
    pairs(build, (&name, about), [place.length(), place.at(4, 2)], || {
        (place.counted() + 8..=most).map(|length| [length, length - place.counted()]).collect()
    })
}

/// The highest value of the length field that is no reason to drop.
fn longest(build: &Build<'_>, zone: usize, place: Place) -> u32 {
    let fixed = if place.family == Family::V4 { 0 } else { 40 };
    if build.drops_oversize() { build.zones[zone].mtu.min(65_535 + fixed) - fixed } else { 65_535 }
}

/// Steps 3 and 7. Where rules only name addresses that can be right, a hit shows that they are; a miss has to be looked
/// at before it is `no_rule`.
fn judged(build: &mut Build<'_>, zone: usize, place: Place, kind: Kind) -> String {
    let name = format!("fast.zone{zone}.{}.{}", kind.name(), place.name());
    build.chain(&name, |build| {
        let long = long_way(build, zone, place);
        let mut before = Vec::new();
        let mut after = Vec::new();
        let [sources, destinations] = lookup::only_right(build, zone, place.family);
        for (right, at) in [(sources, Side::Source), (destinations, Side::Destination)] {
            let odd = odd_address(build, place, at);
            let rule = Rule::new(vec![odd, Statement::goto(&long)]);
            if right { after.push(rule) } else { before.push(rule) }
        }
        if let Some(mut speaks) = speakers(build, zone, place) {
            if let Some(Statement::Member { inside, .. }) = speaks.last_mut() {
                *inside = false;
            }
            speaks.push(Statement::goto(&long));
            before.push(Rule::new(speaks));
        }
        let mut rules = before;
        rules.extend(lookup::maps(build, zone, place, kind));
        rules.extend(after);
        rules.push(build.fails(DropReason::NoRule, place.shape, Vec::new()));
        rules
    })
}

fn speakers(build: &mut Build<'_>, zone: usize, place: Place) -> Option<Vec<Statement>> {
    match place.family {
        Family::V4 => ipv4::speakers(build, zone, place.shape),
        Family::V6 => ipv6::speakers(build, zone, place.shape, 8),
    }
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Destination,
}

/// The first byte of an address that may be martian.
fn odd_address(build: &mut Build<'_>, place: Place, side: Side) -> Statement {
    let (at, word, odd): (u32, &str, Vec<u8>) = match (place.family, side) {
        (Family::V4, Side::Source) => (12, "v4.source", [0, 127].into_iter().chain(224..=255).collect()),
        (Family::V4, Side::Destination) => {
            (16, "v4.destination", [0, 127].into_iter().chain(240..=255).collect())
        }
        (Family::V6, Side::Source) => (8, "v6.source", vec![0, 0xff]),
        (Family::V6, Side::Destination) => (24, "v6.destination", vec![0]),
    };
    let first = place.shape.layer3(at, 1);
    let about = "first bytes of addresses that may be martian";
    let set = build.set(&format!("fast.{word}"), about, vec![raw(&first)], false, || {
        odd.iter().map(|&byte| Element { key: vec![(byte.into(), byte.into())], verdict: None }).collect()
    });
    Statement::Member { fields: vec![first], set, inside: true }
}
