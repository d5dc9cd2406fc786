//! What a rule matches, as regions.

use rustc_hash::FxHashMap;

use super::region::{Dimension, Kind, Part, Region, merge};
use super::set::{Range, Set};
use super::settings::stacks;
use crate::ruleset::{Action, AddressSet, Family, Rule, Service, TcpState};

/// Sets of addresses that were turned into sets of numbers already: many rules name one large network.
#[derive(Default)]
pub struct Addresses {
    /// By where the ranges lie and how many there are: sets that share them are the same.
    known: FxHashMap<(usize, usize), Set>,
}

impl Addresses {
    /// One family of a set of addresses.
    pub fn set(&mut self, set: &AddressSet, family: Family) -> Set {
        let key = match family {
            Family::V4 => (set.v4().as_ptr() as usize, set.v4().len()),
            Family::V6 => (set.v6().as_ptr() as usize, set.v6().len()),
        };
        self.known.entry(key).or_insert_with(|| numbers(set, family)).clone()
    }
}

fn numbers(set: &AddressSet, family: Family) -> Set {
    match family {
        Family::V4 => {
            let ranges = set.v4().iter().map(|&(low, high)| (low.into(), high.into())).collect();
            Set::new(ranges, u32::MAX.into())
        }
        Family::V6 => Set::new(set.v6().to_vec(), u128::MAX),
    }
}

/// The regions of a rule on an interface that allows every VLAN; they may overlap.
pub fn of_rule(rule: &Rule, addresses: &mut Addresses) -> Vec<Region> {
    let stack = rule.vlans.as_ref().map_or(Set::ALL, |ranges| stacks(ranges));
    let mut regions = Vec::new();
    if !rule.ethertypes.is_empty() {
        let keys: Vec<Range> = rule.ethertypes.iter().map(|&key| (key.into(), key.into())).collect();
        let frames = Region::all(Kind::Ether).with(Dimension::Stack, stack.clone());
        regions.push(frames.within(Dimension::Protocol, &keys));
    }
    for (family, kind) in [(Family::V4, Kind::V4), (Family::V6, Kind::V6)] {
        let base = Region::all(kind)
            .with(Dimension::Stack, stack.clone())
            .with(Dimension::Source, addresses.set(&rule.from, family))
            .with(Dimension::Destination, addresses.set(&rule.to, family));
        if base.is_empty() {
            continue;
        }
        let of_family = rule.services.iter().filter(|service| service.family.is_none_or(|own| own == family));
        let found = of_family.flat_map(|service| of_service(service, rule.action, &base));
        let found = merge(found.map(|region| (region, ())).collect(), |_, ()| ());
        regions.extend(found.into_iter().map(|(region, ())| region));
    }
    regions
}

/// One alternative; two regions where later fragments are another matter.
fn of_service(service: &Service, action: Action, base: &Region) -> Vec<Region> {
    let mut region = base.clone();
    if let Some(protocol) = service.protocol {
        region = region.with(Dimension::Protocol, Set::one(protocol.into()));
    }
    if !service.has_layer4_condition() {
        return vec![region];
    }
    let later = region.clone().with(Dimension::Part, Set::one(Part::Later as u128));
    region = region.within(Dimension::Part, &[(Part::Whole as u128, Part::First as u128)]);
    for (dimension, ports) in [
        (Dimension::DestinationPort, service.destination_ports),
        (Dimension::SourcePort, service.source_ports),
    ] {
        if let Some((low, high)) = ports {
            region = region.within(dimension, &[(low.into(), high.into())]);
        }
    }
    if let Some(icmp) = service.icmp {
        let first = u128::from(icmp.kind) << 8;
        let codes = icmp
            .code
            .map_or((first, first | 255), |code| (first | u128::from(code), first | u128::from(code)));
        region = region.within(Dimension::Icmp, &[codes]);
    }
    if let Some(state) = service.tcp {
        region = region.with(Dimension::Tcp, Set::one(u128::from(state == TcpState::Established)));
    }
    // To a deny rule, conditions that a later fragment cannot show count as met.
    if action == Action::Deny { vec![region, later] } else { vec![region] }
}
