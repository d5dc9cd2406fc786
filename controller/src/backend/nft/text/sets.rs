//! Sets and maps in nft's words.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fields::place;
use super::verdict;
use crate::backend::nft::ir::{Element, Maps, Part, Set, To};

pub(super) fn render(text: &mut String, set: &Set) {
    let kind = if set.map.is_some() { "map" } else { "set" };
    let _ = writeln!(text, "\n\t# {}\n\t{kind} {} {{", set.about, set.name);
    let value = match set.map {
        Some(Maps::Verdicts) => " : verdict",
        Some(Maps::Counters) => " : counter",
        None => "",
    };
    let _ = writeln!(text, "\t\t{}{value}", key(&set.key));
    if set.interval {
        text.push_str("\t\tflags interval\n");
    } else if let Some(size) = set.size() {
        let _ = writeln!(text, "\t\tsize {size}");
    }
    elements(text, set);
    text.push_str("\t}\n");
}

/// Columns after which a line of elements ends.
const WIDTH: usize = 100;

/// The elements, verdicts on a line each, others as many as a line holds.
fn elements(text: &mut String, set: &Set) {
    let mut line = String::from("\t\telements = { ");
    for (number, element) in set.elements.iter().enumerate() {
        line.push_str(&self::element(set, element));
        let last = number + 1 == set.elements.len();
        line.push_str(if last { " }" } else { ", " });
        if last || set.map.is_some() || line.len() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = String::from("\t\t\t");
        }
    }
}

/// `type ...`, or `typeof ...` for numbers that nft has no type for; the parts of a key are all of one or the other.
fn key(parts: &[Part]) -> String {
    let raw = parts.iter().any(|part| matches!(part, Part::Raw { .. } | Part::Length));
    let name = |part: &Part| match part {
        Part::Raw { header, offset, length } => place(*header, *offset, *length),
        Part::Length => "meta length".to_owned(),
        Part::Ip4 => "ipv4_addr".to_owned(),
        Part::Ip6 => "ipv6_addr".to_owned(),
        Part::Service => "inet_service".to_owned(),
        Part::EtherType => "ether_type".to_owned(),
        Part::Protocol => "inet_proto".to_owned(),
        Part::IcmpType => "icmp_type".to_owned(),
        Part::IcmpCode => "icmp_code".to_owned(),
        Part::Icmp6Type => "icmpv6_type".to_owned(),
        Part::Icmp6Code => "icmpv6_code".to_owned(),
    };
    let names: Vec<String> = parts.iter().map(name).collect();
    format!("{} {}", if raw { "typeof" } else { "type" }, names.join(" . "))
}

/// One element of a set.
pub(in crate::backend::nft) fn element(set: &Set, element: &Element) -> String {
    let parts: Vec<String> =
        set.key.iter().zip(&element.key).map(|(part, span)| interval(part, *span)).collect();
    let key = parts.join(" . ");
    match &element.to {
        Some(To::Verdict(to)) => format!("{key} : {}", verdict(to)),
        Some(To::Counter(name)) => format!("{key} : \"{name}\""),
        None => key,
    }
}

fn interval(part: &Part, (low, high): (u128, u128)) -> String {
    if low == high { number(part, low) } else { format!("{}-{}", number(part, low), number(part, high)) }
}

fn number(part: &Part, number: u128) -> String {
    match part {
        Part::Ip4 => Ipv4Addr::from_bits(number as u32).to_string(),
        Part::Ip6 => Ipv6Addr::from_bits(number).to_string(),
        Part::Raw { .. } | Part::EtherType => format!("{number:#x}"),
        _ => number.to_string(),
    }
}
