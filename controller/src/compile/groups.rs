//! Rules in groups: what each group needs to know of a rule.

use std::collections::BTreeMap;
use std::rc::Rc;

use perimeter_classifier::abi::GROUPS;

use super::bands::Scheme;
use super::partition::Interner;
use super::services::Services;
use super::zones::Zones;
use crate::ruleset::{AddressSet, Rule};

/// What a rule asks besides addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    /// Alternatives, see [`Services`]; ascending.
    pub(super) alternatives: Vec<u32>,
    /// VLAN list, see [`Zones`]; `None` where it holds in every zone.
    pub(super) list: Option<u32>,
}

/// A rule over IP packets, with its sets shared by all rules that have the same.
#[derive(Clone, Debug)]
pub(super) struct IpRule {
    pub(super) index: u32,
    from: Rc<AddressSet>,
    to: Rc<AddressSet>,
    /// Number among the conditions.
    condition: u32,
}

/// The part of a rule that is in a group. A rule's parts are disjoint.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rule: u32,
    pub(super) from: Rc<AddressSet>,
    pub(super) to: Rc<AddressSet>,
    pub(super) condition: u32,
}

/// Parts in the order of their rules.
pub(super) type Group = Vec<Part>;

/// The rules over IP packets, and the distinct conditions they have.
pub(super) fn ip_rules<'a>(
    rules: impl Iterator<Item = (u32, &'a Rule)>,
    services: &mut Services,
    zones: &mut Zones,
) -> (Vec<IpRule>, Vec<Condition>) {
    let mut addresses: Interner<Rc<AddressSet>> = Interner::new();
    let mut conditions = Interner::new();
    let mut shared = |set: &AddressSet| {
        let number = addresses.number(Rc::new(set.clone()));
        addresses.values()[number as usize].clone()
    };
    let rules = rules
        .filter(|(_, rule)| !rule.services.is_empty())
        .map(|(index, rule)| {
            let condition = Condition { alternatives: services.of_rule(rule), list: zones.list_of(rule) };
            IpRule {
                index,
                from: shared(&rule.from),
                to: shared(&rule.to),
                condition: conditions.number(condition),
            }
        })
        .collect();
    (rules, conditions.values().to_vec())
}

/// With more zones than this, rules that ask for VLANs stay apart from those that hold in every zone, so that zones do not
/// multiply with what they have nothing to do with.
const FEW_ZONES: usize = 4;

/// Spreads the rules by a scheme; at most [`GROUPS`] groups, at least one.
pub(super) fn spread(rules: &[IpRule], conditions: &[Condition], zones: usize, scheme: Scheme) -> Vec<Group> {
    let apart = scheme != Scheme::One && zones > FEW_ZONES;
    let mut splits: BTreeMap<*const AddressSet, Vec<(u8, Rc<AddressSet>)>> = BTreeMap::new();
    let mut groups: BTreeMap<(bool, u8, u8), Group> = BTreeMap::new();
    for rule in rules {
        for set in [&rule.from, &rule.to] {
            splits.entry(Rc::as_ptr(set)).or_insert_with(|| scheme.split(set));
        }
        let bound = apart && conditions[rule.condition as usize].list.is_some();
        for (from_band, from) in &splits[&Rc::as_ptr(&rule.from)] {
            for (to_band, to) in &splits[&Rc::as_ptr(&rule.to)] {
                let (from, to) = (from.clone(), to.clone());
                let part = Part { rule: rule.index, from, to, condition: rule.condition };
                // What speaks of no address adds no row to the group beside it.
                let from_band =
                    if (*from_band, *to_band) == (0, 0) { scheme.last_band() } else { *from_band };
                groups.entry((bound, from_band, *to_band)).or_default().push(part);
            }
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    while groups.len() > GROUPS {
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let smallest = groups.pop().unwrap_or_default();
        let next = groups.last_mut().expect("there are more than GROUPS groups");
        next.extend(smallest);
        next.sort_by_key(|part| part.rule);
    }
    if groups.is_empty() { vec![Group::new()] } else { groups }
}
