//! Captures to a report: every frame is judged by the model, which tells what it learned of it.
//!
//! Promises: judged as `replay` judges, as if `enforce: true`; everything is counted, whatever `accounting:` says, since
//! that never changes a verdict. Work per frame allocates nothing.

use std::collections::BTreeMap;
use std::io::Read;

use jiff::Timestamp;
use perimeter_classifier::learned::Learned;
use perimeter_classifier::verdict::{Decision, DropReason};

use super::timeline::Growing;
use super::{CaptureFacts, Judged, Mtu, Origin, Part, Report, as_judged, rules};
use crate::capture::{Capture, CaptureError, Frame};
use crate::compile::OverBudget;
use crate::counters::{
    Count, Counts, FragmentKind, Outcome, SIZE_BOUNDS, Subject, Switches, account_series, accounting, report,
    series,
};
use crate::digest::{Digest, Digesting};
use crate::ruleset::{Family, Ruleset, VlanLabels};
use crate::simulate::Model;

/// What is known so far.
pub struct Gathering<'a> {
    written: &'a Ruleset,
    index: usize,
    model: Model,
    tally: Tally,
    captures: Vec<CaptureFacts>,
}

/// Sums of what the model says, by position.
struct Tally {
    rules: Vec<Count>,
    reasons: [Count; DropReason::ALL.len()],
    /// Passed, dropped, over the MTU, by the number of the label.
    vlans: Vec<[Count; 3]>,
    sizes: [Count; SIZE_BOUNDS.len() + 1],
    fragments: [Count; FragmentKind::ALL.len()],
    pmtu: [Count; 2],
    timeline: Growing,
}

impl<'a> Gathering<'a> {
    /// Begins to judge what interface number `index` of `ruleset` receives.
    ///
    /// # Errors
    /// [`OverBudget`] when the tables would be too large.
    pub fn new(ruleset: &'a Ruleset, index: usize) -> Result<Self, OverBudget> {
        let model = Model::new(&judged(ruleset, index), index)?;
        let labels = VlanLabels::of(ruleset, index);
        let tally = Tally::new(ruleset.rules.len(), labels.names().len());
        Ok(Gathering { written: ruleset, index, model, tally, captures: Vec::new() })
    }

    /// Judges every frame of a capture. Its fault, if it has one, is in the report and given back.
    pub fn capture(&mut self, name: &str, file: impl Read) -> Result<(), CaptureError> {
        let mut facts = CaptureFacts { name: name.to_owned(), ..CaptureFacts::default() };
        let mut file = Digesting::new(file);
        let result = self.frames(&mut file, &mut facts);
        facts.fault = result.as_ref().err().map(ToString::to_string);
        if let Ok((digest, bytes)) = file.finish() {
            (facts.sha256, facts.bytes) = (Some(digest), bytes);
        }
        self.captures.push(facts);
        result
    }

    fn frames(&mut self, file: impl Read, facts: &mut CaptureFacts) -> Result<(), CaptureError> {
        let mut capture = Capture::new(file)?;
        while let Some(frame) = capture.next_frame() {
            let frame = frame?;
            let judged = self.model.look(frame.bytes);
            self.tally.count(&frame, judged.decision, judged.learned);
            facts.frames += 1;
            facts.cut_short += u64::from(frame.bytes.len() < frame.original_len as usize);
        }
        Ok(())
    }

    /// The report, made at `made`, of a policy called `policy` that was judged as of `at`.
    pub fn finish(self, policy: &str, at: Timestamp, made: Timestamp) -> Report {
        let Gathering { written, index, tally, captures, .. } = self;
        let counts = tally.counts(&judged(written, index), index);
        let interface = written.interfaces[index].name.clone();
        // One interface has counted, so that there is one of each.
        let part = Part {
            mtu: Some(Mtu::of(written, index)),
            counters: report(&counts).into_iter().next().unwrap_or_default(),
            accounting: accounting(&counts, &Switches::new()).into_iter().next().unwrap_or_default(),
            rules: rules(written, index),
            timeline: Some(tally.timeline.finish()),
            interface,
            ..Part::default()
        };
        let digest = Digest::of(written);
        Report {
            made,
            version: env!("CARGO_PKG_VERSION"),
            origin: Origin::Captures(Judged { policy: policy.to_owned(), digest, at, captures }),
            interfaces: vec![part],
        }
    }
}

/// The ruleset as captures are judged by it.
fn judged(ruleset: &Ruleset, index: usize) -> Ruleset {
    let mut ruleset = ruleset.clone();
    ruleset.interfaces[index] = as_judged(&ruleset.interfaces[index]);
    ruleset
}

impl Tally {
    fn new(rules: usize, labels: usize) -> Tally {
        Tally {
            rules: vec![Count::default(); rules],
            reasons: Default::default(),
            vlans: vec![Default::default(); labels],
            sizes: Default::default(),
            fragments: Default::default(),
            pmtu: Default::default(),
            timeline: Growing::default(),
        }
    }

    fn count(&mut self, frame: &Frame<'_>, decision: Decision, learned: Learned) {
        let one = Count { packets: 1, bytes: frame.bytes.len() as u64, last: frame.time, smallest: None };
        let credited = match decision {
            Decision::Pass(rule) | Decision::Denied(rule) => self.rules.get_mut(rule as usize),
            Decision::Drop(reason) => self.reasons.get_mut(reason as usize),
        };
        let is_pass = decision.reason().is_none();
        self.timeline.count(frame.time, is_pass);
        let vlan = self.vlans.get_mut(learned.label as usize);
        if let Some([passed, dropped, oversize]) = vlan {
            if is_pass { passed } else { dropped }.add(one);
            if learned.oversize != 0 {
                oversize.add(one);
            }
        }
        let size = SIZE_BOUNDS.partition_point(|&bound| (bound as usize) < frame.bytes.len());
        let fragment = (learned.fragment as usize).checked_sub(1).and_then(|at| self.fragments.get_mut(at));
        let counted = credited.into_iter().chain(self.sizes.get_mut(size)).chain(fragment);
        counted.for_each(|count| count.add(one));
        if let Some(pmtu) = (learned.pmtu as usize).checked_sub(1).and_then(|at| self.pmtu.get_mut(at)) {
            let smallest = Some(learned.announced).filter(|announced| *announced > 0);
            pmtu.add(Count { smallest, ..one });
        }
    }

    /// The sums under the names that the kernel's counters have, so that they add up in the same way.
    fn counts(&self, ruleset: &Ruleset, index: usize) -> Counts {
        let labels = VlanLabels::of(ruleset, index);
        let number = |label: &String| labels.named(label).map(|number| number as usize);
        let rules: BTreeMap<&str, Count> =
            ruleset.rules.iter().map(|rule| rule.id.as_str()).zip(self.rules.iter().copied()).collect();
        let all = series(ruleset, index).into_iter().chain(account_series(ruleset, index));
        let counted = all.filter_map(|series| {
            let count = match &series.subject {
                Subject::Rule(_, id) => *rules.get(id.as_str())?,
                Subject::Reason(reason) => self.reasons[*reason as usize],
                Subject::Vlan(label) => {
                    self.vlans[number(label)?][usize::from(series.outcome != Outcome::Pass)]
                }
                Subject::Oversize(label) => self.vlans[number(label)?][2],
                Subject::Size(bucket) => self.sizes[usize::from(*bucket)],
                Subject::Fragment(kind) => self.fragments[*kind as usize],
                Subject::Pmtu(family) => self.pmtu[usize::from(*family == Family::V6)],
                // One engine judges a capture.
                Subject::HandedOn(_) => return None,
            };
            Some((series, count))
        });
        counted.collect()
    }
}
