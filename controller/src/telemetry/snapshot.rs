//! Everything that is told, gathered once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::backend::Engine;
use crate::counters::InterfaceCounters;
use crate::digest::Digest;
use crate::plan::Known;
use crate::ruleset::{About, Action};
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
    pub tables: Tables,
}

/// One interface that is enforced or should be: what the policy says of it, and what it has counted.
#[derive(Clone, Debug)]
pub struct InterfaceFacts {
    pub name: String,
    /// Zero where nothing is counted yet. A rule that the policy no longer has is in the sums, and not in `rules`.
    pub counters: InterfaceCounters,
    /// The rules that the policy has on this interface, in its order; those that have counters where its text is not kept.
    pub rules: Vec<(Action, String)>,
}

/// A rule, and what people say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFacts {
    pub id: String,
    pub action: Action,
    pub about: About,
}

/// How full the maps in the kernel are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Counter slots that are given away.
    pub counters: u64,
    /// Memory of all counter slots in bytes, on every CPU.
    pub counter_bytes: u64,
}

impl Snapshot {
    /// Puts together what was read. `known` holds the policies in force and expected whose text is kept.
    pub fn new(
        at: jiff::Timestamp,
        status: Status,
        expected: &Expected,
        known: &BTreeMap<Digest, Known>,
        counters: Vec<InterfaceCounters>,
        tables: Tables,
    ) -> Snapshot {
        let policy = |one: &InterfaceStatus| {
            let wanted = expected.settled.as_ref().filter(|side| side.interfaces.contains(&one.interface));
            known.get(&one.policy.or(wanted.map(|wanted| wanted.policy))?)
        };
        let mut counters: BTreeMap<String, InterfaceCounters> =
            counters.into_iter().map(|one| (one.interface.clone(), one)).collect();
        let interfaces = status.interfaces.iter().map(|one| {
            let counted = counters.remove(&one.interface);
            InterfaceFacts::new(&one.interface, policy(one), counted)
        });
        let interfaces = interfaces.collect();
        let rules = rules(status.interfaces.iter().filter_map(policy), &interfaces);
        Snapshot { at, status, interfaces, rules, tables }
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

impl InterfaceFacts {
    fn new(name: &str, policy: Option<&Known>, counters: Option<InterfaceCounters>) -> InterfaceFacts {
        let counters = counters.unwrap_or_else(|| InterfaceCounters {
            interface: name.to_owned(),
            ..InterfaceCounters::default()
        });
        let index = |known: &Known| known.ruleset.interfaces.iter().position(|one| one.name == name);
        let rules = match policy.and_then(|known| Some((known, index(known)?))) {
            Some((known, index)) => {
                let here = known.ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&index));
                here.map(|rule| (rule.action, rule.id.clone())).collect()
            }
            None => {
                let counted = counters.rules.iter().map(|count| (count.action, count.rule.clone()));
                counted.collect::<BTreeSet<_>>().into_iter().collect()
            }
        };
        InterfaceFacts { name: name.to_owned(), counters, rules }
    }
}

/// Every rule once: as the policies tell it, else by its id.
fn rules<'a>(policies: impl Iterator<Item = &'a Known>, interfaces: &Vec<InterfaceFacts>) -> Vec<RuleFacts> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut rules = Vec::new();
    for rule in policies.flat_map(|known| &known.ruleset.rules) {
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
