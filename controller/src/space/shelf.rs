//! Many regions, kept so that those which meet another are found quickly, and subtraction of all of them at once.

use std::ops::ControlFlow;

use super::region::{Dimension, Kind, Region};
use super::set::Set;

/// How much work may still be done, in comparisons of regions.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    pub fn new(steps: usize) -> Self {
        Budget(steps)
    }

    /// Takes `steps`; false once there are not so many left.
    pub fn spend(&mut self, steps: usize) -> bool {
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    /// Sets `most` steps aside, or what is left, for one task.
    pub fn lend(&mut self, most: usize) -> Budget {
        let lent = most.min(self.0);
        self.0 -= lent;
        Budget(lent)
    }

    /// Takes back what a task did not need.
    pub fn take_back(&mut self, rest: Budget) {
        self.0 += rest.0;
    }

    /// Steps that are left.
    pub fn left(&self) -> usize {
        self.0
    }

    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// How a subtraction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carved {
    /// Everything that is left was given.
    Whole,
    /// The taker wanted no more.
    Stopped,
    /// The budget ended first; what was given is right, but more may be left.
    Unfinished,
}

/// The sides by which regions are told apart first.
const TELLING: [Dimension; 3] = [Dimension::Source, Dimension::Destination, Dimension::DestinationPort];

/// For each telling side, which of 64 buckets a region touches: regions without a common one cannot meet.
type Signature = [u64; TELLING.len()];

/// Regions of one kind.
pub struct Shelf {
    regions: Vec<Region>,
    signatures: Vec<Signature>,
    /// Where the buckets of each telling side begin, but for the first.
    bounds: [Vec<u128>; TELLING.len()],
}

impl Shelf {
    pub fn new(regions: Vec<Region>) -> Self {
        let bounds = TELLING.map(|dimension| bounds(regions.iter().map(|region| region.side(dimension))));
        let mut shelf = Shelf { regions, signatures: Vec::new(), bounds };
        shelf.signatures = shelf.regions.iter().map(|region| shelf.signature(region)).collect();
        shelf
    }

    pub fn get(&self, at: usize) -> &Region {
        &self.regions[at]
    }

    fn signature(&self, region: &Region) -> Signature {
        std::array::from_fn(|at| buckets(region, TELLING[at], &self.bounds[at]))
    }

    /// The positions of the regions that meet `region`, ascending; nothing where the budget ends before all are compared.
    pub fn meeting(&self, region: &Region, budget: &mut Budget) -> Option<Vec<usize>> {
        let wanted = self.signature(region);
        // A signature is much cheaper to compare than a region.
        let mut is_paid = budget.spend(self.regions.len() / 16 + 1);
        let mut found = Vec::new();
        for (at, signature) in self.signatures.iter().enumerate() {
            if !share(signature, &wanted) {
                continue;
            }
            is_paid &= budget.spend(1);
            if !is_paid {
                return None;
            }
            if self.regions[at].meets(region) {
                found.push(at);
            }
        }
        is_paid.then_some(found)
    }

    /// Gives `region` less the regions at `others`, in pieces that do not overlap, until `take` breaks.
    pub fn carve(
        &self,
        region: Region,
        others: &[usize],
        budget: &mut Budget,
        take: &mut dyn FnMut(Region) -> ControlFlow<()>,
    ) -> Carved {
        // Depth first: the pieces that are finished at any moment are right, however much is left to do.
        let mut open = vec![(region, 0)];
        while let Some((piece, next)) = open.pop() {
            let signature = self.signature(&piece);
            // What signatures tell apart costs a fraction of a comparison.
            let mut compared = 0;
            let found = others[next..].iter().position(|at| {
                let shares = share(&self.signatures[*at], &signature);
                compared += usize::from(shares);
                shares && self.regions[*at].meets(&piece)
            });
            let seen = found.unwrap_or(others.len() - next);
            if !budget.spend(compared + seen / 16 + 1) {
                return Carved::Unfinished;
            }
            match found {
                None => {
                    if take(piece).is_break() {
                        return Carved::Stopped;
                    }
                }
                Some(found) => {
                    let next = next + found + 1;
                    let other = &self.regions[others[next - 1]];
                    let ranges: usize = TELLING.iter().map(|dimension| piece.side(*dimension).len()).sum();
                    budget.spend(8 + ranges / 4);
                    open.extend(piece.difference(other).into_iter().rev().map(|piece| (piece, next)));
                }
            }
        }
        Carved::Whole
    }
}

fn share(a: &Signature, b: &Signature) -> bool {
    a.iter().zip(b).all(|(a, b)| a & b != 0)
}

/// Bounds of 64 buckets that regions fall into evenly.
fn bounds<'a>(sets: impl Iterator<Item = &'a Set>) -> Vec<u128> {
    let mut firsts: Vec<u128> = sets.filter(|set| !set.is_all()).filter_map(Set::first).collect();
    firsts.sort_unstable();
    firsts.dedup();
    let count = firsts.len().min(63);
    (0..count).map(|at| firsts[at * firsts.len() / count]).collect()
}

fn buckets(region: &Region, dimension: Dimension, bounds: &[u128]) -> u64 {
    /// Sets of more ranges are known by their first and last number.
    const MANY: usize = 32;
    let set = region.side(dimension);
    if set.is_all() || bounds.is_empty() {
        return u64::MAX;
    }
    let bucket = |number: u128| bounds.partition_point(|bound| *bound <= number);
    let bits = |low: u128, high: u128| u64::MAX >> (63 - bucket(high)) & u64::MAX << bucket(low);
    set.with_ranges(|ranges| match ranges {
        [] => 0,
        [first, .., last] if ranges.len() > MANY => bits(first.0, last.1),
        ranges => ranges.iter().fold(0, |all, &(low, high)| all | bits(low, high)),
    })
}

/// Regions of every kind, each kind on a shelf of its own.
pub struct Shelves<T> {
    shelves: [(Shelf, Vec<T>); 3],
}

impl<T: Clone> Shelves<T> {
    /// `T` is what the caller knows of each region.
    pub fn new(regions: &[(Region, T)]) -> Self {
        let of = |kind: Kind| {
            let here = regions.iter().filter(|(region, _)| region.kind == kind);
            let (regions, known): (Vec<Region>, Vec<T>) = here.cloned().unzip();
            (Shelf::new(regions), known)
        };
        Shelves { shelves: [of(Kind::V4), of(Kind::V6), of(Kind::Ether)] }
    }

    /// The shelf of a kind, with what is known of its regions.
    pub fn of(&self, kind: Kind) -> (&Shelf, &[T]) {
        let (shelf, known) = &self.shelves[kind as usize];
        (shelf, known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(source: (u128, u128), port: (u128, u128)) -> Region {
        Region::all(Kind::V4).within(Dimension::Source, &[source]).within(Dimension::DestinationPort, &[port])
    }

    #[test]
    fn the_shelf_finds_what_meets() {
        let all: Vec<Region> =
            (0..300).map(|at| region((at * 7 % 311, at * 7 % 311 + at % 5), (at, at + 40))).collect();
        let shelf = Shelf::new(all.clone());
        for probe in all.iter().chain([&Region::all(Kind::V4)]) {
            let expected: Vec<usize> = (0..all.len()).filter(|at| all[*at].meets(probe)).collect();
            assert_eq!(shelf.meeting(probe, &mut Budget::new(1 << 20)), Some(expected));
        }
    }

    #[test]
    fn what_is_left_is_exact_and_an_empty_budget_is_told() {
        let holes = vec![region((3, 5), (0, 10)), region((5, 9), (8, 20)), region((0, 2), (4, 4))];
        let (shelf, others) = (Shelf::new(holes.clone()), [0, 1, 2]);
        let whole = region((0, 12), (0, 25));
        let mut pieces = Vec::new();
        let mut take = |piece| {
            pieces.push(piece);
            ControlFlow::Continue(())
        };
        assert_eq!(shelf.carve(whole.clone(), &others, &mut Budget::new(10_000), &mut take), Carved::Whole);
        for source in 0..14 {
            for port in 0..27 {
                let mut fields = [0; 12];
                fields[Dimension::Source as usize] = source;
                fields[Dimension::DestinationPort as usize] = port;
                let left = whole.contains(Kind::V4, &fields)
                    && !holes.iter().any(|hole| hole.contains(Kind::V4, &fields));
                let holding = pieces.iter().filter(|piece| piece.contains(Kind::V4, &fields)).count();
                assert_eq!(holding, usize::from(left), "{source} {port}");
            }
        }
        let mut none = |_| ControlFlow::Continue(());
        assert_eq!(shelf.carve(whole, &others, &mut Budget::new(1), &mut none), Carved::Unfinished);
    }
}
