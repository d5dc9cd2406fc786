//! Address classes: the addresses of one side (source or destination) that lie in the same parts of every group.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::groups::{Group, Part};
use super::partition::{Interner, Pieces, Range, partition, rename};
use super::sets::{EMPTY, SetId, Sets};
use crate::ruleset::AddressSet;

/// The classes of one side.
pub(super) struct Side {
    pub(super) v4: Pieces<u32>,
    pub(super) v6: Pieces<u32>,
    /// For each class the parts of each group that cover it. Class 0 is that of addresses in no part.
    pub(super) classes: Vec<Vec<SetId>>,
    /// For each class the speaker sets that hold it, ascending.
    pub(super) speakers: Vec<Vec<u32>>,
}

/// The classes of the side that `of` names. `parts` makes the sets of parts, one collection a group; `speakers` are
/// sets of addresses that are told apart as well.
pub(super) fn side(
    groups: &[Group],
    parts: &mut [Sets],
    of: impl Fn(&Part) -> &Rc<AddressSet>,
    speakers: &[AddressSet],
) -> Side {
    let mut distinct: Interner<Rc<AddressSet>> = Interner::new();
    // Which parts of which group each distinct set stands for.
    let mut covered: Vec<FxHashMap<usize, SetId>> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        for (index, part) in group.iter().enumerate() {
            let set = distinct.number(of(part).clone()) as usize;
            covered.resize_with(distinct.len(), FxHashMap::default);
            let members = covered[set].entry(number).or_insert(EMPTY);
            *members = parts[number].with(*members, index as u32);
        }
    }
    let first_speaker = distinct.len() as u32;
    let all: Vec<&AddressSet> = distinct.values().iter().map(Rc::as_ref).chain(speakers).collect();
    let mut sets = Sets::new(all.len());
    let v4 = partition(
        &mut sets,
        lines(&all, |set| set.v4().iter().map(|&(low, high)| (low.into(), high.into()))),
    );
    let v6 = partition(&mut sets, lines(&all, |set| set.v6().iter().copied()));

    let nothing: (Vec<SetId>, Vec<u32>) = (vec![EMPTY; groups.len()], Vec::new());
    let mut classes = Interner::starting_with(nothing);
    let mut known: FxHashMap<SetId, u32> = FxHashMap::default();
    let mut class_of = |active: SetId| {
        if let Some(&class) = known.get(&active) {
            return class;
        }
        let mut class = (vec![EMPTY; groups.len()], Vec::new());
        for member in sets.members(active) {
            if member >= first_speaker {
                class.1.push(member - first_speaker);
                continue;
            }
            for (&group, &members) in &covered[member as usize] {
                class.0[group] = parts[group].union(class.0[group], members);
            }
        }
        let number = classes.number(class);
        known.insert(active, number);
        number
    };
    let v4 = rename(&v4, &mut class_of);
    let v6 = rename(&v6, &mut class_of);
    let (classes, speakers) = classes.values().iter().cloned().unzip();
    // What lies behind the IPv4 addresses on the number line is no address.
    let v4 = v4.into_iter().filter(|piece| piece.0 <= u32::MAX.into()).collect();
    Side { v4, v6, classes, speakers }
}

fn lines<'a, I: Iterator<Item = Range> + 'a>(
    sets: &'a [&AddressSet],
    ranges: impl Fn(&'a AddressSet) -> I + 'a,
) -> impl Iterator<Item = (u32, Range)> + 'a {
    (0..).zip(sets).flat_map(move |(member, set)| ranges(set).map(move |range| (member, range)))
}
