//! Frames that are not IP: EtherType keys and zones to rules.

use perimeter_classifier::abi::{SETTINGS, setting};

use super::courses::Courses;
use super::partition::{Interner, partition, rename};
use super::sets::{EMPTY, Sets};
use super::words::Words;
use super::zones::Zones;
use crate::ruleset::Rule;

/// Lays out the EtherType map and the rule of each (zone, class). `rules` come with their index, ascending.
pub(super) fn place<'a>(
    rules: impl Iterator<Item = (u32, &'a Rule)>,
    (zones, courses): (&mut Zones, &mut Courses),
    words: &mut Words,
    settings: &mut [u32; SETTINGS],
) {
    let rules: Vec<(u32, &Rule)> = rules.filter(|(_, rule)| !rule.ethertypes.is_empty()).collect();
    if rules.is_empty() {
        return;
    }
    let lists: Vec<Option<u32>> = rules.iter().map(|(_, rule)| zones.list_of(rule)).collect();
    let mut sets = Sets::new(rules.len());
    let keys = (0..).zip(&rules).flat_map(|(member, (_, rule))| {
        let mut types = rule.ethertypes.clone();
        types.sort_unstable();
        types.dedup();
        types.into_iter().map(move |key| (member, (key.into(), key.into())))
    });
    let pieces = partition(&mut sets, keys);
    let mut classes = Interner::starting_with(EMPTY);
    let mut pieces = rename(&pieces, |set| classes.number(set));
    pieces.retain(|piece| piece.0 <= 65_535);
    let mut table = Vec::with_capacity(zones.count() * classes.len());
    for zone in 0..zones.count() {
        for &class in classes.values() {
            let mut cell = 0;
            for member in sets.members(class).into_iter().filter(|&m| zones.holds(zone, lists[m as usize])) {
                let rule = rules[member as usize].0;
                cell = courses.then(cell, rule);
                if !courses.ends(rule) {
                    break;
                }
            }
            table.push(cell);
        }
    }
    settings[setting::ETHER] = words.put_map(&pieces);
    settings[setting::ETHER_RULES] = words.put(&table);
    settings[setting::ETHER_CLASSES] = classes.len() as u32;
}
