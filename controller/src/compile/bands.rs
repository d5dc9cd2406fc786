//! How rules are spread over groups.
//!
//! One table over all source and destination classes is the fastest to read, but its size is a product: a thousand rules
//! from one network to anywhere beside a thousand rules from anywhere to one network make a million different cells.
//! Rules whose prefixes are of a similar length overlap little, so that groups by prefix length keep the products small
//! (the idea of Srinivasan, Suri and Varghese's pruned tuple space). The compiler takes the coarsest scheme that fits.

use std::rc::Rc;

use crate::ruleset::AddressSet;

/// A way to spread rules; each is finer than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// All rules in one group.
    One,
    /// By whether a side is `any`.
    Shapes,
    /// By prefix length: none, short, long.
    ThreeBands,
    /// By prefix length in steps of an IPv4 octet.
    FiveBands,
}

impl Scheme {
    /// Coarsest first.
    pub const ALL: [Scheme; 4] = [Scheme::One, Scheme::Shapes, Scheme::ThreeBands, Scheme::FiveBands];

    /// The band of the longest prefixes.
    pub(super) fn last_band(self) -> u8 {
        match self {
            Scheme::One => 0,
            Scheme::Shapes => 1,
            Scheme::ThreeBands => 2,
            Scheme::FiveBands => 4,
        }
    }

    /// Splits a set of addresses; the parts are disjoint and together the set.
    pub(super) fn split(self, set: &Rc<AddressSet>) -> Vec<(u8, Rc<AddressSet>)> {
        let band = match self {
            Scheme::One => return vec![(0, set.clone())],
            Scheme::Shapes => return vec![(u8::from(!set.is_any()), set.clone())],
            Scheme::ThreeBands => |length_v4: u32| [0, 1, 1, 2, 2][five(length_v4)],
            Scheme::FiveBands => |length_v4: u32| five(length_v4) as u8,
        };
        let mut parts: [(Vec<_>, Vec<_>); 5] = Default::default();
        for &(low, high) in set.v4() {
            for (low, high, length) in prefixes(low.into(), high.into(), 32) {
                parts[usize::from(band(length))].0.push((low as u32, high as u32));
            }
        }
        for &(low, high) in set.v6() {
            for (low, high, length) in prefixes(low, high, 128) {
                parts[usize::from(band(as_v4(length)))].1.push((low, high));
            }
        }
        let sets = parts.into_iter().map(|(v4, v6)| Rc::new(AddressSet::new(v4, v6)));
        (0..).zip(sets).filter(|(_, part)| !part.is_empty()).collect()
    }
}

fn five(length_v4: u32) -> usize {
    length_v4.div_ceil(8) as usize
}

/// An IPv6 prefix length that plays the part of this IPv4 one: /32 is a provider, /48 a site, /64 a network.
fn as_v4(length: u32) -> u32 {
    match length {
        0 => 0,
        1..=32 => 8,
        33..=48 => 16,
        49..=64 => 24,
        _ => 32,
    }
}

/// The fewest prefixes that make an inclusive range, with their lengths.
fn prefixes(low: u128, high: u128, bits: u32) -> Vec<(u128, u128, u32)> {
    let mut found = Vec::new();
    let mut start = low;
    loop {
        let aligned = start.trailing_zeros().min(bits);
        let room = (high - start).checked_add(1).map_or(128, |count| count.ilog2());
        let size = aligned.min(room);
        let last = if size == 128 { high } else { start + ((1 << size) - 1) };
        found.push((start, last, bits - size));
        if last >= high {
            return found;
        }
        start = last + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cover_a_range_exactly() {
        assert_eq!(prefixes(1, 6, 32), [(1, 1, 32), (2, 3, 31), (4, 5, 31), (6, 6, 32)]);
        assert_eq!(prefixes(0, u32::MAX.into(), 32), [(0, u32::MAX.into(), 0)]);
        assert_eq!(prefixes(0, u128::MAX, 128), [(0, u128::MAX, 0)]);
        assert_eq!(prefixes(u128::MAX, u128::MAX, 128), [(u128::MAX, u128::MAX, 128)]);
    }

    #[test]
    fn the_parts_of_a_split_are_the_set() {
        let set = Rc::new(AddressSet::new(vec![(10, 300), (1 << 24, (1 << 25) - 1)], vec![(0, u128::MAX)]));
        for scheme in Scheme::ALL {
            let parts = scheme.split(&set);
            let whole = parts.iter().fold(AddressSet::default(), |sum, (_, part)| sum.union(part));
            assert_eq!(whole, *set, "{scheme:?}");
        }
    }
}
