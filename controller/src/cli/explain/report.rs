//! How an answer is shown.

use std::io::{self, Write};

use serde::Serialize;

use crate::counters::grouped;
use crate::explain::{Condition, Explanation, Nearness, Packet, Question};
use crate::replay::Words;
use crate::ruleset::{Action, Ruleset};

/// Near rules that are shown to people; the rest is counted.
const SHOWN: usize = 10;

/// An explanation with what it is about.
pub(super) struct Answer<'a> {
    pub(super) ruleset: &'a Ruleset,
    /// Position in the ruleset.
    pub(super) interface: usize,
    pub(super) question: &'a Question,
    pub(super) explanation: &'a Explanation,
}

impl Answer<'_> {
    fn words(&self) -> Words<'_> {
        Words::new(self.explanation.decision, self.ruleset)
    }

    /// Writes the verdict and what stood in the way. `names_packet`: one answer of several.
    pub(super) fn human(&self, names_packet: bool, out: &mut dyn Write) -> io::Result<()> {
        let Words { verdict, rule, reason } = self.words();
        write!(out, "{verdict}:")?;
        if let Some(reason) = reason {
            write!(out, " {reason}")?;
        }
        if let (Some(id), Some(decider)) = (rule, &self.explanation.decider) {
            write!(out, " {id}{}", self.line(decider, false))?;
        }
        if let (true, Packet::Ip { addresses, content }) = (names_packet, self.question.packet) {
            write!(out, "   {}", content.words(addresses.family()))?;
        }
        writeln!(out)?;
        if let Some(step) = &self.explanation.step {
            return writeln!(out, "  {step}");
        }
        if let Some(decider) = &self.explanation.decider
            && !decider.conditions.is_empty()
        {
            writeln!(out, "  {}", holding(decider))?;
        }
        self.near(out)
    }

    fn near(&self, out: &mut dyn Write) -> io::Result<()> {
        let near = &self.explanation.near;
        let titles: Vec<String> = near.iter().take(SHOWN).map(|rule| self.title(rule)).collect();
        let width = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0);
        for (rule, title) in near.iter().zip(&titles) {
            writeln!(out, "  {title:width$}   {}", told(rule))?;
        }
        if near.len() > SHOWN {
            writeln!(out, "  and {} more", grouped((near.len() - SHOWN) as u64))?;
        }
        if self.explanation.decider.is_some() {
            return Ok(());
        }
        let rules = self.explanation.rules;
        let all = format!("{} {}", grouped(rules as u64), if rules == 1 { "rule" } else { "rules" });
        match near.first().map_or(0, Nearness::lacking) {
            0 => writeln!(out, "  none of {all} is about such frames"),
            1 => {
                let verb = if near.len() == 1 { "comes" } else { "come" };
                writeln!(out, "  {} of {all} {verb} within one condition", grouped(near.len() as u64))
            }
            lacking => {
                writeln!(out, "  none of {all} comes within one condition; the nearest lack {lacking}")
            }
        }
    }

    fn title(&self, nearness: &Nearness) -> String {
        format!(
            "{}{}",
            self.ruleset.rules[nearness.rule].id,
            self.line(nearness, nearness.action == Action::Deny)
        )
    }

    /// ` (line 12)`, or ` (line 12, deny)`.
    fn line(&self, nearness: &Nearness, denies: bool) -> String {
        let deny = if denies { ", deny" } else { "" };
        format!(" (line {}{deny})", self.ruleset.rules[nearness.rule].line)
    }

    /// Writes one JSON object.
    pub(super) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let service = match self.question.packet {
            Packet::Ip { addresses, content } => Some(content.words(addresses.family())),
            Packet::Arp { .. } | Packet::Other(_) => None,
        };
        let near = self.explanation.near.iter().map(|nearness| {
            let rule = &self.ruleset.rules[nearness.rule];
            let (holds, lacks): (Vec<_>, Vec<_>) =
                nearness.conditions.iter().partition(|condition| condition.lacks.is_none());
            NearRecord {
                rule: &rule.id,
                action: rule.action,
                line: rule.line,
                holds: holds.into_iter().map(|condition| condition.key).collect(),
                lacks: lacks.into_iter().filter_map(lack).collect(),
            }
        });
        let record = Record {
            decision: self.words(),
            line: self.explanation.decider.as_ref().map(|decider| self.ruleset.rules[decider.rule].line),
            step: self.explanation.step.as_deref(),
            interface: &self.ruleset.interfaces[self.interface].name,
            vlan: self.question.vlan.to_string(),
            service,
            near: near.collect(),
            rules: self.explanation.rules,
        };
        serde_json::to_writer(&mut *out, &record)?;
        writeln!(out)
    }
}

/// `vlan ok, to ok`.
fn holding(nearness: &Nearness) -> String {
    let holds = nearness.conditions.iter().filter(|condition| condition.lacks.is_none());
    let keys: Vec<String> = holds.map(|condition| format!("{} ok", condition.key)).collect();
    keys.join(", ")
}

/// `vlan ok, to ok; from: 192.0.2.200 is not in staff`.
fn told(nearness: &Nearness) -> String {
    let holds = holding(nearness);
    let lacks = nearness.conditions.iter().filter_map(lack).map(|(key, lacks)| format!("{key}: {lacks}"));
    let lacks: Vec<String> =
        if nearness.lacking() == 0 { vec!["matches too".into()] } else { lacks.collect() };
    let parts: Vec<String> = [holds].into_iter().filter(|holds| !holds.is_empty()).chain(lacks).collect();
    parts.join("; ")
}

fn lack(condition: &Condition) -> Option<(&'static str, &str)> {
    condition.lacks.as_deref().map(|lacks| (condition.key, lacks))
}

/// An answer as JSON.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    decision: Words<'a>,
    /// Line of the deciding rule in the policy.
    line: Option<usize>,
    step: Option<&'a str>,
    interface: &'a str,
    vlan: String,
    service: Option<String>,
    near: Vec<NearRecord<'a>>,
    rules: usize,
}

/// A near rule as JSON.
#[derive(Serialize)]
struct NearRecord<'a> {
    rule: &'a str,
    action: Action,
    line: usize,
    holds: Vec<&'static str>,
    lacks: std::collections::BTreeMap<&'static str, &'a str>,
}
