//! The tables of one group: (source class, destination class) to row, (row, context) to the first rule.

use perimeter_classifier::abi::{group, setting};
use rustc_hash::FxHashMap;

use super::contexts::{Bits, Contexts, Layout};
use super::courses::Courses;
use super::groups::{Condition, Group};
use super::pairs::Product;
use super::services::Services;
use super::sets::{SetId, Sets};
use super::words::{Lines, Table, Words};
use super::zones::Zones;

/// Most cells of a table of rows while it is built.
pub(super) const MAX_ROW_CELLS: usize = 1 << 26;

/// Most pairs of classes of one group. A group that has more must be split.
pub(super) const MAX_PAIRS: usize = 1 << 27;

/// Most cells of a table without pages: of pairs 4 MiB, which still fits a cache; of rows 64 MiB, because a read of a row
/// waits for everything else.
pub(super) const PLAIN_PAIRS: usize = 1 << 20;
const PLAIN_ROWS: usize = 1 << 24;

/// Most rows of one group.
const MAX_ROWS: usize = 1 << 19;

/// The group's products are too large. The rules with the largest, largest first.
#[derive(Debug)]
pub(super) struct TooLarge {
    pub(super) rules: Vec<u32>,
}

impl TooLarge {
    /// Names the rules of a group by what each of its parts costs, dearest first.
    pub(super) fn by_cost(group: &Group, cost: impl Fn(usize) -> u64) -> Self {
        let mut costs: FxHashMap<u32, u64> = FxHashMap::default();
        for (index, part) in group.iter().enumerate() {
            *costs.entry(part.rule).or_default() += cost(index);
        }
        let mut rules: Vec<(u64, u32)> = costs.into_iter().map(|(rule, cost)| (cost, rule)).collect();
        rules.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        TooLarge { rules: rules.into_iter().map(|(_, rule)| rule).collect() }
    }
}

/// What a group's tables are made from.
pub(super) struct Input<'a> {
    pub(super) group: &'a Group,
    pub(super) conditions: &'a [Condition],
    pub(super) zones: &'a Zones,
    pub(super) services: &'a Services,
    /// The parts that each source and each destination class of the group is in.
    pub(super) sources: &'a [SetId],
    pub(super) destinations: &'a [SetId],
}

/// Lays the group's tables out and writes its record of settings. `steps` is what the work may still cost.
pub(super) fn place(
    input: &Input<'_>,
    (parts, courses): (&mut Sets, &mut Courses),
    words: &mut Words,
    record: &mut [u32],
    steps: &mut usize,
) -> Result<(), TooLarge> {
    let contexts = Contexts::new(input);
    let any_source = input.group.iter().all(|part| part.from.is_any());
    let any_destination = input.group.iter().all(|part| part.to.is_any());
    let rows: Vec<SetId> = if any_source {
        record[group::ONE_SOURCE] = 1;
        input.destinations.to_vec()
    } else if any_destination {
        input.sources.to_vec()
    } else {
        let product = Product {
            members: input.group.len(),
            lines: input.sources,
            columns: input.destinations,
            most_pairs: MAX_PAIRS,
            most_sets: MAX_ROWS.min(MAX_ROW_CELLS / contexts.least_columns()),
        };
        let mut table = Lines::new(input.sources.len(), input.destinations.len(), PLAIN_PAIRS);
        let rows = product
            .pairs(parts, steps, |line| table.push(words, line))
            .map_err(|costs| TooLarge::by_cost(input.group, |part| costs.0[part]))?;
        table.put(words).set(record, group::PAIRS);
        rows
    };
    let layout = contexts.lay_out(rows.len(), words.room(), steps)?;
    if rows.len() * layout.columns > MAX_ROW_CELLS {
        return Err(TooLarge::by_cost(input.group, |_| 1));
    }
    if let Some(table) = &layout.table {
        record[group::CONTEXTS] = words.put(table);
    }
    let found = place_rows(input, (parts, courses), &rows, &layout, words, steps)?;
    found.set(record, group::ROWS);
    Ok(())
}

/// The first rule for each row and context, or the course of the rules that are first in turn.
fn place_rows(
    input: &Input<'_>,
    (parts, courses): (&Sets, &mut Courses),
    rows: &[SetId],
    layout: &Layout,
    words: &mut Words,
    steps: &mut usize,
) -> Result<Table, TooLarge> {
    let mut table = Lines::new(rows.len(), layout.columns, PLAIN_ROWS);
    let mut cells = vec![0u32; layout.columns];
    let mut free = vec![0; layout.columns.div_ceil(64)];
    for &row in rows {
        cells.fill(0);
        free.copy_from_slice(&layout.occupied);
        let mut left = layout.occupied_columns;
        for part in parts.members(row) {
            let part = &input.group[part as usize];
            let (rule, ends) = (part.rule, courses.ends(part.rule));
            let mut claims = 0;
            take(&mut free, &layout.of_condition[part.condition as usize], ends, |column| {
                cells[column] = courses.then(cells[column], rule);
                claims += 1;
            });
            if ends {
                // What ends leaves its columns to the rules after it, so that a column may be visited many times.
                *steps = steps.checked_sub(claims).ok_or_else(|| TooLarge::by_cost(input.group, |_| 1))?;
            } else {
                left -= claims;
            }
            if left == 0 {
                break;
            }
        }
        table.push(words, &cells);
    }
    Ok(table.put(words))
}

/// Visits the columns of `wanted` that are still free, and takes them unless they are to be left to others.
fn take(free: &mut [u64], wanted: &Bits, leaves: bool, mut visit: impl FnMut(usize)) {
    for &(index, wanted) in wanted {
        let free = &mut free[index as usize];
        let mut bits = *free & wanted;
        if !leaves {
            *free &= !bits;
        }
        while bits != 0 {
            visit(index as usize * 64 + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}

/// The first setting of a group's record.
pub(super) fn record_at(number: usize) -> usize {
    setting::GROUP + number * group::WORDS
}
