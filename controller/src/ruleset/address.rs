//! Exact sets of IPv4 and IPv6 addresses.
//!
//! Promises: canonical form. The ranges of a family are inclusive, ascending, disjoint and not adjacent, so that equal
//! sets are equal values. Addresses are numbers in host order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A set of addresses of both families. A clone shares the ranges: many rules may name one large network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressSet {
    #[serde(with = "narrow")]
    v4: Arc<[(u32, u32)]>,
    #[serde(with = "wide")]
    v6: Arc<[(u128, u128)]>,
}

impl AddressSet {
    /// Every address of both families.
    pub fn any() -> Self {
        AddressSet { v4: Arc::new([(0, u32::MAX)]), v6: Arc::new([(0, u128::MAX)]) }
    }

    /// The union of inclusive ranges, in any order, overlapping or not.
    pub fn new(v4: Vec<(u32, u32)>, v6: Vec<(u128, u128)>) -> Self {
        AddressSet {
            v4: canonical(v4, |high| high.checked_add(1)),
            v6: canonical(v6, |high| high.checked_add(1)),
        }
    }

    /// The IPv4 ranges.
    pub fn v4(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 ranges.
    pub fn v6(&self) -> &[(u128, u128)] {
        &self.v6
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub fn is_any(&self) -> bool {
        *self.v4 == [(0, u32::MAX)] && *self.v6 == [(0, u128::MAX)]
    }

    pub fn contains_v4(&self, address: u32) -> bool {
        let after = self.v4.partition_point(|&(low, _)| low <= address);
        after > 0 && address <= self.v4[after - 1].1
    }

    pub fn contains_v6(&self, address: u128) -> bool {
        let after = self.v6.partition_point(|&(low, _)| low <= address);
        after > 0 && address <= self.v6[after - 1].1
    }

    /// What is in either set.
    pub fn union(&self, other: &AddressSet) -> AddressSet {
        AddressSet::new([self.v4(), other.v4()].concat(), [self.v6(), other.v6()].concat())
    }

    /// What is in this set and not in `other`.
    pub fn difference(&self, other: &AddressSet) -> AddressSet {
        AddressSet { v4: subtract(&self.v4, &other.v4), v6: subtract(&self.v6, &other.v6) }
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &AddressSet) -> AddressSet {
        self.difference(&self.difference(other))
    }
}

fn canonical<T: Ord + Copy>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Arc<[(T, T)]> {
    ranges.retain(|(low, high)| low <= high);
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if next(last.1).is_none_or(|after| low <= after) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged.into()
}

/// One step up or down without leaving the number line.
trait Step: Ord + Copy {
    fn before(self) -> Option<Self>;
    fn after(self) -> Option<Self>;
}

impl Step for u32 {
    fn before(self) -> Option<Self> {
        self.checked_sub(1)
    }
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Step for u128 {
    fn before(self) -> Option<Self> {
        self.checked_sub(1)
    }
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
}

/// `from` less `holes`; both canonical, and so is the result.
fn subtract<T: Step>(from: &[(T, T)], holes: &[(T, T)]) -> Arc<[(T, T)]> {
    let mut left = Vec::new();
    let mut first = 0;
    for &(low, high) in from {
        while first < holes.len() && holes[first].1 < low {
            first += 1;
        }
        let mut start = Some(low);
        for &(hole_low, hole_high) in holes[first..].iter().take_while(|hole| hole.0 <= high) {
            if let (Some(from), Some(to)) = (start, hole_low.before())
                && from <= to
            {
                left.push((from, to));
            }
            start = hole_high.after();
        }
        if let Some(from) = start
            && from <= high
        {
            left.push((from, high));
        }
    }
    left.into()
}

/// Shared ranges as a plain list.
mod narrow {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(ranges: &[(u32, u32)], serializer: S) -> Result<S::Ok, S::Error> {
        ranges.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[(u32, u32)]>, D::Error> {
        Vec::deserialize(deserializer).map(Vec::into)
    }
}

/// 128-bit numbers as text: not every reader of JSON keeps them whole.
mod wide {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        ranges: &[(u128, u128)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: Vec<(String, String)> =
            ranges.iter().map(|(low, high)| (format!("{low:x}"), format!("{high:x}"))).collect();
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[(u128, u128)]>, D::Error> {
        let text: Vec<(String, String)> = Vec::deserialize(deserializer)?;
        let number = |text: &str| u128::from_str_radix(text, 16).map_err(D::Error::custom);
        text.iter().map(|(low, high)| Ok((number(low)?, number(high)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(ranges: &[(u32, u32)]) -> AddressSet {
        AddressSet::new(ranges.to_vec(), Vec::new())
    }

    #[test]
    fn overlapping_and_adjacent_ranges_become_one() {
        assert_eq!(v4(&[(5, 9), (0, 3), (4, 4), (8, 20)]), v4(&[(0, 20)]));
        assert_eq!(v4(&[(0, u32::MAX), (7, 9)]).v4(), [(0, u32::MAX)]);
    }

    #[test]
    fn set_algebra_agrees_with_membership() {
        let sets =
            [v4(&[]), v4(&[(0, 3)]), v4(&[(2, 2), (4, 9)]), v4(&[(0, u32::MAX)]), v4(&[(9, u32::MAX)])];
        for a in &sets {
            for b in &sets {
                for x in (0..12).chain([u32::MAX - 1, u32::MAX]) {
                    let (in_a, in_b) = (a.contains_v4(x), b.contains_v4(x));
                    assert_eq!(a.union(b).contains_v4(x), in_a || in_b);
                    assert_eq!(a.difference(b).contains_v4(x), in_a && !in_b);
                    assert_eq!(a.intersection(b).contains_v4(x), in_a && in_b);
                }
            }
        }
    }

    #[test]
    fn wide_numbers_survive_json() {
        let set = AddressSet::any();
        assert_eq!(serde_json::from_str::<AddressSet>(&serde_json::to_string(&set).unwrap()).unwrap(), set);
    }
}
