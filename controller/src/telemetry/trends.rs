//! How fast things are counted: rates over time, made of one snapshot after another.
//!
//! Promises: a rate is what the kernel counted between two snapshots, by their own times. What begins to be counted begins
//! with its second snapshot; what is no longer told is forgotten. Counters that begin anew give no rate once.

use std::collections::{BTreeMap, VecDeque};

use super::Snapshot;
use super::series::rules::action_name;
use crate::counters::{InterfaceCounters, Outcome, Total};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Verdicts by interface.
    Verdicts,
    /// Drop reasons by interface, shadow mode included.
    Reasons,
    Rules,
    Vlans,
}

/// What one trend is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub view: View,
    pub interface: String,
    /// A verdict, a reason, a rule or a VLAN.
    pub name: String,
    /// What becomes of the frames: a verdict, or the action of a rule.
    pub kind: &'static str,
}

/// What was counted, and how fast.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trend {
    pub total: Total,
    /// Frames a second, the latest last.
    pub packets: VecDeque<f64>,
    /// Bytes a second, now.
    pub bytes: f64,
}

impl Trend {
    /// Frames a second, now.
    pub fn now(&self) -> f64 {
        self.packets.back().copied().unwrap_or(0.0)
    }
}

/// Rates of everything that is counted.
#[derive(Clone, Debug)]
pub struct Trends {
    length: usize,
    /// When it was looked, once more often than there are rates.
    looks: VecDeque<jiff::Timestamp>,
    trends: BTreeMap<Subject, Trend>,
}

impl Trends {
    /// Nothing yet; of each rate the last `length` will be kept.
    pub fn new(length: usize) -> Trends {
        Trends { length, looks: VecDeque::new(), trends: BTreeMap::new() }
    }

    /// Adds what was counted up to a snapshot. One that is no later than the last is left out.
    pub fn take(&mut self, snapshot: &Snapshot) {
        let seconds = self.looks.back().map(|at| snapshot.at.duration_since(*at).as_secs_f64());
        if seconds.is_some_and(|seconds| seconds <= 0.0) {
            return;
        }
        self.looks.push_back(snapshot.at);
        while self.looks.len() > self.length + 1 {
            self.looks.pop_front();
        }
        let mut before = std::mem::take(&mut self.trends);
        for (subject, total) in totals(snapshot) {
            let trend = match (before.remove(&subject), seconds) {
                (Some(trend), Some(seconds)) => trend.gone_on(total, seconds, self.length),
                _ => Trend { total, ..Trend::default() },
            };
            self.trends.insert(subject, trend);
        }
    }

    /// How many seconds before the last look each rate ended, the latest last: looks need not be equally far apart.
    pub fn ages(&self) -> Vec<f64> {
        let ends = self.looks.iter().skip(1);
        let before = |last: jiff::Timestamp, at: &jiff::Timestamp| last.duration_since(*at).as_secs_f64();
        self.looks.back().map_or(Vec::new(), |last| ends.map(|at| before(*last, at)).collect())
    }

    /// Everything of one view, by interface and name.
    pub fn of(&self, view: View) -> impl Iterator<Item = (&Subject, &Trend)> {
        self.trends.iter().filter(move |(subject, _)| subject.view == view)
    }
}

impl Trend {
    fn gone_on(mut self, total: Total, seconds: f64, length: usize) -> Trend {
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        self.packets.push_back(rate(total.packets, self.total.packets));
        while self.packets.len() > length {
            self.packets.pop_front();
        }
        self.bytes = rate(total.bytes, self.total.bytes);
        self.total = total;
        self
    }
}

/// Everything that a snapshot counts; a subject that has several counters has their sum.
fn totals(snapshot: &Snapshot) -> BTreeMap<Subject, Total> {
    let mut totals: BTreeMap<Subject, Total> = BTreeMap::new();
    for one in &snapshot.interfaces {
        let subject = |view, name: &str, kind| Subject {
            view,
            interface: one.name.clone(),
            name: name.to_owned(),
            kind,
        };
        let mut add = |view, name: &str, kind, more| {
            sum(totals.entry(subject(view, name, kind)).or_default(), more);
        };
        let InterfaceCounters { passed, dropped, would_drop, reasons, rules, .. } = &one.counters;
        add(View::Verdicts, "pass", "pass", *passed);
        add(View::Verdicts, "drop", "drop", *dropped);
        add(View::Verdicts, "would_drop", "would_drop", *would_drop);
        for reason in reasons {
            let total = Total { packets: reason.packets, bytes: reason.bytes };
            add(View::Reasons, reason.reason, verdict_name(reason.verdict), total);
        }
        for (action, id) in &one.rules {
            add(View::Rules, id, action_name(*action), Total::default());
        }
        for vlan in one.accounting.vlans.iter().flatten() {
            let verdicts = [("pass", vlan.passed), ("drop", vlan.dropped), ("would_drop", vlan.would_drop)];
            verdicts.into_iter().for_each(|(kind, total)| add(View::Vlans, &vlan.vlan, kind, total));
        }
        for count in rules {
            // A rule that the policy no longer has is not looked at.
            if let Some(total) = totals.get_mut(&subject(View::Rules, &count.rule, action_name(count.action)))
            {
                sum(total, Total { packets: count.packets, bytes: count.bytes });
            }
        }
    }
    totals
}

fn sum(total: &mut Total, more: Total) {
    total.packets = total.packets.wrapping_add(more.packets);
    total.bytes = total.bytes.wrapping_add(more.bytes);
}

/// A verdict as metrics write it.
pub fn verdict_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Drop => "drop",
        Outcome::WouldDrop => "would_drop",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::taken;
    use super::*;
    use crate::samples::ruleset;

    fn at(second: i64, packets: u64) -> Snapshot {
        let mut snapshot = taken(&ruleset(&["wan0"]), |_| packets);
        snapshot.at = jiff::Timestamp::from_second(second).unwrap();
        snapshot
    }

    fn pass(trends: &Trends) -> Trend {
        let (_, trend) = trends.of(View::Verdicts).find(|(subject, _)| subject.name == "pass").unwrap();
        trend.clone()
    }

    #[test]
    fn a_rate_is_what_was_counted_between_two_snapshots() {
        let mut trends = Trends::new(2);
        trends.take(&at(100, 50));
        assert_eq!((pass(&trends).now(), pass(&trends).packets.len()), (0.0, 0));
        assert_eq!(trends.ages(), [0.0; 0]);
        trends.take(&at(102, 60));
        assert_eq!((pass(&trends).now(), pass(&trends).bytes), (5.0, 500.0));
        trends.take(&at(102, 70));
        assert_eq!(pass(&trends).total.packets, 60, "a snapshot of the same moment is left out");
        trends.take(&at(103, 61));
        trends.take(&at(108, 10));
        assert_eq!(trends.ages(), [5.0, 0.0], "as many as there are rates, by when they ended");
        assert_eq!(
            pass(&trends).packets,
            [1.0, 0.0],
            "the oldest goes, and counters that begin anew give none"
        );
    }

    #[test]
    fn each_view_has_its_subjects() {
        let mut trends = Trends::new(5);
        trends.take(&at(100, 1));
        let names = |view| trends.of(view).map(|(subject, _)| subject.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(View::Verdicts), ["drop", "pass", "would_drop"]);
        assert_eq!(names(View::Rules), ["arp"]);
        assert_eq!(names(View::Reasons).len(), 15);
        assert_eq!(names(View::Vlans), ["other", "other", "other", "untagged", "untagged", "untagged"]);
    }
}
