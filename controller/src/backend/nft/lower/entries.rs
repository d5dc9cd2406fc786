//! Rules as boxes: for packets of one kind, the intervals of addresses, ports and the like that a rule matches.
//!
//! Promises: the boxes of a rule are exactly what it matches among packets of that kind, until it ends; they stand in the order in which
//! rules are credited.

use crate::ruleset::{Action, AddressSet, Family, Rule, Ruleset, Service, TcpState};

/// Packets that rules can ask the same of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// TCP that opens a connection; all of TCP, where no rule tells it apart.
    TcpNew,
    TcpEstablished,
    Udp,
    Sctp,
    /// ICMP in IPv4, ICMPv6 in IPv6.
    Icmp,
    /// Every other protocol.
    Other,
    /// Later fragments of every protocol.
    Later,
}

impl Kind {
    /// The end of the names of chains and sets.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::TcpNew => "tcp",
            Kind::TcpEstablished => "tcp_established",
            Kind::Udp => "udp",
            Kind::Sctp => "sctp",
            Kind::Icmp => "icmp",
            Kind::Other => "other",
            Kind::Later => "later",
        }
    }

    /// What the dimensions after the addresses are.
    pub(super) fn dimensions(self) -> &'static [Dimension] {
        match self {
            Kind::TcpNew | Kind::TcpEstablished | Kind::Udp | Kind::Sctp => {
                &[Dimension::Destination, Dimension::Source]
            }
            Kind::Icmp => &[Dimension::Type, Dimension::Code],
            Kind::Other | Kind::Later => &[Dimension::Protocol],
        }
    }

    fn protocol(self, family: Family) -> Option<u8> {
        match self {
            Kind::TcpNew | Kind::TcpEstablished => Some(6),
            Kind::Udp => Some(17),
            Kind::Sctp => Some(132),
            Kind::Icmp => Some(if family == Family::V4 { 1 } else { 58 }),
            Kind::Other | Kind::Later => None,
        }
    }
}

/// What a rule can ask of layer 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    /// Destination and source port.
    Destination,
    Source,
    /// Of ICMP and ICMPv6.
    Type,
    Code,
    Protocol,
}

impl Dimension {
    pub(super) fn highest(self) -> u128 {
        match self {
            Dimension::Destination | Dimension::Source => 65_535,
            Dimension::Type | Dimension::Code | Dimension::Protocol => 255,
        }
    }
}

/// An inclusive interval.
pub(super) type Span = (u128, u128);

/// One box, and the rule it belongs to. The dimensions are source, destination and those of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) spans: Vec<Span>,
    pub(super) rule: u32,
    /// When the rule ends.
    pub(super) end: End,
}

/// An instant, in seconds since 1970, or [`NEVER`].
pub(super) type End = u64;

pub(super) const NEVER: End = u64::MAX;

/// When a rule ends; what the kernel's clock never comes to (the year 2262) is never.
pub(super) fn end(rule: &Rule) -> End {
    const LAST: i64 = i64::MAX / 1_000_000_000;
    let Some(end) = rule.end() else { return NEVER };
    match end.as_second() + i64::from(end.subsec_nanosecond() > 0) {
        LAST.. => NEVER,
        seconds => seconds.max(0).unsigned_abs(),
    }
}

impl Entry {
    /// Whether this box, which is judged first, leaves no point of the other at any time.
    pub(super) fn hides(&self, other: &Entry) -> bool {
        self.end >= other.end && covers(&self.spans, &other.spans)
    }
}

/// The boxes of `rules` for packets of one family and kind, or the rules that have too many.
pub(super) fn entries(
    ruleset: &Ruleset,
    rules: &[u32],
    (family, kind): (Family, Kind),
    most: usize,
) -> Result<Vec<Entry>, Vec<u32>> {
    let mut entries = Vec::new();
    for &number in rules {
        let rule = &ruleset.rules[number as usize];
        let (from, to) = (spans(&rule.from, family), spans(&rule.to, family));
        let layer4 = layer4(rule, family, kind);
        if entries.len() + from.len().saturating_mul(to.len()).saturating_mul(layer4.len()) > most {
            return Err(heaviest(&entries, number));
        }
        for &from in &from {
            for &to in &to {
                for above in &layer4 {
                    let spans = [from, to].into_iter().chain(above.iter().copied()).collect();
                    entries.push(Entry { spans, rule: number, end: end(rule) });
                }
            }
        }
    }
    Ok(entries)
}

/// The rules with the most boxes so far, after the one that was too much.
fn heaviest(entries: &[Entry], last: u32) -> Vec<u32> {
    let mut counts: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.rule).or_default() += 1;
    }
    let mut counts: Vec<(usize, u32)> = counts.into_iter().map(|(rule, count)| (count, rule)).collect();
    counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    std::iter::once(last).chain(counts.into_iter().map(|(_, rule)| rule)).collect()
}

fn spans(set: &AddressSet, family: Family) -> Vec<Span> {
    match family {
        Family::V4 => set.v4().iter().map(|&(low, high)| (low.into(), high.into())).collect(),
        Family::V6 => set.v6().to_vec(),
    }
}

/// What the alternatives of a rule ask of layer 4; one that another covers is left out.
fn layer4(rule: &Rule, family: Family, kind: Kind) -> Vec<Vec<Span>> {
    let mut found: Vec<Vec<Span>> = Vec::new();
    let mut alternatives: Vec<Vec<Span>> =
        rule.services.iter().filter_map(|service| asks(service, rule.action, family, kind)).collect();
    // The widest first, so that what they cover is seen.
    alternatives
        .sort_by_key(|spans| std::cmp::Reverse(spans.iter().map(|(low, high)| high - low).sum::<u128>()));
    for spans in alternatives {
        if !found.iter().any(|wider| covers(wider, &spans)) {
            found.push(spans);
        }
    }
    found.sort_unstable();
    found
}

/// How many last bits of a number do not matter to an interval; `None` where it is no prefix.
pub(super) fn prefix((low, high): Span) -> Option<u32> {
    let rest = high - low;
    (rest & rest.wrapping_add(1) == 0 && low & rest == 0).then(|| rest.count_ones())
}

/// Whether every point of `inner` is in `outer`.
pub(super) fn covers(outer: &[Span], inner: &[Span]) -> bool {
    outer.iter().zip(inner).all(|(outer, inner)| outer.0 <= inner.0 && inner.1 <= outer.1)
}

fn asks(service: &Service, action: Action, family: Family, kind: Kind) -> Option<Vec<Span>> {
    if service.family.is_some_and(|asked| asked != family) {
        return None;
    }
    let any = |dimension: Dimension| (0, dimension.highest());
    let exactly = |number: u8| (u128::from(number), u128::from(number));
    match kind {
        Kind::Other => Some(vec![service.protocol.map_or(any(Dimension::Protocol), exactly)]),
        Kind::Later => {
            let met = action == Action::Deny || !service.has_layer4_condition();
            met.then(|| vec![service.protocol.map_or(any(Dimension::Protocol), exactly)])
        }
        _ if service.protocol.is_some_and(|asked| kind.protocol(family) != Some(asked)) => None,
        Kind::TcpNew if service.tcp == Some(TcpState::Established) => None,
        Kind::TcpEstablished if service.tcp == Some(TcpState::New) => None,
        Kind::Icmp => {
            let kind = service.icmp.map_or(any(Dimension::Type), |icmp| exactly(icmp.kind));
            let code = service.icmp.and_then(|icmp| icmp.code).map_or(any(Dimension::Code), exactly);
            Some(vec![kind, code])
        }
        _ => {
            let ports = |asked: Option<(u16, u16)>| {
                asked.map_or((0, 65_535), |(low, high)| (low.into(), high.into()))
            };
            Some(vec![ports(service.destination_ports), ports(service.source_ports)])
        }
    }
}
