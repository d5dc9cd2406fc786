//! Everything that is told, gathered once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use crate::backend::{Engine, accounted};
use crate::counters::{
    Accounting, Counts, EventTotals, InterfaceCounters, Loss, Switches, accounting, report,
};
use crate::digest::Digest;
use crate::plan::Known;
use crate::ruleset::{About, Action, Ruleset, VlanLabels};
use crate::state::Expected;
use crate::status::{InterfaceStatus, Status};

/// What the kernel and the state directory said at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub at: jiff::Timestamp,
    /// What is enforced, and whether it is what was put in force.
    pub status: Status,
    /// In the order of `status`.
    pub interfaces: Vec<InterfaceFacts>,
    /// Every rule of the policies in force, once, in the order in which it is credited.
    pub rules: Vec<RuleFacts>,
    /// How many counter slots are given away, and the memory of all of them in bytes, on every CPU.
    pub counter_slots: u64,
    pub counter_bytes: u64,
    /// What was lost around the program, of the devices that can be asked.
    pub losses: Vec<Loss>,
    /// What became of the events.
    pub events: EventTotals,
}

/// What was read beside the state.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    pub counts: Counts,
    /// Memory of the counters in bytes.
    pub counter_bytes: u64,
    pub losses: Vec<Loss>,
    pub events: EventTotals,
}

/// One interface that is enforced or should be: what the policy says of it, and what it has counted.
#[derive(Clone, Debug)]
pub struct InterfaceFacts {
    pub name: String,
    /// Zero where nothing is counted yet. A rule that the policy no longer has is in the sums, and not in `rules`.
    pub counters: InterfaceCounters,
    /// The rules that the policy has on this interface, in its order; those that have counters where its text is not kept.
    pub rules: Vec<(Action, String)>,
    /// Of the VLAN labels that the policy has; last hits only where XDP judges, since nftables keeps none.
    pub accounting: Accounting,
}

/// A rule, and what people say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFacts {
    pub id: String,
    pub action: Action,
    pub about: About,
}

impl Snapshot {
    /// Puts together what was read. `known` holds the policies in force and expected whose text is kept.
    pub fn new(
        at: jiff::Timestamp,
        status: Status,
        expected: &Expected,
        known: &BTreeMap<Digest, Known>,
        readings: Readings,
    ) -> Snapshot {
        let Readings { counts, counter_bytes, losses, events } = readings;
        let policy = |one: &InterfaceStatus| {
            let wanted = expected.settled.as_ref().filter(|side| side.interfaces.contains(&one.interface));
            let known = known.get(&one.policy.or(wanted.map(|wanted| wanted.policy))?)?;
            let index = known.stored.interfaces.iter().position(|other| other.name == one.interface)?;
            Some(Policy { ruleset: &known.stored, index })
        };
        let policies: Vec<Option<Policy<'_>>> = status.interfaces.iter().map(policy).collect();
        let asked = |policy: &Policy<'_>| policy.ruleset.interfaces[policy.index].accounting;
        let switched = |(one, policy): (&InterfaceStatus, &Option<Policy<'_>>)| {
            Some((one.interface.clone(), accounted(policy.as_ref().map(asked), &one.engines)?))
        };
        let switches: Switches = status.interfaces.iter().zip(&policies).filter_map(switched).collect();
        let mut counted = report(&counts);
        let mut accounts = accounting(&counts, &switches);
        let facts = status.interfaces.iter().zip(&policies).map(|(one, policy)| {
            let counters = take(&mut counted, |other| other.interface == one.interface);
            let accounting = take(&mut accounts, |other| other.interface == one.interface);
            InterfaceFacts::new(
                one,
                policy.as_ref(),
                counters.unwrap_or_default(),
                accounting.unwrap_or_default(),
            )
        });
        let interfaces: Vec<InterfaceFacts> = facts.collect();
        let rules = rules(policies.iter().flatten(), &interfaces);
        let counter_slots = counts.len() as u64;
        Snapshot { at, status, interfaces, rules, counter_slots, counter_bytes, losses, events }
    }

    /// The engines of an interface as one word: `native`, `generic`, `nft`, or those that judge together, `native+nft`.
    pub fn mode(one: &InterfaceStatus) -> String {
        let word = |engine: &Engine| match engine {
            Engine::Native => "native",
            Engine::Generic => "generic",
            Engine::Nft => "nft",
        };
        one.engines.iter().map(word).collect::<Vec<_>>().join("+")
    }
}

/// What a policy says of one interface.
struct Policy<'a> {
    ruleset: &'a Ruleset,
    index: usize,
}

impl Policy<'_> {
    fn rules(&self) -> Vec<(Action, String)> {
        let here = self.ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&self.index));
        here.map(|rule| (rule.action, rule.id.clone())).collect()
    }
}

/// Takes out the one that is wanted.
fn take<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Option<T> {
    let at = all.iter().position(is_it)?;
    Some(all.swap_remove(at))
}

impl InterfaceFacts {
    fn new(
        status: &InterfaceStatus,
        policy: Option<&Policy<'_>>,
        counters: InterfaceCounters,
        mut accounting: Accounting,
    ) -> InterfaceFacts {
        let name = status.interface.clone();
        let rules = policy.map(Policy::rules).unwrap_or_else(|| {
            let counted = counters.rules.iter().map(|count| (count.action, count.rule.clone()));
            counted.collect::<BTreeSet<_>>().into_iter().collect()
        });
        if let (Some(policy), Some(vlans)) = (policy, &mut accounting.vlans) {
            let labels = VlanLabels::of(policy.ruleset, policy.index);
            vlans.retain(|count| labels.named(&count.vlan).is_some());
        }
        InterfaceFacts { name, counters, rules, accounting }
    }
}

/// Every rule once: as the policies tell it, else by its id.
fn rules<'a>(
    policies: impl Iterator<Item = &'a Policy<'a>>,
    interfaces: &[InterfaceFacts],
) -> Vec<RuleFacts> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut rules = Vec::new();
    for rule in policies.flat_map(|policy| &policy.ruleset.rules) {
        if seen.insert(&rule.id) {
            rules.push(RuleFacts { id: rule.id.clone(), action: rule.action, about: rule.about.clone() });
        }
    }
    for (action, id) in interfaces.iter().flat_map(|one| &one.rules) {
        if seen.insert(id) {
            rules.push(RuleFacts { id: id.clone(), action: *action, about: About::default() });
        }
    }
    rules
}
