//! Step 7: rules as maps from addresses, ports and the like to the rule that is credited.
//!
//! Promises: the number of lookups follows from how rules overlap, not from how many there are. Keys that are exact, or
//! prefixes of one length, are hashed; intervals are keys of two parts or more, which the kernel looks up faster than those of
//! one, in buckets of few where they are many. Where it can be, what a key leads to is the counter of its rule, and the verdict stands in the rule that asks.

use std::collections::HashSet;

use perimeter_classifier::verdict::DropReason;

use super::buckets::buckets;
use super::build::Build;
use super::entries::{Dimension, Entry, Kind, NEVER, entries, prefix};
use super::layers::{Layer, layers};
use super::shape::Place;
use super::{ipv4, ipv6, vlans};
use crate::backend::nft::ir::{Element, Field, Part, Raw, Rule, Statement, To, Verdict};
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
            .flat_map(|(at, layer)| in_buckets(build, zone, (place, kind), at, &layer.entries))
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

/// The lookups of layer number `at`: first of the bucket, where there are some, and then of the boxes in it.
fn in_buckets(
    build: &mut Build<'_>,
    zone: usize,
    (place, kind): (Place, Kind),
    at: usize,
    entries: &[Entry],
) -> Vec<Rule> {
    let number = build.zones[zone].rules_number;
    let name = format!("rules{number}.{}.{}.{at}", kind.name(), place.name());
    let address = if place.family == Family::V4 { 32 } else { 128 };
    let left = MAX_ELEMENTS.saturating_sub(build.elements);
    let hashed = Key::new(columns(place, kind), entries).prefixes.is_some();
    let Some(split) = (!hashed).then(|| buckets(entries, address, left)).flatten() else {
        return vec![map(build, (place, kind), &name, entries)];
    };
    let mut elements = Vec::new();
    for (prefix, entries) in &split.buckets {
        let name = format!("{name}.{:x}", prefix >> split.rest);
        let chain = build.chain(&name, |build| vec![map(build, (place, kind), &name, entries)]);
        elements.push(Element { key: vec![(*prefix, *prefix)], to: Some(To::Verdict(Verdict::Jump(chain))) });
    }
    let column = columns(place, kind).swap_remove(split.dimension);
    let about = format!("the first bits of the {}, and the rules that speak of them", column.word);
    let map_name = build.set(&name, &about, vec![column.part], false, || elements);
    let mut statements = context(place, kind);
    statements.push(Statement::Dispatch { fields: vec![without(&column.field, split.rest)], map: map_name });
    let mut rules = vec![Rule::new(statements)];
    if !split.others.is_empty() {
        rules.push(map(build, (place, kind), &format!("{name}.wide"), &split.others));
    }
    rules
}

/// The lookup of boxes that do not overlap.
fn map(build: &mut Build<'_>, (place, kind): (Place, Kind), name: &str, entries: &[Entry]) -> Rule {
    let key = Key::new(columns(place, kind), entries);
    let mut statements = context(place, kind);
    // Where frames are counted by VLAN too, or told of, a chain does both.
    let plain = |entry: &Entry| entry.end == NEVER && !build.logs(entry.rule);
    let counts = key.can_count() && !vlans::counts(build) && entries.iter().all(plain);
    if counts {
        let to = |build: &mut Build<'_>, rule| To::Counter(build.counter_of(rule, place.shape));
        let map = key.set(build, name, entries, to);
        statements.push(Statement::CountBy { fields: key.fields(), map });
        if !build.tells() {
            let action = build.ruleset.rules[entries[0].rule as usize].action;
            statements.push(Statement::Verdict(build.verdict_of(action)));
            return Rule::new(statements);
        }
    }
    // A counter does not say which one it is: who is to tell asks again.
    let name = if counts { format!("{name}.told") } else { name.to_owned() };
    let to = |build: &mut Build<'_>, rule| To::Verdict(build.credit_in_time(rule, place.shape));
    let map = key.set(build, &name, entries, to);
    statements.push(Statement::Dispatch { fields: key.fields(), map });
    Rule::new(statements)
}

/// What a map of one layer is asked.
struct Key {
    columns: Vec<Column>,
    /// For each column how many of its last bits do not matter, where that is the same for all boxes: then keys are hashed. Otherwise
    /// they are intervals.
    prefixes: Option<Vec<u32>>,
}

impl Key {
    /// The columns of which some box asks something.
    fn new(columns: Vec<Column>, entries: &[Entry]) -> Key {
        let any = |column: &Column| entries.iter().all(|entry| entry.spans[column.at] == (0, column.highest));
        let (mut others, mut used): (Vec<Column>, Vec<Column>) = columns.into_iter().partition(any);
        let same = |column: &Column| {
            let mut prefixes = entries.iter().map(|entry| prefix(entry.spans[column.at]));
            let first = prefixes.next().flatten().filter(|&rest| rest == 0 || column.address)?;
            prefixes.all(|prefix| prefix == Some(first)).then_some(first)
        };
        let prefixes: Option<Vec<u32>> = used.iter().map(same).collect();
        let prefixes = prefixes.filter(|prefixes| !prefixes.is_empty());
        if prefixes.is_none() {
            // The kernel takes intervals of two parts or more from the faster kind of set; the last column is the shortest.
            let missing = 2usize.saturating_sub(used.len());
            used.extend(others.drain(others.len() - missing..));
            // The kernel asks part by part, and again for every element that is still left: what leaves fewest comes first.
            used.sort_by_cached_key(|column| (std::cmp::Reverse(different(column.at, entries)), column.at));
        }
        Key { columns: used, prefixes }
    }

    fn fields(&self) -> Vec<Field> {
        let rest = |at: usize| self.prefixes.as_ref().map_or(0, |prefixes| prefixes[at]);
        self.columns.iter().enumerate().map(|(at, column)| without(&column.field, rest(at))).collect()
    }

    /// Whether a map may lead to counters, which spares a frame the chain that counts it. nft 1.0.6 has no such map for
    /// fields without a name, and does not read back what it lists where a field behind the first has a mask.
    fn can_count(&self) -> bool {
        let named = self.columns.iter().all(|column| !matches!(column.part, Part::Raw { .. }));
        let masks = self.prefixes.iter().flatten().skip(1).any(|&rest| rest > 0);
        named && !masks
    }

    fn set(
        &self,
        build: &mut Build<'_>,
        name: &str,
        entries: &[Entry],
        mut to: impl FnMut(&mut Build<'_>, u32) -> To,
    ) -> String {
        let span = |entry: &Entry, column: &Column| match entry.spans[column.at] {
            (low, _) if self.prefixes.is_some() => (low, low),
            span => span,
        };
        let elements: Vec<Element> = entries
            .iter()
            .map(|entry| {
                let key = self.columns.iter().map(|column| span(entry, column)).collect();
                Element { key, to: Some(to(build, entry.rule)) }
            })
            .collect();
        let about = self.columns.iter().map(|column| column.word).collect::<Vec<_>>().join(", ");
        let key = self.columns.iter().map(|column| column.part.clone()).collect();
        build.set(name, &about, key, self.prefixes.is_none(), || elements)
    }
}

/// How many different intervals boxes have in a dimension.
fn different(dimension: usize, entries: &[Entry]) -> usize {
    entries.iter().map(|entry| entry.spans[dimension]).collect::<HashSet<_>>().len()
}

/// A field without its last `rest` bits.
fn without(field: &Field, rest: u32) -> Field {
    match field {
        _ if rest == 0 => field.clone(),
        Field::Raw(Raw { header, offset, length, .. }) => {
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0).to_be_bytes();
            Raw::masked(*header, *offset, &mask[mask.len() - *length as usize..])
        }
        _ => Field::Prefix(Box::new(field.clone()), rest),
    }
}

/// One column of a map: what is read, how it is keyed, and its highest value.
struct Column {
    /// Its place among the dimensions of a box.
    at: usize,
    /// It may be hashed by a prefix.
    address: bool,
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
        Column { at: 0, address: true, part: part_of(&field, &address.0), field, highest, word }
    };
    let mut columns = vec![address(source, "source address"), address(destination, "destination address")];
    columns.extend(kind.dimensions().iter().map(|&dimension| layer4(place, named, dimension)));
    columns.into_iter().enumerate().map(|(at, column)| Column { at, ..column }).collect()
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
    let highest = dimension.highest();
    Column { at: 0, address: false, part: part_of(&field, &part), field, highest, word }
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
