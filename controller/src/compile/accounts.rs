//! Room for the counter slots of accounting, which are told when a generation is bound.
//!
//! Promises: what the policy does not count has no table, and its setting is 0.

use perimeter_classifier::abi::{SETTINGS, SIZE_SLOTS, VLAN_SLOTS, setting};

use super::words::Words;
use crate::ruleset::Interface;

/// Fragments are of four kinds, messages about the MTU of two families.
const KINDS: usize = 4;
const FAMILIES: usize = 2;

/// Lays out what the accounting of an interface with so many labels takes.
pub(super) fn place(interface: &Interface, labels: usize, words: &mut Words, settings: &mut [u32; SETTINGS]) {
    let on = interface.accounting;
    let tables = [
        (on.vlan, setting::VLAN_SLOTS, labels * VLAN_SLOTS as usize),
        (on.size, setting::SIZE_SLOTS, SIZE_SLOTS as usize),
        (on.fragments, setting::FRAGMENT_SLOTS, KINDS),
        (on.pmtu, setting::PMTU_SLOTS, FAMILIES),
    ];
    for (_, setting, length) in tables.into_iter().filter(|(on, ..)| *on) {
        settings[setting] = words.put(&vec![0; length]);
    }
    settings[setting::LAST_HIT] = on.last_hit.into();
}
