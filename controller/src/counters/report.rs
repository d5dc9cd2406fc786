//! The counters of an interface as people and scripts read them.

use perimeter_classifier::verdict::DropReason;
use serde::Serialize;

use super::{Count, Counts, Outcome, Series, Subject};
use crate::ruleset::Action;

/// Frames and their bytes, from the destination MAC on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    pub packets: u64,
    pub bytes: u64,
}

/// What one interface has received. `received` = `passed` + `dropped` + `would_drop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InterfaceCounters {
    pub interface: String,
    pub received: Total,
    pub passed: Total,
    pub dropped: Total,
    pub would_drop: Total,
    /// Every reason that has a counter, in the order of the contract; `denied` is the sum of the deny rules.
    pub reasons: Vec<ReasonCount>,
    /// Every rule that has a counter, `deny` first, by id.
    pub rules: Vec<RuleCount>,
}

/// What was dropped for one reason, or would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    pub reason: &'static str,
    pub verdict: Outcome,
    pub packets: u64,
    pub bytes: u64,
}

/// What one rule has matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    pub rule: String,
    pub action: Action,
    pub verdict: Outcome,
    pub packets: u64,
    pub bytes: u64,
}

impl Total {
    pub(super) fn add(&mut self, counter: Count) {
        self.packets = self.packets.wrapping_add(counter.packets);
        self.bytes = self.bytes.wrapping_add(counter.bytes);
    }
}

/// The counters of every interface that has any, by name.
pub fn report(counts: &Counts) -> Vec<InterfaceCounters> {
    let mut interfaces: Vec<InterfaceCounters> = Vec::new();
    for (series, counter) in counts {
        if interfaces.last().is_none_or(|last| last.interface != series.interface) {
            interfaces.push(InterfaceCounters {
                interface: series.interface.clone(),
                ..InterfaceCounters::default()
            });
        }
        if let Some(interface) = interfaces.last_mut() {
            interface.count(series, *counter);
        }
    }
    for interface in &mut interfaces {
        interface.rules.sort_by(|a, b| (a.action, &a.rule, a.verdict).cmp(&(b.action, &b.rule, b.verdict)));
        let position = |name: &str| DropReason::ALL.iter().position(|reason| reason.name() == name);
        interface.reasons.sort_by_key(|count| (count.verdict, position(count.reason)));
    }
    interfaces
}

impl InterfaceCounters {
    fn count(&mut self, series: &Series, counter: Count) {
        match &series.subject {
            Subject::Reason(reason) => {
                self.decided(series.outcome, counter);
                self.reason(*reason, series.outcome, counter);
            }
            Subject::Rule(action, id) => {
                self.decided(series.outcome, counter);
                if *action == Action::Deny {
                    self.reason(DropReason::Denied, series.outcome, counter);
                }
                self.rules.push(RuleCount {
                    rule: id.clone(),
                    action: *action,
                    verdict: series.outcome,
                    packets: counter.packets,
                    bytes: counter.bytes,
                });
            }
            // Accounting counts frames again.
            _ => {}
        }
    }

    fn decided(&mut self, outcome: Outcome, counter: Count) {
        self.received.add(counter);
        match outcome {
            Outcome::Pass => self.passed.add(counter),
            Outcome::Drop => self.dropped.add(counter),
            Outcome::WouldDrop => self.would_drop.add(counter),
        }
    }

    fn reason(&mut self, reason: DropReason, verdict: Outcome, counter: Count) {
        let name = reason.name();
        match self.reasons.iter_mut().find(|count| count.reason == name && count.verdict == verdict) {
            Some(count) => {
                count.packets = count.packets.wrapping_add(counter.packets);
                count.bytes = count.bytes.wrapping_add(counter.bytes);
            }
            None => self.reasons.push(ReasonCount {
                reason: name,
                verdict,
                packets: counter.packets,
                bytes: counter.bytes,
            }),
        }
    }
}
