//! Cells whose rule depends on the time, because rules expire.
//!
//! Promises: at every moment a cell stands for the first rule that has not expired, exactly. The instants at which rules
//! expire cut time into epochs. A cell that no expiring rule has a claim to holds its rule, as in a policy without dates;
//! any other one holds the number of a course: a row of rules by epoch. Cells with the same claims share a course.
//!
//! Not a group of tables to each date, nor one more group for all expiring rules: every frame would pay for its lookup,
//! and a policy has more dates than there are groups. A course costs one read, and only the frames that an expiring rule
//! matches, or would; the number of dates costs memory alone.

use jiff::Timestamp;
use perimeter_classifier::abi::{EXPIRING, INSTANT_BITS, SETTINGS, setting};
use rustc_hash::FxHashMap;

use super::partition::Interner;
use super::rows::{MAX_ROW_CELLS, PLAIN_PAIRS};
use super::words::{Lines, Words};
use crate::ruleset::Ruleset;

/// The course in which no rule ever decides; every other one begins with it.
const NOTHING: u32 = 0;

/// In no epoch does the rule end.
const NEVER: u32 = u32::MAX;

/// The epochs of an interface's rules, and the courses that their cells need.
#[derive(Clone)]
pub(super) struct Courses {
    /// When epochs end, ascending.
    instants: Vec<Timestamp>,
    /// The last epoch of each rule that expires.
    last: FxHashMap<u32, u32>,
    /// A course, and the rule that decides once every rule of it has ended.
    steps: Interner<(u32, u32)>,
    /// The last epoch in which each course has a rule.
    lasts: Vec<u32>,
}

impl Courses {
    /// The epochs of an interface.
    pub(super) fn new(ruleset: &Ruleset, interface: usize) -> Self {
        let instants = ruleset.instants(interface);
        let epoch = |end| instants.partition_point(|instant| *instant < end) as u32;
        let here = (0..).zip(&ruleset.rules).filter(|(_, rule)| rule.interfaces.contains(&interface));
        let last = here.filter_map(|(index, rule)| Some((index, epoch(rule.end()?)))).collect();
        // The first step is never asked for: `NOTHING` has no rule.
        let steps = Interner::starting_with((NOTHING, NEVER));
        Courses { instants, last, steps, lasts: vec![0] }
    }

    /// Whether the rule ends at some time.
    pub(super) fn ends(&self, rule: u32) -> bool {
        self.last.contains_key(&rule)
    }

    /// The cell after one more rule, later in the order of rules, has a claim to it. Once that is a rule which does not end,
    /// no other can follow.
    pub(super) fn then(&mut self, cell: u32, rule: u32) -> u32 {
        let last = self.last.get(&rule).copied();
        if cell == 0 && last.is_none() {
            return rule + 1;
        }
        let course = if cell & EXPIRING == 0 { NOTHING } else { cell & !EXPIRING };
        let last = last.unwrap_or(NEVER);
        if course != NOTHING && last <= self.lasts[course as usize] {
            return cell;
        }
        let next = self.steps.number((course, rule));
        if next as usize == self.lasts.len() {
            self.lasts.push(last);
        }
        next | EXPIRING
    }

    /// Lays the instants and the courses out.
    ///
    /// # Errors
    /// The rules with the most courses, where these are too many for their epochs.
    pub(super) fn place(&self, words: &mut Words, settings: &mut [u32; SETTINGS]) -> Result<(), Vec<u32>> {
        if self.instants.is_empty() {
            return Ok(());
        }
        let epochs = self.instants.len() + 1;
        let bits = epochs.next_power_of_two().trailing_zeros();
        if self.steps.len().saturating_mul(epochs) > MAX_ROW_CELLS || bits > INSTANT_BITS {
            return Err(self.dearest());
        }
        let mut cells = vec![0u32; self.steps.len() * epochs];
        for (course, &(before, rule)) in self.steps.values().iter().enumerate().skip(1) {
            let (known, own) = cells.split_at_mut(course * epochs);
            let (before, own) = (&known[before as usize * epochs..][..epochs], &mut own[..epochs]);
            own.copy_from_slice(before);
            let last = (self.lasts[course] as usize).min(epochs - 1);
            own[..=last].iter_mut().filter(|cell| **cell == 0).for_each(|cell| *cell = rule + 1);
        }
        let mut table = Lines::new(self.steps.len(), epochs, PLAIN_PAIRS);
        cells.chunks(epochs).for_each(|line| table.push(words, line));
        table.put(words).set(settings, setting::EPOCHS);
        let mut instants: Vec<u64> = self.instants.iter().map(nanoseconds).collect();
        instants.resize((1 << bits) - 1, u64::MAX);
        let halves: Vec<u32> = instants.iter().flat_map(|at| [(at >> 32) as u32, *at as u32]).collect();
        settings[setting::INSTANTS] = words.put(&halves);
        settings[setting::INSTANT_BITS] = bits;
        Ok(())
    }

    /// Rules by how many courses end with them, most first.
    fn dearest(&self) -> Vec<u32> {
        let mut count: FxHashMap<u32, usize> = FxHashMap::default();
        self.steps.values()[1..].iter().for_each(|(_, rule)| *count.entry(*rule).or_default() += 1);
        let mut rules: Vec<(usize, u32)> = count.into_iter().map(|(rule, courses)| (courses, rule)).collect();
        rules.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        rules.into_iter().map(|(_, rule)| rule).collect()
    }
}

/// Nanoseconds since 1970; what the kernel's clock never comes to (the year 2262) is as far as it goes.
fn nanoseconds(instant: &Timestamp) -> u64 {
    instant.as_nanosecond().clamp(0, i64::MAX.into()) as u64
}
