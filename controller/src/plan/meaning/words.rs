//! Sets of frames in the words of the policy language.

use crate::meaning::{Cause, Difference, Side};
use crate::plan::words;
use crate::ruleset::{AddressSet, VlanId, VlanRange, ether};
use crate::space::{Dimension, Kind, Range, Region, Set, Setting, TAGS, stacks};

/// Values that are written out before the rest is only counted.
const SHOWN: usize = 6;

/// The key of the policy that a setting is under.
pub(super) fn setting(setting: Setting) -> &'static str {
    match setting {
        Setting::Vlans => "vlans",
        Setting::OuterTag => "outer_tag",
        Setting::Sources => "sources",
        Setting::Mtu => "mtu",
        Setting::Fragments => "fragments",
        Setting::IpOptions => "ip_options",
    }
}

/// VLANs by their numbers, as far as the interface allows them: "vlan mgmt (10), 20-29", "every vlan".
pub(super) fn vlan(stack: &Set, passing: Side<'_>) -> String {
    let interface = &passing.ruleset.interfaces[passing.interface];
    let allowed: Vec<VlanRange> = interface.vlans.iter().map(|entry| entry.range).collect();
    let allowed = stacks(&allowed);
    let own = stack.intersection(&allowed);
    if own == allowed && own != Set::one(0) {
        return "every vlan".to_owned();
    }
    let tag = TAGS.iter().position(|tag| *tag == interface.outer_tag).unwrap_or(0) as u128;
    let mut found = Vec::new();
    let mut is_tagged = false;
    for (low, high) in own.ranges(Dimension::Stack.end(Kind::V4)) {
        if low == 0 {
            found.push("untagged".to_owned());
        }
        if high > 0 && low < 4096 {
            is_tagged = true;
            found.push(named(
                VlanRange::Single { low: low.max(1) as u16, high: high.min(4094) as u16 },
                passing,
            ));
        }
        for number in low.max(4096)..=high.min(low.max(4096) + SHOWN as u128) {
            let line = number / 4096 - 1;
            if line / 4096 == tag {
                is_tagged = true;
                let (outer, inner) = ((line % 4096) as u16, (number % 4096) as u16);
                found.push(named(VlanRange::Stacked { outer, inner }, passing));
            }
        }
    }
    let text = listed(&found);
    if is_tagged { format!("vlan {text}") } else { text }
}

fn named(range: VlanRange, side: Side<'_>) -> String {
    let id = match range {
        VlanRange::Single { low, high } if low == high => VlanId::Single(low),
        VlanRange::Stacked { outer, inner } => VlanId::Stacked { outer, inner },
        _ => return range.to_string(),
    };
    let known = side.ruleset.vlans.iter().find(|vlan| vlan.id == id);
    known.map_or_else(|| range.to_string(), |vlan| format!("{} ({range})", vlan.name))
}

/// What the frames are: "192.0.2.0/25 -> 203.0.113.10 tcp/22", "arp from 10.0.0.0/8".
pub(super) fn frames(difference: &Difference, dropping: Side<'_>, passing: Side<'_>) -> String {
    let first = &difference.regions[0];
    let side = |dimension| ends(difference, dimension, &[dropping, passing]);
    let mut text = if first.kind == Kind::Ether {
        let from = side(Dimension::Source);
        let kinds = ethertypes(first);
        if from == "any IPv4" { kinds } else { format!("{kinds} from {from}") }
    } else {
        let (from, to) = (side(Dimension::Source), side(Dimension::Destination));
        // One family is said once.
        let (from, to) = match (from.strip_prefix("any IP"), to.strip_prefix("any IP")) {
            (Some(_), Some("v4" | "v6")) | (None, Some("v4" | "v6")) => (from, "any".to_owned()),
            (Some("v4" | "v6"), None) => ("any".to_owned(), to),
            _ => (from, to),
        };
        format!("{from} -> {to} {}", services(first))
    };
    let part = match first.ranges(Dimension::Part)[..] {
        [(1, 1)] => ", first fragments",
        [(1, 2)] => ", fragments",
        [(2, 2)] => ", later fragments",
        _ => "",
    };
    text += part;
    if *first.side(Dimension::Options) == Set::one(1) {
        text += ", with IP options";
    }
    if !first.side(Dimension::Size).is_all() {
        let sizes = first.ranges(Dimension::Size).into_iter().map(|(low, high)| match high {
            high if high == Dimension::Size.end(first.kind) => format!("{low} and more"),
            high => numbers((low, high)),
        });
        text += &format!(", of {} bytes", listed(&sizes.collect::<Vec<_>>()));
    }
    if !first.side(Dimension::Target).is_all() {
        text += &format!(", about {}", addresses(Kind::V6, first.side(Dimension::Target)));
    }
    text
}

/// One end of all regions together: by the name that a rule behind it has for just these addresses, or written out.
fn ends(difference: &Difference, dimension: Dimension, sides: &[Side<'_>; 2]) -> String {
    let set = AddressSet::new(
        of_kind(difference, dimension, |kind| kind != Kind::V6)
            .map(|(low, high)| (low as u32, high as u32))
            .collect(),
        of_kind(difference, dimension, |kind| kind == Kind::V6).collect(),
    );
    let whole = |region: &Region| region.side(dimension).is_all();
    if difference.regions.iter().all(whole) {
        return match difference.regions[..] {
            [ref one] if one.kind == Kind::V6 => "any IPv6".to_owned(),
            [_] => "any IPv4".to_owned(),
            _ => "any".to_owned(),
        };
    }
    let rules = difference.causes.iter().filter_map(|cause| match *cause {
        Cause::Allow(rule) => Some(&sides[1].ruleset.rules[rule]),
        Cause::Deny(rule) => Some(&sides[0].ruleset.rules[rule]),
        Cause::Setting(_) => None,
    });
    for rule in rules {
        let (own, written) = match dimension {
            Dimension::Source => (&rule.from, &rule.written.from),
            _ => (&rule.to, &rule.written.to),
        };
        let is_name = written.starts_with(|letter: char| letter.is_ascii_lowercase())
            && !written.contains([':', ',', '/']);
        if is_name && *own == set {
            return format!("{written} ({})", words::size(&set));
        }
    }
    match difference.regions[..] {
        [ref one] => addresses(one.kind, one.side(dimension)),
        _ => words::addresses(&set),
    }
}

fn of_kind(
    difference: &Difference,
    dimension: Dimension,
    wanted: impl Fn(Kind) -> bool,
) -> impl Iterator<Item = Range> {
    difference
        .regions
        .iter()
        .filter(move |region| wanted(region.kind))
        .flat_map(move |region| region.ranges(dimension))
}

/// Addresses of one family, by what is missing where that is shorter.
fn addresses(kind: Kind, set: &Set) -> String {
    let end = Dimension::Source.end(kind);
    let of = |set: &Set| {
        let ranges = set.ranges(end);
        match kind {
            Kind::V6 => AddressSet::new(Vec::new(), ranges),
            _ => AddressSet::new(
                ranges.iter().map(|&(low, high)| (low as u32, high as u32)).collect(),
                Vec::new(),
            ),
        }
    };
    let (own, others) = (of(set), of(&Set::ALL.difference(set, end)));
    let family = if kind == Kind::V6 { "any IPv6" } else { "any IPv4" };
    if words::prefix_count(&others) < words::prefix_count(&own) {
        return format!("{family} but {}", words::addresses(&others));
    }
    words::addresses(&own)
}

fn ethertypes(region: &Region) -> String {
    let name = |key: u128| match key as u16 {
        ether::LLC => "llc".to_owned(),
        ether::SNAP => "snap".to_owned(),
        ether::STP => "stp".to_owned(),
        ether::ARP => "arp".to_owned(),
        0x88cc => "lldp".to_owned(),
        0x888e => "eapol".to_owned(),
        0x8809 => "lacp".to_owned(),
        other => format!("ethertype 0x{other:04x}"),
    };
    let keys =
        region.ranges(Dimension::Protocol).into_iter().flat_map(|(low, high)| low..=high.min(low + 99));
    listed(&keys.map(name).collect::<Vec<_>>())
}

/// Protocols with ports, types and states.
fn services(region: &Region) -> String {
    let protocols = region.side(Dimension::Protocol);
    let end = Dimension::Protocol.end(region.kind);
    if protocols.is_all() {
        return "any".to_owned();
    }
    let count = protocols.log2(end).exp2().round() as usize;
    let each =
        |set: &Set| -> Vec<u128> { set.ranges(end).iter().flat_map(|&(low, high)| low..=high).collect() };
    if count > 128 {
        let others = each(&Set::ALL.difference(protocols, end));
        let names: Vec<String> = others.iter().map(|number| protocol(*number as u8, region.kind)).collect();
        return format!("any but {}", listed(&names));
    }
    let found = each(protocols).into_iter().flat_map(|number| service(number as u8, region));
    let mut text = listed(&found.collect::<Vec<_>>());
    if !region.side(Dimension::SourcePort).is_all() {
        let ports: Vec<String> = region.ranges(Dimension::SourcePort).into_iter().map(numbers).collect();
        text += &format!(" from port {}", listed(&ports));
    }
    match region.ranges(Dimension::Tcp)[..] {
        [(0, 0)] => text + " (new)",
        [(1, 1)] => text + " (established)",
        _ => text,
    }
}

/// One protocol with each of its ports or types.
fn service(number: u8, region: &Region) -> Vec<String> {
    let name = protocol(number, region.kind);
    let is_icmp = (number == 1 && region.kind == Kind::V4) || (number == 58 && region.kind == Kind::V6);
    let with = |ranges: Vec<Range>, word: &dyn Fn(Range) -> String| {
        ranges.into_iter().map(|range| format!("{name}/{}", word(range))).collect()
    };
    if is_icmp && !region.side(Dimension::Icmp).is_all() {
        return with(region.ranges(Dimension::Icmp), &messages);
    }
    if [6, 17, 132].contains(&number) && !region.side(Dimension::DestinationPort).is_all() {
        return with(region.ranges(Dimension::DestinationPort), &numbers);
    }
    vec![name]
}

fn protocol(number: u8, kind: Kind) -> String {
    match (number, kind) {
        (1, Kind::V4) => "icmp".to_owned(),
        (58, Kind::V6) => "icmpv6".to_owned(),
        (6, _) => "tcp".to_owned(),
        (17, _) => "udp".to_owned(),
        (132, _) => "sctp".to_owned(),
        (2, _) => "igmp".to_owned(),
        (47, _) => "gre".to_owned(),
        (50, _) => "esp".to_owned(),
        (51, _) => "ah".to_owned(),
        (number, _) => format!("ip/{number}"),
    }
}

/// Types and codes of one range: "8", "3/4", "128-129", "3/2-3/9".
fn messages((low, high): Range) -> String {
    let (first, last) = ((low >> 8, low & 255), (high >> 8, high & 255));
    match (first, last) {
        ((kind, 0), (end, 255)) => numbers((kind, end)),
        (first, last) if first == last => format!("{}/{}", first.0, first.1),
        (first, last) => format!("{}/{}-{}/{}", first.0, first.1, last.0, last.1),
    }
}

pub(super) fn numbers((low, high): Range) -> String {
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}

/// The first few, and how many more there are.
fn listed(all: &[String]) -> String {
    match all.len() {
        many if many > SHOWN => format!("{} and {} more", all[..SHOWN].join(", "), many - SHOWN),
        _ => all.join(", "),
    }
}
