//! Rules that several others together make pointless.
//!
//! A rule is covered if nothing is left of it after all others are taken away. Most rules are found to be none after a
//! look at the few others that meet them: the search ends at the first frame that only they match.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use super::{Finding, Subject};
use crate::ruleset::{Action, Fragments, Rule, Ruleset};
use crate::space::{
    Addresses, Budget, Carved, Dimension, Part, Region, Set, Shelves, never, of_rule, refusals, stacks,
};

/// Comparisons of regions for all rules together, and for one.
const STEPS: usize = 20_000_000;
const STEPS_OF_ONE: usize = 200_000;
/// Rules that are named as the cause.
const NAMED: usize = 3;

/// The rules of one interface as regions.
struct Place {
    shelves: Shelves<Owner>,
    /// Each rule's regions, as far as the interface lets frames of them through.
    own: BTreeMap<usize, Vec<Region>>,
}

/// What a region is of: a rule, or what is dropped before the rules.
type Owner = Option<usize>;

/// Rules that others cover together. `known` are those that one other rule covers already.
pub(super) fn findings(ruleset: &Ruleset, known: &[usize]) -> Vec<Finding> {
    let mut addresses = Addresses::default();
    let places: Vec<Place> =
        (0..ruleset.interfaces.len()).map(|at| Place::new(ruleset, at, &mut addresses)).collect();
    let mut budget = Budget::new(STEPS);
    let mut findings = Vec::new();
    let mut known: FxHashSet<usize> = known.iter().copied().collect();
    // The last first: of rules that excuse each other in a circle, those that were there first stay.
    for (at, rule) in ruleset.rules.iter().enumerate().rev() {
        if rule.interfaces.is_empty() || known.contains(&at) {
            continue;
        }
        let mut causes = Vec::new();
        let is_covered = rule.interfaces.iter().all(|interface| {
            let mut own = budget.lend(STEPS_OF_ONE);
            let is_covered = places[*interface].covers(ruleset, at, &mut causes, &mut own, &known);
            budget.take_back(own);
            is_covered
        });
        if budget.is_spent() {
            break;
        }
        if is_covered && causes.len() > 1 {
            findings.push(finding(ruleset, at, causes));
            known.insert(at);
        }
    }
    findings
}

impl Place {
    fn new(ruleset: &Ruleset, interface: usize, addresses: &mut Addresses) -> Place {
        let settings = &ruleset.interfaces[interface];
        let allowed = settings.vlans.iter().map(|entry| entry.range).collect::<Vec<_>>();
        let allowed = stacks(&allowed);
        let mut regions: Vec<(Region, Owner)> = Vec::new();
        let mut own: BTreeMap<usize, Vec<Region>> = BTreeMap::new();
        for (at, rule) in ruleset.rules.iter().enumerate() {
            if rule.interfaces.binary_search(&interface).is_err() {
                continue;
            }
            for region in of_rule(rule, addresses) {
                regions.push((region.clone(), Some(at)));
                let stack = region.side(Dimension::Stack).intersection(&allowed);
                let mut seen = region.with(Dimension::Stack, stack);
                if settings.fragments == Fragments::Drop {
                    let whole = Set::one(Part::Whole as u128);
                    let part = seen.side(Dimension::Part).intersection(&whole);
                    seen = seen.with(Dimension::Part, part);
                }
                if !seen.is_empty() {
                    own.entry(at).or_default().push(seen);
                }
            }
        }
        let dropped = refusals(ruleset, settings, addresses).into_iter().map(|one| one.region).chain(never());
        regions.extend(dropped.map(|region| (region, None)));
        Place { shelves: Shelves::new(&regions), own }
    }

    /// Whether others match, or drop, all that the rule matches here; who they are is added to `causes`.
    fn covers(
        &self,
        ruleset: &Ruleset,
        rule: usize,
        causes: &mut Vec<usize>,
        budget: &mut Budget,
        known: &FxHashSet<usize>,
    ) -> bool {
        let Some(regions) = self.own.get(&rule) else { return true };
        let action = ruleset.rules[rule].action;
        regions.iter().all(|region| {
            let (shelf, owners) = self.shelves.of(region.kind);
            // A rule that is pointless itself is no cause, lest two of them excuse each other.
            let is_cause = |owner: &Owner| match owner {
                None => true,
                Some(other) => {
                    *other != rule
                        && !known.contains(other)
                        && ruleset.rules[*other].outlasts(&ruleset.rules[rule])
                        && (ruleset.rules[*other].action == action
                            || ruleset.rules[*other].action == Action::Deny)
                }
            };
            let Some(mut others) = shelf.meeting(region, budget) else { return false };
            others.retain(|at| is_cause(&owners[*at]));
            // The widest first: they leave the least to do.
            others.sort_by(|a, b| shelf.get(*b).log2().total_cmp(&shelf.get(*a).log2()));
            let mut stop = |piece: Region| match piece.real() {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            };
            let is_covered = shelf.carve(region.clone(), &others, budget, &mut stop) == Carved::Whole;
            if is_covered {
                for owner in others.iter().filter_map(|at| owners[*at]) {
                    if !causes.contains(&owner) {
                        causes.push(owner);
                    }
                }
            }
            is_covered
        })
    }
}

fn finding(ruleset: &Ruleset, at: usize, mut causes: Vec<usize>) -> Finding {
    let rule = &ruleset.rules[at];
    causes.sort_by_key(|cause| ruleset.rules[*cause].line);
    let name = |rule: &Rule| format!("\"{}\" (line {})", rule.id, rule.line);
    let named: Vec<String> = causes.iter().take(NAMED).map(|cause| name(&ruleset.rules[*cause])).collect();
    let more = causes.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let denies = causes.iter().filter(|cause| ruleset.rules[**cause].action == Action::Deny).count();
    let does = match (rule.action, denies) {
        (Action::Allow, 0) => "pass",
        (_, all) if all == causes.len() => "drop",
        _ => "pass or drop",
    };
    let is_later = causes.iter().any(|cause| *cause > at);
    let (word, remedy) = match (does, is_later) {
        ("pass", false) => ("shadowed", "remove it, or put it first if its counter is wanted"),
        ("pass", true) => ("redundant", "remove it, unless its own counter is wanted"),
        ("drop", _) if rule.action == Action::Allow => ("shadowed", "remove it, or narrow the deny rules"),
        _ => ("redundant", "remove it, unless its own counter is wanted"),
    };
    Finding {
        subject: Subject::Rule(at),
        message: format!(
            "rule \"{}\" is {word}: together {}{more} {does} everything it would",
            rule.id,
            named.join(", ")
        ),
        remedy: remedy.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::warnings;

    #[test]
    fn several_rules_may_cover_one_together() {
        let found = warnings(
            "  - {id: low, vlan: any, from: 10.0.0.0/9, service: tcp}\n  - {id: high, vlan: any, from: 10.128.0.0/9, service: tcp}\n  - {id: both, vlan: any, from: 10.0.0.0/8, service: ssh}\n",
            "",
        );
        assert_eq!(
            found,
            [
                "9: rule \"both\" is shadowed: together \"low\" (line 7), \"high\" (line 8) pass everything it would"
            ]
        );
    }

    #[test]
    fn a_gap_is_seen_however_small() {
        for missing in ["10.0.0.0/9", "10.0.0.0/10", "10.0.0.1"] {
            let others = "  - {id: high, vlan: any, from: 10.128.0.0/9, service: ssh}\n";
            let low = format!("  - {{id: low, vlan: any, from: {missing}, service: ssh}}\n");
            let both = "  - {id: both, vlan: any, from: 10.0.0.0/8, to: 192.0.2.0/24, service: ssh}\n";
            let found = warnings(&format!("{low}{others}{both}"), "");
            assert_eq!(found.is_empty(), missing != "10.0.0.0/9", "{missing}: {found:?}");
        }
    }

    #[test]
    fn deny_and_allow_rules_cover_together() {
        let found = warnings(
            "  - {id: some, vlan: any, from: 10.0.0.0/9, service: tcp}\n  - {id: a, vlan: any, from: 10.0.0.0/8, service: ssh}\n",
            "deny:\n  - {id: no, from: 10.128.0.0/9}\n",
        );
        assert_eq!(
            found,
            [
                "8: rule \"a\" is redundant: together \"some\" (line 7), \"no\" (line 12) pass or drop everything it would"
            ]
        );
    }
}
