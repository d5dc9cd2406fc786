//! Boxes that are no prefixes, in buckets by the first bits of an address.
//!
//! Promises: the bucket that an address is in and the wide boxes, which are in none, hold together every box with that address.
//! Boxes of a layer do not overlap, so it does not matter which are asked first. Where nothing is gained there are no
//! buckets.
//!
//! The kernel's sets of intervals take longer the more they hold; a bucket is found by hashing and holds few.

use std::collections::BTreeMap;

use super::entries::Entry;

/// Fewer boxes are looked up at once.
const LEAST: usize = 64;
/// Buckets are worth it where a frame meets so many times fewer boxes.
const GAIN: usize = 4;
/// A bucket of fewer boxes gains nothing more.
const FEW: usize = 16;
/// Each bucket is a chain and a map.
const MOST: usize = 1024;
/// A box in more buckets than these is wide.
const WIDE: u128 = 4;

/// Boxes by the first bits of an address.
#[derive(Debug)]
pub(super) struct Buckets {
    /// 0 where it is the source address, 1 where it is the destination.
    pub(super) dimension: usize,
    /// How many last bits of the address do not matter.
    pub(super) rest: u32,
    /// By the lowest address of each bucket.
    pub(super) buckets: BTreeMap<u128, Vec<Entry>>,
    /// Those that are in no bucket.
    pub(super) others: Vec<Entry>,
}

/// Splits boxes that do not overlap, with addresses of so many bits, by the address and the number of bits that leave few in
/// a bucket; with at most `most` elements in all. `None` where that is not worth it.
pub(super) fn buckets(entries: &[Entry], bits: u32, most: usize) -> Option<Buckets> {
    if entries.len() < LEAST {
        return None;
    }
    // Of splits that are as good, the one with the fewest buckets.
    let rests = (0..bits).step_by(bits as usize / 16).rev();
    let splits = [0, 1].into_iter().flat_map(|dimension| rests.clone().map(move |rest| (dimension, rest)));
    let costs = splits.filter_map(|split| Some((cost(entries, split, most)?, split)));
    let (cost, (dimension, rest)) = costs.min_by_key(|(cost, _)| *cost.max(&FEW))?;
    (cost * GAIN <= entries.len()).then(|| split(entries, dimension, rest))
}

/// The numbers of the buckets that a box is in; `None` where it is wide.
fn numbers(entry: &Entry, (dimension, rest): (usize, u32)) -> Option<impl Iterator<Item = u128>> {
    let (low, high) = entry.spans[dimension];
    let (first, last) = (low >> rest, high >> rest);
    (last - first < WIDE).then_some(first..=last)
}

/// How many boxes a frame meets that one of them matches, on average: those of its bucket, and the wide ones. `None` where that takes
/// too many elements or buckets.
fn cost(entries: &[Entry], split: (usize, u32), most: usize) -> Option<usize> {
    let mut found: Vec<u128> = entries.iter().filter_map(|entry| numbers(entry, split)).flatten().collect();
    found.sort_unstable();
    let wide = entries.iter().filter(|entry| numbers(entry, split).is_none()).count();
    let sizes = || found.chunk_by(|one, next| one == next).map(<[u128]>::len);
    let buckets = sizes().count();
    if buckets > MOST || found.len() > 2 * entries.len() || found.len() + wide + buckets > most {
        return None;
    }
    let met: usize = sizes().map(|size| size * size).sum();
    Some(met / found.len().max(1) + wide)
}

fn split(entries: &[Entry], dimension: usize, rest: u32) -> Buckets {
    let mut split = Buckets { dimension, rest, buckets: BTreeMap::new(), others: Vec::new() };
    for entry in entries {
        match numbers(entry, (dimension, rest)) {
            Some(numbers) => numbers.for_each(|number| {
                split.buckets.entry(number << rest).or_default().push(entry.clone());
            }),
            None => split.others.push(entry.clone()),
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nft::lower::entries::NEVER;

    /// Boxes of an address of 32 bits and a port that do not overlap: intervals in a row, each with one port or two.
    fn row(chance: &mut fastrand::Rng, dimension: usize) -> Vec<Entry> {
        let mut low = chance.u128(0..1 << 12);
        let mut boxes = Vec::new();
        for _ in 0..chance.usize(40..120) {
            let high =
                low + [chance.u128(0..3), chance.u128(0..300), chance.u128(0..9000)][chance.usize(0..3)];
            for port in 0..chance.u128(1..3) {
                let mut spans = vec![(7, 7), (7, 7), (port, port)];
                spans[dimension] = (low, high);
                boxes.push(Entry { spans, rule: boxes.len() as u32, end: NEVER });
            }
            low = high + 1 + chance.u128(0..500);
        }
        boxes
    }

    fn hit(entries: &[Entry], point: &[u128; 3]) -> Option<u32> {
        let holds =
            |entry: &&Entry| entry.spans.iter().zip(point).all(|((low, high), at)| low <= at && at <= high);
        entries.iter().find(holds).map(|entry| entry.rule)
    }

    #[test]
    fn buckets_hold_what_the_boxes_hold() {
        let mut made = 0;
        for seed in 0..100 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let dimension = chance.usize(0..2);
            let boxes = row(&mut chance, dimension);
            let Some(split) = buckets(&boxes, 32, 1 << 16) else { continue };
            made += 1;
            let edges = boxes.iter().map(|entry| entry.spans[dimension]);
            for at in edges.flat_map(|(low, high)| [low.saturating_sub(1), low, high, high + 1]) {
                for port in 0..3 {
                    let mut point = [7, 7, port];
                    point[dimension] = at;
                    let mask = u128::MAX << split.rest;
                    let bucket = split.buckets.get(&(point[split.dimension] & mask));
                    let found = bucket.and_then(|bucket| hit(bucket, &point));
                    let found = found.or_else(|| hit(&split.others, &point));
                    assert_eq!(found, hit(&boxes, &point), "seed {seed}, point {point:?}");
                }
            }
        }
        assert!(made > 50, "{made} of 100 rows of boxes were worth buckets");
    }

    #[test]
    fn what_gains_nothing_or_takes_too_much_stays_whole() {
        let ranges = |count: u128| -> Vec<Entry> {
            let spans = |at: u128| vec![(at * 256 + 3, at * 256 + 200), (0, 9), (at, at)];
            (0..count).map(|at| Entry { spans: spans(at), rule: at as u32, end: NEVER }).collect()
        };
        assert!(buckets(&ranges(1000), 32, 1 << 16).is_some());
        assert!(buckets(&ranges(LEAST as u128 - 1), 32, 1 << 16).is_none(), "few");
        assert!(buckets(&ranges(1000), 32, 1000).is_none(), "more elements than there may be");
        let mut wide = ranges(1000);
        wide.iter_mut().for_each(|entry| entry.spans[0] = (3, u128::from(u32::MAX)));
        assert!(buckets(&wide, 32, 1 << 16).is_none(), "all of them wide");
    }
}
