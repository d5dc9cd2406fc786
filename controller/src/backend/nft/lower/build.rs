//! The table as it grows.
//!
//! Promises: a chain or a set that is asked for twice is made once; every way out of the table counts in exactly one counter.

use std::collections::{BTreeMap, BTreeSet};

use perimeter_classifier::verdict::DropReason;

use super::entries::{End, NEVER, end};
use super::shape::Shape;
use super::vlans::{self, Known};
use super::zones::{Zone, zones};
use super::{Options, events};
use crate::backend::nft::ir::{
    Base, Chain, Counter, Element, Field, Maps, Part, Rule, Set, Statement, Table, To, Verdict,
};
use crate::backend::nft::names;
use crate::counters::Outcome;
use crate::ruleset::{self, Action, Fragments, Interface, Mode, Oversize, Ruleset};

/// The end of the way of a frame, but for its verdict.
struct Way {
    /// What counts it.
    counter: String,
    /// What [`Options::tell`] tells.
    told: String,
    outcome: Outcome,
    known: Known,
    /// Of how many a second people are told, if of any.
    rate: Option<u32>,
}

/// Whether people are told of frames that a rule decides: where it says so, and of drops unless the interface is to count
/// nothing that costs.
fn is_logged(rule: &ruleset::Rule, interface: &Interface) -> bool {
    rule.log || rule.action == Action::Deny && !interface.accounting.is_none()
}

/// A table under construction.
pub(super) struct Build<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) index: usize,
    pub(super) interface: &'a Interface,
    pub(super) zones: Vec<Zone>,
    options: &'a Options,
    chains: Vec<Chain>,
    known_chains: BTreeSet<String>,
    sets: Vec<Set>,
    known_sets: BTreeMap<String, usize>,
    counters: BTreeSet<Counter>,
    /// The lookups of one kind of packets, by what they are for.
    pub(super) known_maps: BTreeMap<String, Vec<Rule>>,
    pub(super) too_large: Option<Vec<u32>>,
    pub(super) elements: usize,
    /// How many rules people are told of.
    logged: usize,
}

impl<'a> Build<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, index: usize, options: &'a Options) -> Build<'a> {
        let mut build = Build {
            ruleset,
            index,
            interface: &ruleset.interfaces[index],
            zones: zones(ruleset, index),
            options,
            chains: Vec::new(),
            known_chains: BTreeSet::new(),
            sets: Vec::new(),
            known_sets: BTreeMap::new(),
            counters: BTreeSet::new(),
            known_maps: BTreeMap::new(),
            too_large: None,
            elements: 0,
            logged: 0,
        };
        let rules = ruleset.rules.iter().filter(|rule| build.covers(&rule.interfaces));
        build.logged = rules.filter(|rule| is_logged(rule, build.interface)).count();
        build
    }

    /// The finished table; every counter that the interface has is there, at zero if need be.
    pub(super) fn finish(mut self, name: String, base: Base) -> Table {
        let reasons: Vec<DropReason> = DropReason::ALL.to_vec();
        for reason in reasons {
            self.counter(names::of_reason(self.dropped(), reason, false));
        }
        for rule in self.ruleset.rules.iter().filter(|rule| self.covers(&rule.interfaces)).collect::<Vec<_>>()
        {
            let outcome = if rule.action == Action::Allow { Outcome::Pass } else { self.dropped() };
            self.counter(names::of_rule(outcome, rule.action, &rule.id, false));
        }
        Table {
            name,
            about: Vec::new(),
            base,
            chains: self.chains,
            sets: self.sets,
            counters: self.counters.into_iter().collect(),
        }
    }

    /// Whether a rule with these interfaces is on this one.
    pub(super) fn covers(&self, interfaces: &[usize]) -> bool {
        interfaces.iter().any(|&index| self.ruleset.interfaces[index].name == self.interface.name)
    }

    /// The ids of the rules that made the table too large.
    pub(super) fn too_large(&self) -> Option<Vec<String>> {
        let rules = self.too_large.as_ref()?;
        Some(rules.iter().take(5).map(|&rule| self.ruleset.rules[rule as usize].id.clone()).collect())
    }

    /// The name of a chain or set of this table.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    /// The chain `name`, made by `rules` where it is not there yet. Returns its full name.
    pub(super) fn chain(&mut self, name: &str, rules: impl FnOnce(&mut Self) -> Vec<Rule>) -> String {
        let name = self.name(name);
        if self.known_chains.insert(name.clone()) {
            let rules = rules(self);
            self.chains.push(Chain { name: name.clone(), rules });
        }
        name
    }

    /// The set or map `name`, made by `elements` where it is not there yet. Returns its full name.
    pub(super) fn set(
        &mut self,
        name: &str,
        about: &str,
        key: Vec<Part>,
        interval: bool,
        elements: impl FnOnce() -> Vec<Element>,
    ) -> String {
        let name = self.name(name);
        if !self.known_sets.contains_key(&name) {
            self.known_sets.insert(name.clone(), self.sets.len());
            let elements = elements();
            self.elements += elements.len();
            let map = elements.first().and_then(|element| element.to.as_ref()).map(|to| match to {
                To::Verdict(_) => Maps::Verdicts,
                To::Counter(_) => Maps::Counters,
            });
            self.sets.push(Set { name: name.clone(), about: about.to_owned(), key, map, interval, elements });
        }
        name
    }

    /// What a dropped frame counts as.
    fn dropped(&self) -> Outcome {
        Outcome::dropped(self.interface.enforce)
    }

    pub(super) fn counter(&mut self, name: String) -> String {
        self.counters.insert(Counter { name: name.clone() });
        name
    }

    /// Counts a frame that a step drops, and drops it.
    pub(super) fn reason(&mut self, reason: DropReason, shape: Shape) -> Verdict {
        self.drop(reason, Known::On(shape))
    }

    fn drop(&mut self, reason: DropReason, known: Known) -> Verdict {
        let shape = known.shape();
        let name = format!("drop.{}{}", reason.name(), self.ending(known));
        Verdict::Goto(self.chain(&name, |build| {
            let outcome = build.dropped();
            let counter = build.counter(names::of_reason(outcome, reason, shape.stripped()));
            let last = if build.interface.enforce { Verdict::Drop } else { Verdict::Accept };
            let is_told = build.logs_any() && !build.interface.accounting.is_none();
            let rate = is_told.then_some(events::OF_REASON);
            build.last(Way { counter, told: format!("r{}", reason as u32), outcome, known, rate }, last)
        }))
    }

    /// Credits a frame to a rule: it passes, or is dropped where the rule denies.
    pub(super) fn credit(&mut self, rule: u32, shape: Shape) -> Verdict {
        let of = &self.ruleset.rules[rule as usize];
        let (action, name) = (of.action, self.credit_name(of, shape));
        Verdict::Goto(self.chain(&name, |build| {
            let counter = build.counter_of(rule, shape);
            let passes = action == Action::Allow;
            let outcome = if passes { Outcome::Pass } else { build.dropped() };
            let told = format!("{}{rule}", if passes { 'p' } else { 'd' });
            let last = build.verdict_of(action);
            let rate = build.logs(rule).then(|| events::of_rule(build.logged));
            build.last(Way { counter, told, outcome, known: Known::On(shape), rate }, last)
        }))
    }

    /// The counter of what is credited to a rule.
    pub(super) fn counter_of(&mut self, rule: u32, shape: Shape) -> String {
        let of = &self.ruleset.rules[rule as usize];
        let outcome = if of.action == Action::Allow { Outcome::Pass } else { self.dropped() };
        self.counter(names::of_rule(outcome, of.action, &of.id, shape.stripped()))
    }

    /// What becomes of a frame that a rule with this action matches.
    pub(super) fn verdict_of(&self, action: Action) -> Verdict {
        let drops = action == Action::Deny && self.interface.enforce;
        if drops { Verdict::Drop } else { Verdict::Accept }
    }

    /// Whether verdicts are told.
    pub(super) fn tells(&self) -> bool {
        self.options.tell.is_some()
    }

    /// Credits a frame to a rule while the rule has not ended; then a jump comes back as if nothing had been found.
    pub(super) fn credit_in_time(&mut self, rule: u32, shape: Shape) -> Verdict {
        let of = &self.ruleset.rules[rule as usize];
        if end(of) == NEVER {
            return self.credit(rule, shape);
        }
        let name = format!("until.{}", self.credit_name(of, shape));
        Verdict::Jump(self.chain(&name, |build| vec![build.credit_rule(rule, shape)]))
    }

    /// Credits a frame to a rule while the rule has not ended. The time costs as much as a lookup: it comes last.
    pub(super) fn credit_rule(&mut self, rule: u32, shape: Shape) -> Rule {
        let end = end(&self.ruleset.rules[rule as usize]);
        let before = |end: End| Statement::below(Field::Time, &(end * 1_000_000_000).to_be_bytes());
        let credit = Statement::Verdict(self.credit(rule, shape));
        Rule::new(if end == NEVER { vec![credit] } else { vec![before(end), credit] })
    }

    /// Whether people are told of frames. Where XDP stands in front, it tells of them.
    fn logs_any(&self) -> bool {
        !self.options.silent && self.interface.mode != Mode::Both
    }

    /// Whether people are told of frames that are credited to a rule.
    pub(super) fn logs(&self, rule: u32) -> bool {
        self.logs_any() && is_logged(&self.ruleset.rules[rule as usize], self.interface)
    }

    /// The group of nfnetlink_log that people are told by.
    pub(super) fn group(&self) -> u16 {
        names::group(&self.options.instance)
    }

    /// Counts, tells and ends.
    fn last(&mut self, end: Way, verdict: Verdict) -> Vec<Rule> {
        let mut statements = vec![Statement::Count(end.counter.clone())];
        if let Some(group) = self.options.tell {
            statements.push(Statement::Log { group, prefix: end.told });
        }
        if vlans::counts(self) {
            return vlans::end(self, end.outcome, end.known, statements, verdict);
        }
        if let Some(rate) = end.rate {
            return events::end(self, rate, end.counter, statements, verdict);
        }
        statements.push(Statement::Verdict(verdict));
        vec![Rule::new(statements)]
    }

    /// A rule that drops for a reason where all `tests` hold.
    pub(super) fn fails(&mut self, reason: DropReason, shape: Shape, tests: Vec<Statement>) -> Rule {
        let mut statements = tests;
        statements.push(Statement::Verdict(self.reason(reason, shape)));
        Rule::new(statements)
    }

    /// The same before it is known which VLAN the frame is on, or where that is not allowed.
    pub(super) fn bars(&mut self, reason: DropReason, shape: Shape, tests: Vec<Statement>) -> Rule {
        let mut statements = tests;
        statements.push(Statement::Verdict(self.drop(reason, Known::Not(shape))));
        Rule::new(statements)
    }

    /// Whether later fragments are judged rather than dropped.
    pub(super) fn stateless(&self) -> bool {
        self.interface.fragments == Fragments::Stateless
    }

    pub(super) fn drops_oversize(&self) -> bool {
        self.interface.oversize == Oversize::Drop
    }

    /// The name of the chain that credits a rule.
    fn credit_name(&self, rule: &ruleset::Rule, shape: Shape) -> String {
        let word = if rule.action == Action::Allow { "allow" } else { "deny" };
        format!("{word}.{}{}", rule.id, self.ending(Known::On(shape)))
    }

    /// What tells chains apart that count alike but for the length of a tag, or for the VLAN.
    fn ending(&self, known: Known) -> String {
        match known.shape() {
            _ if vlans::counts(self) => known.name(),
            shape if shape.stripped() => names::TAGGED.to_owned(),
            _ => String::new(),
        }
    }
}
