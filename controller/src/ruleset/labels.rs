//! The names under which frames are counted by VLAN.
//!
//! Promises: every stack that an interface allows has one label: the name that the policy gives this VLAN, else the first
//! entry of `vlans` that holds it, as written. What is not allowed, or could not be told, is [`OTHER`]. A label that no
//! stack has is not there. Label 0 is [`OTHER`].

use std::collections::BTreeMap;

use super::{Ruleset, VlanId, VlanRange};

/// The label of what an interface does not allow.
pub const OTHER: &str = "other";

/// The labels of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanLabels {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
    /// By VID; untagged frames are 0.
    single: Vec<u32>,
    stacked: BTreeMap<(u16, u16), u32>,
}

impl VlanLabels {
    /// The labels of the interface at `index`.
    pub fn of(ruleset: &Ruleset, index: usize) -> VlanLabels {
        let mut labels = VlanLabels {
            names: vec![OTHER.to_owned()],
            numbers: BTreeMap::from([(OTHER.to_owned(), 0)]),
            single: vec![0; 4096],
            stacked: BTreeMap::new(),
        };
        for entry in &ruleset.interfaces[index].vlans {
            let named = ruleset.vlans.iter().filter(|vlan| entry.range.contains(vlan.id));
            let named: Vec<(VlanId, &str)> = named.map(|vlan| (vlan.id, vlan.name.as_str())).collect();
            for (id, name) in named {
                labels.give(id.into(), name);
            }
            labels.give(entry.range, &entry.label);
        }
        labels
    }

    /// Gives a label to what has none of a range.
    fn give(&mut self, range: VlanRange, name: &str) {
        let known = self.numbers.get(name).copied();
        let number = known.unwrap_or(self.names.len() as u32);
        let given = match range {
            VlanRange::Untagged => label(&mut self.single[..1], number),
            VlanRange::Single { low, high } => {
                label(&mut self.single[usize::from(low)..=usize::from(high)], number)
            }
            VlanRange::Stacked { outer, inner } => {
                let slot = self.stacked.entry((outer, inner)).or_default();
                label(std::slice::from_mut(slot), number)
            }
        };
        if given && known.is_none() {
            self.names.push(name.to_owned());
            self.numbers.insert(name.to_owned(), number);
        }
    }

    /// The number of a label, where some stack has it.
    pub fn named(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Every label; the place of a name is its number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of a stack's label; 0 where the interface does not allow it.
    pub fn number(&self, id: VlanId) -> u32 {
        match id {
            VlanId::Untagged => self.single[0],
            VlanId::Single(vid) => self.single.get(usize::from(vid)).copied().unwrap_or(0),
            VlanId::Stacked { outer, inner } => self.stacked.get(&(outer, inner)).copied().unwrap_or(0),
        }
    }

    /// The label of a stack.
    pub fn name(&self, id: VlanId) -> &str {
        &self.names[self.number(id) as usize]
    }
}

/// Writes a number where none is, and tells whether it did.
fn label(slots: &mut [u32], number: u32) -> bool {
    let free = slots.iter_mut().filter(|slot| **slot == 0);
    free.map(|slot| *slot = number).count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{Vlan, VlanEntry};
    use crate::samples::ruleset;

    #[test]
    fn a_name_comes_first_then_the_first_entry_as_written() {
        let mut rules = ruleset(&["wan0"]);
        let entry = |label: &str, range| VlanEntry { label: label.into(), range };
        let pair = VlanRange::Stacked { outer: 100, inner: 200 };
        rules.interfaces[0].vlans = vec![
            entry("20-29", VlanRange::Single { low: 20, high: 29 }),
            entry("25", VlanRange::Single { low: 25, high: 25 }),
            entry("28-31", VlanRange::Single { low: 28, high: 31 }),
            entry("untagged", VlanRange::Untagged),
            entry("100/200", pair),
        ];
        let vlan = |name: &str, id| Vlan { name: name.into(), id, sources: None, mtu: None };
        rules.vlans = vec![vlan("mgmt", VlanId::Single(22)), vlan("far", VlanId::Single(900))];
        let labels = VlanLabels::of(&rules, 0);
        assert_eq!(labels.names(), ["other", "mgmt", "20-29", "28-31", "untagged", "100/200"]);
        for (id, name) in [(22, "mgmt"), (25, "20-29"), (29, "20-29"), (30, "28-31"), (900, OTHER)] {
            assert_eq!(labels.name(VlanId::Single(id)), name, "{id}");
        }
        assert_eq!(labels.name(VlanId::Untagged), "untagged");
        assert_eq!(labels.name(VlanId::Stacked { outer: 100, inner: 200 }), "100/200");
        assert_eq!(labels.name(VlanId::Stacked { outer: 200, inner: 100 }), OTHER);
    }
}
