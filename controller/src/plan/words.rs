//! The values of a ruleset in the words of the policy language.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::ruleset::{
    Accounting, AddressSet, Family, Fragments, IpOptions, Mode, Oversize, Rule, Service, TcpState, VlanEntry,
};

/// How many prefixes of a set are written out before the rest is only counted.
const SHOWN: usize = 4;

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Native => "native",
        Mode::Generic => "generic",
        Mode::Nft => "nft",
        Mode::Both => "both",
    }
}

pub(super) fn oversize(value: Oversize) -> &'static str {
    match value {
        Oversize::Drop => "drop",
        Oversize::Count => "count",
    }
}

pub(super) fn fragments(value: Fragments) -> &'static str {
    match value {
        Fragments::Drop => "drop",
        Fragments::Stateless => "stateless",
    }
}

pub(super) fn ip_options(value: IpOptions) -> &'static str {
    match value {
        IpOptions::Drop => "drop",
        IpOptions::Pass => "pass",
    }
}

pub(super) fn accounting(value: Accounting) -> String {
    let series = [
        (value.vlan, "vlan"),
        (value.size, "size"),
        (value.fragments, "fragments"),
        (value.pmtu, "pmtu"),
        (value.last_hit, "last_hit"),
    ];
    let on: Vec<&str> = series.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    match on.len() {
        0 => "none".to_owned(),
        5 => "all".to_owned(),
        _ => on.join(", "),
    }
}

/// The entries of an interface's `vlans`, a name with the id it stands for.
pub(super) fn vlans(entries: &[VlanEntry]) -> String {
    let one = |entry: &VlanEntry| {
        let range = entry.range.to_string();
        if range == entry.label { range } else { format!("{} ({range})", entry.label) }
    };
    entries.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A set of addresses as the fewest prefixes, the first few written out.
pub(super) fn addresses(set: &AddressSet) -> String {
    if set.is_any() {
        return "any".to_owned();
    }
    let all = prefixes(set);
    match all.len() {
        0 => "nothing".to_owned(),
        many if many > SHOWN => format!("{} and {} more", all[..SHOWN].join(", "), many - SHOWN),
        _ => all.join(", "),
    }
}

/// How many prefixes a set takes: "3 prefixes".
pub(super) fn size(set: &AddressSet) -> String {
    match prefixes(set).len() {
        1 => "1 prefix".to_owned(),
        many => format!("{many} prefixes"),
    }
}

/// How many prefixes a set takes.
pub(super) fn prefix_count(set: &AddressSet) -> usize {
    let v4 = set.v4().iter().map(|&(low, high)| split(low.into(), high.into(), 32).len());
    let v6 = set.v6().iter().map(|&(low, high)| split(low, high, 128).len());
    v4.chain(v6).sum()
}

/// The fewest prefixes that cover a set, IPv4 first.
fn prefixes(set: &AddressSet) -> Vec<String> {
    let v4 = set.v4().iter().flat_map(|&(low, high)| split(low.into(), high.into(), 32));
    let v6 = set.v6().iter().flat_map(|&(low, high)| split(low, high, 128));
    let v4 = v4.map(|(address, length)| match (Ipv4Addr::from(address as u32), length) {
        (address, 32) => address.to_string(),
        (address, length) => format!("{address}/{length}"),
    });
    let v6 = v6.map(|(address, length)| match (Ipv6Addr::from(address), length) {
        (address, 128) => address.to_string(),
        (address, length) => format!("{address}/{length}"),
    });
    v4.chain(v6).collect()
}

/// An inclusive range of `width`-bit addresses as (address, prefix length).
fn split(low: u128, high: u128, width: u32) -> Vec<(u128, u32)> {
    let (mut prefixes, mut next) = (Vec::new(), Some(low));
    while let Some(start) = next.filter(|start| *start <= high) {
        let room = (high - start).checked_add(1).map_or(128, u128::ilog2);
        let bits = start.trailing_zeros().min(room).min(width);
        prefixes.push((start, width - bits));
        next = 1u128.checked_shl(bits).and_then(|size| start.checked_add(size));
    }
    prefixes
}

/// One alternative of a rule in the service grammar.
pub(super) fn service(service: &Service) -> String {
    let ports = |range: Option<(u16, u16)>| match range {
        None => String::new(),
        Some((low, high)) if low == high => format!("/{low}"),
        Some((low, high)) => format!("/{low}-{high}"),
    };
    let name = match (service.protocol, service.family) {
        (None, None) => "any".to_owned(),
        (None, Some(Family::V4)) => "any IPv4".to_owned(),
        (None, Some(Family::V6)) => "any IPv6".to_owned(),
        (Some(1), Some(Family::V4)) => "icmp".to_owned(),
        (Some(58), Some(Family::V6)) => "icmpv6".to_owned(),
        (Some(6), _) => "tcp".to_owned(),
        (Some(17), _) => "udp".to_owned(),
        (Some(132), _) => "sctp".to_owned(),
        (Some(2), _) => "igmp".to_owned(),
        (Some(47), _) => "gre".to_owned(),
        (Some(50), _) => "esp".to_owned(),
        (Some(51), _) => "ah".to_owned(),
        (Some(number), _) => format!("ip/{number}"),
    };
    let mut text = name + &ports(service.destination_ports);
    if let Some(icmp) = service.icmp {
        text += &icmp.code.map_or(format!("/{}", icmp.kind), |code| format!("/{}/{code}", icmp.kind));
    }
    if let Some((low, high)) = service.source_ports {
        text += &if low == high { format!(" from port {low}") } else { format!(" from ports {low}-{high}") };
    }
    match service.tcp {
        None => text,
        Some(TcpState::New) => text + " (new)",
        Some(TcpState::Established) => text + " (established)",
    }
}

/// Every alternative of a rule.
pub(super) fn services(services: &[Service]) -> String {
    services.iter().map(service).collect::<Vec<_>>().join(", ")
}

/// A rule's conditions in one line, without its VLANs.
pub(super) fn rule(rule: &Rule) -> String {
    let written = &rule.written;
    let mut parts = Vec::new();
    if !written.ethertype.is_empty() {
        parts.push(format!("ethertype {}", written.ethertype));
    }
    if !rule.services.is_empty() {
        parts.push(format!("from {} to {}", end(&written.from, &rule.from), end(&written.to, &rule.to)));
    }
    parts.push(asked(rule));
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

/// One end of a rule: the words, and how many prefixes they stand for where that is not plain.
fn end(written: &str, set: &AddressSet) -> String {
    match written {
        "" | "any" => addresses(set),
        words if words == addresses(set) => words.to_owned(),
        words => format!("{words} ({})", size(set)),
    }
}

/// What a rule asks of the packet above the addresses; bundles are shown with what they stand for.
pub(super) fn asked(rule: &Rule) -> String {
    let written = &rule.written;
    if !written.bundle.is_empty() {
        let mut all = services(&rule.services);
        if rule.ethertypes.contains(&crate::ruleset::ether::ARP) {
            all = if all.is_empty() { "arp".to_owned() } else { format!("arp, {all}") };
        }
        return format!("bundle {} ({all})", written.bundle);
    }
    let service = match written.service.as_str() {
        "" if rule.services.is_empty() => String::new(),
        "" => "any IP packet".to_owned(),
        words => words.to_owned(),
    };
    let source_port = prefixed(" from port ", &written.source_port);
    let tcp = prefixed(" tcp ", &written.tcp);
    format!("{service}{source_port}{tcp}")
}

fn prefixed(before: &str, words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("{before}{words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_fewest_prefixes() {
        let set = AddressSet::new(vec![(0xc000_0200, 0xc000_02ff), (0x0a00_0001, 0x0a00_0003)], vec![(1, 1)]);
        assert_eq!(addresses(&set), "10.0.0.1, 10.0.0.2/31, 192.0.2.0/24, ::1");
        assert_eq!(size(&set), "4 prefixes");
        assert_eq!(addresses(&AddressSet::any()), "any");
        assert_eq!(prefixes(&AddressSet::any()), ["0.0.0.0/0", "::/0"]);
        assert_eq!(prefixes(&AddressSet::new(vec![(1, u32::MAX)], Vec::new())).len(), 32);
    }

    #[test]
    fn a_service_reads_as_the_grammar_writes_it() {
        let tcp = Service { protocol: Some(6), destination_ports: Some((80, 81)), ..Service::default() };
        assert_eq!(service(&tcp), "tcp/80-81");
        assert_eq!(service(&Service { tcp: Some(TcpState::New), ..tcp }), "tcp/80-81 (new)");
        assert_eq!(service(&Service::default()), "any");
    }
}
