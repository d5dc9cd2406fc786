//! Step 7: the rules, one by one.

use super::network::{Addresses, Content, Packet};
use super::{be16, holds_v4, holds_v6};
use perimeter::ruleset::{Action, Icmp, Rule, Service, TcpState, VlanId, ether};
use perimeter_classifier::verdict::{Decision, DropReason};

/// Carries out step 7: the first rule that matches, `deny` before `allow`.
pub(crate) fn decide(rules: &[Rule], interface: usize, vlan: VlanId, content: &Content<'_>) -> Decision {
    let first = |action| {
        let matches = |rule: &Rule| rule.action == action && matches(rule, interface, vlan, content);
        rules.iter().position(matches).map(|index| index as u32)
    };
    match (first(Action::Deny), first(Action::Allow)) {
        (Some(rule), _) => Decision::Denied(rule),
        (None, Some(rule)) => Decision::Pass(rule),
        (None, None) => Decision::Drop(DropReason::NoRule),
    }
}

fn matches(rule: &Rule, interface: usize, vlan: VlanId, content: &Content<'_>) -> bool {
    if !rule.interfaces.contains(&interface) {
        return false;
    }
    if rule.vlans.as_ref().is_some_and(|vlans| !vlans.iter().any(|range| range.contains(vlan))) {
        return false;
    }
    match content {
        Content::Arp { .. } => rule.ethertypes.contains(&ether::ARP),
        Content::Other { ethertype } => rule.ethertypes.contains(ethertype),
        Content::Ip(packet) => {
            addresses_match(rule, packet.addresses)
                && rule.services.iter().any(|service| service_matches(rule.action, service, packet))
        }
    }
}

fn addresses_match(rule: &Rule, addresses: Addresses) -> bool {
    match addresses {
        Addresses::V4 { source, destination } => {
            holds_v4(&rule.from, source) && holds_v4(&rule.to, destination)
        }
        Addresses::V6 { source, destination } => {
            holds_v6(&rule.from, source) && holds_v6(&rule.to, destination)
        }
    }
}

fn service_matches(action: Action, service: &Service, packet: &Packet<'_>) -> bool {
    if service.family.is_some_and(|family| family != packet.family()) {
        return false;
    }
    if service.protocol.is_some_and(|protocol| protocol != packet.protocol) {
        return false;
    }
    if packet.is_later_fragment() {
        let conditions = [
            service.destination_ports.is_some(),
            service.source_ports.is_some(),
            service.icmp.is_some(),
            service.tcp.is_some(),
        ];
        return action == Action::Deny || !conditions.contains(&true);
    }
    layer4_matches(service, packet.payload)
}

/// The conditions on layer 4, which stand only beside a protocol whose header step 6 found whole.
fn layer4_matches(service: &Service, payload: &[u8]) -> bool {
    let within = |ports: Option<(u16, u16)>, offset| {
        ports.is_none_or(|(low, high)| (low..=high).contains(&be16(payload, offset)))
    };
    let icmp = |wanted: Icmp| payload[0] == wanted.kind && wanted.code.is_none_or(|code| payload[1] == code);
    let tcp = |state| match state {
        TcpState::New => payload[13] & 0x02 != 0 && payload[13] & 0x10 == 0,
        TcpState::Established => payload[13] & 0x14 != 0,
    };
    within(service.source_ports, 0)
        && within(service.destination_ports, 2)
        && service.icmp.is_none_or(icmp)
        && service.tcp.is_none_or(tcp)
}
