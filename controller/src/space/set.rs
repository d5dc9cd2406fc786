//! Sets of numbers on one dimension of header space.
//!
//! Promises: canonical form (ascending, disjoint, not adjacent), so that equal sets are equal values; the whole dimension
//! costs nothing to hold, copy or intersect. Refuses numbers past the end of the dimension: the caller names the end.

use std::sync::Arc;

/// An inclusive range.
pub type Range = (u128, u128);

/// A set of numbers; nothing held is every number of the dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set(Option<Arc<[Range]>>);

impl Set {
    /// Every number of the dimension.
    pub const ALL: Set = Set(None);

    /// The union of inclusive ranges, in any order, on a dimension that ends at `end`.
    pub fn new(mut ranges: Vec<Range>, end: u128) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if last.1 == u128::MAX || low <= last.1 + 1 => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Set::canonical(merged, end)
    }

    /// One number.
    pub fn one(number: u128) -> Self {
        Set(Some(Arc::new([(number, number)])))
    }

    fn canonical(ranges: Vec<Range>, end: u128) -> Self {
        if ranges == [(0, end)] { Set::ALL } else { Set(Some(ranges.into())) }
    }

    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(|ranges| ranges.is_empty())
    }

    /// The ranges, ascending.
    pub fn ranges(&self, end: u128) -> Vec<Range> {
        self.0.as_ref().map_or_else(|| vec![(0, end)], |ranges| ranges.to_vec())
    }

    /// Shows the ranges without copying them; none where the set is the whole dimension.
    pub fn with_ranges<T>(&self, look: impl FnOnce(&[Range]) -> T) -> T {
        look(self.0.as_deref().unwrap_or_default())
    }

    /// The smallest number.
    pub fn first(&self) -> Option<u128> {
        self.0.as_ref().map_or(Some(0), |ranges| ranges.first().map(|range| range.0))
    }

    pub fn contains(&self, number: u128) -> bool {
        let Some(ranges) = &self.0 else { return true };
        let after = ranges.partition_point(|range| range.0 <= number);
        after > 0 && number <= ranges[after - 1].1
    }

    /// How many numbers, as a logarithm to base two.
    pub fn log2(&self, end: u128) -> f64 {
        let size = |&(low, high): &Range| (high - low) as f64 + 1.0;
        match &self.0 {
            None => size(&(0, end)).log2(),
            Some(ranges) => ranges.iter().map(size).sum::<f64>().log2(),
        }
    }

    /// How many ranges it takes.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(1, |ranges| ranges.len())
    }

    /// Whether the two have a number in common.
    pub fn meets(&self, other: &Set) -> bool {
        let (Some(own), Some(other)) = (&self.0, &other.0) else {
            return !self.is_empty() && !other.is_empty();
        };
        if Arc::ptr_eq(own, other) {
            return !own.is_empty();
        }
        let (short, long) = if own.len() <= other.len() { (own, other) } else { (other, own) };
        let (Some(first), Some(last)) = (long.first(), long.last()) else { return false };
        short.iter().any(|&(low, high)| {
            if high < first.0 || last.1 < low {
                return false;
            }
            let next = long.partition_point(|range| range.1 < low);
            long.get(next).is_some_and(|range| range.0 <= high)
        })
    }

    /// Whether every number of `inner` is in this set.
    pub fn covers(&self, inner: &Set, end: u128) -> bool {
        let Some(own) = &self.0 else { return true };
        let Some(inner) = &inner.0 else { return **own == [(0, end)] };
        Arc::ptr_eq(own, inner)
            || inner.iter().all(|&(low, high)| {
                let after = own.partition_point(|range| range.0 <= low);
                after > 0 && high <= own[after - 1].1
            })
    }

    /// What is in both.
    pub fn intersection(&self, other: &Set) -> Set {
        match (&self.0, &other.0) {
            (None, _) => other.clone(),
            (_, None) => self.clone(),
            (Some(own), Some(other)) if Arc::ptr_eq(own, other) => self.clone(),
            (Some(own), Some(other)) => Set(Some(common(own, other).into())),
        }
    }

    /// What is in this set and not in `other`, on a dimension that ends at `end`.
    pub fn difference(&self, other: &Set, end: u128) -> Set {
        let Some(holes) = &other.0 else { return Set(Some(Arc::new([]))) };
        match &self.0 {
            None => Set::canonical(without(&[(0, end)], holes), end),
            Some(own) if Arc::ptr_eq(own, holes) => Set(Some(Arc::new([]))),
            Some(own) => Set::canonical(without(own, holes), end),
        }
    }

    /// What is in either, on a dimension that ends at `end`.
    pub fn union(&self, other: &Set, end: u128) -> Set {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Set::new([&own[..], &other[..]].concat(), end),
            _ => Set::ALL,
        }
    }
}

fn common(a: &[Range], b: &[Range]) -> Vec<Range> {
    let (mut found, mut at, mut other) = (Vec::new(), 0, 0);
    while at < a.len() && other < b.len() {
        let (low, high) = (a[at].0.max(b[other].0), a[at].1.min(b[other].1));
        if low <= high {
            found.push((low, high));
        }
        if a[at].1 < b[other].1 { at += 1 } else { other += 1 }
    }
    found
}

fn without(from: &[Range], holes: &[Range]) -> Vec<Range> {
    let (mut left, mut first) = (Vec::new(), 0);
    for &(low, high) in from {
        while first < holes.len() && holes[first].1 < low {
            first += 1;
        }
        let mut start = Some(low);
        for &(hole_low, hole_high) in holes[first..].iter().take_while(|hole| hole.0 <= high) {
            if let Some(from) = start.filter(|from| *from < hole_low) {
                left.push((from, hole_low - 1));
            }
            start = hole_high.checked_add(1);
        }
        if let Some(from) = start.filter(|from| *from <= high) {
            left.push((from, high));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: u128 = 11;

    fn all() -> Vec<Set> {
        let lists: [&[Range]; 7] =
            [&[], &[(0, 3)], &[(2, 2), (4, 9)], &[(0, 11)], &[(9, 11)], &[(0, 0), (11, 11)], &[(5, 6)]];
        lists.iter().map(|ranges| Set::new(ranges.to_vec(), END)).collect()
    }

    #[test]
    fn algebra_agrees_with_membership() {
        for a in all() {
            for b in all() {
                let (both, less, either) = (a.intersection(&b), a.difference(&b, END), a.union(&b, END));
                for x in 0..=END {
                    let (in_a, in_b) = (a.contains(x), b.contains(x));
                    assert_eq!(both.contains(x), in_a && in_b, "{a:?} {b:?} {x}");
                    assert_eq!(less.contains(x), in_a && !in_b, "{a:?} {b:?} {x}");
                    assert_eq!(either.contains(x), in_a || in_b, "{a:?} {b:?} {x}");
                }
                assert_eq!(a.meets(&b), !both.is_empty(), "{a:?} {b:?}");
                assert_eq!(a.covers(&b, END), b.difference(&a, END).is_empty(), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn equal_sets_are_equal_values() {
        assert_eq!(Set::new(vec![(4, 9), (0, 3), (10, 11)], END), Set::ALL);
        assert_eq!(Set::ALL.difference(&Set::one(0), u128::MAX).union(&Set::one(0), u128::MAX), Set::ALL);
        assert_eq!(Set::new(vec![(3, 4), (1, 2)], END), Set::new(vec![(1, 4)], END));
    }
}
