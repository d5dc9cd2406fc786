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
    let (distinct, stands_for) = distinct_sets(groups, parts, of);
    let all: Vec<&AddressSet> = distinct.iter().map(Rc::as_ref).chain(speakers).collect();
    let mut sets = Sets::new(all.len());
    let v4 = partition(
        &mut sets,
        lines(&all, |set| set.v4().iter().map(|&(low, high)| (low.into(), high.into()))),
    );
    let v6 = partition(&mut sets, lines(&all, |set| set.v6().iter().copied()));

    let mut walk = Walk {
        sets: &sets,
        stands_for: &stands_for,
        parts,
        speakers: Sets::new(speakers.len()),
        at: EMPTY,
        class: vec![EMPTY; groups.len() + 1],
        classes: Interner::starting_with(vec![EMPTY; groups.len() + 1]),
        known: FxHashMap::default(),
    };
    let v4 = rename(&v4, |active| walk.class_of(active));
    let v6 = rename(&v6, |active| walk.class_of(active));
    // What lies behind the IPv4 addresses on the number line is no address.
    let v4 = v4.into_iter().filter(|piece| piece.0 <= u32::MAX.into()).collect();
    let mut classes = walk.classes.into_values();
    let speaking = classes.iter_mut().map(|class| walk.speakers.members(class.pop().unwrap_or(EMPTY)));
    let speakers = speaking.collect();
    Side { v4, v6, classes, speakers }
}

/// The parts of a group that have one address set, for each group that has such parts.
type StandsFor = Vec<(usize, SetId)>;

/// The address sets of one side, and what each stands for.
fn distinct_sets(
    groups: &[Group],
    parts: &mut [Sets],
    of: impl Fn(&Part) -> &Rc<AddressSet>,
) -> (Vec<Rc<AddressSet>>, Vec<StandsFor>) {
    let mut distinct: Interner<Rc<AddressSet>> = Interner::new();
    // Sets are shared: where the pointer is known, the ranges need not be hashed again.
    let mut by_pointer: FxHashMap<*const AddressSet, u32> = FxHashMap::default();
    let mut stands_for: Vec<StandsFor> = Vec::new();
    for (number, (group, parts)) in groups.iter().zip(parts).enumerate() {
        for (index, part) in group.iter().enumerate() {
            let set = of(part);
            let set = *by_pointer.entry(Rc::as_ptr(set)).or_insert_with(|| distinct.number(set.clone()));
            stands_for.resize_with(distinct.len(), Vec::new);
            let members = &mut stands_for[set as usize];
            if members.last().is_none_or(|last| last.0 != number) {
                members.push((number, EMPTY));
            }
            let last = members.len() - 1;
            members[last].1 = parts.with(members[last].1, index as u32);
        }
    }
    (distinct.into_values(), stands_for)
}

/// Goes from piece to piece of a number line and keeps the class of the piece. Neighbours differ in few sets, so that a
/// step costs what changes, not what holds.
struct Walk<'a> {
    /// Sets of address sets: those of the parts, then the speakers.
    sets: &'a Sets,
    stands_for: &'a [StandsFor],
    parts: &'a mut [Sets],
    speakers: Sets,
    /// The address sets that hold where the walk is, and the parts of each group, then the speakers, that go with them.
    at: SetId,
    class: Vec<SetId>,
    classes: Interner<Vec<SetId>>,
    known: FxHashMap<SetId, u32>,
}

impl Walk<'_> {
    fn class_of(&mut self, active: SetId) -> u32 {
        if let Some(&class) = self.known.get(&active) {
            return class;
        }
        // A part has one address set on a side: what leaves with one set, no other set keeps.
        for member in self.sets.members_beyond(self.at, active) {
            self.change(member, Sets::difference, Sets::without);
        }
        for member in self.sets.members_beyond(active, self.at) {
            self.change(member, Sets::union, Sets::with);
        }
        self.at = active;
        let class = self.classes.number(self.class.clone());
        self.known.insert(active, class);
        class
    }

    fn change(
        &mut self,
        member: u32,
        of_parts: fn(&mut Sets, SetId, SetId) -> SetId,
        of_speakers: fn(&mut Sets, SetId, u32) -> SetId,
    ) {
        let Some(stands_for) = self.stands_for.get(member as usize) else {
            let (last, speaker) = (self.class.len() - 1, member - self.stands_for.len() as u32);
            self.class[last] = of_speakers(&mut self.speakers, self.class[last], speaker);
            return;
        };
        for &(group, parts) in stands_for {
            self.class[group] = of_parts(&mut self.parts[group], self.class[group], parts);
        }
    }
}

fn lines<'a, I: Iterator<Item = Range> + 'a>(
    sets: &'a [&AddressSet],
    ranges: impl Fn(&'a AddressSet) -> I + 'a,
) -> impl Iterator<Item = (u32, Range)> + 'a {
    (0..).zip(sets).flat_map(move |(member, set)| ranges(set).map(move |range| (member, range)))
}
