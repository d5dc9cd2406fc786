//! The columns of a group's rows: contexts (zone, service class) in which the same conditions hold.

use rustc_hash::{FxHashMap, FxHashSet};

use super::pairs::Product;
use super::partition::Interner;
use super::rows::{Input, MAX_ROW_CELLS, TooLarge};
use super::sets::{EMPTY, SetId, Sets};

/// A group with fewer cells than this has a column for each service class: no table of contexts to read.
const FEW_CELLS: usize = 1 << 16;

/// Which conditions of a group hold for each service class.
pub(super) struct Contexts<'a> {
    input: &'a Input<'a>,
    /// The conditions that the group uses, ascending; sets are over positions in this list.
    used: Vec<u32>,
    sets: Sets,
    by_service: Vec<SetId>,
    /// Distinct sets among them.
    distinct: usize,
    /// Some condition asks for VLANs.
    bound: bool,
}

/// Columns as words of bits that are not 0: (position of the word, bits).
pub(super) type Bits = Vec<(u32, u64)>;

/// Columns, laid out.
pub(super) struct Layout {
    pub(super) columns: usize,
    /// (zone, service class) to column; `None` where the service class is the column.
    pub(super) table: Option<Vec<u32>>,
    /// The columns in which each condition holds; none where no zone or service class meets it, as of a VLAN that this
    /// interface does not allow.
    pub(super) of_condition: Vec<Bits>,
    /// The columns in which any condition holds, as bits, and how many they are.
    pub(super) occupied: Vec<u64>,
    pub(super) occupied_columns: usize,
}

impl<'a> Contexts<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        let mut used: Vec<u32> = input.group.iter().map(|part| part.condition).collect();
        used.sort_unstable();
        used.dedup();
        let mut sets = Sets::new(used.len());
        let by_service = by_service(input, &used, &mut sets);
        let distinct = by_service.iter().collect::<FxHashSet<_>>().len();
        let bound = used.iter().any(|&number| input.conditions[number as usize].list.is_some());
        Contexts { input, used, sets, by_service, distinct, bound }
    }

    /// The columns that services alone make.
    pub(super) fn least_columns(&self) -> usize {
        self.distinct
    }

    /// The columns of a group with this many rows. The table of contexts may take `room` words.
    pub(super) fn lay_out(mut self, rows: usize, room: usize, steps: &mut usize) -> Result<Layout, TooLarge> {
        if !self.bound && rows * self.by_service.len() <= FEW_CELLS {
            return Ok(self.layout(&self.by_service, None));
        }
        let zones = self.input.zones.count();
        if zones * self.by_service.len() > room {
            return Err(self.too_large());
        }
        if !self.bound {
            // The same columns in every zone.
            let mut columns = Interner::starting_with(EMPTY);
            let table: Vec<u32> = self.by_service.iter().map(|&set| columns.number(set)).collect();
            return Ok(self.layout(columns.values(), Some(table.repeat(zones))));
        }
        let by_zone = self.by_zone();
        let product = Product {
            members: self.used.len(),
            lines: &by_zone,
            columns: &self.by_service,
            most_pairs: room,
            most_sets: MAX_ROW_CELLS / rows.max(1),
        };
        let mut cells = Vec::new();
        match product.pairs(&mut self.sets, steps, |line| cells.extend_from_slice(line)) {
            Ok(columns) => Ok(self.layout(&columns, Some(cells))),
            Err(_) => Err(self.too_large()),
        }
    }

    /// For each zone the conditions, of those used, whose VLANs it meets.
    fn by_zone(&mut self) -> Vec<SetId> {
        let mut now = EMPTY;
        let mut by_list: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (position, &number) in (0..).zip(&self.used) {
            match self.input.conditions[number as usize].list {
                Some(list) => by_list.entry(list).or_default().push(position),
                None => now = self.sets.with(now, position),
            }
        }
        let mut at = None;
        let mut zones = Vec::with_capacity(self.input.zones.count());
        for zone in 0..self.input.zones.count() {
            let (left, met) = self.input.zones.change(at, zone);
            let positions =
                |lists: Vec<u32>| lists.into_iter().filter_map(|list| by_list.get(&list)).flatten();
            now = positions(left).fold(now, |set, &position| self.sets.without(set, position));
            now = positions(met).fold(now, |set, &position| self.sets.with(set, position));
            zones.push(now);
            at = Some(zone);
        }
        zones
    }

    fn layout(&self, columns: &[SetId], table: Option<Vec<u32>>) -> Layout {
        let mut of_used: Vec<Bits> = vec![Bits::new(); self.used.len()];
        let mut occupied = vec![0; columns.len().div_ceil(64)];
        for (column, &holding) in columns.iter().enumerate() {
            let (word, bit) = (column / 64, 1u64 << (column % 64));
            for position in self.sets.members(holding) {
                match of_used[position as usize].last_mut() {
                    Some(last) if last.0 == word as u32 => last.1 |= bit,
                    _ => of_used[position as usize].push((word as u32, bit)),
                }
                occupied[word] |= bit;
            }
        }
        let occupied_columns = occupied.iter().map(|word| word.count_ones() as usize).sum();
        let mut of_condition = vec![Bits::new(); self.input.conditions.len()];
        for (&number, bits) in self.used.iter().zip(of_used) {
            of_condition[number as usize] = bits;
        }
        Layout { columns: columns.len(), table, of_condition, occupied, occupied_columns }
    }

    /// Names the rules by how many services and VLANs they ask for.
    fn too_large(&self) -> TooLarge {
        TooLarge::by_cost(self.input.group, |part| {
            let condition = &self.input.conditions[self.input.group[part].condition as usize];
            condition.alternatives.len() as u64 + u64::from(condition.list.is_some())
        })
    }
}

/// For each service class the conditions, of those used, that one of its alternatives meets.
fn by_service(input: &Input<'_>, used: &[u32], sets: &mut Sets) -> Vec<SetId> {
    let mut meeting: Vec<Vec<u32>> = vec![Vec::new(); input.services.alternatives()];
    for (position, &number) in (0..).zip(used) {
        for &alternative in &input.conditions[number as usize].alternatives {
            meeting[alternative as usize].push(position);
        }
    }
    // How many alternatives of each condition match: it holds while there is one.
    let mut matching = vec![0u32; used.len()];
    let mut now = EMPTY;
    let mut at = None;
    let mut classes = Vec::with_capacity(input.services.count());
    for class in 0..input.services.count() {
        let (left, met) = input.services.change(at, class);
        for &position in met.iter().flat_map(|&alternative| &meeting[alternative as usize]) {
            matching[position as usize] += 1;
            if matching[position as usize] == 1 {
                now = sets.with(now, position);
            }
        }
        for &position in left.iter().flat_map(|&alternative| &meeting[alternative as usize]) {
            matching[position as usize] -= 1;
            if matching[position as usize] == 0 {
                now = sets.without(now, position);
            }
        }
        classes.push(now);
        at = Some(class);
    }
    classes
}
