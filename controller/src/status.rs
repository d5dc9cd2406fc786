//! What is enforced, compared with what was put in force last.
//!
//! Promises: pure; the kernel's word counts, the journal only says what it should be. Every difference is told in words.

mod render;

use serde::Serialize;

use crate::backend::{Device, Enforcement, Engine, Observed};
use crate::counters::InterfaceCounters;
use crate::digest::Digest;
use crate::plan::Applied;
use crate::state::{Enforced, Expected, Trial};

pub use render::human;

/// Every interface that is enforced, or should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether something is enforced, and exactly what was put in force last.
    pub in_sync: bool,
    pub interfaces: Vec<InterfaceStatus>,
    /// The generation that goes unless it is confirmed.
    pub trial: Option<TrialStatus>,
}

/// A generation on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrialStatus {
    pub generation: u64,
    pub until: jiff::Timestamp,
    /// It should have been taken back by now.
    pub overdue: bool,
}

/// How long after its deadline a trial counts as overdue: the keeper is promised to be done within one second.
const GRACE: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceStatus {
    pub interface: String,
    /// Whether a program of ours judges its frames and drops what the policy does not allow.
    pub enforced: bool,
    pub in_sync: bool,
    /// Every way in which it is not as it was left, and what to do.
    pub drift: Vec<String>,
    pub engine: Option<Engine>,
    pub generation: Option<u64>,
    pub shadow: bool,
    pub policy: Option<Digest>,
    pub applied: Option<Applied>,
    pub table_bytes: Option<u64>,
    pub counters: Option<InterfaceCounters>,
}

/// Compares what is observed with what is expected. `applied` knows who put a policy in force.
pub fn status(
    observed: &[Observed],
    expected: &Expected,
    applied: impl Fn(Digest) -> Option<Applied>,
    counters: &[InterfaceCounters],
) -> Status {
    let wanted = wanted(observed, expected);
    let interfaces: Vec<InterfaceStatus> = observed
        .iter()
        .map(|one| {
            let counters = counters.iter().find(|counters| counters.interface == one.interface);
            interface(one, wanted, &applied, counters.cloned())
        })
        .collect();
    let in_sync = !interfaces.is_empty() && interfaces.iter().all(|one| one.in_sync);
    Status { in_sync, interfaces, trial: None }
}

impl Status {
    /// Tells of the generation on trial, as of `now`; one that is overdue is not in sync.
    pub fn with_trial(mut self, trial: Option<&Trial>, now: jiff::Timestamp) -> Status {
        self.trial = trial.map(|trial| TrialStatus {
            generation: trial.generation,
            until: trial.until,
            overdue: now.duration_since(trial.until) > GRACE,
        });
        self.in_sync &= !self.trial.is_some_and(|trial| trial.overdue);
        self
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
    wanted: Option<&Enforced>,
    applied: impl Fn(Digest) -> Option<Applied>,
    counters: Option<InterfaceCounters>,
) -> InterfaceStatus {
    let record = observed.in_force();
    let other = matches!(observed.enforcement, Enforcement::OtherVersion(_));
    let drift = drift(observed, wanted);
    InterfaceStatus {
        interface: observed.interface.clone(),
        enforced: other || record.is_some_and(|record| record.enforce),
        in_sync: drift.is_empty(),
        drift,
        engine: observed.engine(),
        generation: record.map(|record| record.generation),
        shadow: record.is_some_and(|record| !record.enforce),
        policy: record.map(|record| record.policy),
        applied: record.and_then(|record| applied(record.policy)),
        table_bytes: record.map(|record| record.table_bytes),
        counters,
    }
}

/// Every difference between what is and what should be.
fn drift(observed: &Observed, wanted: Option<&Enforced>) -> Vec<String> {
    let wanted = wanted.filter(|wanted| wanted.interfaces.contains(&observed.interface));
    let mut drift = Vec::new();
    if let Some(record) = observed.in_force().filter(|record| record.interface != observed.interface) {
        let name = &record.interface;
        drift.push(format!(
            "it was called {name} when that was put in force, and is judged as {name}; apply again"
        ));
    }
    match (&observed.enforcement, wanted) {
        (Enforcement::InForce(record), Some(wanted)) if record.generation != wanted.generation => {
            drift.push(format!(
                "generation {} was put in force last: an apply was interrupted; apply again",
                wanted.generation
            ));
        }
        (Enforcement::InForce(record), Some(wanted)) if record.policy != wanted.policy => {
            drift.push("it enforces another policy than was put in force; apply again".to_owned());
        }
        (Enforcement::InForce(_), Some(_)) => {}
        (Enforcement::InForce(_), None) => {
            drift.push("the state directory does not know of it; apply again, or detach it".to_owned());
        }
        (Enforcement::Foreign(program), _) => {
            let name = &program.name;
            drift.push(format!(
                "another XDP program is attached (id {}, \"{name}\"); remove that one",
                program.id
            ));
        }
        (Enforcement::OtherVersion(program), _) => drift.push(format!(
            "another version of perimeter enforces here (ABI {}); apply again with this one, or use that one",
            program.abi
        )),
        (Enforcement::Lost { why }, _) => drift.push(format!("{why}; apply again, or detach it")),
        (Enforcement::Off, _) if observed.device == Device::Missing => {
            drift.push("the device is gone".to_owned());
        }
        (Enforcement::Off, _) => drift.push("nothing is attached; apply again, or detach it".to_owned()),
    }
    for feature in observed.harmful().into_iter().filter(|_| observed.engine().is_some()) {
        drift.push(format!(
            "offload {} is on again, so that frames are judged as they were not on the wire; apply again",
            feature.name()
        ));
    }
    drift.extend(observed.obstacles.iter().filter(|_| observed.engine().is_some()).cloned());
    drift
}

#[cfg(test)]
mod tests;
