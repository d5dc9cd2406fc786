//! Ready-made lists of what a network needs to work.

use super::source::Fault;
use super::text::one_of;
use crate::ruleset::{Family, Icmp, Service, ether};

/// What a bundle stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bundle {
    pub(super) services: Vec<Service>,
    pub(super) ethertypes: Vec<u16>,
}

/// The name of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Arp,
    Nd,
    Ra,
    Pmtu,
    Multicast,
    DhcpClient,
    Dhcpv6Client,
}

pub(super) const NAMES: [(&str, Name); 7] = [
    ("arp", Name::Arp),
    ("nd", Name::Nd),
    ("ra", Name::Ra),
    ("pmtu", Name::Pmtu),
    ("multicast", Name::Multicast),
    ("dhcp-client", Name::DhcpClient),
    ("dhcpv6-client", Name::Dhcpv6Client),
];

const UDP: u8 = 17;
const IGMP: u8 = 2;

/// Reads one word of `bundle`.
pub(super) fn parse(text: &str) -> Result<Name, Fault> {
    one_of(text, "bundle", &NAMES)
}

/// The bundle with this name, written out.
pub(super) fn expand(name: Name) -> Bundle {
    let services = match name {
        Name::Arp => return Bundle { services: Vec::new(), ethertypes: vec![ether::ARP] },
        Name::Nd => icmp(Family::V6, &[133, 135, 136]),
        Name::Ra => icmp(Family::V6, &[134]),
        Name::Pmtu => [icmp(Family::V4, &[3, 11, 12]), icmp(Family::V6, &[1, 2, 3, 4])].concat(),
        Name::Multicast => {
            let igmp = Service { protocol: Some(IGMP), ..Service::default() };
            [vec![igmp], icmp(Family::V6, &[130, 131, 132, 143])].concat()
        }
        Name::DhcpClient => vec![udp(Family::V4, 67, 68)],
        Name::Dhcpv6Client => vec![udp(Family::V6, 547, 546)],
    };
    Bundle { services, ethertypes: Vec::new() }
}

fn icmp(family: Family, kinds: &[u8]) -> Vec<Service> {
    let protocol = super::services::icmp_protocol(family);
    let of = |kind: &u8| Service {
        family: Some(family),
        protocol: Some(protocol),
        icmp: Some(Icmp { kind: *kind, code: None }),
        ..Service::default()
    };
    kinds.iter().map(of).collect()
}

fn udp(family: Family, from: u16, to: u16) -> Service {
    Service {
        family: Some(family),
        protocol: Some(UDP),
        source_ports: Some((from, from)),
        destination_ports: Some((to, to)),
        ..Service::default()
    }
}
