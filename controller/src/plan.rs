//! The difference between what the kernel enforces and a policy, as data.
//!
//! Promises: pure; no clock, no input or output; the same facts give the same plan. Refuses, with every reason at once,
//! what could not be carried out: a device that is missing or not Ethernet, somebody else's program, an offload that
//! cannot be switched off.

mod choice;
mod diff;
mod file;
mod known;
mod meaning;
mod notes;
mod refusal;
mod render;
mod words;

use std::collections::BTreeMap;

use perimeter_classifier::abi::ABI_VERSION;
use serde::{Deserialize, Serialize};

use crate::backend::{Enforcement, Feature, InForce, Observed};
use crate::digest::Digest;
use crate::ruleset::{Interface, Ruleset};

pub use choice::Choice;
pub use diff::{FieldChange, Group, RuleChange, RuleStep};
pub use file::{PlanFile, PlanFileError, changed};
pub use known::{Known, Lapse, mode_name};
pub use meaning::{Change, Dying, OfEngine, Shown, Told};
pub use notes::notes;
pub use refusal::{Refusal, called_now, renamed};
pub use render::{Detail, ended, human, in_sync};

/// Everything that would be done, and what it means for the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Digest of the policy that is planned.
    pub policy: Digest,
    /// Whether anything would be done.
    pub changes: bool,
    /// Whether some interface would let in what it keeps out now, for want of enforcement.
    pub opens: bool,
    /// Rules of the policy that end: from the midnight (UTC) after their last day on the kernel matches them no longer.
    pub lapses: Vec<Lapse>,
    /// The interfaces of the policy in its order, then those that it no longer names.
    pub interfaces: Vec<InterfacePlan>,
}

/// What would happen to one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePlan {
    pub interface: String,
    pub step: Step,
    /// Why this ends enforcement, where it does.
    pub opens: Option<Opening>,
    pub now: Enforcement,
    /// What of it was changed behind perimeter's back, each in words.
    pub damage: Vec<String>,
    /// Which engines are to judge it, and why those; `None` where enforcement ends.
    pub guard: Option<Choice>,
    /// Who put in force what is in force, where the state directory knows.
    pub applied: Option<Applied>,
    /// The kernel enforces a policy whose text is not kept, or cannot be told: every rule is shown as new.
    pub unknown: bool,
    pub settings: Vec<FieldChange>,
    /// Rules that change, grouped by the VLANs they speak of.
    pub groups: Vec<Group>,
    /// Rules that stay as they are.
    pub same_rules: usize,
    /// Offloads that would be switched off.
    pub switch_off: Vec<Feature>,
    /// Offloads that would be on again, since they harm none of the engines.
    pub switch_on: Vec<Feature>,
    /// Rules in force that have expired: the kernel matches them no longer.
    #[serde(default)]
    pub expired: Vec<Lapse>,
    /// Memory of the tables in bytes, now and then.
    pub table_bytes: (u64, u64),
    pub findings: Vec<String>,
    /// What is worth knowing though nothing would be done about it, see [`notes()`].
    #[serde(default)]
    pub notes: Vec<String>,
    /// It would be in shadow mode, and drop nothing.
    #[serde(default)]
    pub shadow: bool,
    /// What changes since nftables comes to judge, or judges no longer.
    #[serde(default)]
    pub engine: Option<OfEngine>,
    /// What changes for its frames, see [`Plan::tell`]; nothing where that is not known, or everything passes on one side.
    #[serde(default)]
    pub meaning: Option<Told>,
}

/// What would be done to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It enforces this policy already.
    Keep,
    /// A program is attached where there is none of ours.
    Start,
    /// The program is replaced between two frames.
    Replace,
    /// The program is detached.
    End,
}

/// A change after which an interface no longer keeps anything out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    NoLongerNamed,
    ShadowMode,
    Detached,
}

/// When and by whom a generation was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    pub at: jiff::Timestamp,
    pub by: String,
    /// The policy file, as it was named.
    pub policy_file: String,
}

/// The facts that a plan rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Every interface of the policy in its order, then those that are enforced without being named.
    pub observed: &'a [Observed],
    /// What is known of the policies in force, by digest.
    pub known: &'a BTreeMap<Digest, Known>,
}

impl Plan {
    /// Compares the facts with `ruleset`. `table_bytes` is the size of its compiled tables by interface.
    pub fn new(ruleset: &Ruleset, table_bytes: &[u64], facts: Facts<'_>) -> Result<Plan, Vec<Refusal>> {
        let refusals = refusal::refusals(ruleset, facts.observed);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let policy = Digest::of(ruleset);
        let settled = settled(policy, &ruleset.interfaces, facts);
        let interfaces: Vec<InterfacePlan> = facts
            .observed
            .iter()
            .map(|observed| {
                let index = ruleset.interfaces.iter().position(|one| one.name == observed.interface);
                let after = index.map(|index| After { ruleset, index, table_bytes: table_bytes[index] });
                InterfacePlan::new(observed, after, settled, facts.known)
            })
            .collect();
        Ok(Plan::of(policy, known::lapses(ruleset), interfaces))
    }

    /// The plan to stop enforcing on the `observed` interfaces.
    pub fn detach(observed: &[Observed], known: &BTreeMap<Digest, Known>) -> Plan {
        let mut interfaces: Vec<InterfacePlan> =
            observed.iter().map(|one| InterfacePlan::new(one, None, false, known)).collect();
        for one in &mut interfaces {
            one.opens = one.opens.map(|_| Opening::Detached);
        }
        Plan::of(Digest::default(), Vec::new(), interfaces)
    }

    fn of(policy: Digest, lapses: Vec<Lapse>, interfaces: Vec<InterfacePlan>) -> Plan {
        let changes = interfaces.iter().any(InterfacePlan::changes);
        let opens = interfaces.iter().any(|one| one.opens.is_some());
        Plan { policy, changes, opens, lapses, interfaces }
    }

    /// Takes the interfaces of these names out of a plan that would end their enforcement.
    pub fn leave_alone(&mut self, names: &[String]) {
        let mut left = std::mem::take(&mut self.interfaces);
        left.retain(|one| one.step != Step::End || !names.contains(&one.interface));
        *self = Plan::of(self.policy, std::mem::take(&mut self.lapses), left);
    }

    /// Whether a new generation would be made.
    pub fn makes_generation(&self) -> bool {
        self.interfaces.iter().any(|one| matches!(one.step, Step::Start | Step::Replace))
    }
}

/// Whether every interface of the policy enforces it, undamaged, by engines that its mode asks for, all under one
/// generation number.
fn settled(policy: Digest, interfaces: &[Interface], facts: Facts<'_>) -> bool {
    let observed = &facts.observed[..interfaces.len()];
    let records: Vec<&InForce> = observed.iter().flat_map(Observed::records).collect();
    let whole = |(wish, fact): (&Interface, &Observed)| {
        let named = fact.records().all(|record| record.interface == fact.interface);
        choice::is_met(wish.mode, fact) && fact.damage.is_empty() && named
    };
    // What was put in force, less what has expired since.
    let matches =
        |record: &InForce| facts.known.get(&record.policy).map_or(record.policy, |known| known.digest);
    interfaces.iter().zip(observed).all(whole)
        && records.iter().all(|record| matches(record) == policy && record.abi == ABI_VERSION)
        && records.windows(2).all(|pair| pair[0].generation == pair[1].generation)
}

/// What an interface is to become.
#[derive(Clone, Copy)]
struct After<'a> {
    ruleset: &'a Ruleset,
    index: usize,
    table_bytes: u64,
}

impl InterfacePlan {
    /// Whether anything would be done here.
    pub fn changes(&self) -> bool {
        self.step != Step::Keep || !self.switch_off.is_empty()
    }

    fn new(
        observed: &Observed,
        after: Option<After<'_>>,
        settled: bool,
        known: &BTreeMap<Digest, Known>,
    ) -> Self {
        let record = observed.in_force();
        let before = record.and_then(|record| known.get(&record.policy));
        let judged = !observed.engines().is_empty();
        let step = match (judged, after) {
            (_, None) => Step::End,
            (false, Some(_)) => Step::Start,
            (true, Some(_)) if settled => Step::Keep,
            (true, Some(_)) => Step::Replace,
        };
        let guard = after.map(|after| {
            let mode = after.ruleset.interfaces[after.index].mode;
            match step {
                Step::Keep => Choice::kept(mode, observed),
                _ => choice::choose(mode, before.and_then(|known| known.mode(&observed.interface)), observed),
            }
        });
        let difference = after.map(|after| {
            diff::interface(
                before.map(|known| &known.ruleset),
                (after.ruleset, after.index),
                record.map_or(&observed.interface, |record| &record.interface),
            )
        });
        let (settings, groups, same_rules) = difference.unwrap_or_default();
        let judged_by = after.zip(guard.as_ref()).map(|(after, guard)| (after, guard.engines.as_slice()));
        let notes = judged_by.map(|(after, by)| notes(after.ruleset, after.index, observed, by));
        let was = before.and_then(|known| {
            let mut all = known.ruleset.interfaces.iter();
            Some((&known.ruleset, all.position(|one| one.name == observed.interface)?))
        });
        let engine = after.zip(guard.as_ref()).and_then(|(after, guard)| {
            OfEngine::new((&observed.engines(), was), (&guard.engines, (after.ruleset, after.index)))
        });
        InterfacePlan {
            interface: observed.interface.clone(),
            step,
            opens: opening(observed.leading(), after),
            now: observed.leading().clone(),
            damage: observed.damage.clone(),
            applied: before.map(|known| known.applied.clone()),
            expired: before.map_or(Vec::new(), |known| {
                known.expired(record.map_or(&observed.interface, |record| &record.interface))
            }),
            unknown: judged && before.is_none(),
            settings,
            groups,
            same_rules,
            switch_off: guard.as_ref().map_or(Vec::new(), |guard| observed.harmful(&guard.engines)),
            switch_on: guard.as_ref().map_or(Vec::new(), |guard| guard.frees(observed)),
            guard,
            table_bytes: (
                record.map_or(0, |record| record.table_bytes),
                after.map_or(0, |after| after.table_bytes),
            ),
            findings: observed.findings.clone(),
            notes: notes.unwrap_or_default(),
            shadow: after.is_some_and(|after| !after.ruleset.interfaces[after.index].enforce),
            engine,
            meaning: None,
        }
    }
}

fn opening(now: &Enforcement, after: Option<After<'_>>) -> Option<Opening> {
    let enforces = match now {
        Enforcement::InForce(record) => record.enforce,
        // It may be in shadow mode; that it keeps something out is the safe guess.
        Enforcement::OtherVersion(_) => true,
        // What is left may keep something out: a table without its record, or without a rule.
        Enforcement::Lost { .. } => false,
        Enforcement::Off | Enforcement::Foreign(_) => return None,
    };
    match after {
        None => Some(Opening::NoLongerNamed),
        Some(after) if enforces && !after.ruleset.interfaces[after.index].enforce => {
            Some(Opening::ShadowMode)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
