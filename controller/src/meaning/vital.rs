//! What a host depends on without knowing: address resolution, neighbour discovery, path MTU messages, leases.

use super::pieces::of_side;
use super::{Difference, Side};
use crate::ruleset::{VlanRange, ether};
use crate::space::{Dimension, Kind, Region, Set, stacks};

/// One of these things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vital {
    Arp,
    NeighbourDiscovery,
    PathMtuV4,
    PathMtuV6,
    DhcpV4,
    DhcpV6,
}

const ALL: [Vital; 6] =
    [Vital::Arp, Vital::NeighbourDiscovery, Vital::PathMtuV4, Vital::PathMtuV6, Vital::DhcpV4, Vital::DhcpV6];

impl Vital {
    /// The frames, each set of them needed.
    fn frames(self) -> Vec<Region> {
        let of = |kind, protocol: u128, dimension, value: u128| {
            Region::all(kind).with(Dimension::Protocol, Set::one(protocol)).with(dimension, Set::one(value))
        };
        let message = |kind, protocol, word| of(kind, protocol, Dimension::Icmp, word);
        let udp = |kind, from, to| {
            of(kind, 17, Dimension::SourcePort, from).with(Dimension::DestinationPort, Set::one(to))
        };
        match self {
            Vital::Arp => {
                vec![Region::all(Kind::Ether).with(Dimension::Protocol, Set::one(ether::ARP.into()))]
            }
            // Solicitations and advertisements (RFC 4861).
            Vital::NeighbourDiscovery => [135, 136].map(|kind| message(Kind::V6, 58, kind << 8)).to_vec(),
            // Fragmentation needed (RFC 1191), packet too big (RFC 8201).
            Vital::PathMtuV4 => vec![message(Kind::V4, 1, 3 << 8 | 4)],
            Vital::PathMtuV6 => vec![message(Kind::V6, 58, 2 << 8)],
            Vital::DhcpV4 => vec![udp(Kind::V4, 67, 68)],
            Vital::DhcpV6 => vec![udp(Kind::V6, 547, 546)],
        }
    }

    /// What it is, and what becomes of the host without it.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Vital::Arp => ("ARP", "IPv4 neighbours would not be found"),
            Vital::NeighbourDiscovery => ("neighbour discovery", "IPv6 neighbours would not be found"),
            Vital::PathMtuV4 => ("path MTU messages of IPv4", "large packets would vanish"),
            Vital::PathMtuV6 => ("path MTU messages of IPv6", "large packets would vanish"),
            Vital::DhcpV4 => ("DHCP", "a lease would not be renewed"),
            Vital::DhcpV6 => ("DHCPv6", "a lease would not be renewed"),
        }
    }
}

/// What passes today and would not tomorrow, from nobody, on VLANs that stay allowed; with the numbers of these VLANs.
pub fn dying(after: Side<'_>, closes: &[Difference]) -> Vec<(Vital, Set)> {
    if closes.is_empty() {
        return Vec::new();
    }
    let interface = &after.ruleset.interfaces[after.interface];
    let allowed: Vec<VlanRange> = interface.vlans.iter().map(|entry| entry.range).collect();
    let allowed = stacks(&allowed);
    let is = of_side(after);
    // On these VLANs, is there anybody whose frames of this sort pass?
    let is_alive = |frames: &Region| {
        is.allow
            .iter()
            .filter_map(|(region, _)| region.intersection(frames))
            .any(|passed| !is.deny.iter().any(|(refused, _)| refused.covers(&passed)))
    };
    let mut found: Vec<(Vital, Set)> = Vec::new();
    for vital in ALL {
        let end = Dimension::Stack.end(Kind::V4);
        let mut dead = Set::ALL.difference(&Set::ALL, end);
        for frames in vital.frames() {
            for closed in
                closes.iter().flat_map(|one| &one.regions).filter_map(|region| region.intersection(&frames))
            {
                let stack = closed.side(Dimension::Stack).intersection(&allowed);
                let here = frames.clone().with(Dimension::Stack, stack.clone());
                if !here.is_empty() && !is_alive(&here) {
                    dead = dead.union(&stack, end);
                }
            }
        }
        if !dead.is_empty() {
            found.push((vital, dead));
        }
    }
    found
}
