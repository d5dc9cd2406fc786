//! What rules ask above the addresses: ports, ranges, types, flags, protocols, and the bundles of the contract.

use super::{Rng, once_in, pick};
use perimeter::ruleset::{Family, Icmp, Service, TcpState};

/// Ports that stand beside each other, so that rules meet at edges.
const PORTS: [u16; 18] =
    [0, 1, 22, 53, 79, 80, 81, 443, 444, 1023, 1024, 8000, 8080, 8099, 49_151, 49_152, 65_534, 65_535];

/// The alternatives of one rule.
pub(crate) fn services(rng: &mut Rng) -> Vec<Service> {
    match rng.u32(0..12) {
        0 => vec![Service::default()],
        1 => bundle(rng),
        _ => {
            let count = if once_in(rng, 6) { rng.usize(4..20) } else { rng.usize(1..4) };
            let with_ports = once_in(rng, 8).then(|| range(rng));
            (0..count)
                .map(|_| Service { source_ports: with_ports, ..service(rng, with_ports.is_some()) })
                .collect()
        }
    }
}

fn service(rng: &mut Rng, needs_ports: bool) -> Service {
    let protocol = pick(rng, &[6u8, 6, 17, 17, 132]);
    let state = pick(rng, &[None, None, None, Some(TcpState::New), Some(TcpState::Established)]);
    let tcp = state.filter(|_| protocol == 6);
    match rng.u32(0..20) {
        0..=11 => {
            let ports = Some(range(rng));
            Service { protocol: Some(protocol), destination_ports: ports, tcp, ..Service::default() }
        }
        _ if needs_ports => Service { protocol: Some(protocol), tcp, ..Service::default() },
        12 | 13 => Service { protocol: Some(protocol), tcp, ..Service::default() },
        14 | 15 => icmp(rng, Family::V4),
        16 | 17 => icmp(rng, Family::V6),
        18 => Service { protocol: Some(pick(rng, &[50u8, 51, 47, 2, 1, 58, 59])), ..Service::default() },
        _ => Service { protocol: Some(rng.u8(..)), ..Service::default() },
    }
}

fn range(rng: &mut Rng) -> (u16, u16) {
    let low = if once_in(rng, 3) { rng.u16(..) } else { pick(rng, &PORTS) };
    match rng.u32(0..8) {
        0 => (low, low.saturating_add(rng.u16(1..100))),
        1 => (low, rng.u16(low..)),
        2 => (0, u16::MAX),
        _ => (low, low),
    }
}

fn icmp(rng: &mut Rng, family: Family) -> Service {
    let protocol = if family == Family::V4 { 1 } else { 58 };
    let kind = match family {
        Family::V4 => pick(rng, &[0u8, 3, 4, 5, 8, 11, 12, 13, 255]),
        Family::V6 => pick(rng, &[0u8, 1, 2, 3, 4, 127, 128, 129, 133, 134, 135, 136, 137, 143]),
    };
    let code = once_in(rng, 3).then(|| rng.u8(0..5));
    let icmp = (!once_in(rng, 4)).then_some(Icmp { kind, code });
    Service { family: Some(family), protocol: Some(protocol), icmp, ..Service::default() }
}

/// One of the contract's bundles that carries IP.
fn bundle(rng: &mut Rng) -> Vec<Service> {
    let typed = |family, kinds: &[u8]| {
        let protocol = if family == Family::V4 { 1 } else { 58 };
        let alternative = |&kind| Service {
            family: Some(family),
            protocol: Some(protocol),
            icmp: Some(Icmp { kind, code: None }),
            ..Service::default()
        };
        kinds.iter().map(alternative).collect::<Vec<_>>()
    };
    let dhcp = |family, from, to| Service {
        family: Some(family),
        protocol: Some(17),
        source_ports: Some((from, from)),
        destination_ports: Some((to, to)),
        ..Service::default()
    };
    match rng.u32(0..5) {
        0 => typed(Family::V6, &[133, 135, 136]),
        1 => typed(Family::V6, &[134]),
        2 => [typed(Family::V4, &[3, 11, 12]), typed(Family::V6, &[1, 2, 3, 4])].concat(),
        3 => {
            let igmp = Service { protocol: Some(2), ..Service::default() };
            [vec![igmp], typed(Family::V6, &[130, 131, 132, 143])].concat()
        }
        _ => vec![dhcp(Family::V4, 67, 68), dhcp(Family::V6, 547, 546)],
    }
}
