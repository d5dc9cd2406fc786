//! What is known of a policy that the kernel enforces: what was put in force, and what of it still matches.
//!
//! Promises: a rule whose last day is over counts as gone, since the kernel matches it no longer. So the same policy read
//! after that day is no change, and what a change means is told against what frames meet now.

use serde::{Deserialize, Serialize};

use super::{Applied, words};
use crate::digest::Digest;
use crate::ruleset::{Action, Mode, Rule, Ruleset};

/// A policy in force, as of some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What still matches.
    pub ruleset: Ruleset,
    /// The digest of that.
    pub digest: Digest,
    /// What was put in force, and is in the tables: with the rules that have expired since.
    pub stored: Ruleset,
    pub applied: Applied,
}

/// A rule with a last day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    pub rule: String,
    pub action: Action,
    /// YYYY-MM-DD, UTC.
    pub last_day: String,
}

impl Known {
    /// What is known as of `at` of a policy that was put in force as it is stored.
    pub fn new(stored: Ruleset, applied: Applied, at: jiff::Timestamp) -> Known {
        let ruleset = stored.clone().as_of(at);
        Known { digest: Digest::of(&ruleset), ruleset, stored, applied }
    }

    /// The mode of an interface.
    pub fn mode(&self, interface: &str) -> Option<Mode> {
        self.ruleset.interfaces.iter().find(|one| one.name == interface).map(|one| one.mode)
    }

    /// The rules that were put in force on an interface and have expired since.
    pub fn expired(&self, interface: &str) -> Vec<Lapse> {
        let index = self.stored.interfaces.iter().position(|one| one.name == interface);
        let is_here = |rule: &&Rule| index.is_some_and(|index| rule.interfaces.contains(&index));
        let is_left = |rule: &Rule| self.ruleset.rules.iter().any(|left| left.id == rule.id);
        let here = self.stored.rules.iter().filter(is_here);
        here.filter(|rule| rule.about.expires.is_some() && !is_left(rule)).filter_map(lapse).collect()
    }
}

/// The rules of a ruleset that end some day.
pub(super) fn lapses(ruleset: &Ruleset) -> Vec<Lapse> {
    ruleset.rules.iter().filter_map(lapse).collect()
}

fn lapse(rule: &Rule) -> Option<Lapse> {
    let last_day = rule.about.expires.clone()?;
    Some(Lapse { rule: rule.id.clone(), action: rule.action, last_day })
}

/// A mode as the policy writes it.
pub fn mode_name(mode: Mode) -> &'static str {
    words::mode(mode)
}
