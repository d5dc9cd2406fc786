//! What a frame is aimed at: a VLAN, two addresses and a service that some rule speaks of, or nearly so.

use super::{Rng, near_edge, once_in, pick};
use perimeter::ruleset::{AddressSet, Family, Interface, Ruleset, Service, VlanId, VlanRange};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A target.
pub(crate) struct Aim<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) vlan: VlanId,
    /// The sources that apply there.
    pub(crate) sources: Option<&'a AddressSet>,
    pub(crate) mtu: u32,
    pub(crate) source: IpAddr,
    /// Of the same family.
    pub(crate) destination: IpAddr,
    pub(crate) service: Service,
    /// A key of `ruleset::ether` or an EtherType, where the rule is of those.
    pub(crate) ethertype: Option<u16>,
}

/// A target in `ruleset` on this interface.
pub(crate) fn aim<'a>(rng: &mut Rng, ruleset: &'a Ruleset, interface_index: usize) -> Aim<'a> {
    let interface = &ruleset.interfaces[interface_index];
    let rule = &ruleset.rules[rng.usize(0..ruleset.rules.len())];
    let vlan = vlan(rng, interface, rule.vlans.as_deref());
    let named = ruleset.vlans.iter().find(|named| named.id == vlan);
    let sources = named.and_then(|named| named.sources.as_ref()).or(interface.sources.as_ref());
    let mtu = named.and_then(|named| named.mtu).unwrap_or(interface.mtu);
    let service = match rule.services.as_slice() {
        [] => Service::default(),
        services => pick(rng, services),
    };
    let family = service.family.unwrap_or_else(|| family(rng, &rule.from, &rule.to));
    let source = speaker(rng, family, &rule.from, sources);
    let destination = address(rng, family, &rule.to);
    let ethertype = (!rule.ethertypes.is_empty()).then(|| pick(rng, &rule.ethertypes));
    Aim { interface, vlan, sources, mtu, source, destination, service, ethertype }
}

fn vlan(rng: &mut Rng, interface: &Interface, wanted: Option<&[VlanRange]>) -> VlanId {
    let allowed: Vec<VlanRange> = interface.vlans.iter().map(|entry| entry.range).collect();
    for _ in 0..4 {
        let range = pick(rng, wanted.unwrap_or(&allowed));
        let id = match range {
            VlanRange::Untagged => VlanId::Untagged,
            VlanRange::Single { low, high } => {
                VlanId::Single(near_edge(rng, low.into(), high.into(), 4094).max(1) as u16)
            }
            VlanRange::Stacked { outer, inner } => VlanId::Stacked { outer, inner },
        };
        if allowed.iter().any(|range| range.contains(id)) || once_in(rng, 8) {
            return id;
        }
    }
    VlanId::Untagged
}

fn family(rng: &mut Rng, from: &AddressSet, to: &AddressSet) -> Family {
    let v4 = !from.v4().is_empty() && !to.v4().is_empty();
    let v6 = !from.v6().is_empty() && !to.v6().is_empty();
    match (v4, v6) {
        (true, false) => Family::V4,
        (false, true) => Family::V6,
        _ => pick(rng, &[Family::V4, Family::V6]),
    }
}

/// An address of `from` that `sources` allow, if a few attempts find one.
fn speaker(rng: &mut Rng, family: Family, from: &AddressSet, sources: Option<&AddressSet>) -> IpAddr {
    let Some(sources) = sources else { return address(rng, family, from) };
    for _ in 0..6 {
        let wider = if rng.bool() { from } else { sources };
        let found = address(rng, family, wider);
        let both = match found {
            IpAddr::V4(found) => from.contains_v4(found.to_bits()) && sources.contains_v4(found.to_bits()),
            IpAddr::V6(found) => from.contains_v6(found.to_bits()) && sources.contains_v6(found.to_bits()),
        };
        if both {
            return found;
        }
    }
    let rather = if once_in(rng, 3) { from } else { sources };
    address(rng, family, rather)
}

/// An address in the set or at its edge; any address where the set has none of the family.
pub(crate) fn address(rng: &mut Rng, family: Family, set: &AddressSet) -> IpAddr {
    if once_in(rng, 40) {
        return special(rng, family);
    }
    match family {
        Family::V4 => {
            let (low, high) = if set.v4().is_empty() { (0, u32::MAX) } else { pick(rng, set.v4()) };
            let number = near_edge(rng, low.into(), high.into(), u32::MAX.into()) as u32;
            IpAddr::V4(Ipv4Addr::from_bits(number))
        }
        Family::V6 => {
            let whole = [(0x2001_0db8 << 96, 0x2001_0db9 << 96)];
            let (low, high) = if set.v6().is_empty() { whole[0] } else { pick(rng, set.v6()) };
            IpAddr::V6(Ipv6Addr::from_bits(near_edge(rng, low, high, u128::MAX)))
        }
    }
}

/// An address of which step 3 says something, or the next one.
pub(crate) fn special(rng: &mut Rng, family: Family) -> IpAddr {
    let text = match family {
        Family::V4 => pick(
            rng,
            &[
                "0.0.0.0",
                "0.0.0.1",
                "0.255.255.255",
                "1.0.0.0",
                "126.255.255.255",
                "127.0.0.1",
                "128.0.0.0",
                "223.255.255.255",
                "224.0.0.0",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.0",
                "255.255.255.254",
                "255.255.255.255",
            ],
        ),
        Family::V6 => pick(
            rng,
            &[
                "::",
                "::1",
                "::ffff:ffff",
                "::1:0:0",
                "::ffff:192.0.2.1",
                "::fffe:ffff:ffff",
                "::1:0:0:0",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "fe7f::1",
                "feff::1",
                "ff00::",
                "ff02::1",
                "ff02::16",
            ],
        ),
    };
    text.parse().expect("a literal of this function")
}
