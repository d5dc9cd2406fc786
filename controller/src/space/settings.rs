//! What the settings of an interface refuse, and what no policy lets through, as regions.

use super::region::{Dimension, Kind, LINK_LOCAL, NEIGHBOUR_ADVERTISEMENT, Part, Region, TAGS};
use super::rules::Addresses;
use super::set::{Range, Set};
use crate::ruleset::{
    AddressSet, Family, Fragments, Interface, IpOptions, Oversize, Ruleset, VlanId, VlanRange, ether,
};

/// The setting that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    Vlans,
    OuterTag,
    Sources,
    /// `mtu` and `oversize`.
    Mtu,
    Fragments,
    IpOptions,
}

/// Frames that a setting refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub setting: Setting,
    pub region: Region,
}

const KINDS: [Kind; 3] = [Kind::V4, Kind::V6, Kind::Ether];
const ICMPV6: u128 = 58;

/// The VLAN number line: untagged is 0, a single tag its VID; stacked tags follow, once for each outer tag, `tag` by its
/// position in [`TAGS`].
pub fn stack_number(id: VlanId, tag: usize) -> u128 {
    match id {
        VlanId::Untagged => 0,
        VlanId::Single(vid) => vid.into(),
        VlanId::Stacked { outer, inner } => first_of_tag(tag) + u128::from(outer) * 4096 + u128::from(inner),
    }
}

fn first_of_tag(tag: usize) -> u128 {
    4096 * (1 + 4096 * tag as u128)
}

/// The numbers of VLANs, under every outer tag.
pub fn stacks(ranges: &[VlanRange]) -> Set {
    let mut found: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match *range {
            VlanRange::Untagged => found.push((0, 0)),
            VlanRange::Single { low, high } => found.push((low.into(), high.into())),
            VlanRange::Stacked { outer, inner } => found.extend((0..TAGS.len()).map(|tag| {
                let number = stack_number(VlanId::Stacked { outer, inner }, tag);
                (number, number)
            })),
        }
    }
    Set::new(found, Dimension::Stack.end(Kind::V4))
}

/// Everything that the settings of an interface refuse.
pub fn refusals(ruleset: &Ruleset, interface: &Interface, addresses: &mut Addresses) -> Vec<Refusal> {
    let mut found = Vec::new();
    let allowed: Vec<VlanRange> = interface.vlans.iter().map(|entry| entry.range).collect();
    let allowed = stacks(&allowed);
    let outer = TAGS.iter().position(|tag| *tag == interface.outer_tag);
    for kind in KINDS {
        let vlans = Region::all(kind).outside(Dimension::Stack, &allowed);
        found.push(Refusal { setting: Setting::Vlans, region: vlans });
        for tag in (0..TAGS.len()).filter(|tag| Some(*tag) != outer) {
            let tagged = (first_of_tag(tag), first_of_tag(tag + 1) - 1);
            let region = Region::all(kind).within(Dimension::Stack, &[tagged]);
            found.push(Refusal { setting: Setting::OuterTag, region });
        }
    }
    for kind in [Kind::V4, Kind::V6] {
        if interface.ip_options == IpOptions::Drop {
            let region = Region::all(kind).with(Dimension::Options, Set::one(1));
            found.push(Refusal { setting: Setting::IpOptions, region });
        }
        if interface.fragments == Fragments::Drop {
            let parts = (Part::First as u128, Part::Later as u128);
            let region = Region::all(kind).within(Dimension::Part, &[parts]);
            found.push(Refusal { setting: Setting::Fragments, region });
        }
    }
    found.extend(sizes(ruleset, interface));
    found.extend(speakers(ruleset, interface, addresses));
    found
}

/// VLANs by what is said of them: those that `of` says something of, by value, and all others.
fn by_value<T: PartialEq>(ruleset: &Ruleset, of: impl Fn(usize) -> Option<T>) -> (Vec<(T, Set)>, Set) {
    let mut groups: Vec<(T, Vec<VlanRange>)> = Vec::new();
    let mut named = Vec::new();
    for (at, vlan) in ruleset.vlans.iter().enumerate() {
        let Some(value) = of(at) else { continue };
        named.push(VlanRange::from(vlan.id));
        match groups.iter_mut().find(|group| group.0 == value) {
            Some(group) => group.1.push(vlan.id.into()),
            None => groups.push((value, vec![vlan.id.into()])),
        }
    }
    let others = Set::ALL.difference(&stacks(&named), Dimension::Stack.end(Kind::V4));
    (groups.into_iter().map(|(value, ids)| (value, stacks(&ids))).collect(), others)
}

fn sizes(ruleset: &Ruleset, interface: &Interface) -> Vec<Refusal> {
    if interface.oversize == Oversize::Count {
        return Vec::new();
    }
    let own = |at: usize| ruleset.vlans[at].mtu.filter(|mtu| *mtu != interface.mtu);
    let (mut groups, others) = by_value(ruleset, own);
    groups.push((interface.mtu, others));
    let mut found = Vec::new();
    for (mtu, stack) in groups {
        for kind in KINDS {
            let too_large = (u128::from(mtu) + 1, Dimension::Size.end(kind));
            let region =
                Region::all(kind).with(Dimension::Stack, stack.clone()).within(Dimension::Size, &[too_large]);
            found.push(Refusal { setting: Setting::Mtu, region });
        }
    }
    found
}

fn speakers(ruleset: &Ruleset, interface: &Interface, addresses: &mut Addresses) -> Vec<Refusal> {
    let (mut groups, others) = by_value(ruleset, |at| ruleset.vlans[at].sources.as_ref());
    if let Some(sources) = &interface.sources {
        groups.push((sources, others));
    }
    let refused = groups.into_iter().flat_map(|(sources, stack)| silent(sources, &stack, addresses));
    refused.map(|region| Refusal { setting: Setting::Sources, region }).collect()
}

/// Frames of everybody but `sources`. What the contract excepts is among those who may speak: the unspecified address
/// (step 3 asks a destination of it that [`never()`] knows), and link-local addresses in ICMPv6.
fn silent(sources: &AddressSet, stack: &Set, addresses: &mut Addresses) -> Vec<Region> {
    let all = |kind| Region::all(kind).with(Dimension::Stack, stack.clone());
    let (v4, v6) = (addresses.set(sources, Family::V4), addresses.set(sources, Family::V6));
    let v4 = v4.union(&Set::one(0), u32::MAX.into());
    let link_local = Set::new(vec![(LINK_LOCAL, LINK_LOCAL | u128::MAX >> 10)], u128::MAX);
    let anyone_v6 = v6.union(&Set::one(0), u128::MAX);
    let icmp = all(Kind::V6).with(Dimension::Protocol, Set::one(ICMPV6));
    let first = NEIGHBOUR_ADVERTISEMENT << 8;
    let advertisements = icmp.clone().within(Dimension::Icmp, &[(first, first | 255)]);
    let advertisements = advertisements.with(Dimension::Part, Set::one(Part::Whole as u128));
    vec![
        all(Kind::V4).outside(Dimension::Source, &v4),
        all(Kind::Ether)
            .with(Dimension::Protocol, Set::one(ether::ARP.into()))
            .outside(Dimension::Source, &v4),
        all(Kind::V6).outside(Dimension::Protocol, &Set::one(ICMPV6)).outside(Dimension::Source, &anyone_v6),
        icmp.outside(Dimension::Source, &anyone_v6.union(&link_local, u128::MAX)),
        advertisements.outside(Dimension::Target, &v6.union(&link_local, u128::MAX)),
    ]
    .into_iter()
    .filter(|region| !region.is_empty())
    .collect()
}

/// Frames that no policy lets through, as far as the fields of a region tell: martian addresses, protocols that IPv6 has
/// as extension headers, neighbour discovery that contradicts itself. Lengths and flags are another matter.
pub fn never() -> Vec<Region> {
    let v4 = |high: u128, bits: u32| (high << 24, (high << 24) | (u128::from(u32::MAX) >> bits));
    let v6 = |high: u128, bits: u32| (high << 112, (high << 112) | (u128::MAX >> bits));
    let embedded = [(0, (1 << 32) - 1), (0xffff << 32, (0x1_0000 << 32) - 1)];
    let (all4, all6, arp) = (Region::all(Kind::V4), Region::all(Kind::V6), Region::all(Kind::Ether));
    let arp = arp.with(Dimension::Protocol, Set::one(ether::ARP.into()));
    let nobody4 = [(1, 0x00ff_ffff), v4(127, 8), v4(224, 3)];
    let many4 = Set::new(vec![v4(224, 4), (u32::MAX.into(), u32::MAX.into())], u32::MAX.into());
    let nowhere4 = [v4(0, 8), v4(127, 8), (0xf000_0000, 0xffff_fffe)];
    let nobody6 = [(1, embedded[0].1), embedded[1], v6(0xff00, 8)];
    let many6 = Set::new(vec![v6(0xff00, 8)], u128::MAX);
    let icmp = all6.clone().with(Dimension::Protocol, Set::one(ICMPV6));
    let codes = (133..138u128).map(|kind| (kind << 8 | 1, kind << 8 | 255)).collect::<Vec<_>>();
    let begun = all6.clone().within(Dimension::Part, &[(Part::Whole as u128, Part::First as u128)]);
    vec![
        all4.clone().within(Dimension::Source, &nobody4),
        all4.clone().within(Dimension::Destination, &nowhere4),
        all4.with(Dimension::Source, Set::one(0)).outside(Dimension::Destination, &many4),
        arp.within(Dimension::Source, &nobody4),
        all6.clone().within(Dimension::Source, &nobody6),
        all6.clone().within(Dimension::Destination, &embedded),
        all6.with(Dimension::Source, Set::one(0)).outside(Dimension::Destination, &many6),
        begun.within(Dimension::Protocol, &[(0, 0), (43, 44), (60, 60)]),
        icmp.clone().within(Dimension::Part, &[(0, 1)]).within(Dimension::Icmp, &codes),
        icmp.with(Dimension::Part, Set::one(1)).within(Dimension::Icmp, &[(133 << 8, 137 << 8 | 255)]),
        Region::all(Kind::Ether).within(
            Dimension::Protocol,
            &[
                (0, 0),
                (4, 0x05ff),
                (0x0800, 0x0800),
                (0x86dd, 0x86dd),
                (0x8100, 0x8100),
                (0x88a8, 0x88a8),
                (0x9100, 0x9100),
            ],
        ),
    ]
}
