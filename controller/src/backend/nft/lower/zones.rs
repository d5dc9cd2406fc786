//! The VLANs of an interface, those together on which the same holds.

use std::collections::BTreeMap;

use crate::ruleset::{AddressSet, Ruleset, VlanId, VlanRange};

/// VLANs with the same sources, the same MTU and the same rules.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) sources: Option<AddressSet>,
    /// The same number for the same sources.
    pub(super) sources_number: usize,
    pub(super) mtu: u32,
    /// Positions in the ruleset, ascending.
    pub(super) rules: Vec<u32>,
    /// The same number for the same rules.
    pub(super) rules_number: usize,
    pub(super) untagged: bool,
    /// VIDs of lone tags, inclusive and apart.
    pub(super) singles: Vec<(u16, u16)>,
    /// Outer and inner VID.
    pub(super) pairs: Vec<(u16, u16)>,
}

/// What a VLAN is told apart by: numbers of sources and of rule lists, and the MTU.
type Key = (usize, u32, Vec<bool>);

/// The zones of an interface.
pub(super) fn zones(ruleset: &Ruleset, index: usize) -> Vec<Zone> {
    let mut found = Found::new(ruleset, index);
    let interface = &ruleset.interfaces[index];
    let allows = |id: VlanId| interface.vlans.iter().any(|entry| entry.range.contains(id));
    if allows(VlanId::Untagged) {
        found.zone(VlanId::Untagged).untagged = true;
    }
    for vid in 1..=4094 {
        if !allows(VlanId::Single(vid)) {
            continue;
        }
        let singles = &mut found.zone(VlanId::Single(vid)).singles;
        match singles.last_mut() {
            Some(last) if last.1 + 1 == vid => last.1 = vid,
            _ => singles.push((vid, vid)),
        }
    }
    for entry in &interface.vlans {
        if let VlanRange::Stacked { outer, inner } = entry.range {
            let pairs = &mut found.zone(VlanId::Stacked { outer, inner }).pairs;
            if !pairs.contains(&(outer, inner)) {
                pairs.push((outer, inner));
            }
        }
    }
    found.zones
}

/// The zones so far.
struct Found<'a> {
    ruleset: &'a Ruleset,
    index: usize,
    /// Distinct VLAN conditions of rules, and the rules that have each; the first is no condition.
    lists: Vec<(Option<&'a [VlanRange]>, Vec<u32>)>,
    sources: Vec<Option<AddressSet>>,
    rules: Vec<Vec<bool>>,
    by_key: BTreeMap<Key, usize>,
    zones: Vec<Zone>,
}

impl<'a> Found<'a> {
    fn new(ruleset: &'a Ruleset, index: usize) -> Found<'a> {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut lists: Vec<(Option<&'a [VlanRange]>, Vec<u32>)> = vec![(None, Vec::new())];
        for (number, rule) in (0..).zip(&ruleset.rules) {
            if !rule.interfaces.contains(&index) {
                continue;
            }
            let list = rule.vlans.as_deref();
            let at = match list {
                None => 0,
                Some(ranges) => {
                    let words: Vec<String> = ranges.iter().map(VlanRange::to_string).collect();
                    *numbers.entry(words.join(" ")).or_insert_with(|| {
                        lists.push((list, Vec::new()));
                        lists.len() - 1
                    })
                }
            };
            lists[at].1.push(number);
        }
        Found {
            ruleset,
            index,
            lists,
            sources: Vec::new(),
            rules: Vec::new(),
            by_key: BTreeMap::new(),
            zones: Vec::new(),
        }
    }

    /// The zone of a VLAN.
    fn zone(&mut self, id: VlanId) -> &mut Zone {
        let interface = &self.ruleset.interfaces[self.index];
        let named = self.ruleset.vlans.iter().find(|vlan| vlan.id == id);
        let sources = named.and_then(|vlan| vlan.sources.clone()).or_else(|| interface.sources.clone());
        let mtu = named.and_then(|vlan| vlan.mtu).unwrap_or(interface.mtu);
        let holds: Vec<bool> = self
            .lists
            .iter()
            .map(|(list, _)| list.is_none_or(|ranges| ranges.iter().any(|range| range.contains(id))))
            .collect();
        let sources_number = number_of(&mut self.sources, sources.clone());
        let rules_number = number_of(&mut self.rules, holds.clone());
        let at = *self.by_key.entry((sources_number, mtu, holds.clone())).or_insert_with(|| {
            let lists = self.lists.iter().zip(&holds).filter(|(_, holds)| **holds);
            let mut rules: Vec<u32> = lists.flat_map(|(list, _)| list.1.iter().copied()).collect();
            rules.sort_unstable();
            self.zones.push(Zone {
                sources,
                sources_number,
                mtu,
                rules,
                rules_number,
                untagged: false,
                singles: Vec::new(),
                pairs: Vec::new(),
            });
            self.zones.len() - 1
        });
        &mut self.zones[at]
    }
}

fn number_of<T: PartialEq>(known: &mut Vec<T>, value: T) -> usize {
    match known.iter().position(|one| *one == value) {
        Some(at) => at,
        None => {
            known.push(value);
            known.len() - 1
        }
    }
}
