//! What is counted beside the verdicts: by VLAN, by size, fragments, messages about the path's MTU, last hits.
//!
//! Promises: what the policy's `accounting:` switches off is `None`, what it switches on is whole, zeros included. Over
//! the labels of an interface, and over its sizes, the packets add up to what was received since accounting was on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Counts, Outcome, Subject, Total};
use crate::ruleset::{self, Family};

/// The accounting of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounting {
    pub interface: String,
    /// By label (see [`ruleset::VlanLabels`]), in alphabetical order.
    pub vlans: Option<Vec<VlanCount>>,
    pub sizes: Option<Sizes>,
    pub fragments: Option<Fragments>,
    pub pmtu: Option<Vec<PmtuCount>>,
    /// The rules that ever matched here, by id; a rule that is absent never did.
    pub last_hits: Option<BTreeMap<String, Timestamp>>,
}

/// What appeared on the VLANs of one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VlanCount {
    pub vlan: String,
    pub passed: Total,
    pub dropped: Total,
    pub would_drop: Total,
    /// Frames that came to step 4 and whose layer-3 size is over the MTU, dropped or not.
    pub oversize: Total,
}

/// Upper ends of the size buckets in bytes, each a multiple of 64: 1,536 holds every frame of an MTU of 1,500 with its
/// tags, 9,216 those of 9,000. What is larger is in a last bucket without an end.
pub const SIZE_BOUNDS: [u32; 10] = [64, 128, 256, 512, 1024, 1536, 2048, 4096, 9216, 16_384];

/// How long the frames of an interface are, from the destination MAC on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Frames by length, not cumulative; one more than [`SIZE_BOUNDS`].
    pub buckets: Vec<u64>,
    pub total: Total,
}

impl Sizes {
    /// The buckets as Prometheus has them: the upper end, `None` for infinity, and the frames up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<u32>, u64)> {
        let ends = SIZE_BOUNDS.into_iter().map(Some).chain([None]);
        let sums = self.buckets.iter().scan(0u64, |sum, frames| {
            *sum = sum.wrapping_add(*frames);
            Some(*sum)
        });
        ends.zip(sums)
    }
}

/// What a fragment is: the kinds of step 5, whether fragments are dropped there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FragmentKind {
    /// Offset 0, and more follow.
    First,
    /// Neither the first nor the last.
    Middle,
    /// None follow.
    Last,
    /// What `fragment_tiny` means, whatever else it is.
    Tiny,
}

impl FragmentKind {
    pub const ALL: [FragmentKind; 4] =
        [FragmentKind::First, FragmentKind::Middle, FragmentKind::Last, FragmentKind::Tiny];

    /// The metric label.
    pub fn name(self) -> &'static str {
        match self {
            FragmentKind::First => "first",
            FragmentKind::Middle => "middle",
            FragmentKind::Last => "last",
            FragmentKind::Tiny => "tiny",
        }
    }
}

/// Well-formed fragments that came to step 5, each in one kind; an atomic fragment is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fragments {
    pub first: Total,
    pub middle: Total,
    pub last: Total,
    pub tiny: Total,
}

impl Fragments {
    fn of(&mut self, kind: FragmentKind) -> &mut Total {
        match kind {
            FragmentKind::First => &mut self.first,
            FragmentKind::Middle => &mut self.middle,
            FragmentKind::Last => &mut self.last,
            FragmentKind::Tiny => &mut self.tiny,
        }
    }

    /// Every kind with its count, in the order of [`FragmentKind::ALL`].
    pub fn kinds(mut self) -> [(FragmentKind, Total); 4] {
        FragmentKind::ALL.map(|kind| (kind, *self.of(kind)))
    }
}

/// Messages that a packet was too large for some link of its path: ICMP type 3 code 4 (RFC 1191), ICMPv6 type 2 (RFC
/// 4443), well formed and not a later fragment, passed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PmtuCount {
    pub family: Family,
    pub packets: u64,
    /// The smallest MTU that was announced, in bytes; routers before RFC 1191 announce none.
    pub smallest: Option<u32>,
}

/// What the policy in force on each interface switches on. An interface that is absent shows what was counted.
pub type Switches = BTreeMap<String, ruleset::Accounting>;

/// The accounting of every interface that counts, by name. `counts` is what [`crate::backend::Backend::counters`] gives.
pub fn accounting(counts: &Counts, switches: &Switches) -> Vec<Accounting> {
    let mut interfaces: BTreeMap<&str, Accounting> = BTreeMap::new();
    for (series, count) in counts {
        let on = switches.get(&series.interface);
        let one = interfaces.entry(&series.interface).or_insert_with(|| Accounting {
            last_hits: on.is_some_and(|on| on.last_hit).then(BTreeMap::new),
            ..Accounting::default()
        });
        let is_on = |of: fn(&ruleset::Accounting) -> bool| on.is_none_or(of);
        if let Subject::Rule(_, id) = series.subject.decided()
            && is_on(|on| on.last_hit)
        {
            one.hit(id, count.last);
        }
        match &series.subject {
            Subject::Vlan(label) if is_on(|on| on.vlan) => {
                let total = match series.outcome {
                    Outcome::Pass => &mut one.vlan(label).passed,
                    Outcome::Drop => &mut one.vlan(label).dropped,
                    Outcome::WouldDrop => &mut one.vlan(label).would_drop,
                };
                total.add(*count);
            }
            Subject::Oversize(label) if is_on(|on| on.vlan) => one.vlan(label).oversize.add(*count),
            Subject::Size(bucket) if is_on(|on| on.size) => one.size(*bucket, *count),
            Subject::Fragment(kind) if is_on(|on| on.fragments) => {
                one.fragments.get_or_insert_default().of(*kind).add(*count);
            }
            Subject::Pmtu(family) if is_on(|on| on.pmtu) => {
                let (family, packets, smallest) = (*family, count.packets, count.smallest);
                one.pmtu.get_or_insert_default().push(PmtuCount { family, packets, smallest });
            }
            _ => {}
        }
    }
    let named = |(name, one): (&str, Accounting)| Accounting { interface: name.to_owned(), ..one };
    interfaces.into_iter().map(named).collect()
}

impl Accounting {
    fn vlan(&mut self, label: &str) -> &mut VlanCount {
        let vlans = self.vlans.get_or_insert_default();
        let at = vlans.partition_point(|known| known.vlan.as_str() < label);
        if vlans.get(at).is_none_or(|known| known.vlan != label) {
            vlans.insert(at, VlanCount { vlan: label.to_owned(), ..VlanCount::default() });
        }
        &mut vlans[at]
    }

    fn hit(&mut self, rule: &str, last: Option<Timestamp>) {
        let hits = self.last_hits.get_or_insert_default();
        if let Some(last) = last {
            hits.entry(rule.to_owned()).and_modify(|known| *known = last.max(*known)).or_insert(last);
        }
    }

    fn size(&mut self, bucket: u8, count: super::Count) {
        let empty = || Sizes { buckets: vec![0; SIZE_BOUNDS.len() + 1], total: Total::default() };
        let sizes = self.sizes.get_or_insert_with(empty);
        if let Some(frames) = sizes.buckets.get_mut(usize::from(bucket)) {
            *frames = frames.wrapping_add(count.packets);
            sizes.total.add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Count, Series, account_series};
    use super::*;
    use crate::samples::ruleset;

    #[test]
    fn what_is_switched_off_is_absent_and_what_is_on_is_whole() {
        let mut rules = ruleset(&["wan0"]);
        let all = account_series(&rules, 0);
        let counts: Counts =
            all.into_iter().map(|series| (series, Count { packets: 2, ..Count::default() })).collect();
        let on = rules.interfaces[0].accounting;
        let [one] = accounting(&counts, &Switches::from([("wan0".into(), on)])).try_into().unwrap();
        let vlans = one.vlans.as_ref().unwrap();
        assert_eq!(vlans.iter().map(|vlan| vlan.vlan.as_str()).collect::<Vec<_>>(), ["other", "untagged"]);
        assert_eq!((vlans[0].passed.packets, vlans[0].dropped.packets), (2, 2));
        let sizes: Vec<_> = one.sizes.as_ref().unwrap().cumulative().collect();
        assert_eq!((sizes.len(), sizes[0], sizes[10]), (11, (Some(64), 2), (None, 22)));
        assert_eq!(one.fragments.unwrap().kinds()[3], (FragmentKind::Tiny, one.fragments.unwrap().tiny));
        assert_eq!((one.pmtu.unwrap().len(), one.last_hits), (2, Some(BTreeMap::new())));

        let none =
            ruleset::Accounting { vlan: false, size: false, fragments: false, pmtu: false, last_hit: false };
        let [one] = accounting(&counts, &Switches::from([("wan0".into(), none)])).try_into().unwrap();
        assert_eq!(one, Accounting { interface: "wan0".into(), ..Accounting::default() });
        rules.interfaces[0].accounting = none;
        assert!(account_series(&rules, 0).is_empty());
    }

    #[test]
    fn the_last_hit_of_a_rule_is_the_latest_of_its_outcomes() {
        let hit = |outcome, second| {
            let subject = Subject::Rule(ruleset::Action::Deny, "bad".into());
            let last = Some(Timestamp::from_second(second).unwrap());
            let series = Series { interface: "wan0".into(), outcome, subject };
            (series, Count { last, ..Count::default() })
        };
        let counts = Counts::from([hit(Outcome::Drop, 9), hit(Outcome::WouldDrop, 7)]);
        let [one] = accounting(&counts, &Switches::new()).try_into().unwrap();
        assert_eq!(one.last_hits.unwrap()["bad"].as_second(), 9);
    }
}
