//! What is enforced, compared with what was put in force last.
//!
//! Promises: pure; the kernel's word counts, the journal only says what it should be. Every difference is told in words.

mod drift;
mod render;
mod trial;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::backend::{Enforcement, Engine, Observed};
use crate::counters::InterfaceCounters;
use crate::digest::Digest;
use crate::plan::{Applied, Known, Lapse, mode_name, notes};
use crate::ruleset::Ruleset;
use crate::state::{Enforced, Expected, Writer};
use drift::drift;

pub use render::human;
pub use trial::{Keeper, TrialStatus};

/// Every interface that is enforced, or should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether something is enforced, and exactly what was put in force last.
    pub in_sync: bool,
    pub interfaces: Vec<InterfaceStatus>,
    /// The generation that goes unless it is confirmed.
    pub trial: Option<TrialStatus>,
    /// Who changes things, where something is not as it was left meanwhile.
    pub change: Option<Writer>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceStatus {
    pub interface: String,
    /// Whether a program of ours judges its frames and drops what the policy does not allow.
    pub enforced: bool,
    pub in_sync: bool,
    /// Every way in which it is not as it was left, and what to do.
    pub drift: Vec<String>,
    /// What is worth knowing though it is as it was left. No drift.
    pub notes: Vec<String>,
    /// The mode of the policy in force, where that is known.
    pub mode: Option<&'static str>,
    /// The engine that a frame meets first.
    pub engine: Option<Engine>,
    /// Every engine that judges, in the order in which a frame meets them.
    pub engines: Vec<Engine>,
    /// Why not a better engine, where `apply` found one refused.
    pub why: Option<String>,
    pub generation: Option<u64>,
    pub shadow: bool,
    pub policy: Option<Digest>,
    pub applied: Option<Applied>,
    /// Rules in force that have expired: the kernel matches them no longer. No drift.
    pub expired: Vec<Lapse>,
    pub table_bytes: Option<u64>,
    pub counters: Option<InterfaceCounters>,
}

/// Compares what is observed with what is expected. `known` are the policies in force whose text is kept.
pub fn status(
    observed: &[Observed],
    expected: &Expected,
    known: &BTreeMap<Digest, Known>,
    counters: &[InterfaceCounters],
) -> Status {
    let wanted = wanted(observed, expected);
    let interfaces: Vec<InterfaceStatus> = observed
        .iter()
        .map(|one| {
            let counters = counters.iter().find(|counters| counters.interface == one.interface);
            interface(one, (observed, wanted), known, counters.cloned())
        })
        .collect();
    let in_sync = !interfaces.is_empty() && interfaces.iter().all(|one| one.in_sync);
    Status { in_sync, interfaces, trial: None, change: None }
}

impl Status {
    /// Tells of the generation on trial; one that is overdue, or that nobody will take back, is not in sync.
    pub fn with_trial(mut self, trial: Option<TrialStatus>) -> Status {
        self.trial = trial;
        self.in_sync &= trial.and_then(|trial| trial.trouble()).is_none();
        self
    }

    /// Tells of who changes things. As long as that one does not seem to hang, no difference of an interface that is judged is
    /// told as drift: it may be half of the change.
    pub fn with_change(mut self, change: Option<Writer>, now: jiff::Timestamp) -> Status {
        self.change = change.filter(|_| !self.in_sync);
        if self.change.is_some_and(|writer| !writer.hangs(now)) {
            let judged = self.interfaces.iter_mut().filter(|one| one.generation.is_some());
            judged.for_each(|one| one.drift.clear());
        }
        self
    }

    /// Whether nothing is known to be wrong: in sync, or on the way there.
    pub fn is_well(&self) -> bool {
        let is_judged = !self.interfaces.is_empty() && self.interfaces.iter().all(|one| one.drift.is_empty());
        is_judged && self.trial.and_then(|trial| trial.trouble()).is_none()
    }
}

/// What should be in force: a generation that was begun counts once every interface has it, since all that is missing
/// then is the note.
fn wanted<'a>(observed: &[Observed], expected: &'a Expected) -> Option<&'a Enforced> {
    let whole = |enforced: &&Enforced| {
        enforced.interfaces.iter().all(|name| {
            let one = observed.iter().find(|one| one.interface == *name).and_then(Observed::in_force);
            one.is_some_and(|record| record.generation == enforced.generation)
        })
    };
    expected.begun.as_ref().filter(whole).or(expected.settled.as_ref())
}

fn interface(
    observed: &Observed,
    (all, wanted): (&[Observed], Option<&Enforced>),
    known: &BTreeMap<Digest, Known>,
    counters: Option<InterfaceCounters>,
) -> InterfaceStatus {
    let record = observed.in_force();
    let other = matches!(observed.leading(), Enforcement::OtherVersion(_));
    let known = record.and_then(|record| known.get(&record.policy));
    let name = record.map_or("", |record| record.interface.as_str());
    let mode = known.and_then(|known| known.mode(name));
    // A device that was renamed is known by the name that it had.
    let named = |name: &str| wanted.is_some_and(|wanted| wanted.interfaces.iter().any(|one| one == name));
    let wanted = wanted.filter(|_| named(&observed.interface) || named(name));
    let drift = drift(observed, all, wanted, mode);
    InterfaceStatus {
        interface: observed.interface.clone(),
        enforced: other || record.is_some_and(|record| record.enforce),
        in_sync: drift.is_empty(),
        drift,
        notes: told(known.map(|known| &known.ruleset), name, observed),
        mode: mode.map(mode_name),
        engine: observed.engines().first().copied(),
        engines: observed.engines(),
        why: wanted.and_then(|wanted| wanted.why(&observed.interface)),
        generation: record.map(|record| record.generation),
        shadow: record.is_some_and(|record| !record.enforce),
        policy: record.map(|record| record.policy),
        applied: known.map(|known| known.applied.clone()),
        expired: known.zip(record).map_or(Vec::new(), |(known, record)| known.expired(&record.interface)),
        table_bytes: record.map(|_| observed.records().map(|record| record.table_bytes).sum()),
        counters,
    }
}

/// What is worth knowing of what is judged as `name`.
fn told(ruleset: Option<&Ruleset>, name: &str, observed: &Observed) -> Vec<String> {
    let place = |ruleset: &Ruleset| ruleset.interfaces.iter().position(|one| one.name == name);
    let known = ruleset.and_then(|ruleset| place(ruleset).map(|index| (ruleset, index)));
    let notes = known.map(|(ruleset, index)| notes(ruleset, index, observed, &observed.engines()));
    [observed.findings.clone(), notes.unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests;
