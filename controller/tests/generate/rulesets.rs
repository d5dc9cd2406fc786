//! Whole policies: interfaces with every setting, VLANs with and without sources, rules of every kind.

use super::sets::Universe;
use super::{Rng, once_in, pick, services};
use crate::oracle::plain;
use perimeter::ruleset::{
    Action, AddressSet, Fragments, Interface, IpOptions, Oversize, Rule, Ruleset, Service, Vlan, VlanEntry,
    VlanId, VlanRange, ether,
};

/// What the rules of one policy are made of.
struct Words<'a> {
    networks: Vec<AddressSet>,
    services: Vec<Vec<Service>>,
    universe: &'a Universe,
}

impl Words<'_> {
    /// What a rule says of one end: any, a network, an address or a prefix.
    fn end(&self, rng: &mut Rng) -> AddressSet {
        if once_in(rng, 3) {
            return self.universe.prefix(rng);
        }
        if once_in(rng, 3) {
            AddressSet::any()
        } else {
            self.networks[rng.usize(0..self.networks.len())].clone()
        }
    }
}

/// A policy with `rules` rules.
pub(crate) fn ruleset(rng: &mut Rng, rules: usize) -> Ruleset {
    let universe = Universe::new(rng, 4 + rules / 2);
    let words = Words {
        networks: (0..4 + rules / 5).map(|_| universe.network(rng)).collect(),
        services: (0..rules.min(40)).map(|_| services::services(rng)).collect(),
        universe: &universe,
    };
    let interfaces: Vec<Interface> =
        (0..pick(rng, &[1, 1, 1, 2, 3])).map(|index| interface(rng, index, &universe)).collect();
    let vlans = named_vlans(rng, &interfaces, &universe);
    let mut made: Vec<Rule> = (0..rules).map(|index| rule(rng, index, &interfaces, &words)).collect();
    made.sort_by_key(|rule| rule.action);
    Ruleset { interfaces, vlans, rules: made }
}

/// A number of rules from 1 to 5,000; one policy in 25 is of any size.
pub(crate) fn size(rng: &mut Rng) -> usize {
    let scale = pick(rng, &[4, 12, 40, 40, 120, 120, 300]);
    if once_in(rng, 25) { rng.usize(1..=5000) } else { rng.usize(1..=scale) }
}

fn interface(rng: &mut Rng, index: usize, universe: &Universe) -> Interface {
    Interface {
        name: format!("wan{index}"),
        mtu: pick(rng, &[1500, 1500, 1500, 576, 1280, 9000, 65_535]),
        oversize: pick(rng, &[Oversize::Drop, Oversize::Drop, Oversize::Count]),
        fragments: pick(rng, &[Fragments::Drop, Fragments::Stateless, Fragments::Stateless]),
        ip_options: pick(rng, &[IpOptions::Drop, IpOptions::Pass]),
        outer_tag: pick(rng, &[0x8100, 0x88a8, 0x9100]),
        vlans: allowed_vlans(rng),
        sources: once_in(rng, 4).then(|| speakers(rng, universe)),
        ..plain::interface()
    }
}

/// Sources wide enough that rules still match.
fn speakers(rng: &mut Rng, universe: &Universe) -> AddressSet {
    let mut set = universe.network(rng);
    for _ in 0..3 {
        set = set.union(&universe.network(rng));
    }
    set
}

fn allowed_vlans(rng: &mut Rng) -> Vec<VlanEntry> {
    let mut ranges = Vec::new();
    if !once_in(rng, 5) {
        ranges.push(VlanRange::Untagged);
    }
    for _ in 0..rng.usize(0..6) {
        ranges.push(vlan_range(rng));
    }
    if ranges.is_empty() {
        ranges.push(VlanRange::Untagged);
    }
    ranges.into_iter().map(plain::entry).collect()
}

fn vlan_range(rng: &mut Rng) -> VlanRange {
    let low = pick(rng, &[1, 2, 10, 11, 20, 100, 4000, 4094]);
    match rng.u32(0..6) {
        0 | 1 => VlanRange::Stacked { outer: low, inner: pick(rng, &[1, 10, 100, 200, 4094]) },
        2 => VlanRange::Single { low, high: (low + rng.u16(1..200)).min(4094) },
        _ => VlanRange::Single { low, high: low },
    }
}

/// Names for some of the VLANs that the interfaces allow, and for one that none allows.
fn named_vlans(rng: &mut Rng, interfaces: &[Interface], universe: &Universe) -> Vec<Vlan> {
    let mut ids = vec![VlanId::Single(3333)];
    for entry in interfaces.iter().flat_map(|interface| &interface.vlans) {
        match entry.range {
            VlanRange::Untagged => {}
            VlanRange::Single { low, high } => ids.push(VlanId::Single(rng.u16(low..=high))),
            VlanRange::Stacked { outer, inner } => ids.push(VlanId::Stacked { outer, inner }),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|_| rng.bool());
    let vlan = |(index, id)| Vlan {
        name: format!("vlan{index}"),
        id,
        sources: once_in(rng, 2).then(|| speakers(rng, universe)),
        mtu: once_in(rng, 3).then(|| pick(rng, &[68, 576, 1400, 2000, 9000])),
    };
    ids.into_iter().enumerate().map(vlan).collect()
}

fn rule(rng: &mut Rng, index: usize, interfaces: &[Interface], words: &Words<'_>) -> Rule {
    let action = if once_in(rng, 5) { Action::Deny } else { Action::Allow };
    let mut on: Vec<usize> = (0..interfaces.len()).collect();
    if once_in(rng, 3) {
        on = vec![rng.usize(0..interfaces.len())];
    }
    let base = plain::rule(&format!("r{index}"), action);
    let vlans = once_in(rng, 4).then(|| rule_vlans(rng, &interfaces[on[0]]));
    if once_in(rng, 12) {
        return Rule { interfaces: on, vlans, services: Vec::new(), ethertypes: ethertypes(rng), ..base };
    }
    let (mut from, to) = (words.end(rng), words.end(rng));
    if action == Action::Deny && from.is_any() && to.is_any() {
        from = words.universe.prefix(rng);
    }
    let services = words.services[rng.usize(0..words.services.len())].clone();
    Rule { interfaces: on, vlans, from, to, services, ..base }
}

fn rule_vlans(rng: &mut Rng, interface: &Interface) -> Vec<VlanRange> {
    let mut ranges: Vec<VlanRange> = (0..rng.usize(1..4))
        .map(|_| {
            if once_in(rng, 4) {
                vlan_range(rng)
            } else {
                interface.vlans[rng.usize(0..interface.vlans.len())].range
            }
        })
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

fn ethertypes(rng: &mut Rng) -> Vec<u16> {
    let known =
        [ether::LLC, ether::SNAP, ether::STP, ether::ARP, 0x88cc, 0x888e, 0x8809, 0x88f7, 0x0600, 0xffff];
    let mut keys: Vec<u16> = (0..rng.usize(1..5)).map(|_| pick(rng, &known)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
