//! The short way: frames as most are, judged in few expressions.
//!
//! Promises: what passes or is denied here, or dropped as `no_rule`, would be on the long way too. A frame that fails a
//! test here, for whatever reason, goes the long way, which names the reason.
//!
//! The kernel takes about as long for every expression, and longer to go to another chain. So one load (`window`) judges the
//! headers up to IP, and the packets that most are, TCP over IPv4 on the first zone, are judged in the base chain: test by test,
//! each of which only leads away who fails it. A test whose bytes are not there ends its rule, and so leads nobody away.
//! Therefore every rule here that decides also asks for what only packets have that every test before could be asked of: a
//! layer 4 that the kernel found behind lengths that are true; and a test of the length sees that its header is there.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::entries::Kind;
use super::layer4::{ACK, SENSIBLE, SYN, SYN_AND_ACK, TCP, UDP};
use super::shape::{Place, Shape};
use super::{ipv4, ipv6, lookup, window};
use crate::backend::nft::ir::{Element, Field, Part, Raw, Rule, Statement, Verdict};
use crate::ruleset::Family;

/// Interfaces and VLANs with a smaller MTU take the long way (RFC 8200: no IPv6 link has).
const SMALLEST_MTU: u32 = 1280;
/// The longest datagram that is recognised by its two lengths alone.
const LONGEST_DATAGRAM: u32 = 1500;
/// With so much payload every data offset of TCP fits.
const ANY_OFFSET: u32 = 60;
/// The fewest words of TCP, and the bytes that they are.
const FEWEST_WORDS: u32 = 5;
const NO_OPTIONS: u32 = FEWEST_WORDS * 4;
/// The header of UDP.
const DATAGRAM: u32 = 8;
/// Data offset and the flags that decide.
const OFFSET_AND_FLAGS: [u8; 2] = [0xf0, 0x17];

/// The rules of the base chain, where `long` are those of a frame of which nothing is known.
pub(super) fn rules(build: &mut Build<'_>, long: impl FnOnce(&mut Build<'_>) -> Vec<Rule>) -> Vec<Rule> {
    let Some((zone, shape)) = first(build) else {
        return super::both(others(build, None), long(build));
    };
    let place = Place::v4(shape);
    let others = build.chain("entry", |build| {
        let others = others(build, Some(place));
        super::both(others, long(build))
    });
    let strange = window::ordinary(build, zone, place, false);
    let mut rules = vec![Rule::new(vec![strange, Statement::goto(&others)])];
    rules.extend(packets(build, zone, place, &others));
    rules
}

/// The zones that have a short way for frames of a shape.
fn zones(build: &Build<'_>, shape: Shape) -> Vec<usize> {
    let holds = |zone: &usize| {
        let zone = &build.zones[*zone];
        let allowed = if shape == Shape::Untagged { zone.untagged } else { !zone.singles.is_empty() };
        allowed && zone.mtu >= SMALLEST_MTU
    };
    (0..build.zones.len()).filter(holds).collect()
}

/// The zone whose IPv4 packets are judged in the base chain.
fn first(build: &Build<'_>) -> Option<(usize, Shape)> {
    match (&zones(build, Shape::Untagged)[..], &zones(build, Shape::Tagged)[..]) {
        ([zone, ..], _) => Some((*zone, Shape::Untagged)),
        ([], [zone]) => Some((*zone, Shape::Tagged)),
        _ => None,
    }
}

/// The short ways to chains of their own: all but `judged`, those of untagged frames first.
fn others(build: &mut Build<'_>, judged: Option<Place>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for shape in [Shape::Untagged, Shape::Tagged] {
        for place in [Place::v4(shape), Place::v6(shape, 0)] {
            let zones = zones(build, shape);
            if zones.is_empty() || judged == Some(place) {
                continue;
            }
            let chains: Vec<(usize, String)> =
                zones.into_iter().map(|zone| (zone, chain(build, zone, place))).collect();
            rules.push(match &chains[..] {
                [(zone, chain)] => {
                    let ordinary = window::ordinary(build, *zone, place, true);
                    Rule::new(vec![ordinary, Statement::goto(chain)])
                }
                chains => window::by_vlan(build, place.family, chains),
            });
        }
    }
    rules
}

/// The ordinary packets of one family on a zone.
fn chain(build: &mut Build<'_>, zone: usize, place: Place) -> String {
    build.chain(&format!("fast.zone{zone}.{}", place.name()), |build| {
        let long = long_way(build, zone, place);
        packets(build, zone, place, &long)
    })
}

/// TCP, judged here; `long` is where a packet goes that is not ordinary.
fn packets(build: &mut Build<'_>, zone: usize, place: Place, long: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    // What the window has not seen.
    if place == Place::v4(Shape::Tagged) {
        let fragment =
            Statement::differs(place.shape.layer3_masked(ipv4::FRAGMENT, &ipv4::MF_OR_OFFSET), &[0, 0]);
        rules.push(Rule::new(vec![fragment, Statement::goto(long)]));
    }
    let datagrams = datagrams(build, zone, place);
    rules.push(Rule::new(vec![Statement::differs(place.protocol(), &[TCP]), Statement::goto(datagrams)]));
    let others = other_segments(build, zone, place);
    rules.push(Rule::new(vec![unusual(place), Statement::jump(others)]));
    rules.push(outside(build, zone, place, NO_OPTIONS, long));
    let mut kind = Kind::TcpNew;
    if lookup::asks_for_state(build, zone) {
        kind = Kind::TcpEstablished;
        let new = build
            .chain(&format!("fast.zone{zone}.{}.{}", Kind::TcpNew.name(), place.name()), |build| {
                judged(build, zone, place, Kind::TcpNew, long)
            });
        let starts = Statement::equal(place.at_masked(13, &[SYN_AND_ACK]), &[SYN]);
        rules.push(Rule::new(vec![starts, Statement::goto(new)]));
    }
    rules.extend(judged(build, zone, place, kind, long));
    rules
}

/// A payload of fewer than `least` bytes, or one that is oversize. What passes has the header of its layer 4 within the frame,
/// where the kernel has found one at all.
fn outside(build: &Build<'_>, zone: usize, place: Place, least: u32, long: &str) -> Rule {
    let (low, high) = ((place.counted() + least) as u16, longest(build, zone, place) as u16);
    let (low, high) = (low.to_be_bytes().to_vec(), high.to_be_bytes().to_vec());
    Rule::new(vec![Statement::Outside { field: place.length(), low, high }, Statement::goto(long)])
}

/// UDP, and the long way for other protocols.
fn datagrams(build: &mut Build<'_>, zone: usize, place: Place) -> String {
    build.chain(&format!("fast.zone{zone}.{}.{}", Kind::Udp.name(), place.name()), |build| {
        let long = long_way(build, zone, place);
        let other = Statement::differs(place.protocol(), &[UDP]);
        let mut fills = datagram(build, zone, place);
        if let Statement::Member { inside, .. } = &mut fills {
            *inside = false;
        }
        let mut rules = vec![
            Rule::new(vec![other, Statement::goto(&long)]),
            outside(build, zone, place, DATAGRAM, &long),
            Rule::new(vec![fills, Statement::goto(&long)]),
        ];
        rules.extend(judged(build, zone, place, Kind::Udp, &long));
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
        rows().into_iter().map(|row| Element { key: row.map(exact).to_vec(), to: None }).collect()
    });
    Statement::Member { fields: fields.to_vec(), set, inside: true }
}

/// Data offsets with flags that make sense together.
fn offsets_and_flags() -> impl Iterator<Item = (u32, u32)> {
    (FEWEST_WORDS..=15)
        .flat_map(|words| SENSIBLE.iter().map(move |flags| (words, words << 12 | u32::from(*flags))))
}

/// A segment has options, or other flags than ACK. Four bytes, as the kernel masks and compares so many at a glance; what comes
/// behind the flags is the window, which every header has.
fn unusual(place: Place) -> Statement {
    let plain = [(FEWEST_WORDS as u8) << 4, ACK, 0, 0];
    Statement::differs(place.at_masked(12, &[OFFSET_AND_FLAGS[0], OFFSET_AND_FLAGS[1], 0, 0]), &plain)
}

/// Returns where data offset, flags and length of a segment fit together.
fn other_segments(build: &mut Build<'_>, zone: usize, place: Place) -> String {
    build.chain(&format!("fast.zone{zone}.segments.{}", place.name()), |build| {
        let back = || Statement::Verdict(Verdict::Return);
        let least = (place.counted() + ANY_OFFSET - 1) as u16;
        let long = Statement::above(place.length(), &least.to_be_bytes());
        let field = place.at_masked(12, &OFFSET_AND_FLAGS);
        let about = "data offset and flags of TCP";
        let set = build.set("fast.tcp", about, vec![raw(&field)], false, || {
            offsets_and_flags().map(|(_, field)| exactly(field)).collect()
        });
        let fits = Statement::Member { fields: vec![field], set, inside: true };
        vec![
            Rule::new(vec![long, fits, back()]),
            Rule::new(vec![short_segment(build, place), back()]),
            Rule::new(vec![Statement::goto(long_way(build, zone, place))]),
        ]
    })
}

fn exactly(number: u32) -> Element {
    Element { key: vec![(number.into(), number.into())], to: None }
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

/// A datagram that fills its packet.
fn datagram(build: &mut Build<'_>, zone: usize, place: Place) -> Statement {
    let most = longest(build, zone, place).min(LONGEST_DATAGRAM);
    let name = format!("fast.udp{most}.{}", place.set_name());
    let about = "lengths of packets, and of datagrams that fill them";
    pairs(build, (&name, about), [place.length(), place.at(4, 2)], || {
        (place.counted() + DATAGRAM..=most).map(|length| [length, length - place.counted()]).collect()
    })
}

/// The highest value of the length field that is no reason to drop.
fn longest(build: &Build<'_>, zone: usize, place: Place) -> u32 {
    let fixed = if place.family == Family::V4 { 0 } else { 40 };
    if build.drops_oversize() { build.zones[zone].mtu.min(65_535 + fixed) - fixed } else { 65_535 }
}

/// Steps 3 and 7. Where rules only name addresses that can be right, a hit shows that they are; a miss has to be looked
/// at before it is `no_rule`.
fn judged(build: &mut Build<'_>, zone: usize, place: Place, kind: Kind, long: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut after = Vec::new();
    let [sources, destinations] = lookup::only_right(build, zone, place.family);
    for (right, at) in [(sources, Side::Source), (destinations, Side::Destination)] {
        let odd = odd_address(build, place, at);
        let rule = Rule::new(vec![odd, Statement::goto(long)]);
        if right { after.push(rule) } else { rules.push(rule) }
    }
    if let Some(mut speaks) = speakers(build, zone, place) {
        if let Some(Statement::Member { inside, .. }) = speaks.last_mut() {
            *inside = false;
        }
        speaks.push(Statement::goto(long));
        rules.push(Rule::new(speaks));
    }
    let found = Statement::equal(Field::L4Protocol, &[if kind == Kind::Udp { UDP } else { TCP }]);
    for mut rule in lookup::maps(build, zone, place, kind) {
        if !rule.statements.iter().any(reads_layer4) {
            rule.statements.insert(0, found.clone());
        }
        rules.push(rule);
    }
    rules.extend(after);
    rules.push(build.fails(DropReason::NoRule, place.shape, vec![found]));
    rules.push(Rule::new(vec![Statement::goto(long)]));
    rules
}

/// Whether a statement ends its rule where the kernel has not found layer 4.
fn reads_layer4(statement: &Statement) -> bool {
    let reads = |field: &Field| matches!(field, Field::SourcePort | Field::DestinationPort);
    match statement {
        Statement::CountBy { fields, .. } | Statement::Dispatch { fields, .. } => fields.iter().any(reads),
        _ => false,
    }
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
        odd.iter().map(|&byte| Element { key: vec![(byte.into(), byte.into())], to: None }).collect()
    });
    Statement::Member { fields: vec![first], set, inside: true }
}
