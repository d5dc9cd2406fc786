//! Step 5: fragments of either family.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::ipv4::{FRAGMENT, OFFSET};
use super::layer4::{self, Piece, shortest};
use super::lengths::{self, Half, Halves};
use super::shape::{Place, Shape};
use crate::backend::nft::ir::{Rule, Statement, Verdict};
use crate::ruleset::Family;

const MORE_V4: [u8; 2] = [0x20, 0];
/// The fragment header of IPv6: offset and flags, and their parts.
const FIELD_V6: u32 = 42;
const OFFSET_OR_MORE_V6: [u8; 2] = [0xff, 0xf9];
const OFFSET_V6: [u8; 2] = [0xff, 0xf8];
const MORE_V6: [u8; 2] = [0, 1];
const TCP: u8 = 6;

/// Fragments of IPv4 on a zone.
pub(super) fn v4(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.v4.fragment.{}", shape.name()), |build| {
        let mut rules = vec![Rule::new(vec![Statement::jump(malformed_v4(build, shape))])];
        if !build.stateless() {
            rules.push(build.fails(DropReason::Fragment, shape, Vec::new()));
            return rules;
        }
        let place = Place::v4(shape);
        let offset = || shape.layer3_masked(FRAGMENT, &OFFSET);
        let first = first(build, zone, place);
        rules.push(Rule::new(vec![Statement::equal(offset(), &[0, 0]), Statement::goto(first)]));
        let overwrites =
            vec![Statement::equal(offset(), &[0, 1]), Statement::equal(place.protocol(), &[TCP])];
        rules.push(build.fails(DropReason::FragmentTiny, shape, overwrites));
        rules.extend(layer4::later(build, zone, place));
        rules
    })
}

/// Fragments that no packet can have; returns for the others.
fn malformed_v4(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v4.fragment.{}", shape.name()), |build| {
        // Units of eight bytes: the low byte has the last five bits.
        let part = |mask: [u8; 2], shift, step| {
            let field = shape.layer3_masked(FRAGMENT, &mask);
            Half { field, shift, step, last: 255 }
        };
        let offset = Halves { high: part([0x1f, 0xe0], 5, 1), low: part([0, 0x1f], -3, 8) };
        let mut rules = past_end(build, "v4.past_end", (shape, &offset), Place::v4(shape), 0);
        // A multiple of 8 after the header, whose words are four bytes each.
        for (words, rest) in [(1, 4), (0, 0)] {
            let odd = vec![
                Statement::equal(shape.layer3_masked(FRAGMENT, &MORE_V4), &MORE_V4),
                Statement::equal(shape.layer3_masked(0, &[1]), &[words]),
                Statement::differs(shape.layer3_masked(3, &[7]), &[rest]),
            ];
            rules.push(build.fails(DropReason::Malformed, shape, odd));
        }
        rules
    })
}

/// Packets with a fragment header of IPv6 on a zone.
pub(super) fn v6(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    let place = Place::v6(shape, 8);
    build.chain(&format!("zone{zone}.v6.fragment.{}", shape.name()), |build| {
        let whole = build.chain(&format!("zone{zone}.v6.atomic.{}", shape.name()), |build| {
            layer4::rules(build, zone, place, Piece::Atomic)
        });
        let mut rules = vec![Rule::new(vec![
            Statement::equal(shape.layer3_masked(FIELD_V6, &OFFSET_OR_MORE_V6), &[0, 0]),
            Statement::goto(whole),
        ])];
        rules.push(Rule::new(vec![Statement::jump(malformed_v6(build, shape))]));
        if !build.stateless() {
            rules.push(build.fails(DropReason::Fragment, shape, Vec::new()));
            return rules;
        }
        let offset = || shape.layer3_masked(FIELD_V6, &OFFSET_V6);
        let first = first(build, zone, place);
        rules.push(Rule::new(vec![Statement::equal(offset(), &[0, 0]), Statement::goto(first)]));
        rules.push(build.fails(DropReason::FragmentTiny, shape, vec![Statement::equal(offset(), &[0, 8])]));
        rules.extend(layer4::later(build, zone, place));
        rules
    })
}

fn malformed_v6(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v6.fragment.{}", shape.name()), |build| {
        let part = |at, mask, step| {
            let field = shape.layer3_masked(FIELD_V6 + at, &[mask]);
            Half { field, shift: 0, step, last: 255 }
        };
        let offset = Halves { high: part(0, 0xff, 1), low: part(1, 0xf8, 8) };
        // The payload counts the fragment header, which is no part of what is put together.
        let mut rules = past_end(build, "v6.past_end", (shape, &offset), Place::v6(shape, 8), 8);
        let odd = vec![
            Statement::equal(shape.layer3_masked(FIELD_V6, &MORE_V6), &MORE_V6),
            Statement::differs(shape.layer3_masked(5, &[7]), &[0]),
        ];
        rules.push(build.fails(DropReason::Malformed, shape, odd));
        rules
    })
}

/// Drops a fragment that goes past the largest packet, which the length field counts `extra` bytes too long.
fn past_end(
    build: &mut Build<'_>,
    name: &str,
    (shape, offset): (Shape, &Halves),
    place: Place,
    extra: u32,
) -> Vec<Rule> {
    let name = format!("{name}{}", shape.set_name());
    let malformed = Statement::Verdict(build.reason(DropReason::Malformed, shape));
    lengths::past_end(build, &name, (offset, &place.length_bytes()), extra, &malformed)
}

/// First fragments: with all of the header that step 6 judges.
fn first(build: &mut Build<'_>, zone: usize, place: Place) -> String {
    build.chain(&format!("zone{zone}.first.{}", place.name()), |build| {
        let tiny = build.chain(&format!("tiny.{}", place.name()), |build| {
            let icmp = if place.family == Family::V4 { 1 } else { 58 };
            let short = |protocol: u8| {
                let least = shortest(place.family, protocol);
                vec![Statement::equal(place.protocol(), &[protocol]), place.payload_below(least)]
            };
            [TCP, 17, 132, icmp]
                .into_iter()
                .map(|protocol| build.fails(DropReason::FragmentTiny, place.shape, short(protocol)))
                .collect()
        });
        let mut rules = vec![Rule::new(vec![Statement::jump(tiny)])];
        rules.extend(layer4::rules(build, zone, place, Piece::First));
        rules
    })
}

/// Ends a chain that was jumped to.
pub(super) fn back() -> Statement {
    Statement::Verdict(Verdict::Return)
}
