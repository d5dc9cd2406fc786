//! The tables of one group: (source class, destination class) to row, (row, context) to the first rule.

use perimeter_classifier::abi::{group, setting};
use rustc_hash::FxHashMap;

use super::groups::{Condition, Group};
use super::partition::Interner;
use super::sets::{EMPTY, SetId, Sets};
use super::words::{Table, Words};
use super::zones::Zones;

/// Most cells of one table while it is built. A group that needs more must be split.
const MAX_CELLS: usize = 1 << 24;

/// Most steps to fill the pairs of one group.
const MAX_STEPS: usize = 1 << 26;

/// The group's products are too large. The rules with the largest, largest first.
#[derive(Debug)]
pub(super) struct TooLarge {
    pub(super) rules: Vec<u32>,
}

/// What a group's tables are made from.
pub(super) struct Input<'a> {
    pub(super) group: &'a Group,
    pub(super) conditions: &'a [Condition],
    pub(super) zones: &'a Zones,
    /// The alternatives of each service class.
    pub(super) services: &'a [Vec<u32>],
    /// The parts that each source and each destination class of the group is in.
    pub(super) sources: &'a [SetId],
    pub(super) destinations: &'a [SetId],
}

/// Lays the group's tables out and writes its record of settings.
pub(super) fn place(
    input: &Input<'_>,
    parts: &mut Sets,
    words: &mut Words,
    record: &mut [u32],
) -> Result<(), TooLarge> {
    let any_source = input.group.iter().all(|part| part.from.is_any());
    let any_destination = input.group.iter().all(|part| part.to.is_any());
    let rows: Vec<SetId> = if any_source {
        record[group::ONE_SOURCE] = 1;
        input.destinations.to_vec()
    } else if any_destination {
        input.sources.to_vec()
    } else {
        let (rows, cells) = pairs(input, parts)?;
        words.put_table(&cells, input.destinations.len()).set(record, group::PAIRS);
        rows
    };
    place_rows(input, parts, &rows, words, record)
}

/// The distinct sets of parts that meet in a pair of classes, and the number of that set for each pair.
fn pairs(input: &Input<'_>, parts: &mut Sets) -> Result<(Vec<SetId>, Vec<u32>), TooLarge> {
    let (height, width) = (input.sources.len(), input.destinations.len());
    // Which destination classes each part covers, so that a source with few parts visits few.
    let mut reach: Vec<Vec<u32>> = vec![Vec::new(); input.group.len()];
    for (class, &set) in (0u32..).zip(input.destinations) {
        for part in parts.members(set) {
            reach[part as usize].push(class);
        }
    }
    let steps: usize = input
        .sources
        .iter()
        .map(|&set| {
            parts.members(set).iter().map(|&part| reach[part as usize].len()).sum::<usize>().min(width)
        })
        .sum();
    if height * width > MAX_CELLS || steps > MAX_STEPS {
        return Err(too_large(input, parts, &reach));
    }
    let mut rows = Interner::starting_with(EMPTY);
    let mut cells = vec![0; height * width];
    for (source, cells) in input.sources.iter().zip(cells.chunks_mut(width)) {
        let members = parts.members(*source);
        let reached: usize = members.iter().map(|&part| reach[part as usize].len()).sum();
        let mut fill = |class: usize| {
            if cells[class] == 0 {
                cells[class] = rows.number(parts.intersection(*source, input.destinations[class]));
            }
        };
        if reached < width {
            members.iter().flat_map(|&part| &reach[part as usize]).for_each(|&class| fill(class as usize));
        } else {
            (0..width).for_each(&mut fill);
        }
    }
    Ok((rows.values().to_vec(), cells))
}

/// Which parts' products are the largest.
fn too_large(input: &Input<'_>, parts: &Sets, reach: &[Vec<u32>]) -> TooLarge {
    let mut sources = vec![0u64; input.group.len()];
    for &set in input.sources {
        for part in parts.members(set) {
            sources[part as usize] += 1;
        }
    }
    let mut weights: FxHashMap<u32, u64> = FxHashMap::default();
    for (index, part) in input.group.iter().enumerate() {
        *weights.entry(part.rule).or_default() += sources[index] * reach[index].len() as u64;
    }
    let mut rules: Vec<(u64, u32)> = weights.into_iter().map(|(rule, weight)| (weight, rule)).collect();
    rules.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    TooLarge { rules: rules.into_iter().map(|(_, rule)| rule).collect() }
}

/// The first rule for each row and context.
fn place_rows(
    input: &Input<'_>,
    parts: &Sets,
    rows: &[SetId],
    words: &mut Words,
    record: &mut [u32],
) -> Result<(), TooLarge> {
    let contexts = Contexts::new(input, rows.len());
    if rows.len() * contexts.columns > MAX_CELLS * 4 {
        let rules = input.group.iter().map(|part| part.rule).collect();
        return Err(TooLarge { rules });
    }
    if let Some(table) = &contexts.table {
        record[group::CONTEXTS] = words.put(table);
    }
    let mut cells = vec![0u32; rows.len() * contexts.columns];
    for (&row, cells) in rows.iter().zip(cells.chunks_mut(contexts.columns)) {
        let mut free = vec![u64::MAX; contexts.columns.div_ceil(64)];
        for part in parts.members(row) {
            let part = &input.group[part as usize];
            // A condition that no zone or service class meets, as of a VLAN that this interface does not allow, has no column.
            if let Some(columns) = contexts.of_condition.get(&part.condition) {
                take(&mut free, columns, |column| cells[column] = part.rule + 1);
            }
        }
    }
    let table = words.put_table(&cells, contexts.columns);
    Table::set(table, record, group::ROWS);
    Ok(())
}

/// Visits the columns of `wanted` that are still free, and takes them.
fn take(free: &mut [u64], wanted: &[u64], mut visit: impl FnMut(usize)) {
    for (index, (free, wanted)) in free.iter_mut().zip(wanted).enumerate() {
        let mut bits = *free & *wanted;
        *free &= !bits;
        while bits != 0 {
            visit(index * 64 + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}

/// The columns of a group's rows.
struct Contexts {
    columns: usize,
    /// (zone, service class) to column; `None` where the service class is the column.
    table: Option<Vec<u32>>,
    /// The columns in which each condition holds, as bits.
    of_condition: FxHashMap<u32, Vec<u64>>,
}

impl Contexts {
    fn new(input: &Input<'_>, rows: usize) -> Self {
        let mut used: Vec<u32> = input.group.iter().map(|part| part.condition).collect();
        used.sort_unstable();
        used.dedup();
        let by_service = conditions_by_service(input, &used);
        let bound = used.iter().any(|&number| input.conditions[number as usize].list.is_some());
        if !bound && rows * input.services.len() <= 1 << 16 {
            return Contexts::from_columns(&by_service, None);
        }
        let zones = if bound { input.zones.count() } else { 1 };
        let mut columns = Interner::starting_with(Vec::new());
        let mut table = Vec::with_capacity(zones * input.services.len());
        for zone in 0..zones {
            let alive = |number: &&u32| input.zones.holds(zone, input.conditions[**number as usize].list);
            for conditions in &by_service {
                let holding = if bound {
                    conditions.iter().filter(alive).copied().collect()
                } else {
                    conditions.clone()
                };
                table.push(columns.number(holding));
            }
        }
        if !bound {
            // The same columns in every zone.
            table = table.repeat(input.zones.count());
        }
        Contexts::from_columns(columns.values(), Some(table))
    }

    fn from_columns(columns: &[Vec<u32>], table: Option<Vec<u32>>) -> Self {
        let mut of_condition: FxHashMap<u32, Vec<u64>> = FxHashMap::default();
        for (column, conditions) in columns.iter().enumerate() {
            for &condition in conditions {
                let bits =
                    of_condition.entry(condition).or_insert_with(|| vec![0; columns.len().div_ceil(64)]);
                bits[column / 64] |= 1 << (column % 64);
            }
        }
        Contexts { columns: columns.len(), table, of_condition }
    }
}

/// For each service class the conditions, of those used, that one of its alternatives meets.
fn conditions_by_service(input: &Input<'_>, used: &[u32]) -> Vec<Vec<u32>> {
    let mut by_alternative: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for &number in used {
        for &alternative in &input.conditions[number as usize].alternatives {
            by_alternative.entry(alternative).or_default().push(number);
        }
    }
    let meets = |class: &Vec<u32>| {
        let mut met: Vec<u32> = class
            .iter()
            .filter_map(|alternative| by_alternative.get(alternative))
            .flatten()
            .copied()
            .collect();
        met.sort_unstable();
        met.dedup();
        met
    };
    input.services.iter().map(meets).collect()
}

/// The first setting of a group's record.
pub(super) fn record_at(number: usize) -> usize {
    setting::GROUP + number * group::WORDS
}
