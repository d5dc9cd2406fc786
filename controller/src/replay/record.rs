//! The shapes that results are written in.

use std::collections::BTreeMap;
use std::fmt;

use perimeter_classifier::verdict::{Decision, DropReason};
use serde::Serialize;

use super::{Expectation, Judgement, Mismatch, Totals};
use crate::ruleset::Ruleset;

/// A decision in words: `pass admin-ssh`, `drop no_rule`, `drop denied bad-neighbours`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Words<'a> {
    pub verdict: &'static str,
    pub rule: Option<&'a str>,
    pub reason: Option<&'static str>,
}

impl<'a> Words<'a> {
    /// Names the rule of a decision that `ruleset` gave.
    pub fn new(decision: Decision, ruleset: &'a Ruleset) -> Self {
        let reason = decision.reason().map(DropReason::name);
        let rule = decision.rule().and_then(|index| ruleset.rules.get(index as usize));
        Words { verdict: label(reason.is_none()), rule: rule.map(|rule| rule.id.as_str()), reason }
    }
}

/// A verdict as captures, metrics and expectations spell it.
pub const fn label(pass: bool) -> &'static str {
    if pass { "pass" } else { "drop" }
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict)?;
        for word in [self.reason, self.rule].into_iter().flatten() {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

/// One frame as a line of JSON. The last three are there only where there is a difference.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    pub file: &'a str,
    pub frame: u64,
    pub verdict: &'static str,
    pub rule: Option<&'a str>,
    pub reason: Option<&'static str>,
    /// What was expected instead; `null` where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Option<&'a Expectation>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dissent: Option<DissentRecord<'a>>,
}

/// What an engine decides about a frame, and is published to.
#[derive(Debug, Serialize)]
pub struct DeclaredRecord<'a> {
    /// The class of the divergence.
    pub class: &'static str,
    #[serde(flatten)]
    pub by: DissentRecord<'a>,
}

/// What another engine decides about a frame.
#[derive(Debug, Serialize)]
pub struct DissentRecord<'a> {
    pub engine: &'static str,
    #[serde(flatten)]
    pub words: Words<'a>,
}

impl<'a> Record<'a> {
    /// The line of a frame whose decision is `words`, without differences.
    pub fn new(file: &'a str, frame: u64, words: Words<'a>) -> Self {
        let Words { verdict, rule, reason } = words;
        Record { file, frame, verdict, rule, reason, expected: None, declared: None, dissent: None }
    }

    /// Adds what was expected instead.
    pub fn with_mismatch(mut self, mismatch: Option<Mismatch<'a>>) -> Self {
        self.expected = mismatch.map(|mismatch| mismatch.expected);
        self
    }

    /// Adds what an engine decides otherwise, as it is published to and as it is not.
    pub fn with_others(mut self, judgement: &Judgement, ruleset: &'a Ruleset) -> Self {
        let record = |engine, decision| DissentRecord { engine, words: Words::new(decision, ruleset) };
        self.declared = judgement.declared.map(|declared| DeclaredRecord {
            class: declared.class.id,
            by: record(declared.engine, declared.decision),
        });
        self.dissent = judgement.dissent.map(|dissent| record(dissent.engine, dissent.decision));
        self
    }
}

/// The last line of a replay.
#[derive(Debug, Serialize)]
pub struct SummaryRecord<'a> {
    pub summary: &'a Summary<'a>,
}

/// Totals over every capture.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    pub frames: u64,
    pub passed: u64,
    pub dropped: u64,
    pub reasons: BTreeMap<&'static str, u64>,
    pub captures: usize,
    /// Captures with an error: cut, corrupt, not Ethernet, not there.
    pub failed: usize,
    pub interface: &'a str,
    pub engines: Vec<&'static str>,
    pub by_model: u64,
    /// Declared divergences that were met, by class.
    pub declared: &'a BTreeMap<&'static str, u64>,
    pub cut_short: u64,
    pub differences: u64,
    pub unexpected: u64,
    pub missing: u64,
}

impl<'a> Summary<'a> {
    /// The summary of `captures` captures, of which `failed` had an error. Only reasons that occurred are named.
    pub fn new(
        totals: &'a Totals,
        captures: usize,
        failed: usize,
        interface: &'a str,
        engines: Vec<&'static str>,
    ) -> Self {
        let reasons = DropReason::ALL.iter().zip(totals.reasons).filter(|(_, count)| *count > 0);
        Summary {
            frames: totals.frames,
            passed: totals.passed,
            dropped: totals.dropped,
            reasons: reasons.map(|(reason, count)| (reason.name(), count)).collect(),
            captures,
            failed,
            interface,
            engines,
            by_model: totals.by_model,
            declared: &totals.declared,
            cut_short: totals.cut_short,
            differences: totals.differences,
            unexpected: totals.unexpected,
            missing: totals.missing,
        }
    }
}
