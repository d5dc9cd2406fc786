//! Protocols, ports, types and flags to service classes.
//!
//! A packet's service class is the exact set of alternatives (see [`Service`]) that match it, whatever the addresses. A
//! later fragment matches the alternatives without conditions on layer 4, and those of `deny` rules with them.

use perimeter_classifier::abi::{SETTINGS, port, setting};

use super::partition::{Interner, Pieces, Range, partition, rename};
use super::sets::{EMPTY, SetId, Sets};
use super::words::Words;
use crate::ruleset::{Action, Family, Rule, Service, TcpState};

/// One distinct alternative; the action matters to later fragments only.
type Alternative = (Service, Action);

/// Every distinct alternative of an interface's rules, and the service classes that they make.
pub(super) struct Services {
    alternatives: Interner<Alternative>,
    /// Sets of alternatives.
    sets: Sets,
    /// The alternatives of each class. Class 0 is that of packets which no alternative matches.
    classes: Interner<SetId>,
}

/// Protocols whose packets carry a key of 16 bits or two; the order is that of `setting::PORTS`.
const KEYED: [[u8; 4]; 2] = [[6, 17, 132, 1], [6, 17, 132, 58]];
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const TCP: u8 = 6;

/// The product of destination and source port classes of one protocol may take this many words.
const MAX_PORT_PRODUCT: usize = 1 << 22;

/// A protocol whose port conditions multiply beyond the budget.
#[derive(Debug)]
pub(super) struct TooManyPorts {
    pub(super) protocol: u8,
}

impl Services {
    /// Collects the alternatives of `rules`.
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let mut alternatives = Interner::new();
        for rule in rules {
            for &service in &rule.services {
                alternatives.number((service, rule.action));
            }
        }
        let sets = Sets::new(alternatives.len());
        Services { alternatives, sets, classes: Interner::starting_with(EMPTY) }
    }

    /// The alternatives of a rule, ascending.
    pub(super) fn of_rule(&mut self, rule: &Rule) -> Vec<u32> {
        let mut numbers: Vec<u32> =
            rule.services.iter().map(|&service| self.alternatives.number((service, rule.action))).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// How many alternatives and service classes there are.
    pub(super) fn alternatives(&self) -> usize {
        self.alternatives.len()
    }

    pub(super) fn count(&self) -> usize {
        self.classes.len()
    }

    /// The alternatives that match one service class and not another, and those that match the other and not the first;
    /// `None` stands for the class that nothing matches.
    pub(super) fn change(&self, from: Option<usize>, to: usize) -> (Vec<u32>, Vec<u32>) {
        let of = |class: usize| self.classes.values()[class];
        let (from, to) = (from.map_or(EMPTY, of), of(to));
        (self.sets.members_beyond(from, to), self.sets.members_beyond(to, from))
    }

    /// Makes the classes and lays their tables out.
    pub(super) fn place(
        &mut self,
        words: &mut Words,
        settings: &mut [u32; SETTINGS],
    ) -> Result<(), TooManyPorts> {
        let mut protocols = vec![0; 1024];
        for (index, family) in FAMILIES.into_iter().enumerate() {
            for protocol in 0..=255u8 {
                let at = index * 512 + usize::from(protocol);
                protocols[at] = self
                    .class(|service, _| fits(service, family, protocol) && !service.has_layer4_condition());
                protocols[at + 256] = self.class(|service, action| {
                    fits(service, family, protocol)
                        && (action == Action::Deny || !service.has_layer4_condition())
                });
            }
            for (kind, protocol) in KEYED[index].into_iter().enumerate() {
                let at = setting::PORTS + (index * 4 + kind) * port::WORDS;
                let record = self.place_keyed(words, family, protocol)?;
                settings[at..at + port::WORDS].copy_from_slice(&record);
            }
        }
        settings[setting::PROTOCOLS] = words.put(&protocols);
        settings[setting::SERVICE_CLASSES] = self.classes.len() as u32;
        Ok(())
    }

    /// The class of packets that exactly the alternatives with `matches` match.
    fn class(&mut self, matches: impl Fn(&Service, Action) -> bool) -> u32 {
        let members = self.alternatives_with(matches);
        self.classes.number(members)
    }

    fn alternatives_with(&mut self, matches: impl Fn(&Service, Action) -> bool) -> SetId {
        let numbers = (0..).zip(self.alternatives.values());
        let matching = numbers.filter(|(_, (service, action))| matches(service, *action));
        self.sets.of(matching.map(|(number, _)| number))
    }

    /// The tables of one protocol with ports, or types and codes.
    fn place_keyed(
        &mut self,
        words: &mut Words,
        family: Family,
        protocol: u8,
    ) -> Result<[u32; port::WORDS], TooManyPorts> {
        let relevant: Vec<(u32, Service)> = (0..)
            .zip(self.alternatives.values())
            .filter(|(_, (service, _))| fits(service, family, protocol))
            .map(|(number, (service, _))| (number, *service))
            .collect();
        if !relevant.iter().any(|(_, service)| service.has_layer4_condition()) {
            return Ok([0; port::WORDS]);
        }
        let destinations = keys(&mut self.sets, &relevant, destination_key);
        let sources = keys(&mut self.sets, &relevant, |service| service.source_ports.map(wide));
        let states: &[Option<TcpState>] =
            if protocol == TCP { &[Some(TcpState::Established), Some(TcpState::New)] } else { &[None] };
        if destinations.classes.len() * sources.classes.len() * states.len() > MAX_PORT_PRODUCT {
            return Err(TooManyPorts { protocol });
        }
        let mut record = [0; port::WORDS];
        for (&state, at) in states.iter().zip([port::DESTINATION, port::OPENING]) {
            let in_state = self.alternatives_with(|service, _| service.tcp.is_none() || service.tcp == state);
            let class = |destination, source| {
                let both = self.sets.intersection(destination, source);
                let members = self.sets.intersection(both, in_state);
                self.classes.number(members)
            };
            record[at] = place_destinations(words, &destinations, &sources, class);
        }
        if sources.classes.len() > 1 {
            record[port::SOURCE] = words.put_line(&sources.pieces, |class| class);
        }
        Ok(record)
    }
}

/// The map from destination port to service class, or to a row of them where source ports matter as well.
fn place_destinations(
    words: &mut Words,
    destinations: &Keys,
    sources: &Keys,
    mut class: impl FnMut(SetId, SetId) -> u32,
) -> u32 {
    let mut found = |destination| match sources.classes.values() {
        [everywhere] => class(destination, *everywhere),
        sources => {
            let row: Vec<u32> = sources.iter().map(|&source| class(destination, source)).collect();
            words.put(&row)
        }
    };
    let found: Vec<u32> = destinations.classes.values().iter().map(|&set| found(set)).collect();
    words.put_line(&destinations.pieces, |class| found[class as usize])
}

/// A 16-bit number line in classes.
struct Keys {
    pieces: Pieces<u32>,
    classes: Interner<SetId>,
}

/// Partitions a key by the alternatives' conditions; one without a condition holds everywhere.
fn keys(sets: &mut Sets, relevant: &[(u32, Service)], key: impl Fn(&Service) -> Option<Range>) -> Keys {
    let ranges = relevant.iter().map(|(number, service)| (*number, key(service).unwrap_or((0, 65_535))));
    let mut pieces = partition(sets, ranges);
    pieces.retain(|piece| piece.0 <= 65_535);
    let mut classes = Interner::new();
    let pieces = rename(&pieces, |set| classes.number(set));
    Keys { pieces, classes }
}

/// Destination ports, or type and code as one number.
fn destination_key(service: &Service) -> Option<Range> {
    match service.icmp {
        Some(icmp) => {
            let kind = u128::from(icmp.kind) << 8;
            Some(
                icmp.code
                    .map_or((kind, kind + 255), |code| (kind + u128::from(code), kind + u128::from(code))),
            )
        }
        None => service.destination_ports.map(wide),
    }
}

fn wide((low, high): (u16, u16)) -> Range {
    (low.into(), high.into())
}

/// Whether an alternative can match packets of this family and protocol at all.
fn fits(service: &Service, family: Family, protocol: u8) -> bool {
    service.family.is_none_or(|wanted| wanted == family)
        && service.protocol.is_none_or(|wanted| wanted == protocol)
}
