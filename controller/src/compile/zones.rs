//! VLAN stacks to zones: stacks of one zone have the same MTU, the same sources and the same rules.

use perimeter_classifier::abi::{LABEL_BIT, SETTINGS, setting, zone};

use super::partition::{Interner, Pieces, partition, rename};
use super::sets::{EMPTY, SetId, Sets};
use super::words::Words;
use crate::ruleset::{AddressSet, Interface, Rule, Ruleset, VlanId, VlanLabels, VlanRange};

/// What distinguishes zones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Zone {
    mtu: u32,
    /// Number of a set of sources.
    sources: Option<u32>,
    /// The VLAN lists (see [`Zones::lists`]) that hold here, as a set of [`Zones::sets`].
    lists: SetId,
}

/// The zones of an interface, and which VLAN lists of the rules hold in each.
pub(super) struct Zones {
    zones: Vec<Zone>,
    /// VLAN number line to zone plus one, 0 where not allowed.
    stacks: Pieces<u32>,
    /// The distinct `vlans` of rules.
    lists: Interner<Vec<VlanRange>>,
    /// Sets of VLAN names and lists; list 0 is member `first_list`.
    sets: Sets,
    first_list: u32,
    /// The lists that hold in every zone.
    everywhere: SetId,
    /// The distinct sets of sources.
    pub(super) sources: Vec<AddressSet>,
    labels: VlanLabels,
}

impl Zones {
    /// The zones of `interface` under `rules`.
    pub(super) fn new<'a>(ruleset: &Ruleset, index: usize, rules: impl Iterator<Item = &'a Rule>) -> Self {
        let interface = &ruleset.interfaces[index];
        let mut lists = Interner::new();
        rules.filter_map(|rule| rule.vlans.clone()).for_each(|list| {
            lists.number(list);
        });
        let mut sources = Interner::new();
        let own = interface.sources.clone().map(|set| sources.number(set));
        let named: Vec<(Option<u32>, u32)> = ruleset
            .vlans
            .iter()
            .map(|vlan| {
                let speakers = vlan.sources.clone().map(|set| sources.number(set));
                (speakers.or(own), vlan.mtu.unwrap_or(interface.mtu))
            })
            .collect();

        let (allowed, first_list) = (named.len() as u32, named.len() as u32 + 1);
        let mut sets = Sets::new(first_list as usize + lists.len());
        let pieces = partition(&mut sets, lines(ruleset, interface, &lists).into_iter());
        let others = (0..first_list).fold(EMPTY, |set, member| sets.with(set, member));
        let mut zones = Interner::new();
        let stacks = rename(&pieces, |set| {
            if !sets.contains(set, allowed) {
                return 0;
            }
            let lists = sets.difference(set, others);
            let name = sets.members_beyond(set, lists).first().copied().filter(|&name| name < allowed);
            let (sources, mtu) = name.map_or((own, interface.mtu), |name| named[name as usize]);
            zones.number(Zone { mtu, sources, lists }) + 1
        });
        let zones: Vec<Zone> = zones.into_values();
        let common = |sets: &mut Sets, all: SetId, zone: &Zone| sets.intersection(all, zone.lists);
        let first = zones.first().map_or(EMPTY, |zone| zone.lists);
        let everywhere = zones.iter().fold(first, |all, zone| common(&mut sets, all, zone));
        Zones {
            zones,
            stacks,
            lists,
            sets,
            first_list,
            everywhere,
            sources: sources.into_values(),
            labels: VlanLabels::of(ruleset, index),
        }
    }

    /// How many labels the VLANs are counted under.
    pub(super) fn labels(&self) -> usize {
        self.labels.names().len()
    }

    pub(super) fn count(&self) -> usize {
        self.zones.len()
    }

    /// Whether a rule's VLAN condition holds in a zone.
    pub(super) fn holds(&self, zone: usize, list: Option<u32>) -> bool {
        list.is_none_or(|list| self.sets.contains(self.zones[zone].lists, self.first_list + list))
    }

    /// The VLAN lists that hold in a zone and not in another, and those of the other and not of the first; from no zone
    /// on, all that hold.
    pub(super) fn change(&self, from: Option<usize>, to: usize) -> (Vec<u32>, Vec<u32>) {
        let (from, to) = (from.map_or(EMPTY, |zone| self.zones[zone].lists), self.zones[to].lists);
        let lists = |members: Vec<u32>| members.into_iter().map(|member| member - self.first_list).collect();
        (lists(self.sets.members_beyond(from, to)), lists(self.sets.members_beyond(to, from)))
    }

    /// The number of a rule's VLAN list; `None` where the rule holds in every zone.
    pub(super) fn list_of(&mut self, rule: &Rule) -> Option<u32> {
        let list = self.lists.number(rule.vlans.clone()?);
        let everywhere = self.zones.is_empty() || self.sets.contains(self.everywhere, self.first_list + list);
        (!everywhere).then_some(list)
    }

    /// Lays the zone tables out.
    pub(super) fn place(&self, words: &mut Words, settings: &mut [u32; SETTINGS]) {
        settings[setting::ZONE_UNTAGGED] = self.at(0);
        let line = |from: u128| -> Vec<u32> { (from..from + 4096).map(|number| self.at(number)).collect() };
        let singles = {
            let mut singles = line(0);
            singles[0] = 0;
            singles
        };
        if singles.iter().any(|&zone| zone != 0) {
            settings[setting::ZONES_SINGLE] = words.put(&singles);
        }
        let mut outers = vec![0u32; 4096];
        for outer in self.stacked_outers() {
            let inners = line(stacked(outer, 0));
            let pages: Vec<u32> = inners.chunks(64).map(|page| words.put_shared(page)).collect();
            outers[usize::from(outer)] = words.put_shared(&pages);
        }
        if outers.iter().any(|&pages| pages != 0) {
            settings[setting::ZONES_STACKED] = words.put(&outers);
        }
        let mut records = Vec::new();
        for known in &self.zones {
            let mut record = [0; zone::WORDS as usize];
            record[zone::MTU as usize] = known.mtu;
            record[zone::SOURCES as usize] = known.sources.map_or(0, |set| set + 1);
            records.extend(record);
        }
        settings[setting::ZONES] = words.put(&records);
        if let [first, rest @ ..] = &self.zones[..]
            && rest.iter().all(|known| known.mtu == first.mtu)
        {
            settings[setting::MTU] = first.mtu;
        }
        settings[setting::HAS_SOURCES] = u32::from(self.zones.iter().any(|known| known.sources.is_some()));
    }

    /// The outer VIDs of stacked pairs that are allowed; every pair is a piece of its own or the end of one.
    fn stacked_outers(&self) -> Vec<u16> {
        let allowed = self.stacks.iter().filter(|piece| piece.0 >= 4096 && piece.1 != 0);
        let mut outers: Vec<u16> = allowed.map(|piece| (piece.0 / 4096 - 1) as u16).collect();
        outers.dedup();
        outers
    }

    /// The word of a zone table: the zone, and the label of the stack; 0 where it is not allowed.
    fn at(&self, number: u128) -> u32 {
        match self.stacks[self.stacks.partition_point(|piece| piece.0 <= number) - 1].1 {
            0 => 0,
            zone => zone | self.labels.number(stack(number)) << LABEL_BIT,
        }
    }
}

/// The VLAN number line: untagged is 0, a single tag its VID, stacked tags follow.
fn number(id: VlanId) -> u128 {
    match id {
        VlanId::Untagged => 0,
        VlanId::Single(vid) => vid.into(),
        VlanId::Stacked { outer, inner } => stacked(outer, inner),
    }
}

fn stacked(outer: u16, inner: u16) -> u128 {
    4096 + u128::from(outer) * 4096 + u128::from(inner)
}

/// The reverse of [`number`].
fn stack(number: u128) -> VlanId {
    match (number / 4096, (number % 4096) as u16) {
        (0, 0) => VlanId::Untagged,
        (0, vid) => VlanId::Single(vid),
        (outer, inner) => VlanId::Stacked { outer: (outer - 1) as u16, inner },
    }
}

fn span(range: VlanRange) -> (u128, u128) {
    match range {
        VlanRange::Untagged => (0, 0),
        VlanRange::Single { low, high } => (low.into(), high.into()),
        VlanRange::Stacked { outer, inner } => (stacked(outer, inner), stacked(outer, inner)),
    }
}

/// Members of the partition: named VLANs, then the interface's own list, then the rules' lists.
fn lines(
    ruleset: &Ruleset,
    interface: &Interface,
    lists: &Interner<Vec<VlanRange>>,
) -> Vec<(u32, (u128, u128))> {
    let mut lines = Vec::new();
    for vlan in &ruleset.vlans {
        lines.push(vec![(number(vlan.id), number(vlan.id))]);
    }
    lines.push(interface.vlans.iter().map(|entry| span(entry.range)).collect());
    lines.extend(lists.values().iter().map(|list| list.iter().map(|&range| span(range)).collect()));
    let disjoint = |(member, mut spans): (usize, Vec<(u128, u128)>)| {
        // Ranges of one list may overlap as written; the partition wants them apart.
        spans.sort_unstable();
        let mut apart: Vec<(u128, u128)> = Vec::new();
        for (low, high) in spans {
            match apart.last_mut() {
                Some(last) if low <= last.1 => last.1 = last.1.max(high),
                _ => apart.push((low, high)),
            }
        }
        apart.into_iter().map(move |span| (member as u32, span))
    };
    lines.into_iter().enumerate().flat_map(disjoint).collect()
}
