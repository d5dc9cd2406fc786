//! Cutting a number line into pieces on which the same sets hold.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::sets::{EMPTY, SetId, Sets};

/// An inclusive range.
pub(super) type Range = (u128, u128);

/// A number line in ascending pieces, each from its start to the next start, with what holds on it. The first piece
/// starts at 0.
pub(super) type Pieces<T> = Vec<(u128, T)>;

/// Partitions the number line by `ranges`, each of one member; the ranges of a member do not overlap.
pub(super) fn partition(sets: &mut Sets, ranges: impl Iterator<Item = (u32, Range)>) -> Pieces<SetId> {
    let mut events: Vec<(u128, u32, bool)> = Vec::new();
    for (member, (low, high)) in ranges {
        events.push((low, member, true));
        if let Some(after) = high.checked_add(1) {
            events.push((after, member, false));
        }
    }
    // At one position leaving sorts before entering, so that adjacent ranges of a member join.
    events.sort_unstable();
    let mut pieces = vec![(0, EMPTY)];
    let mut active = EMPTY;
    for (position, member, enters) in events {
        active = if enters { sets.with(active, member) } else { sets.without(active, member) };
        match pieces.last_mut() {
            Some(last) if last.0 == position => last.1 = active,
            _ => pieces.push((position, active)),
        }
    }
    pieces.dedup_by(|later, earlier| later.1 == earlier.1);
    pieces
}

/// The pieces with their sets renamed; neighbours that become equal are joined.
pub(super) fn rename<A: Copy, B: PartialEq>(pieces: &[(u128, A)], mut name: impl FnMut(A) -> B) -> Pieces<B> {
    let mut renamed: Pieces<B> = pieces.iter().map(|&(start, value)| (start, name(value))).collect();
    renamed.dedup_by(|later, earlier| later.1 == earlier.1);
    renamed
}

/// Numbers for values in the order in which they are first met.
#[derive(Clone)]
pub(super) struct Interner<K> {
    numbers: FxHashMap<K, u32>,
    values: Vec<K>,
}

impl<K: Clone + Eq + Hash> Interner<K> {
    /// `first` has number 0.
    pub(super) fn starting_with(first: K) -> Self {
        let mut interner = Self::new();
        interner.number(first);
        interner
    }

    pub(super) fn new() -> Self {
        Interner { numbers: FxHashMap::default(), values: Vec::new() }
    }

    pub(super) fn number(&mut self, value: K) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    pub(super) fn values(&self) -> &[K] {
        &self.values
    }

    pub(super) fn into_values(self) -> Vec<K> {
        self.values
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_maximal_and_exact() {
        let mut sets = Sets::new(2);
        let ranges = [(0, (2, 5)), (0, (6, 8)), (1, (4, 6)), (1, (9, u128::MAX))];
        let pieces = partition(&mut sets, ranges.into_iter());
        let named: Vec<(u128, Vec<u32>)> = pieces.iter().map(|&(at, set)| (at, sets.members(set))).collect();
        assert_eq!(named, [(0, vec![]), (2, vec![0]), (4, vec![0, 1]), (7, vec![0]), (9, vec![1])]);
    }
}
