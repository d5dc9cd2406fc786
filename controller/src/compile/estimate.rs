//! What a way to spread rules would cost, before it is built.
//!
//! Promises: cheap beside building (a sort and a walk), so that ways which cannot fit cost little. Counts classes by
//! 64-bit labels: a collision makes an estimate too small, never a table wrong.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::groups::{Group, Part};
use super::rows::{MAX_PAIRS, TooLarge};
use crate::ruleset::AddressSet;

/// Refuses groups of which one has too many pairs of classes.
pub(super) fn check(groups: &[Group]) -> Result<(), TooLarge> {
    groups.iter().try_for_each(check_group)
}

fn check_group(group: &Group) -> Result<(), TooLarge> {
    if group.iter().all(|part| part.from.is_any()) || group.iter().all(|part| part.to.is_any()) {
        return Ok(());
    }
    let (from, to) = (Edges::new(group, |part| &part.from), Edges::new(group, |part| &part.to));
    if from.most_classes().saturating_mul(to.most_classes()) <= MAX_PAIRS {
        return Ok(());
    }
    let (from, to) = (from.classes(), to.classes());
    if from.count.saturating_mul(to.count) <= MAX_PAIRS {
        return Ok(());
    }
    Err(TooLarge::by_cost(group, |part| from.within(&group[part].from) * to.within(&group[part].to)))
}

/// Where the sets of one side begin and end, with a label for each set.
struct Edges {
    v4: Vec<(u64, u64)>,
    v6: Vec<(u128, u64)>,
}

impl Edges {
    fn new(group: &Group, of: impl Fn(&Part) -> &Rc<AddressSet>) -> Self {
        let mut labels: FxHashMap<*const AddressSet, u64> = FxHashMap::default();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for part in group {
            let set = of(part);
            let next = label(labels.len() as u64);
            if *labels.entry(Rc::as_ptr(set)).or_insert(next) != next {
                continue;
            }
            for &(low, high) in set.v4() {
                v4.extend([(u64::from(low), next), (u64::from(high) + 1, next)]);
            }
            for &(low, high) in set.v6() {
                v6.push((low, next));
                v6.extend(high.checked_add(1).map(|after| (after, next)));
            }
        }
        Edges { v4, v6 }
    }

    /// A bound that needs no counting.
    fn most_classes(&self) -> usize {
        self.v4.len() + self.v6.len() + 1
    }

    fn classes(self) -> Classes {
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        seen.insert(0);
        let (v4, v6) = (walk(self.v4, &mut seen), walk(self.v6, &mut seen));
        Classes { count: seen.len(), v4, v6 }
    }
}

/// Adds the labels of the sets that hold together; the places where they change.
fn walk<P: Ord + Copy>(mut edges: Vec<(P, u64)>, seen: &mut FxHashSet<u64>) -> Vec<P> {
    edges.sort_unstable_by_key(|edge| edge.0);
    let mut holding = 0;
    let mut places = Vec::new();
    for here in edges.chunk_by(|a, b| a.0 == b.0) {
        // What ends here was added where it began.
        holding = here.iter().fold(holding, |labels, edge| labels ^ edge.1);
        seen.insert(holding);
        places.push(here[0].0);
    }
    places
}

/// The classes of one side.
struct Classes {
    count: usize,
    v4: Vec<u64>,
    v6: Vec<u128>,
}

impl Classes {
    /// About how many classes a set covers.
    fn within(&self, set: &AddressSet) -> u64 {
        let v4 = set.v4().iter().map(|&(low, high)| between(&self.v4, low.into(), high.into()));
        let v6 = set.v6().iter().map(|&(low, high)| between(&self.v6, low, high));
        v4.chain(v6).sum::<usize>() as u64
    }
}

fn between<P: Ord + Copy>(places: &[P], low: P, high: P) -> usize {
    places.partition_point(|&place| place <= high) - places.partition_point(|&place| place < low)
}

/// Well-mixed bits for a number (SplitMix64).
fn label(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
