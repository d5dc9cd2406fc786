//! Which counter slot belongs to what, and what the counters add up to.
//!
//! Promises: a slot belongs to one (interface, verdict, rule or reason) for as long as the counters are pinned, across
//! every apply; received = passed + dropped + would_drop, because every frame is counted in exactly one slot. Pure: the
//! maps are read and written by `backend`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use perimeter_classifier::abi::COUNTER_SLOTS;
use perimeter_classifier::verdict::DropReason;
use serde::{Deserialize, Serialize};

use crate::ruleset::{Action, Family, Ruleset};

mod accounting;
mod event;
mod loss;
mod places;
mod render;
mod report;
mod steady;

pub use accounting::{
    Accounting, FragmentKind, Fragments, PmtuCount, SIZE_BOUNDS, Sizes, Switches, VlanCount, accounting,
};
pub use event::{Decided, Event, EventTotals, HEADER_BYTES, MAJOR_NON_CONFORMITY};
pub use loss::{Cause, Loss, Lost, TOLERATED};
pub use places::{account_series, bind, handed_on};
pub use render::{grouped, human, human_accounting, human_rules};
pub use report::{InterfaceCounters, ReasonCount, RuleCount, Total, report};
pub use steady::Steady;

/// What happened to the frames that a slot counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Pass,
    Drop,
    /// Shadow mode: passed, and would have been dropped.
    WouldDrop,
}

impl Outcome {
    /// What becomes of a frame that is not let through.
    pub fn dropped(enforce: bool) -> Outcome {
        if enforce { Outcome::Drop } else { Outcome::WouldDrop }
    }
}

/// What the frames of a slot are credited to. Every frame is counted once under a rule or a reason; the others are
/// accounting, which counts it again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Rule(Action, String),
    Reason(DropReason),
    /// By the label of its VLAN.
    Vlan(String),
    /// Over the MTU, by the label of its VLAN, whatever the outcome; these and all below have [`Outcome::Pass`].
    Oversize(String),
    /// By length: the bucket that [`SIZE_BOUNDS`] ends.
    Size(u8),
    Fragment(FragmentKind),
    Pmtu(Family),
    /// What XDP hands on to nftables, which counts it: names a frame in events, tells when a rule matched last, and adds to
    /// nothing.
    HandedOn(Box<Subject>),
}

impl Subject {
    /// What was decided about a frame, whoever counts it.
    pub fn decided(&self) -> &Subject {
        match self {
            Subject::HandedOn(subject) => subject,
            subject => subject,
        }
    }
}

/// What one slot counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    pub interface: String,
    pub outcome: Outcome,
    pub subject: Subject,
}

/// Slot 0 is never given away: a frame counted there was credited to a rule of another interface, which is a defect.
pub const FIRST_SLOT: u32 = 1;

/// What an XDP program counts for the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    All,
    /// Only what it does not let through: of the rest the verdict is that of nftables behind it ([`Subject::HandedOn`]).
    Kept,
}

/// Which slot counts which series.
pub type Slots = BTreeMap<Series, u32>;

/// There is no room for the series of a policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the {COUNTER_SLOTS} counter slots are used up: {wanted} more are needed{}", remedy(.unused))]
pub struct Full {
    pub wanted: usize,
    /// Rule ids that hold slots and that no enforced generation uses, in alphabetical order.
    pub unused: Vec<String>,
}

fn remedy(unused: &[String]) -> String {
    match unused {
        [] => "; use fewer rules or interfaces, or `accounting: none` where many VLANs are listed".to_owned(),
        ids => format!(
            "; no enforced policy uses {}{}, whose counts end with `perimeter detach`",
            ids[..ids.len().min(5)].join(", "),
            if ids.len() > 5 { format!(" and {} others", ids.len() - 5) } else { String::new() }
        ),
    }
}

/// Every series that one interface of a ruleset counts under a rule or a reason, the reasons first.
pub fn series(ruleset: &Ruleset, index: usize) -> Vec<Series> {
    let interface = &ruleset.interfaces[index];
    let dropped = Outcome::dropped(interface.enforce);
    let one = |outcome, subject| Series { interface: interface.name.clone(), outcome, subject };
    let reasons = DropReason::ALL.into_iter().map(|reason| one(dropped, Subject::Reason(reason)));
    let rules = ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&index)).map(|rule| {
        let outcome = if rule.action == Action::Allow { Outcome::Pass } else { dropped };
        one(outcome, Subject::Rule(rule.action, rule.id.clone()))
    });
    reasons.chain(rules).collect()
}

/// Gives every series of `wanted` that has no slot the lowest free one. Returns the new ones only.
pub fn allocate(taken: &Slots, wanted: &[Series]) -> Result<Slots, Full> {
    let used: BTreeSet<u32> = taken.values().copied().collect();
    let mut free = (FIRST_SLOT..COUNTER_SLOTS).filter(|slot| !used.contains(slot));
    let missing: BTreeSet<&Series> = wanted.iter().filter(|series| !taken.contains_key(series)).collect();
    let given: Slots =
        missing.iter().zip(&mut free).map(|(series, slot)| ((*series).clone(), slot)).collect();
    match missing.len() - given.len() {
        0 => Ok(given),
        lacking => Err(Full { wanted: lacking, unused: unused(taken, wanted) }),
    }
}

fn unused(taken: &Slots, wanted: &[Series]) -> Vec<String> {
    let wanted: BTreeSet<&Series> = wanted.iter().collect();
    let ids =
        taken.keys().filter(|series| !wanted.contains(series)).filter_map(|series| match &series.subject {
            Subject::Rule(_, id) => Some(id.clone()),
            _ => None,
        });
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What one series has counted, summed over the CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub packets: u64,
    /// Bytes from the destination MAC on.
    pub bytes: u64,
    /// When a rule matched last; `None` where it never did, or where that is not kept.
    pub last: Option<Timestamp>,
    /// The smallest MTU announced, of [`Subject::Pmtu`].
    pub smallest: Option<u32>,
}

impl Count {
    /// Adds what was counted elsewhere for the same series.
    pub fn add(&mut self, more: Count) {
        self.packets = self.packets.wrapping_add(more.packets);
        self.bytes = self.bytes.wrapping_add(more.bytes);
        self.last = self.last.max(more.last);
        self.smallest = self.smallest.into_iter().chain(more.smallest).min();
    }
}

/// What every slot has counted, by series.
pub type Counts = BTreeMap<Series, Count>;

#[cfg(test)]
mod tests;
