//! Step 7: rules as maps from addresses, ports and the like to the rule that is credited.
//!
//! Promises: the number of lookups follows from how rules overlap, not from how many there are. Keys that are exact are
//! hashed; intervals are keys of two parts or more, which the kernel looks up faster than those of one.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::entries::{Dimension, Entry, Kind, entries};
use super::layers::{Layer, layers};
use super::shape::Place;
use super::{ipv4, ipv6};
use crate::backend::nft::ir::{Element, Field, Part, Raw, Rule, Statement};
use crate::ruleset::{Action, AddressSet, Family};

/// Elements that the maps of a table may have.
pub(super) const MAX_ELEMENTS: usize = 1 << 18;

/// Boxes that the maps of one kind of packets may have: the kernel's sets of intervals grow by copying.
const MAX_INTERVALS: usize = 1 << 16;

/// Whether a rule of the zone tells new connections apart.
pub(super) fn asks_for_state(build: &Build<'_>, zone: usize) -> bool {
    let rules = build.zones[zone].rules.iter().map(|&rule| &build.ruleset.rules[rule as usize]);
    rules.into_iter().any(|rule| rule.services.iter().any(|service| service.tcp.is_some()))
}

/// The chain that credits packets of one kind on a zone.
pub(super) fn chain(build: &mut Build<'_>, zone: usize, place: Place, kind: Kind) -> String {
    let number = build.zones[zone].rules_number;
    build.chain(&format!("rules{number}.{}.{}", kind.name(), place.name()), |build| {
        let mut rules = maps(build, zone, place, kind);
        rules.push(build.fails(DropReason::NoRule, place.shape, Vec::new()));
        rules
    })
}

/// Whether the rules of a zone, where they name sources (destinations) of a family, name only addresses that are not
/// martian there.
pub(super) fn only_right(build: &Build<'_>, zone: usize, family: Family) -> [bool; 2] {
    let rules = || build.zones[zone].rules.iter().map(|&rule| &build.ruleset.rules[rule as usize]);
    let right = |set: &AddressSet, first_odd: u32| match family {
        Family::V4 => set.v4().iter().all(|&(low, high)| {
            low >= 1 << 24 && high < first_odd << 24 && (high < 127 << 24 || low >= 128 << 24)
        }),
        // Those that are martian begin with a byte of zeros; multicast is right as a destination.
        Family::V6 => {
            let last = if first_odd == 224 { 0xff << 120 } else { u128::MAX };
            set.v6().iter().all(|&(low, high)| low >= 1 << 120 && (high < last || first_odd == 240))
        }
    };
    [rules().all(|rule| right(&rule.from, 224)), rules().all(|rule| right(&rule.to, 240))]
}

/// A rule a layer.
pub(super) fn maps(build: &mut Build<'_>, zone: usize, place: Place, kind: Kind) -> Vec<Rule> {
    let place = alike(place, kind);
    let name = format!("{}.{}.{}", build.zones[zone].rules_number, kind.name(), place.name());
    if let Some(known) = build.known_maps.get(&name) {
        return known.clone();
    }
    let rules = new_maps(build, zone, place, kind);
    build.known_maps.insert(name, rules.clone());
    rules
}

/// The place whose maps will do: where the kernel has found layer 4, it is asked for ports and types in the same words
/// behind an extension header.
fn alike(place: Place, kind: Kind) -> Place {
    let same = place.family == Family::V6 && is_named(place, kind);
    if same { Place::v6(place.shape, 0) } else { place }
}

fn new_maps(build: &mut Build<'_>, zone: usize, place: Place, kind: Kind) -> Vec<Rule> {
    match spread(build, zone, place, kind) {
        Ok(layers) => layers
            .into_iter()
            .enumerate()
            .map(|(at, layer)| map(build, zone, (place, kind), at, &layer.entries))
            .collect(),
        Err(rules) => {
            build.too_large = Some(rules);
            Vec::new()
        }
    }
}

/// The boxes of the rules in layers. What denies comes first: so it does not cut what allows.
fn spread(build: &Build<'_>, zone: usize, place: Place, kind: Kind) -> Result<Vec<Layer>, Vec<u32>> {
    let left = MAX_ELEMENTS.saturating_sub(build.elements);
    let found = entries(build.ruleset, &build.zones[zone].rules, (place.family, kind), left)?;
    let address = if place.family == Family::V4 { u32::MAX.into() } else { u128::MAX };
    let dimensions = kind.dimensions().iter().map(|dimension| dimension.highest());
    let highest: Vec<u128> = [address, address].into_iter().chain(dimensions).collect();
    let denies = |entry: &Entry| build.ruleset.rules[entry.rule as usize].action == Action::Deny;
    let (deny, allow): (Vec<Entry>, Vec<Entry>) = found.into_iter().partition(denies);
    let most = left.min(MAX_INTERVALS);
    let mut spread = layers(deny, &highest, most)?;
    spread.extend(layers(allow, &highest, most)?);
    Ok(spread)
}

/// The lookup of one layer.
fn map(
    build: &mut Build<'_>,
    zone: usize,
    (place, kind): (Place, Kind),
    at: usize,
    entries: &[Entry],
) -> Rule {
    let columns = columns(place, kind);
    let exact = |column: usize| entries.iter().all(|entry| entry.spans[column].0 == entry.spans[column].1);
    let any = |column: usize| entries.iter().all(|entry| entry.spans[column] == (0, columns[column].highest));
    let mut used: Vec<usize> = (0..columns.len()).filter(|&column| !any(column)).collect();
    let interval = !used.iter().all(|&column| exact(column)) || used.is_empty();
    if interval {
        // The kernel takes intervals of two parts or more from the faster kind of set; the last column is the shortest.
        let more = (0..columns.len())
            .rev()
            .filter(|column| !used.contains(column))
            .take(2usize.saturating_sub(used.len()));
        used.extend(more.collect::<Vec<_>>());
        used.sort_unstable();
    }
    let number = build.zones[zone].rules_number;
    let name = format!("rules{number}.{}.{}.{at}", kind.name(), place.name());
    let elements: Vec<Element> = entries
        .iter()
        .map(|entry| Element {
            key: used.iter().map(|&column| entry.spans[column]).collect(),
            verdict: Some(build.credit_in_time(entry.rule, place.shape)),
        })
        .collect();
    let key = used.iter().map(|&column| columns[column].part.clone()).collect();
    let about = used.iter().map(|&column| columns[column].word).collect::<Vec<_>>().join(", ");
    let map = build.set(&name, &about, key, interval, || elements);
    let fields = used.iter().map(|&column| columns[column].field.clone()).collect();
    let lookup = Statement::Dispatch { fields, map };
    Rule::new(super::all([context(place, kind), vec![lookup]]))
}

/// One column of a map: what is read, how it is keyed, and its highest value.
struct Column {
    field: Field,
    part: Part,
    highest: u128,
    word: &'static str,
}

fn columns(place: Place, kind: Kind) -> Vec<Column> {
    let (v4, highest) =
        (place.family == Family::V4, if place.family == Family::V4 { u32::MAX.into() } else { u128::MAX });
    let named = is_named(place, kind);
    let (source, destination, address) = if v4 {
        ((Field::Ip4Source, 12), (Field::Ip4Destination, 16), (Part::Ip4, 4))
    } else {
        ((Field::Ip6Source, 8), (Field::Ip6Destination, 24), (Part::Ip6, 16))
    };
    let address = |(name, at): (Field, u32), word| {
        let field = if named { name } else { place.shape.layer3(at, address.1) };
        Column { part: part_of(&field, &address.0), field, highest, word }
    };
    let mut columns = vec![address(source, "source address"), address(destination, "destination address")];
    columns.extend(kind.dimensions().iter().map(|&dimension| layer4(place, named, dimension)));
    columns
}

/// Whether nft has words for everything that such packets are asked.
fn is_named(place: Place, kind: Kind) -> bool {
    let behind = place.family == Family::V6 && place.layer4 > 40;
    place.shape.known() && !(behind && matches!(kind, Kind::Other | Kind::Later))
}

fn layer4(place: Place, named: bool, dimension: Dimension) -> Column {
    let v4 = place.family == Family::V4;
    let (name, part, field, word) = match dimension {
        Dimension::Destination => (Field::DestinationPort, Part::Service, place.at(2, 2), "destination port"),
        Dimension::Source => (Field::SourcePort, Part::Service, place.at(0, 2), "source port"),
        Dimension::Type if v4 => (Field::IcmpType, Part::IcmpType, place.at(0, 1), "type"),
        Dimension::Type => (Field::Icmp6Type, Part::Icmp6Type, place.at(0, 1), "type"),
        Dimension::Code if v4 => (Field::IcmpCode, Part::IcmpCode, place.at(1, 1), "code"),
        Dimension::Code => (Field::Icmp6Code, Part::Icmp6Code, place.at(1, 1), "code"),
        Dimension::Protocol if v4 => (Field::Ip4Protocol, Part::Protocol, place.protocol(), "protocol"),
        Dimension::Protocol => (Field::Ip6Next, Part::Protocol, place.protocol(), "protocol"),
    };
    let field = if named { name } else { field };
    Column { part: part_of(&field, &part), field, highest: dimension.highest(), word }
}

/// A key of bytes for bytes, of the named type for a named field.
fn part_of(field: &Field, named: &Part) -> Part {
    match field {
        Field::Raw(Raw { header, offset, length, .. }) => {
            Part::Raw { header: *header, offset: *offset, length: *length }
        }
        _ => named.clone(),
    }
}

/// What a rule says before it uses nft's words.
fn context(place: Place, kind: Kind) -> Vec<Statement> {
    if !is_named(place, kind) {
        return Vec::new();
    }
    let (mut statements, icmp) = match place.family {
        Family::V4 => (ipv4::context(place.shape), 1),
        Family::V6 => (ipv6::context(place.shape), 58),
    };
    if kind == Kind::Icmp {
        statements.push(Statement::equal(Field::L4Protocol, &[icmp]));
    }
    statements
}
