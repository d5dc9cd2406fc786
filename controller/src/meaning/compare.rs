//! What passes on one side and not on the other.
//!
//! A frame passes where an `allow` rule matches it and nothing refuses it. So it is gained in one of two ways: an `allow`
//! rule is there that the other side does not have, or something that refused it is gone. Rules and settings that both
//! sides have are looked at only where they meet such a change.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::pieces::Pieces;
use super::witness::{Judges, Shown};
use super::{Cause, Difference, MOST, Side};
use crate::space::{Budget, Carved, Dimension, Region, Set, Shelves, merge};

/// What was found in one direction.
pub(super) struct Gains {
    pub(super) differences: Vec<Difference>,
    pub(super) is_complete: bool,
}

/// A region with what makes it pass.
type Passed = (Region, Vec<Cause>);

/// What was found, and whether that is all.
struct Found {
    regions: Vec<Passed>,
    /// Ranges in the regions together.
    weight: usize,
    is_complete: bool,
}

/// Ranges that are kept before regions are joined: joining compares them all, again and again.
const MOST_RANGES: usize = 150_000;

impl Found {
    fn new() -> Self {
        Found { regions: Vec::new(), weight: 0, is_complete: true }
    }

    /// Adds a region, unless there are too many.
    fn add(&mut self, region: Region, cause: Cause) -> ControlFlow<()> {
        self.weight += region.weight();
        if self.weight > MOST_RANGES {
            self.is_complete = false;
            return ControlFlow::Break(());
        }
        self.regions.push((region, vec![cause]));
        ControlFlow::Continue(())
    }
}

/// What `passing` lets through and `dropping` does not.
pub(super) fn gains(
    dropping: (Side<'_>, &Pieces),
    passing: (Side<'_>, &Pieces),
    judges: &Judges,
    budget: &mut Budget,
) -> Gains {
    // What is no longer refused is told however much new rules pass: a quarter of the work is kept for it.
    let mut most = budget.lend(budget.left() / 4 * 3);
    let mut found = by_rules(dropping, passing, &mut most);
    budget.take_back(most);
    let freed = freed(dropping.1, passing.1, &found, budget);
    found.is_complete &= freed.is_complete;
    found.regions.extend(freed.regions);
    let mut is_complete = found.is_complete;
    let mut differences = Vec::new();
    for (region, causes) in widest_first(found.regions) {
        if differences.len() == MOST {
            is_complete = false;
            break;
        }
        let Shown { exact, witness, is_whole } = judges.show(&region, dropping.0, passing.0);
        is_complete &= is_whole;
        if let Some(witness) = witness {
            differences.push(Difference { causes, regions: vec![region], exact, witness });
        }
    }
    Gains { differences: families(differences), is_complete }
}

/// What `allow` rules pass that the other side does not have: less what its rules pass, less what is refused.
fn by_rules(dropping: (Side<'_>, &Pieces), passing: (Side<'_>, &Pieces), budget: &mut Budget) -> Found {
    let ((other, without), (side, with)) = (dropping, passing);
    let known: FxHashSet<&Region> = without.allow.iter().map(|(region, _)| region).collect();
    let hurdles = without.allow.iter().map(|(region, rule)| (region.clone(), Some(*rule)));
    let hurdles = hurdles.chain(with.deny.iter().map(|(region, _)| (region.clone(), None)));
    let hurdles = Shelves::new(&hurdles.collect::<Vec<_>>());
    let mut found = Found::new();
    for (region, rule) in with.allow.iter().filter(|(region, _)| !known.contains(region)) {
        let (shelf, rules) = hurdles.of(region.kind);
        let id = &side.ruleset.rules[*rule].id;
        let is_namesake = |at: &usize| rules[*at].is_some_and(|rule| other.ruleset.rules[rule].id == *id);
        let Some(mut others) = shelf.meeting(region, budget) else {
            found.is_complete = false;
            break;
        };
        // The rule as it was takes most away; what is left then is what was changed about it.
        others.sort_by_key(|at| !is_namesake(at));
        let mut take = |piece| found.add(piece, Cause::Allow(*rule));
        // Not all that is left: one rule that meets every other one does not leave nothing for the rest.
        let mut own = budget.lend(budget.left() / 4 * 3);
        let is_whole = shelf.carve(region.clone(), &others, &mut own, &mut take) == Carved::Whole;
        found.is_complete &= is_whole;
        budget.take_back(own);
    }
    found.regions = merge(found.regions, also);
    found
}

/// What is no longer refused, as far as a rule passes it.
fn freed(without: &Pieces, with: &Pieces, known: &Found, budget: &mut Budget) -> Found {
    let still: FxHashSet<&Region> = with.deny.iter().map(|(region, _)| region).collect();
    let hurdles: Vec<(Region, ())> = with.deny.iter().map(|(region, _)| (region.clone(), ())).collect();
    let (hurdles, allowed) = (Shelves::new(&hurdles), Shelves::new(&with.allow));
    let mut told: FxHashMap<usize, Vec<&Region>> = FxHashMap::default();
    for (region, causes) in &known.regions {
        if let [Cause::Allow(rule)] = causes[..] {
            told.entry(rule).or_default().push(region);
        }
    }
    let mut found = Found::new();
    for (refused, cause) in without.deny.iter().filter(|(region, _)| !still.contains(region)) {
        let (shelf, _) = hurdles.of(refused.kind);
        let Some(others) = shelf.meeting(refused, budget) else {
            found.is_complete = false;
            break;
        };
        let mut pieces = Vec::new();
        let mut take = |piece| {
            pieces.push(piece);
            ControlFlow::Continue(())
        };
        found.is_complete &= shelf.carve(refused.clone(), &others, budget, &mut take) == Carved::Whole;
        let (shelf, rules) = allowed.of(refused.kind);
        for piece in pieces {
            let Some(meeting) = shelf.meeting(&piece, budget) else {
                found.is_complete = false;
                break;
            };
            for at in meeting {
                let Some(region) = piece.intersection(shelf.get(at)) else { continue };
                let is_told = |told: &Vec<&Region>| told.iter().any(|known| known.covers(&region));
                if !told.get(&rules[at]).is_some_and(is_told) && found.add(region, *cause).is_break() {
                    break;
                }
            }
        }
    }
    found.regions = merge_alike(found.regions);
    found
}

/// Regions that pass for the same reasons.
type Alike = (Vec<Cause>, Vec<(Region, ())>);

/// Joins regions that something freed, where the cause is the same: a setting may refuse in several regions.
fn merge_alike(regions: Vec<Passed>) -> Vec<Passed> {
    let mut by_cause: Vec<Alike> = Vec::new();
    for (region, causes) in regions {
        match by_cause.iter_mut().find(|(known, _)| *known == causes) {
            Some((_, group)) => group.push((region, ())),
            None => by_cause.push((causes, vec![(region, ())])),
        }
    }
    let merged = by_cause.into_iter().flat_map(|(causes, group)| {
        merge(group, |(), ()| ()).into_iter().map(move |(region, ())| (region, causes.clone()))
    });
    merged.collect()
}

fn also(causes: &mut Vec<Cause>, more: Vec<Cause>) {
    for cause in more {
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
}

/// The widest first; no region that another one covers for the same reasons.
fn widest_first(regions: Vec<Passed>) -> Vec<Passed> {
    let mut sized: Vec<(f64, Region, Vec<Cause>)> =
        regions.into_iter().map(|(region, causes)| (region.log2(), region, causes)).collect();
    sized.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
    sized.into_iter().map(|(_, region, causes)| (region, causes)).collect()
}

/// Puts the IPv4 and the IPv6 half of one difference together.
fn families(differences: Vec<Difference>) -> Vec<Difference> {
    let mut places: FxHashMap<(Region, Vec<Cause>), usize> = FxHashMap::default();
    let mut joined: Vec<Difference> = Vec::with_capacity(differences.len());
    for difference in differences {
        let mut key = difference.regions[0].clone();
        let kind = key.kind;
        key.kind = crate::space::Kind::V4;
        key = key.with(Dimension::Source, Set::ALL).with(Dimension::Destination, Set::ALL);
        let key = (key, difference.causes.clone());
        let other = places.get(&key).map(|place: &usize| &mut joined[*place]);
        match other.filter(|other| {
            kind != crate::space::Kind::Ether && other.regions.len() == 1 && other.regions[0].kind != kind
        }) {
            Some(other) if other.regions[0].kind != crate::space::Kind::Ether => {
                other.regions.extend(difference.regions);
                other.regions.sort_by_key(|region| region.kind);
                other.exact.extend(difference.exact);
            }
            _ => {
                places.insert(key, joined.len());
                joined.push(difference);
            }
        }
    }
    joined
}
