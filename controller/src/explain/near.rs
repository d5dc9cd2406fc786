//! How near a rule comes to a frame: which of its conditions hold, and what the others lack.

use std::net::IpAddr;

use perimeter_classifier::verdict::Decision;

use crate::ruleset::{Action, AddressSet, Family, Icmp, Rule, Ruleset, Service, TcpState, VlanRange};

use super::Absence;
use super::question::{Content, Packet, Question};

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The policy's word for it: `vlan`, `from`, `to`, `service`, `source_port`, `tcp`, `ethertype`, `bundle`.
    pub key: &'static str,
    /// `None`: it holds. Otherwise what is missing, for people.
    pub lacks: Option<String>,
}

/// A rule beside a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearness {
    /// Position in [`Ruleset::rules`].
    pub rule: usize,
    pub action: Action,
    /// The conditions that the rule writes down, in the order of the language reference.
    pub conditions: Vec<Condition>,
}

impl Nearness {
    /// How many conditions do not hold; 0 is a match.
    pub fn lacking(&self) -> usize {
        self.conditions.iter().filter(|condition| condition.lacks.is_some()).count()
    }
}

impl Nearness {
    /// Says more about the addresses that are missing.
    fn tell(&mut self, rule: &Rule, question: &Question, absence: &mut Absence<'_>) {
        let Packet::Ip { addresses, .. } = question.packet else { return };
        for condition in self.conditions.iter_mut().filter(|condition| condition.lacks.is_some()) {
            let more = match condition.key {
                "from" => absence(addresses.from(), &rule.written.from),
                "to" => absence(addresses.to(), &rule.written.to),
                _ => None,
            };
            if more.is_some() {
                condition.lacks = more;
            }
        }
    }
}

/// The rules of an interface that come nearest to a frame, without the one that decides. Where no rule decides: those that
/// lack at most one condition, or if there are none, the least that any lacks. Beside a rule that decides only those count
/// that match as well, and `deny` rules that would have come first.
pub(super) fn nearest(
    ruleset: &Ruleset,
    interface: usize,
    question: &Question,
    decision: Decision,
    absence: &mut Absence<'_>,
) -> Vec<Nearness> {
    let others = ruleset.rules.iter().enumerate().filter(|(index, rule)| {
        rule.interfaces.contains(&interface) && decision.rule() != Some(*index as u32)
    });
    let mut near: Vec<Nearness> = others.filter_map(|(index, _)| of(ruleset, index, question)).collect();
    let least = near.iter().map(Nearness::lacking).min().unwrap_or(0).max(1);
    near.retain(|nearness| match decision {
        Decision::Drop(_) => nearness.lacking() <= least,
        Decision::Pass(_) if nearness.action == Action::Deny => nearness.lacking() <= 1,
        Decision::Pass(_) | Decision::Denied(_) => nearness.lacking() == 0,
    });
    for nearness in &mut near {
        nearness.tell(&ruleset.rules[nearness.rule], question, absence);
    }
    near
}

/// How near one rule comes to a frame; `None` where it speaks of another kind of frame altogether.
pub(super) fn of(ruleset: &Ruleset, rule: usize, question: &Question) -> Option<Nearness> {
    let conditions = conditions(&ruleset.rules[rule], question)?;
    Some(Nearness { rule, action: ruleset.rules[rule].action, conditions })
}

/// What a rule asks of a frame; `None` where it speaks of another kind of frame altogether.
fn conditions(rule: &Rule, question: &Question) -> Option<Vec<Condition>> {
    let vlan = rule.vlans.as_ref().map(|ranges| vlan(rule, ranges, question));
    let mut conditions: Vec<Condition> = vlan.into_iter().collect();
    match question.packet {
        Packet::Ip { addresses, content } => {
            if rule.services.is_empty() {
                return None;
            }
            conditions.extend(address("from", &rule.from, &rule.written.from, addresses.from()));
            conditions.extend(address("to", &rule.to, &rule.written.to, addresses.to()));
            conditions.extend(above_addresses(rule, addresses.family(), content));
        }
        Packet::Arp { .. } | Packet::Other(_) => {
            if rule.ethertypes.is_empty() {
                return None;
            }
            let key = question.packet.ether_key();
            let holds = key.is_some_and(|key| rule.ethertypes.contains(&key));
            let key = if rule.written.ethertype.is_empty() { "bundle" } else { "ethertype" };
            let written = [&rule.written.ethertype, &rule.written.bundle].map(String::as_str).concat();
            conditions
                .push(Condition { key, lacks: (!holds).then(|| format!("the frame is not {written}")) });
        }
    }
    Some(conditions)
}

fn vlan(rule: &Rule, ranges: &[VlanRange], question: &Question) -> Condition {
    let holds = ranges.iter().any(|range| range.contains(question.vlan));
    let lacks = (!holds).then(|| format!("{} is not {}", question.vlan, rule.written.vlan));
    Condition { key: "vlan", lacks }
}

/// The condition on an address; `None` where the rule does not write one.
fn address(key: &'static str, set: &AddressSet, written: &str, address: IpAddr) -> Option<Condition> {
    let holds = match address {
        IpAddr::V4(v4) => set.contains_v4(v4.to_bits()),
        IpAddr::V6(v6) => set.contains_v6(v6.to_bits()),
    };
    if holds && set.is_any() {
        return None;
    }
    let lacks = (!holds).then(|| format!("{address} is not in {written}"));
    Some(Condition { key, lacks })
}

/// The conditions above the addresses. Source port and TCP state are judged beside the alternatives whose service holds, or
/// else beside all of them, where the packet has such a thing.
fn above_addresses(rule: &Rule, family: Family, content: Content) -> Vec<Condition> {
    let matching: Vec<&Service> =
        rule.services.iter().filter(|service| is_service(service, family, content)).collect();
    let mut conditions = Vec::new();
    let (key, written) = match rule.written.service.as_str() {
        "" => ("bundle", rule.written.bundle.as_str()),
        service => ("service", service),
    };
    if !written.is_empty() {
        let lacks = matching.is_empty().then(|| format!("{} is not {written}", content.words(family)));
        conditions.push(Condition { key, lacks });
    }
    let beside: Vec<&Service> = if matching.is_empty() { rule.services.iter().collect() } else { matching };
    if let (Some(first), Some((source, _))) = (beside.first(), content.ports()) {
        if first.source_ports.is_some() {
            let holds =
                beside.iter().any(|service| service.source_ports.is_none_or(|range| contains(range, source)));
            let lacks = (!holds).then(|| format!("{source} is not {}", source_ports(rule, &beside)));
            conditions.push(Condition { key: "source_port", lacks });
        }
        if let (Some(asked), Some(state)) = (first.tcp, content.tcp_state()) {
            let lacks = (asked != state).then(|| format!("the segment is {}", state_name(state)));
            conditions.push(Condition { key: "tcp", lacks });
        }
    }
    conditions
}

/// The source ports that are asked for: as written, or those of a bundle.
fn source_ports(rule: &Rule, services: &[&Service]) -> String {
    if !rule.written.source_port.is_empty() {
        return rule.written.source_port.clone();
    }
    let mut ports = Vec::new();
    for (low, high) in services.iter().filter_map(|service| service.source_ports) {
        let words = if low == high { low.to_string() } else { format!("{low}-{high}") };
        if !ports.contains(&words) {
            ports.push(words);
        }
    }
    ports.join(", ")
}

/// Whether an alternative is of the packet's family and protocol, whatever else it asks.
fn is_of_protocol(service: &Service, family: Family, content: Content) -> bool {
    service.family.is_none_or(|asked| asked == family)
        && service.protocol.is_none_or(|asked| asked == content.protocol(family))
}

/// Whether the packet is of the service that an alternative names, source port and TCP state aside.
fn is_service(service: &Service, family: Family, content: Content) -> bool {
    let port = |range| content.ports().is_some_and(|(_, port)| contains(range, port));
    let icmp = |asked: Icmp| {
        content
            .icmp()
            .is_some_and(|(kind, code)| asked.kind == kind && asked.code.is_none_or(|asked| asked == code))
    };
    is_of_protocol(service, family, content)
        && service.destination_ports.is_none_or(port)
        && service.icmp.is_none_or(icmp)
}

fn contains((low, high): (u16, u16), port: u16) -> bool {
    (low..=high).contains(&port)
}

fn state_name(state: TcpState) -> &'static str {
    match state {
        TcpState::New => "new",
        TcpState::Established => "established",
    }
}
