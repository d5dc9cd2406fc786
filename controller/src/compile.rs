//! The compiler: ruleset to tables image.
//!
//! Promises: pure (no clock, no I/O, no chance), the same ruleset gives the same bytes; exact (nested and overlapping
//! sets, ranges, `deny` over `allow`, the first rule in file order); bounded (an image that would pass the budget is an
//! error that names the rules behind it, never a slower program). Refuses to trade exactness for size.
//!
//! Knows no clock either: the instants at which rules expire are data of the image (see `compile/courses.rs`).
//!
//! Addresses, services and VLANs become equivalence classes here, so that the kernel only reads arrays. See
//! `compile/bands.rs` for how products of classes are kept small, and `perimeter_classifier::tables` for how they are read.

mod accounts;
mod bands;
mod classes;
mod contexts;
mod courses;
mod estimate;
mod ethers;
mod groups;
mod pairs;
mod partition;
mod rows;
mod services;
mod sets;
mod sides;
mod trie;
mod words;
mod zones;

use perimeter_classifier::abi::{LABEL_BIT, SETTINGS, setting};
use thiserror::Error;

use crate::ruleset::{AddressSet, Fragments, Interface, IpOptions, Oversize, Rule, Ruleset};
use crate::tables::Image;
pub use bands::Scheme;
use classes::Classes;
use courses::Courses;
use groups::{Condition, IpRule};
use services::Services;
use sets::Sets;
use sides::Side;
use words::Words;
use zones::Zones;

/// What an image may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Words of four bytes; at most [`Budget::MAX`]'s.
    pub words: usize,
}

impl Budget {
    /// 256 MiB, the limit of one image.
    pub const MAX: Budget = Budget { words: words::MAX_WORDS };
}

/// A scheme is good enough below this many words (128 MiB): a finer one would only cost reads.
pub(crate) const GOOD_WORDS: usize = 1 << 25;

/// Most steps (changes of a pair of classes, or of a context) of one scheme: a few seconds. What needs more would not fit
/// a cache either.
const MAX_STEPS: usize = 1 << 25;

/// A word of the zone tables has so much room for the number of a zone.
const MOST_ZONES: usize = (1 << LABEL_BIT) - 1;

/// A policy too large to be enforced at line rate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "interface {interface}: the tables would take more than {} MiB; most of it is due to {}; narrow these rules or \
     spread them over interfaces",
    words / (1 << 18),
    rules.join(", ")
)]
pub struct OverBudget {
    pub interface: String,
    pub words: usize,
    /// The ids of the rules that cost most, at most five, dearest first.
    pub rules: Vec<String>,
}

/// Compiles what `ruleset` says about one of its interfaces.
///
/// # Errors
/// [`OverBudget`] when the image would pass [`Budget::MAX`].
pub fn compile(ruleset: &Ruleset, interface: usize) -> Result<Image, OverBudget> {
    compile_within(ruleset, interface, Budget::MAX)
}

/// [`compile`] within a budget of the caller's.
///
/// # Errors
/// [`OverBudget`] when the image would pass it.
pub fn compile_within(ruleset: &Ruleset, interface: usize, budget: Budget) -> Result<Image, OverBudget> {
    compile_by(&Scheme::ALL, ruleset, interface, budget)
}

/// [`compile`] with the rules spread in this way even where a coarser one would do: every way gives the same verdicts,
/// and the tests hold it to that.
///
/// # Errors
/// [`OverBudget`] when the image would pass [`Budget::MAX`].
pub fn compile_spread(ruleset: &Ruleset, interface: usize, scheme: Scheme) -> Result<Image, OverBudget> {
    compile_by(&[scheme], ruleset, interface, Budget::MAX)
}

/// The first scheme that is good enough, else the smallest image.
fn compile_by(
    schemes: &[Scheme],
    ruleset: &Ruleset,
    interface: usize,
    budget: Budget,
) -> Result<Image, OverBudget> {
    let settings_of = &ruleset.interfaces[interface];
    let over = |rules: Vec<u32>| OverBudget {
        interface: settings_of.name.clone(),
        words: budget.words,
        rules: rules.iter().take(5).map(|&rule| ruleset.rules[rule as usize].id.clone()).collect(),
    };
    let rules = || (0..).zip(&ruleset.rules).filter(|(_, rule)| rule.interfaces.contains(&interface));

    let mut words = Words::new(budget.words);
    let mut settings = settings_of_interface(settings_of, ruleset);
    let mut zones = Zones::new(ruleset, interface, rules().map(|(_, rule)| rule));
    if zones.count() >= MOST_ZONES {
        return Err(over(by_size(rules())));
    }
    zones.place(&mut words, &mut settings);
    let mut services = Services::new(rules().map(|(_, rule)| rule));
    services.place(&mut words, &mut settings).map_err(|many| over(by_ports(rules(), many.protocol)))?;
    let mut courses = Courses::new(ruleset, interface);
    ethers::place(rules(), (&mut zones, &mut courses), &mut words, &mut settings);
    settings[setting::RULE_SLOTS] = words.put(&vec![0; ruleset.rules.len()]);
    accounts::place(settings_of, zones.labels(), &mut words, &mut settings);
    let (ip_rules, conditions) = groups::ip_rules(rules(), &mut services, &mut zones);

    let base = Base {
        words,
        settings,
        zones: &zones,
        services: &services,
        rules: &ip_rules,
        conditions: &conditions,
        courses: &courses,
    };
    let good = GOOD_WORDS.max(base.words.len() * 2);
    let mut smallest: Option<Image> = None;
    let mut dearest = Vec::new();
    for &scheme in schemes {
        match base.build(scheme) {
            Ok(image) if image.words.len() <= good => return Ok(image),
            Ok(image) if smallest.as_ref().is_some_and(|known| known.words.len() <= image.words.len()) => {}
            Ok(image) => smallest = Some(image),
            Err(rules) => dearest = rules,
        }
    }
    smallest.ok_or_else(|| over(if dearest.is_empty() { by_size(rules()) } else { dearest }))
}

/// What every scheme starts from.
struct Base<'a> {
    words: Words,
    settings: [u32; SETTINGS],
    zones: &'a Zones,
    services: &'a Services,
    rules: &'a [IpRule],
    conditions: &'a [Condition],
    courses: &'a Courses,
}

impl Base<'_> {
    /// The image under one scheme, or the rules that make it too large (none named: the sum of all).
    fn build(&self, scheme: Scheme) -> Result<Image, Vec<u32>> {
        let (mut words, mut settings, mut steps) = (self.words.clone(), self.settings, MAX_STEPS);
        let mut courses = self.courses.clone();
        let groups = groups::spread(self.rules, self.conditions, self.zones.count(), scheme);
        estimate::check(&groups).map_err(|large| large.rules)?;
        let mut parts: Vec<Sets> = groups.iter().map(|group| Sets::new(group.len())).collect();
        let sources = sides::side(&groups, &mut parts, |part| &part.from, &self.zones.sources);
        let destinations = sides::side(&groups, &mut parts, |part| &part.to, &[]);

        let of_sources = Classes::new(&sources, groups.len());
        let of_destinations = Classes::new(&destinations, groups.len());
        for (number, group) in groups.iter().enumerate() {
            let input = rows::Input {
                group,
                conditions: self.conditions,
                zones: self.zones,
                services: self.services,
                sources: &of_sources.in_groups[number],
                destinations: &of_destinations.in_groups[number],
            };
            let record = &mut settings[rows::record_at(number)..rows::record_at(number + 1)];
            let made = (&mut parts[number], &mut courses);
            rows::place(&input, made, &mut words, record, &mut steps).map_err(|large| large.rules)?;
        }
        settings[setting::GROUP_COUNT] = groups.len() as u32;
        let both = [&of_sources, &of_destinations];
        let [source, destination] =
            classes::place(both, (&sources.speakers, self.zones.sources.len()), &mut words, &mut settings);
        place_tries([(&sources, source), (&destinations, destination)], &mut words, &mut settings);
        courses.place(&mut words, &mut settings)?;
        if words.is_over() {
            return Err(Vec::new());
        }
        let mut words = words.into_words();
        words.shrink_to_fit();
        Ok(Image { settings, words })
    }
}

/// Each side comes with the entry that its tries have for each of its classes.
fn place_tries(sides: [(&Side, Vec<u32>); 2], words: &mut Words, settings: &mut [u32; SETTINGS]) {
    let mut tries = trie::Tries::default();
    for (side, entries) in &sides {
        for (pieces, bits) in [(&side.v4, 32), (&side.v6, 128)] {
            let pieces = pieces.iter().map(|&(start, class)| (start, entries[class as usize])).collect();
            tries.add(&pieces, bits);
        }
    }
    let placed = tries.place(words);
    let at = [setting::SOURCE_V4, setting::SOURCE_V6, setting::DESTINATION_V4, setting::DESTINATION_V6];
    for (at, root) in at.into_iter().zip(placed.roots) {
        settings[at] = root;
    }
    settings[setting::COMPRESSED] = u32::from(placed.compressed);
}

fn settings_of_interface(interface: &Interface, ruleset: &Ruleset) -> [u32; SETTINGS] {
    let mut settings = [0; SETTINGS];
    settings[setting::OUTER_TAG] = interface.outer_tag.into();
    settings[setting::OVERSIZE_DROP] = u32::from(interface.oversize == Oversize::Drop);
    settings[setting::FRAGMENTS_STATELESS] = u32::from(interface.fragments == Fragments::Stateless);
    settings[setting::IP_OPTIONS_PASS] = u32::from(interface.ip_options == IpOptions::Pass);
    let denies = ruleset.rules.iter().filter(|rule| rule.action == crate::ruleset::Action::Deny);
    settings[setting::DENY_RULES] = denies.count() as u32;
    settings[setting::LOGS] = u32::from(ruleset.rules.iter().any(|rule| rule.log));
    settings
}

/// Rules by how many ranges of addresses they have, most first.
fn by_size<'a>(rules: impl Iterator<Item = (u32, &'a Rule)>) -> Vec<u32> {
    let ranges = |set: &AddressSet| set.v4().len() + set.v6().len();
    let mut sizes: Vec<(usize, u32)> =
        rules.map(|(index, rule)| (ranges(&rule.from) + ranges(&rule.to), index)).collect();
    sizes.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    sizes.into_iter().map(|(_, index)| index).collect()
}

/// Rules by how many port conditions they have on a protocol, most first.
fn by_ports<'a>(rules: impl Iterator<Item = (u32, &'a Rule)>, protocol: u8) -> Vec<u32> {
    let ports =
        |rule: &Rule| rule.services.iter().filter(|service| service.protocol == Some(protocol)).count();
    let mut sizes: Vec<(usize, u32)> = rules.map(|(index, rule)| (ports(rule), index)).collect();
    sizes.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    sizes.into_iter().map(|(_, index)| index).collect()
}
