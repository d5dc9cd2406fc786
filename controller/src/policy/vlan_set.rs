//! Sets of VLAN stacks, small and quick to intersect.

use std::collections::BTreeSet;

use crate::ruleset::{Interface, VlanId, VlanRange};

/// The lower 32 bits.
const HALF: u64 = 0xffff_ffff;

/// Any set of untagged frames, single tags and stacked pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VlanSet {
    untagged: bool,
    /// One bit a VLAN id.
    single: [u64; 64],
    stacked: BTreeSet<(u16, u16)>,
}

impl VlanSet {
    pub(super) fn new(ranges: impl IntoIterator<Item = VlanRange>) -> Self {
        let mut set = VlanSet { untagged: false, single: [0; 64], stacked: BTreeSet::new() };
        for range in ranges {
            match range {
                VlanRange::Untagged => set.untagged = true,
                VlanRange::Single { low, high } => {
                    (low..=high).for_each(|vid| set.single[usize::from(vid / 64) % 64] |= 1 << (vid % 64));
                }
                VlanRange::Stacked { outer, inner } => {
                    set.stacked.insert((outer, inner));
                }
            }
        }
        set
    }

    /// What an interface allows.
    pub(super) fn of(interface: &Interface) -> Self {
        VlanSet::new(interface.vlans.iter().map(|entry| entry.range))
    }

    pub(super) fn contains(&self, id: VlanId) -> bool {
        match id {
            VlanId::Untagged => self.untagged,
            VlanId::Single(vid) => self.single[usize::from(vid / 64) % 64] >> (vid % 64) & 1 == 1,
            VlanId::Stacked { outer, inner } => self.stacked.contains(&(outer, inner)),
        }
    }

    pub(super) fn remove(&mut self, id: VlanId) {
        match id {
            VlanId::Untagged => self.untagged = false,
            VlanId::Single(vid) => self.single[usize::from(vid / 64) % 64] &= !(1 << (vid % 64)),
            VlanId::Stacked { outer, inner } => {
                self.stacked.remove(&(outer, inner));
            }
        }
    }

    pub(super) fn intersect(&mut self, other: &VlanSet) {
        self.untagged &= other.untagged;
        self.single.iter_mut().zip(other.single).for_each(|(own, other)| *own &= other);
        self.stacked.retain(|pair| other.stacked.contains(pair));
    }

    /// How many stacks are in it.
    pub(super) fn len(&self) -> usize {
        let single: u32 = self.single.iter().map(|word| word.count_ones()).sum();
        usize::from(self.untagged) + single as usize + self.stacked.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.untagged && self.single.iter().all(|word| *word == 0) && self.stacked.is_empty()
    }

    /// A few bits of the set: a subset has a subset of them, and only the empty set has none.
    pub(super) fn signature(&self) -> u64 {
        let folded = self.single.iter().fold(0, |bits, word| bits | (word & HALF) | word >> 32);
        let pairs =
            self.stacked.iter().fold(0, |bits, (outer, inner)| bits | 1 << (32 + (outer ^ inner) % 31));
        u64::from(self.untagged) << 63 | folded | pairs
    }

    pub(super) fn is_subset(&self, other: &VlanSet) -> bool {
        (!self.untagged || other.untagged)
            && self.single.iter().zip(other.single).all(|(own, other)| own & !other == 0)
            && self.stacked.is_subset(&other.stacked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_tags_and_pairs_are_different_things() {
        let set = VlanSet::new([
            VlanRange::Single { low: 10, high: 4094 },
            VlanRange::Stacked { outer: 1, inner: 2 },
        ]);
        assert!(set.contains(VlanId::Single(10)) && set.contains(VlanId::Single(4094)));
        assert!(!set.contains(VlanId::Single(9)) && !set.contains(VlanId::Untagged));
        assert!(set.contains(VlanId::Stacked { outer: 1, inner: 2 }));
        assert!(!set.contains(VlanId::Stacked { outer: 2, inner: 1 }));
    }

    #[test]
    fn intersections_and_subsets_agree() {
        let all = VlanSet::new([VlanRange::Untagged, VlanRange::Single { low: 1, high: 4094 }]);
        let some = VlanSet::new([VlanRange::Single { low: 64, high: 128 }]);
        let mut both = all.clone();
        both.intersect(&some);
        assert_eq!(both, some);
        assert!(some.is_subset(&all) && !all.is_subset(&some));
        both.intersect(&VlanSet::new([VlanRange::Untagged]));
        assert!(both.is_empty());
    }
}
