//! Products of classes: which members are in both of a pair of sets, for every pair.
//!
//! Promises: exact, and bounded in time and memory; what is beyond the bounds is refused with what each member cost.
//! Neighbouring sets differ in few members, so each line of pairs is made from the one before it: only the pairs that a
//! changed member reaches are visited.

use super::partition::Interner;
use super::sets::{EMPTY, SetId, Sets};

/// Most nodes of the sets of one product, about a quarter of a gigabyte.
const MAX_NODES: usize = 1 << 23;

/// Two lists of sets over the same members, and what their product may take.
pub(super) struct Product<'a> {
    pub(super) members: usize,
    pub(super) lines: &'a [SetId],
    pub(super) columns: &'a [SetId],
    pub(super) most_pairs: usize,
    /// Distinct intersections.
    pub(super) most_sets: usize,
}

/// The product passes its bounds; what each member has cost.
#[derive(Debug)]
pub(super) struct Costs(pub(super) Vec<u64>);

impl Product<'_> {
    /// Makes the pairs and hands them over line by line: for each pair the number of its intersection. The distinct
    /// intersections, the empty one first. `steps` is how many changes of a pair it may still cost.
    pub(super) fn pairs(
        &self,
        sets: &mut Sets,
        steps: &mut usize,
        mut take: impl FnMut(&[u32]),
    ) -> Result<Vec<SetId>, Costs> {
        let width = self.columns.len();
        let reach = self.reach(sets);
        let visited = |member: u32| -> usize {
            reach[member as usize].iter().map(|&(from, to)| (to - from) as usize).sum()
        };
        let mut costs = vec![0u64; self.members];
        let mut line = Line { sets: vec![EMPTY; width], numbers: vec![0; width] };
        let mut distinct = Interner::starting_with(EMPTY);
        let fits = self.lines.len().saturating_mul(width) <= self.most_pairs;
        let mut at = EMPTY;
        for &next in self.lines {
            let (left, met) = (sets.members_beyond(at, next), sets.members_beyond(next, at));
            at = next;
            let mut cost = 0;
            for &member in left.iter().chain(&met) {
                costs[member as usize] += visited(member) as u64;
                cost += visited(member);
            }
            let fits = fits && distinct.len() <= self.most_sets && sets.nodes() <= MAX_NODES;
            let Some(rest) = steps.checked_sub(cost).filter(|_| fits) else { return Err(Costs(costs)) };
            *steps = rest;
            for &member in &left {
                line.change(&reach[member as usize], |set| sets.without(set, member));
            }
            for &member in &met {
                line.change(&reach[member as usize], |set| sets.with(set, member));
            }
            for &member in left.iter().chain(&met) {
                line.number(&reach[member as usize], &mut distinct);
            }
            take(&line.numbers);
        }
        Ok(distinct.into_values())
    }

    /// The columns that each member is in.
    fn reach(&self, sets: &Sets) -> Vec<Runs> {
        let mut reach: Vec<Runs> = vec![Runs::new(); self.members];
        let mut at = EMPTY;
        for (column, &set) in (0u32..).zip(self.columns) {
            for member in sets.members_beyond(set, at) {
                reach[member as usize].push((column, self.columns.len() as u32));
            }
            for member in sets.members_beyond(at, set) {
                if let Some(last) = reach[member as usize].last_mut() {
                    last.1 = column;
                }
            }
            at = set;
        }
        reach
    }
}

/// Runs of columns, from the first to behind the last.
type Runs = Vec<(u32, u32)>;

/// The pairs of one line.
struct Line {
    /// The members of each pair, and the number of that set.
    sets: Vec<SetId>,
    numbers: Vec<u32>,
}

impl Line {
    fn change(&mut self, runs: &Runs, mut change: impl FnMut(SetId) -> SetId) {
        let mut last = None;
        for &(from, to) in runs {
            for set in &mut self.sets[from as usize..to as usize] {
                // Neighbours often have the same set.
                *set = match last {
                    Some((before, after)) if before == *set => after,
                    _ => {
                        let after = change(*set);
                        last = Some((*set, after));
                        after
                    }
                };
            }
        }
    }

    fn number(&mut self, runs: &Runs, distinct: &mut Interner<SetId>) {
        let mut last = (EMPTY, 0);
        for &(from, to) in runs {
            let range = from as usize..to as usize;
            for (&set, number) in self.sets[range.clone()].iter().zip(&mut self.numbers[range]) {
                if last.0 != set {
                    last = (set, distinct.number(set));
                }
                *number = last.1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product<'a>(lines: &'a [SetId], columns: &'a [SetId]) -> Product<'a> {
        Product { members: 200, lines, columns, most_pairs: 1 << 20, most_sets: 1 << 10 }
    }

    #[test]
    fn every_pair_has_its_intersection() {
        let mut sets = Sets::new(200);
        let many = |sets: &mut Sets, factor: u32| -> Vec<SetId> {
            (0..40).map(|n| sets.of((0..200).filter(|m| (m * factor + n) % 7 < n % 5))).collect()
        };
        let (lines, columns) = (many(&mut sets, 3), many(&mut sets, 5));
        let mut cells = Vec::new();
        let found = product(&lines, &columns)
            .pairs(&mut sets, &mut 1_000_000, |line| cells.extend_from_slice(line))
            .expect("small");
        assert_eq!(cells.len(), 1600);
        for (number, &cell) in cells.iter().enumerate() {
            let expected = sets.intersection(lines[number / 40], columns[number % 40]);
            assert_eq!(found[cell as usize], expected);
        }
    }

    #[test]
    fn what_costs_too_much_is_told_by_member() {
        let mut sets = Sets::new(200);
        let lines = [sets.of([7].into_iter()), sets.of([8].into_iter()), EMPTY];
        let columns = [sets.of([7, 8].into_iter()), sets.of([8].into_iter())];
        let costs = product(&lines, &columns).pairs(&mut sets, &mut 4, |_| ()).expect_err("five steps");
        assert_eq!((costs.0[7], costs.0[8]), (2, 4));
        let narrow = Product { most_pairs: 3, ..product(&lines, &columns) };
        narrow.pairs(&mut sets, &mut 100, |_| ()).expect_err("six pairs");
    }
}
