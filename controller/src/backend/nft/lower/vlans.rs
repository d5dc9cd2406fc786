//! Frames by VLAN and verdict, where nftables judges what XDP has let through: whoever decides about a frame counts it.
//!
//! Promises: a frame is counted under the label that its VLAN has (see [`VlanLabels`]), or under `other` where it was not known
//! which VLAN it is on. Refuses nothing and judges nothing: the verdict is the caller's. Where nftables judges alone nothing is
//! counted by VLAN, since a lookup a frame is more than that is worth there.

use super::build::Build;
use super::shape::Shape;
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Rule, Statement, To, Verdict};
use crate::backend::nft::names;
use crate::counters::Outcome;
use crate::ruleset::{Mode, VlanId, VlanLabels, VlanRange};

const VID: [u8; 2] = [0x0f, 0xff];

/// What is known of a frame's VLAN when its verdict falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It fails before its VLAN is known, or is on none that is allowed.
    Not(Shape),
    /// It is on one that is allowed.
    On(Shape),
}

impl Known {
    pub(super) fn shape(self) -> Shape {
        match self {
            Known::Not(shape) | Known::On(shape) => shape,
        }
    }

    /// The end of the names of chains that end the way of a frame.
    pub(super) fn name(self) -> String {
        match self {
            Known::Not(shape) => format!(".{}.unknown", shape.name()),
            Known::On(shape) => format!(".{}", shape.name()),
        }
    }
}

/// Whether frames are counted by VLAN here.
pub(super) fn counts(build: &Build<'_>) -> bool {
    build.interface.mode == Mode::Both && build.interface.accounting.vlan
}

/// The end of the way of a frame: `told`, the count of its VLAN, and the verdict.
pub(super) fn end(
    build: &mut Build<'_>,
    outcome: Outcome,
    known: Known,
    told: Vec<Statement>,
    verdict: Verdict,
) -> Vec<Rule> {
    let of = |build: &mut Build<'_>, number: u32| {
        let name = names::of_vlan(outcome, &labels(build).names()[number as usize], known.shape().stripped());
        vec![Statement::Count(build.counter(name)), Statement::Verdict(verdict.clone())]
    };
    let rest = match known {
        Known::On(Shape::Untagged) => labels(build).number(VlanId::Untagged),
        _ => 0,
    };
    let lookup = match known {
        Known::On(shape) if shape != Shape::Untagged => lookup(build, outcome, shape, of),
        _ => None,
    };
    let rest = of(build, rest);
    match lookup {
        None => vec![Rule::new([told, rest].concat())],
        Some(dispatch) => vec![Rule::new([told, vec![dispatch]].concat()), Rule::new(rest)],
    }
}

/// The labels of the interface.
fn labels(build: &Build<'_>) -> VlanLabels {
    VlanLabels::of(build.ruleset, build.index)
}

/// To the chain that counts the label; none where no stack of this shape is allowed.
fn lookup(
    build: &mut Build<'_>,
    outcome: Outcome,
    shape: Shape,
    mut count: impl FnMut(&mut Build<'_>, u32) -> Vec<Statement>,
) -> Option<Statement> {
    let labels = labels(build);
    let stacks = stacks(build, shape);
    let numbered: Vec<(Vec<u16>, u32)> = stacks
        .into_iter()
        .map(|(vids, id)| (vids, labels.number(id)))
        .filter(|(_, number)| *number != 0)
        .collect();
    if numbered.is_empty() {
        return None;
    }
    let word = names::word(outcome);
    let ending = if shape.stripped() { names::TAGGED } else { "" };
    let mut elements = Vec::new();
    for (vids, number) in numbered {
        let chain = build
            .chain(&format!("vlan.{word}.{number}{ending}"), |build| vec![Rule::new(count(build, number))]);
        let key = vids.into_iter().map(|vid| (u128::from(vid), u128::from(vid))).collect();
        elements.push(Element { key, to: Some(To::Verdict(Verdict::Goto(chain))) });
    }
    let (fields, key): (Vec<Field>, Vec<Part>) = places(shape)
        .iter()
        .map(|&(header, offset)| (Raw::masked(header, offset, &VID), Part::Raw { header, offset, length: 2 }))
        .unzip();
    let name = format!("vlan.{word}.{}", shape.name());
    let map = build.set(&name, "the chain that counts the frames of a VLAN", key, false, || elements);
    Some(Statement::Dispatch { fields, map })
}

/// Where the VIDs are, the outer one first.
fn places(shape: Shape) -> &'static [(Header, u32)] {
    match shape {
        Shape::Untagged => &[],
        Shape::Tagged => &[(Header::Link, 14)],
        Shape::Pair => &[(Header::Link, 14), (Header::Network, 0)],
        Shape::Pair9100 => &[(Header::Network, 0), (Header::Network, 4)],
    }
}

/// The stacks of this shape that the interface allows: their VIDs on the wire, and what they are. A lone priority tag is none.
fn stacks(build: &Build<'_>, shape: Shape) -> Vec<(Vec<u16>, VlanId)> {
    let ranges = build.interface.vlans.iter().map(|entry| entry.range);
    let mut stacks: Vec<(Vec<u16>, VlanId)> = ranges
        .flat_map(|range| match (range, shape) {
            (VlanRange::Untagged, Shape::Tagged) => vec![(vec![0], VlanId::Untagged)],
            (VlanRange::Single { low, high }, Shape::Tagged) => {
                (low..=high).map(|vid| (vec![vid], VlanId::Single(vid))).collect()
            }
            (VlanRange::Stacked { outer, inner }, Shape::Pair | Shape::Pair9100) => {
                vec![(vec![outer, inner], VlanId::Stacked { outer, inner })]
            }
            _ => Vec::new(),
        })
        .collect();
    stacks.sort_by(|one, other| one.0.cmp(&other.0));
    stacks.dedup_by(|one, other| one.0 == other.0);
    stacks
}
