//! Boxes that overlap, as layers of boxes that do not.
//!
//! Promises: looking a point up layer by layer and taking the first hit gives the rule of the first box, in the order given,
//! that holds the point, at any time: the boxes of a rule that has ended are no hit, and so hide and cut nothing that
//! outlasts them. Within a layer no two boxes overlap, as the kernel's sets of intervals demand.
//!
//! Boxes of one shape (prefixes of the same lengths, the same ports or any port) can go to a layer of their own, which the
//! kernel hashes (tuple space search; Srinivasan, Suri, Varghese 1999). These come first, for as many shapes as make
//! the lookups cheaper. Any other box goes to the first layer where the promise stays true: after every layer that has
//! an earlier box which overlaps it, unless cutting the earlier boxes out of it takes few pieces.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::entries::{Entry, Span, prefix};

/// Boxes none of which overlap.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<Entry>,
    index: Index,
}

/// Pieces that one box may be cut into before it goes to a layer of its own.
const PIECES: usize = 24;
/// Layers that are not hashed are looked up one by one.
const LAYERS: usize = 16;
/// What a lookup costs, in tenths of that of an exact key: measured on Linux 6.18 with AVX2, between 10 and 10,000 intervals.
const EXACT: usize = 10;
const INTERVALS_DOUBLED: usize = 12;
/// So many boxes of one shape are always hashed: sets of intervals take long to fill.
const MANY: usize = 4096;

/// Spreads boxes over layers, those that are hashed and up to `most` others; the rules in the way, where that would take
/// too many. `highest` is the highest number of each dimension.
pub(super) fn layers(entries: Vec<Entry>, highest: &[u128], most: usize) -> Result<Vec<Layer>, Vec<u32>> {
    let dimension = widest_spread(&entries);
    let (mut layers, others) = hashed(entries, highest, dimension);
    let mut pieces = 0;
    let mut cut: Vec<Layer> = Vec::new();
    for entry in others {
        let rule = entry.rule;
        pieces += place(&mut cut, entry, dimension)?;
        if pieces > most {
            return Err(largest(&cut, rule));
        }
    }
    layers.extend(cut);
    Ok(layers)
}

/// How many last bits of each dimension do not matter to a box; `None` where it is not hashed: one of them is no prefix, or
/// none matters. Only addresses, the first two, are hashed by a part of them.
fn shape(spans: &[Span], highest: &[u128]) -> Option<Vec<u32>> {
    let rests: Option<Vec<u32>> = spans.iter().map(|&span| prefix(span)).collect();
    let whole = |at: usize| spans[at] == (0, highest[at]);
    rests.filter(|rests| {
        (2..spans.len()).all(|at| rests[at] == 0 || whole(at)) && !(0..spans.len()).all(whole)
    })
}

/// The shapes that get a layer of their own: the most frequent, as many as make the lookups cheapest.
fn hashed_shapes(shapes: &[Option<Vec<u32>>]) -> Vec<Vec<u32>> {
    let mut counts: BTreeMap<&Vec<u32>, usize> = BTreeMap::new();
    shapes.iter().flatten().for_each(|shape| *counts.entry(shape).or_default() += 1);
    let mut counts: Vec<(&Vec<u32>, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let mut left = shapes.len();
    let mut cheapest = (intervals(left), 0);
    for (at, &(_, count)) in counts.iter().enumerate() {
        left -= count;
        let cost = (at + 1) * EXACT + intervals(left);
        if cost < cheapest.0 || count >= MANY {
            cheapest = (cost, at + 1);
        }
    }
    let mut chosen: Vec<Vec<u32>> = counts.drain(..cheapest.1).map(|(shape, _)| shape.clone()).collect();
    // The narrowest first, as people write them.
    chosen.sort();
    chosen
}

/// The cost of a lookup among so many intervals.
fn intervals(count: usize) -> usize {
    count.checked_ilog2().map_or(0, |log| EXACT + INTERVALS_DOUBLED * log as usize)
}

/// Layers of boxes that are hashed, and the other boxes in their order. A box that a later layer would have to judge first
/// is among the others.
fn hashed(entries: Vec<Entry>, highest: &[u128], dimension: usize) -> (Vec<Layer>, Vec<Entry>) {
    let shapes: Vec<Option<Vec<u32>>> = entries.iter().map(|entry| shape(&entry.spans, highest)).collect();
    let chosen = hashed_shapes(&shapes);
    let mut layers: Vec<Layer> = chosen.iter().map(|_| Layer::new(dimension)).collect();
    // What comes after the layers of the hashed boxes, as far as it comes before the box at hand.
    let mut others = Layer::new(dimension);
    for (entry, shape) in entries.into_iter().zip(shapes) {
        let at = shape.and_then(|shape| chosen.iter().position(|known| *known == shape));
        let Some(at) = at else {
            others.push(entry);
            continue;
        };
        let hidden = |layer: &Layer| {
            let found = layer.overlapping(&entry.spans);
            found.iter().any(|&earlier| layer.entries[earlier].hides(&entry))
        };
        if layers.iter().chain([&others]).any(hidden) {
            continue;
        }
        // In its own layer lies at most the same box, of a rule that ends earlier.
        let later = layers[at..].iter().chain([&others]);
        let judged_first = later.into_iter().any(|layer| !layer.overlapping(&entry.spans).is_empty());
        if judged_first { others.push(entry) } else { layers[at].push(entry) }
    }
    layers.retain(|layer| !layer.entries.is_empty());
    (layers, others.entries)
}

/// The rules with the most pieces, after the one that was too much.
fn largest(layers: &[Layer], last: u32) -> Vec<u32> {
    let mut pieces: BTreeMap<u32, usize> = BTreeMap::new();
    for entry in layers.iter().flat_map(|layer| &layer.entries) {
        *pieces.entry(entry.rule).or_default() += 1;
    }
    let mut rules: Vec<(usize, u32)> = pieces.into_iter().map(|(rule, pieces)| (pieces, rule)).collect();
    rules.sort_unstable_by_key(|&(pieces, rule)| (std::cmp::Reverse(pieces), rule));
    let others = rules.into_iter().map(|(_, rule)| rule).filter(|&rule| rule != last);
    std::iter::once(last).chain(others).collect()
}

/// The dimension in which most boxes begin in different places: that is where to look for those that overlap.
fn widest_spread(entries: &[Entry]) -> usize {
    let dimensions = entries.first().map_or(0, |entry| entry.spans.len());
    let places = |dimension: usize| {
        let starts = entries.iter().map(|entry| entry.spans[dimension].0);
        starts.collect::<HashSet<_>>().len()
    };
    (0..dimensions).max_by_key(|&dimension| places(dimension)).unwrap_or(0)
}

/// Puts a box into the first layer that it may go to. Returns the number of pieces that it became.
fn place(layers: &mut Vec<Layer>, entry: Entry, dimension: usize) -> Result<usize, Vec<u32>> {
    let overlapping: Vec<Vec<usize>> = layers.iter().map(|layer| layer.overlapping(&entry.spans)).collect();
    let hidden = layers
        .iter()
        .zip(&overlapping)
        .any(|(layer, found)| found.iter().any(|&at| layer.entries[at].hides(&entry)));
    if hidden {
        return Ok(0);
    }
    // The last layer with an earlier box in the way: no layer before it will do.
    let Some(last) = overlapping.iter().rposition(|found| !found.is_empty()) else {
        if layers.is_empty() {
            layers.push(Layer::new(dimension));
        }
        layers[0].push(entry);
        return Ok(1);
    };
    let in_the_way = overlapping[last].iter().map(|&at| &layers[last].entries[at]);
    let lasting = in_the_way.clone().all(|earlier| earlier.end >= entry.end);
    let holes: Vec<&[Span]> = in_the_way.map(|earlier| earlier.spans.as_slice()).collect();
    if let Some(pieces) = lasting.then(|| cut(&entry.spans, &holes)).flatten() {
        let count = pieces.len();
        for spans in pieces {
            layers[last].push(Entry { spans, ..entry });
        }
        return Ok(count);
    }
    if last + 1 == layers.len() {
        if layers.len() == LAYERS {
            return Err(largest(layers, entry.rule));
        }
        layers.push(Layer::new(dimension));
    }
    layers[last + 1].push(entry);
    Ok(1)
}

/// What is left of a box without the holes, in boxes that do not overlap; `None` where that takes too many.
fn cut(spans: &[Span], holes: &[&[Span]]) -> Option<Vec<Vec<Span>>> {
    let mut left = vec![spans.to_vec()];
    for hole in holes {
        let mut after = Vec::with_capacity(left.len());
        for piece in left {
            if overlap(&piece, hole) {
                split(piece, hole, &mut after);
            } else {
                after.push(piece);
            }
        }
        if after.len() > PIECES {
            return None;
        }
        left = after;
    }
    Some(left)
}

/// The parts of `piece` outside `hole`, which overlaps it.
fn split(mut piece: Vec<Span>, hole: &[Span], outside: &mut Vec<Vec<Span>>) {
    for dimension in 0..piece.len() {
        let (low, high) = piece[dimension];
        let (from, to) = hole[dimension];
        if low < from {
            let mut below = piece.clone();
            below[dimension] = (low, from - 1);
            outside.push(below);
        }
        if to < high {
            let mut above = piece.clone();
            above[dimension] = (to + 1, high);
            outside.push(above);
        }
        piece[dimension] = (low.max(from), high.min(to));
    }
}

fn overlap(a: &[Span], b: &[Span]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.0 <= b.1 && b.0 <= a.1)
}

impl Layer {
    fn new(dimension: usize) -> Layer {
        Layer { entries: Vec::new(), index: Index { dimension, ..Index::default() } }
    }

    fn push(&mut self, entry: Entry) {
        self.index.insert(&entry.spans, self.entries.len());
        self.entries.push(entry);
    }

    /// The boxes that overlap `spans`, ascending.
    fn overlapping(&self, spans: &[Span]) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.index.near(spans).filter(|&at| overlap(&self.entries[at].spans, spans)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Boxes by where they lie in one dimension: in buckets at several scales, each box at the finest that holds it in few.
#[derive(Debug, Default)]
struct Index {
    dimension: usize,
    /// By number of bits that a bucket leaves out, and what is left.
    buckets: HashMap<(u32, u128), Vec<usize>>,
    scales: Vec<u32>,
}

impl Index {
    fn insert(&mut self, spans: &[Span], at: usize) {
        let (low, high) = spans[self.dimension];
        let scale = scale(low, high);
        if !self.scales.contains(&scale) {
            self.scales.push(scale);
        }
        for bucket in shifted(low, scale)..=shifted(high, scale) {
            self.buckets.entry((scale, bucket)).or_default().push(at);
        }
    }

    /// The boxes in buckets that `spans` reaches into; all, where it reaches into too many.
    fn near<'a>(&'a self, spans: &[Span]) -> Box<dyn Iterator<Item = usize> + 'a> {
        let (low, high) = spans[self.dimension];
        let mut found: Vec<&'a Vec<usize>> = Vec::new();
        for &scale in &self.scales {
            let (first, last) = (shifted(low, scale), shifted(high, scale));
            if last - first > self.buckets.len() as u128 {
                let within = |key: &(u32, u128)| key.0 == scale && first <= key.1 && key.1 <= last;
                found.extend(self.buckets.iter().filter(|(key, _)| within(key)).map(|(_, boxes)| boxes));
            } else {
                found.extend((first..=last).filter_map(|bucket| self.buckets.get(&(scale, bucket))));
            }
        }
        Box::new(found.into_iter().flatten().copied())
    }
}

/// Bits to leave out so that an interval lies in at most two buckets; few different ones.
fn scale(low: u128, high: u128) -> u32 {
    (128 - (high - low).leading_zeros()).next_multiple_of(8)
}

fn shifted(number: u128, scale: u32) -> u128 {
    number.checked_shr(scale).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nft::lower::entries::{End, NEVER};

    const HIGHEST: [u128; 4] = [7; 4];

    /// The rule of the first box that holds a point and has not ended at a time.
    fn first(entries: &[Entry], point: &[u128], time: End) -> Option<u32> {
        let holds = |entry: &Entry| {
            let mut spans = entry.spans.iter().zip(point);
            entry.end > time && spans.all(|(span, at)| (span.0..=span.1).contains(at))
        };
        entries.iter().find(|entry| holds(entry)).map(|entry| entry.rule)
    }

    fn random_box(chance: &mut fastrand::Rng, dimensions: usize, rule: u32) -> Entry {
        let span = |chance: &mut fastrand::Rng| {
            let (a, b) = match chance.u8(0..4) {
                0 => (0, 7),
                1 => (chance.u8(0..8), chance.u8(0..8)),
                _ => [chance.u8(0..8); 2].into(),
            };
            (u128::from(a.min(b)), u128::from(a.max(b)))
        };
        let end = if chance.u8(0..3) == 0 { chance.u64(0..4) } else { NEVER };
        Entry { spans: (0..dimensions).map(|_| span(chance)).collect(), rule, end }
    }

    /// At every point and time the layers of boxes in three dimensions say what the boxes say in their order.
    fn holds_everywhere(boxes: Vec<Entry>, seed: u64) {
        let layers = layers(boxes.clone(), &HIGHEST[..3], 1 << 16).expect("few boxes need few layers");
        for number in 0..512u128 {
            let point = [number & 7, number >> 3 & 7, number >> 6];
            for time in 0..4 {
                let hit = layers.iter().find_map(|layer| first(&layer.entries, &point, time));
                assert_eq!(hit, first(&boxes, &point, time), "seed {seed}, point {point:?} at {time}");
            }
        }
    }

    #[test]
    fn layers_say_what_the_first_box_says() {
        for seed in 0..300 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let boxes: Vec<Entry> =
                (0..chance.u32(1..40)).map(|rule| random_box(&mut chance, 3, rule)).collect();
            holds_everywhere(boxes, seed);
        }
    }

    /// A box of one of four shapes most of the time, so that some of them are worth hashing.
    fn shaped_box(chance: &mut fastrand::Rng, rule: u32) -> Entry {
        let any = random_box(chance, 3, rule);
        let [a, b, c] = [0; 3].map(|_| u128::from(chance.u8(0..8)));
        let spans = match chance.u8(0..6) {
            0 | 1 => vec![(a, a), (b, b), (c, c)],
            2 => vec![(a & 6, a | 1), (b, b), (c, c)],
            3 => vec![(a, a), (b & 4, b | 3), (0, 7)],
            4 => vec![(0, 7), (b, b), (c, c)],
            _ => return any,
        };
        Entry { spans, ..any }
    }

    #[test]
    fn several_hashed_layers_say_what_the_first_box_says() {
        let mut most = 0;
        for seed in 0..300 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let boxes: Vec<Entry> = (0..60).map(|rule| shaped_box(&mut chance, rule)).collect();
            most = most.max(hashed(boxes.clone(), &HIGHEST[..3], 0).0.len());
            holds_everywhere(boxes, seed);
        }
        assert!(most > 1, "the generator must make boxes that are worth two hashed layers");
    }

    #[test]
    fn boxes_of_a_layer_do_not_overlap() {
        for seed in 0..300 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let boxes: Vec<Entry> = (0..20).map(|rule| random_box(&mut chance, 4, rule)).collect();
            for layer in layers(boxes, &HIGHEST, 1 << 16).expect("few boxes need few layers") {
                for (at, one) in layer.entries.iter().enumerate() {
                    let others = &layer.entries[at + 1..];
                    assert!(others.iter().all(|other| !overlap(&one.spans, &other.spans)), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn exact_boxes_have_a_layer_of_their_own() {
        let boxes: Vec<Entry> =
            (0..1000).map(|n| Entry { spans: vec![(n, n), (7, 7)], rule: n as u32, end: NEVER }).collect();
        let boxes = [boxes, vec![Entry { spans: vec![(0, 9999), (0, 9)], rule: 1000, end: NEVER }]].concat();
        let layers = layers(boxes, &[9999, 9], 1 << 16).expect("one overlaps them");
        assert_eq!(layers.len(), 2);
        assert_eq!(layers[0].entries.len(), 1000);
    }
}
