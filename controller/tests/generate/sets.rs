//! Address sets: nested, adjacent and overlapping prefixes, ranges with holes, both families.

use super::{Rng, once_in, pick};
use perimeter::ruleset::AddressSet;

/// What the networks of one policy are made of.
pub(crate) struct Universe {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

const V4_ROOTS: [(u32, u32); 6] = [
    (0x0a00_0000, 8),
    (0xc0a8_0000, 16),
    (0xcb00_7100, 24),
    (0xc612_0000, 15),
    (0x6440_0000, 10),
    (0x0000_0000, 0),
];

const V6_ROOTS: [(u128, u32); 5] = [
    (0x2001_0db8 << 96, 32),
    (0xfd << 120, 8),
    (0xfe80 << 112, 10),
    (0x2001_0db8_0001 << 80, 48),
    (0x2000 << 112, 3),
];

impl Universe {
    /// About `size` ranges of each family.
    pub(crate) fn new(rng: &mut Rng, size: usize) -> Self {
        let mut universe = Universe { v4: Vec::new(), v6: Vec::new() };
        for _ in 0..size.max(4) {
            let relative =
                universe.v4.get(rng.usize(0..size.max(4))).map(|range| (range.0.into(), range.1.into()));
            let (root, bits) = pick(rng, &V4_ROOTS);
            let (low, high) = relate(rng, relative, root.into(), bits, 32);
            universe.v4.push((low as u32, high as u32));
            let relative = universe.v6.get(rng.usize(0..size.max(4))).copied();
            let (root, bits) = pick(rng, &V6_ROOTS);
            universe.v6.push(relate(rng, relative, root, bits, 128));
        }
        universe
    }

    /// The union of a few ranges, sometimes with holes.
    pub(crate) fn network(&self, rng: &mut Rng) -> AddressSet {
        let most = if once_in(rng, 8) { 40 } else { 6 };
        let included = rng.usize(1..=most);
        let mut set = self.some(rng, included);
        if once_in(rng, 3) {
            let excepted = rng.usize(1..=4);
            let less = set.difference(&self.some(rng, excepted));
            set = if less.is_empty() { set } else { less };
        }
        set
    }

    /// One range, of one family or of each.
    pub(crate) fn prefix(&self, rng: &mut Rng) -> AddressSet {
        self.some(rng, 1)
    }

    fn some(&self, rng: &mut Rng, count: usize) -> AddressSet {
        let families = rng.u32(0..4);
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for _ in 0..count {
            if families != 0 {
                v4.push(pick(rng, &self.v4));
            }
            if families != 1 {
                v6.push(pick(rng, &self.v6));
            }
        }
        AddressSet::new(v4, v6)
    }
}

/// A range that stands in some relation to an earlier one: inside it, beside it, around it, or of its own.
fn relate(rng: &mut Rng, relative: Option<(u128, u128)>, root: u128, bits: u32, width: u32) -> (u128, u128) {
    let largest = u128::MAX >> (128 - width);
    let Some((low, high)) = relative else {
        let longer = rng.u32(bits..=width);
        let inside = root + below(rng, 1u128.checked_shl(width - bits).unwrap_or(0));
        return prefix(inside & largest, longer, width);
    };
    match rng.u32(0..8) {
        0..=3 => {
            let inside = rng.u128(low..=high);
            let longer = width - rng.u32(0..=(128 - (high - low).leading_zeros()).min(width));
            let (from, to) = prefix(inside, longer, width);
            (from.max(low), to.min(high))
        }
        4 => (low, rng.u128(low..=high)),
        5 => (rng.u128(low..=high), high.saturating_add(below(rng, 300)).min(largest)),
        6 => (high.saturating_add(1).min(largest), high.saturating_add(1 + below(rng, 64)).min(largest)),
        _ => prefix(low, rng.u32(1..=width), width),
    }
}

/// A number under `limit`; under 2^128 where it is 0.
fn below(rng: &mut Rng, limit: u128) -> u128 {
    if limit == 0 { rng.u128(..) } else { rng.u128(0..limit) }
}

/// The prefix of this length that holds `address`.
fn prefix(address: u128, bits: u32, width: u32) -> (u128, u128) {
    let host = 1u128.checked_shl(width - bits).map_or(u128::MAX, |size| size - 1);
    (address & !host, address | host)
}
