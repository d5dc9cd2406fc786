//! Neighbour discovery: the rest of step 6.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::ipv6;
use super::layer4::Piece;
use super::shape::Place;
use crate::backend::nft::ir::{Rule, Statement};

/// Message types and the bytes of their fixed fields.
const MESSAGES: [(u8, u32); 5] = [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)];
const ADVERTISEMENT: u8 = 136;
const TARGET: u32 = 8;
const HOP_LIMIT: u32 = 7;
const HIGHEST: u8 = 255;

/// What an ICMPv6 message has to hold to if it is one of these.
pub(super) fn rules(build: &mut Build<'_>, zone: usize, place: Place, piece: Piece) -> Vec<Rule> {
    let kind = || place.at(0, 1);
    let is_one = || {
        vec![Statement::above(kind(), &[MESSAGES[0].0 - 1]), Statement::below(kind(), &[MESSAGES[4].0 + 1])]
    };
    let word = if piece == Piece::Whole { "neighbour" } else { "neighbour.fragment" };
    let check = build.chain(&format!("{word}.{}", place.name()), |build| {
        if piece != Piece::Whole {
            return vec![build.fails(DropReason::Malformed, place.shape, Vec::new())];
        }
        let far = vec![Statement::differs(place.shape.layer3(HOP_LIMIT, 1), &[HIGHEST])];
        let coded = vec![Statement::differs(place.at(1, 1), &[0])];
        let mut rules = vec![
            build.fails(DropReason::Malformed, place.shape, far),
            build.fails(DropReason::Malformed, place.shape, coded),
        ];
        for (message, length) in MESSAGES {
            let short = vec![Statement::equal(kind(), &[message]), place.payload_below(length)];
            rules.push(build.fails(DropReason::Malformed, place.shape, short));
        }
        rules
    });
    let mut rules = vec![Rule::new(super::all([is_one(), vec![Statement::jump(check)]]))];
    if piece == Piece::Whole
        && let Some(speaks) = ipv6::speakers(build, zone, place.shape, place.layer4 + TARGET)
    {
        let name = format!("sources{}.target.{}", build.zones[zone].sources_number, place.name());
        let target = build.chain(&name, |build| {
            let link_local = Statement::equal(place.at_masked(TARGET, &[0xff, 0xc0]), &[0xfe, 0x80]);
            let back = || super::fragments::back();
            let mut rules = vec![Rule::new(vec![link_local, back()])];
            rules.push(Rule::new(super::all([speaks, vec![back()]])));
            rules.push(build.fails(DropReason::VlanSourceMismatch, place.shape, Vec::new()));
            rules
        });
        rules.push(Rule::new(vec![Statement::equal(kind(), &[ADVERTISEMENT]), Statement::jump(target)]));
    }
    rules
}
