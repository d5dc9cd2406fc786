//! Sets of frames for machines.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::words::numbers;
use crate::ruleset::ether;
use crate::space::{Dimension, Kind, Range, Region, TAGS};

/// A region for machines: the fields that it restricts, each with its ranges.
pub(super) fn exact(region: &Region) -> BTreeMap<String, Vec<String>> {
    let kind = match region.kind {
        Kind::V4 => "ipv4",
        Kind::V6 => "ipv6",
        Kind::Ether => "other",
    };
    let mut fields = BTreeMap::from([("kind".to_owned(), vec![kind.to_owned()])]);
    for dimension in Dimension::ALL {
        if !region.side(dimension).is_all() {
            let ranges =
                region.ranges(dimension).into_iter().map(|range| value(region.kind, dimension, range));
            fields.insert(field(region.kind, dimension).to_owned(), ranges.collect());
        }
    }
    fields
}

fn field(kind: Kind, dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Stack => "vlan",
        Dimension::Options => "ip_options",
        Dimension::Part => "fragment",
        Dimension::Size => "bytes",
        Dimension::Target => "target",
        Dimension::Source => "source",
        Dimension::Destination => "destination",
        Dimension::Protocol if kind == Kind::Ether => "ethertype",
        Dimension::Protocol => "protocol",
        Dimension::Icmp => "icmp",
        Dimension::DestinationPort => "destination_port",
        Dimension::SourcePort => "source_port",
        Dimension::Tcp => "tcp",
    }
}

/// One range of a field, in the words of the policy where it has some.
fn value(kind: Kind, dimension: Dimension, range: Range) -> String {
    let between = |word: &dyn Fn(u128) -> String| match range {
        (low, high) if low == high => word(low),
        (low, high) => format!("{}-{}", word(low), word(high)),
    };
    let named = |names: &'static [&'static str]| between(&move |number| names[number as usize].to_owned());
    match dimension {
        Dimension::Stack => between(&stack),
        Dimension::Options => named(&["none", "some"]),
        Dimension::Part => named(&["whole", "first", "later"]),
        Dimension::Tcp => named(&["new", "established"]),
        Dimension::Target => between(&|number| Ipv6Addr::from(number).to_string()),
        Dimension::Source | Dimension::Destination if kind == Kind::V6 => {
            between(&|number| Ipv6Addr::from(number).to_string())
        }
        Dimension::Source | Dimension::Destination => {
            between(&|number| Ipv4Addr::from(number as u32).to_string())
        }
        Dimension::Protocol if kind == Kind::Ether => between(&|number| match number as u16 {
            ether::LLC => "llc".to_owned(),
            ether::SNAP => "snap".to_owned(),
            ether::STP => "stp".to_owned(),
            other => format!("0x{other:04x}"),
        }),
        Dimension::Icmp => between(&|number| format!("{}/{}", number >> 8, number & 255)),
        _ => numbers(range),
    }
}

/// "untagged", "10", "100/200", with the outer tag where it is not 0x8100.
fn stack(number: u128) -> String {
    match (number / 4096, number % 4096) {
        (0, 0) => "untagged".to_owned(),
        (0, vid) => vid.to_string(),
        (line, inner) => {
            let (tag, outer) = ((line - 1) / 4096, (line - 1) % 4096);
            let tag = TAGS.get(tag as usize).filter(|tag| **tag != TAGS[0]);
            tag.map_or_else(String::new, |tag| format!("0x{tag:04x}:")) + &format!("{outer}/{inner}")
        }
    }
}
