//! Step 5: fragments of either family.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::ipv4::{FRAGMENT, OFFSET};
use super::layer4::{self, Piece, shortest};
use super::lengths;
use super::shape::{Place, Shape};
use crate::backend::nft::divergence::LONGEST;
use crate::backend::nft::ir::{Rule, Statement, Verdict};
use crate::ruleset::Family;

const MORE_V4: [u8; 2] = [0x20, 0];
/// The fragment header of IPv6: offset and flags, and their parts.
const FIELD_V6: u32 = 42;
const OFFSET_OR_MORE_V6: [u8; 2] = [0xff, 0xf9];
const OFFSET_V6: [u8; 2] = [0xff, 0xf8];
const MORE_V6: [u8; 2] = [0, 1];
const LARGEST_PACKET: u32 = 65_535;
const TCP: u8 = 6;

/// Fragments of IPv4 on a zone.
pub(super) fn v4(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.v4.fragment.{}", shape.name()), |build| {
        let mut rules = vec![Rule::new(vec![Statement::jump(malformed_v4(build, zone, shape))])];
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
fn malformed_v4(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    let most = longest(build, zone, shape);
    build.chain(&format!("v4.fragment{most}.{}", shape.name()), |build| {
        let length = || shape.layer3(2, 2);
        let offset = shape.layer3_masked(FRAGMENT, &OFFSET);
        let name = format!("v4.past_end{most}{}", shape.set_name());
        let past = lengths::past_end(build, &name, [offset, length()], (1, 8191), (8, LARGEST_PACKET, most));
        let mut rules = vec![build.fails(DropReason::Malformed, shape, vec![past])];
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
        rules.push(Rule::new(vec![Statement::jump(malformed_v6(build, zone, shape))]));
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

fn malformed_v6(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    let most = longest(build, zone, shape);
    build.chain(&format!("v6.fragment{most}.{}", shape.name()), |build| {
        let length = shape.layer3(4, 2);
        let offset = shape.layer3_masked(FIELD_V6, &OFFSET_V6);
        let name = format!("v6.past_end{most}{}", shape.set_name());
        // The payload counts the fragment header, which is no part of what is put together.
        let past =
            lengths::past_end(build, &name, [offset, length], (8, 65_528), (1, LARGEST_PACKET + 8, most));
        let mut rules = vec![build.fails(DropReason::Malformed, shape, vec![past])];
        let odd = vec![
            Statement::equal(shape.layer3_masked(FIELD_V6, &MORE_V6), &MORE_V6),
            Statement::differs(shape.layer3_masked(5, &[7]), &[0]),
        ];
        rules.push(build.fails(DropReason::Malformed, shape, odd));
        rules
    })
}

/// The longest packet that comes this far.
fn longest(build: &Build<'_>, zone: usize, shape: Shape) -> u32 {
    let most = if build.drops_oversize() { build.zones[zone].mtu } else { LARGEST_PACKET };
    if shape.known() { most } else { most.min(LONGEST) }
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
