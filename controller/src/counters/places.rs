//! Which series the accounting of an interface counts, and in which slots a program counts what.
//!
//! Promises: what `accounting:` switches on has all its series from the start, each label with both outcomes; what it
//! switches off has none.

use perimeter_classifier::abi::{RULE_LOGS, SIZE_SLOTS, VLAN_SLOTS};
use perimeter_classifier::verdict::DropReason;

use super::{Counted, FragmentKind, Outcome, SIZE_BOUNDS, Series, Slots, Subject};
use crate::ruleset::{Action, Family, Interface, Ruleset, VlanLabels};
use crate::tables::Binding;

/// Every series that one interface of a ruleset counts beside [`super::series`].
pub fn account_series(ruleset: &Ruleset, index: usize) -> Vec<Series> {
    let interface = &ruleset.interfaces[index];
    let (on, dropped) = (interface.accounting, Outcome::dropped(interface.enforce));
    let one = |outcome, subject| Series { interface: interface.name.clone(), outcome, subject };
    let mut wanted = Vec::new();
    if on.vlan {
        for label in VlanLabels::of(ruleset, index).names() {
            wanted.push(one(Outcome::Pass, Subject::Vlan(label.clone())));
            wanted.push(one(dropped, Subject::Vlan(label.clone())));
            wanted.push(one(Outcome::Pass, Subject::Oversize(label.clone())));
        }
    }
    let mut rest = Vec::new();
    if on.size {
        rest.extend((0..=SIZE_BOUNDS.len()).map(|bucket| Subject::Size(bucket as u8)));
    }
    if on.fragments {
        rest.extend(FragmentKind::ALL.map(Subject::Fragment));
    }
    if on.pmtu {
        rest.extend([Family::V4, Family::V6].map(Subject::Pmtu));
    }
    wanted.extend(rest.into_iter().map(|subject| one(Outcome::Pass, subject)));
    wanted
}

/// Every series that one interface counts beside these where nftables judges behind it.
pub fn handed_on(ruleset: &Ruleset, index: usize) -> Vec<Series> {
    let decided =
        account_series(ruleset, index).into_iter().filter(|one| matches!(one.subject, Subject::Vlan(_)));
    let all = super::series(ruleset, index).into_iter().chain(decided);
    let passed = all.filter(|series| series.outcome != Outcome::Drop);
    passed.map(|series| Series { subject: Subject::HandedOn(series.subject.into()), ..series }).collect()
}

/// The slots of one interface, in the order in which the program looks them up. Every series must have its slot.
pub fn bind(slots: &Slots, ruleset: &Ruleset, index: usize, counted: Counted) -> Binding {
    let interface = &ruleset.interfaces[index];
    let dropped = Outcome::dropped(interface.enforce);
    let of = Lookup { slots, interface, counted };
    let rules = ruleset.rules.iter().map(|rule| {
        let outcome = if rule.action == Action::Allow { Outcome::Pass } else { dropped };
        match of.decided(outcome, Subject::Rule(rule.action, rule.id.clone())) {
            0 => 0,
            slot => slot | if rule.log { RULE_LOGS } else { 0 },
        }
    });
    let passed = |subject| of.slot(Outcome::Pass, subject);
    Binding {
        rules: rules.collect(),
        reasons: DropReason::ALL.map(|reason| of.decided(dropped, Subject::Reason(reason))),
        vlans: if interface.accounting.vlan { of.vlans(ruleset, index, dropped) } else { Vec::new() },
        sizes: (0..SIZE_SLOTS).map(|unit| passed(Subject::Size(bucket(unit)))).collect(),
        fragments: FragmentKind::ALL.map(|kind| passed(Subject::Fragment(kind))).to_vec(),
        pmtu: [Family::V4, Family::V6].map(|family| passed(Subject::Pmtu(family))).to_vec(),
    }
}

/// The slots of one interface.
struct Lookup<'a> {
    slots: &'a Slots,
    interface: &'a Interface,
    counted: Counted,
}

impl Lookup<'_> {
    /// The slot of what is counted by who decides.
    fn decided(&self, outcome: Outcome, subject: Subject) -> u32 {
        match (self.counted, outcome) {
            (Counted::Kept, Outcome::Pass | Outcome::WouldDrop) => {
                self.slot(outcome, Subject::HandedOn(subject.into()))
            }
            _ => self.slot(outcome, subject),
        }
    }

    /// 0 where the series has none.
    fn slot(&self, outcome: Outcome, subject: Subject) -> u32 {
        let series = Series { interface: self.interface.name.clone(), outcome, subject };
        self.slots.get(&series).copied().unwrap_or(0)
    }

    fn vlans(&self, ruleset: &Ruleset, index: usize, dropped: Outcome) -> Vec<u32> {
        let labels = VlanLabels::of(ruleset, index);
        let one = |label: &String| -> [u32; VLAN_SLOTS as usize] {
            [
                self.decided(Outcome::Pass, Subject::Vlan(label.clone())),
                self.decided(dropped, Subject::Vlan(label.clone())),
                self.slot(Outcome::Pass, Subject::Oversize(label.clone())),
                0,
            ]
        };
        labels.names().iter().flat_map(one).collect()
    }
}

/// The bucket of frames that are longer than `unit` times 64 bytes, by at most 64.
fn bucket(unit: u32) -> u8 {
    SIZE_BOUNDS.partition_point(|&bound| bound <= unit * 64) as u8
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn a_bucket_ends_with_its_bound() {
        let of = |length: u32| bucket((length - 1) / 64);
        assert_eq!([of(1), of(64), of(65), of(1536), of(1537)], [0, 0, 1, 5, 6]);
        assert_eq!([of(9216), of(9217), of(16_384), of(16_385)], [8, 9, 9, 10]);
    }
}
