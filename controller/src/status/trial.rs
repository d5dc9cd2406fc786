//! A generation on trial: until when, and who takes it back.
//!
//! Promises: pure. What is wrong with a trial is told in the same words wherever it is told.

use serde::Serialize;

use crate::state::Trial;

/// A generation on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrialStatus {
    pub generation: u64,
    pub until: jiff::Timestamp,
    /// It should have been taken back by now.
    pub overdue: bool,
    /// Who takes it back at its end; nobody where this is `None`.
    pub keeper: Option<Keeper>,
}

/// What takes a generation on trial back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    Process,
    /// A timer of systemd alone.
    Timer,
}

impl TrialStatus {
    /// A trial as of `now`.
    pub fn new(trial: &Trial, keeper: Option<Keeper>, now: jiff::Timestamp) -> TrialStatus {
        let Trial { generation, until, .. } = *trial;
        TrialStatus { generation, until, overdue: trial.is_overdue(now), keeper }
    }

    /// How it stands with the trial, to the second.
    pub fn words(&self) -> String {
        let (generation, until) = (self.generation, self.until.strftime("%H:%M:%S"));
        match (self.overdue, self.keeper) {
            (true, _) => format!("generation {generation} was to be taken back at {until} UTC and was not"),
            (false, Some(_)) => format!("generation {generation} is on trial until {until} UTC"),
            (false, None) => format!(
                "generation {generation} is on trial until {until} UTC, and nobody is left to take it back then: its keeper was killed"
            ),
        }
    }

    /// That nothing else is changed meanwhile, and what decides it.
    pub fn undecided(&self) -> String {
        format!(
            "{}: keep it with `perimeter confirm`, or take it back with `perimeter rollback`",
            self.words()
        )
    }

    /// What is wrong with the trial, and what to do; `None` where it will be taken back.
    pub fn trouble(&self) -> Option<String> {
        let is_lost = self.overdue || self.keeper.is_none();
        is_lost.then(|| {
            format!("{}; `perimeter rollback` does it now, `perimeter confirm` keeps it", self.words())
        })
    }
}
