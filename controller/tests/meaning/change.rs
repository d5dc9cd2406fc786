//! Changes to a random policy: rules that come, go, move and widen, settings that turn.

use crate::generate::{Rng, once_in, pick, rulesets};
use perimeter::ruleset::{Action, AddressSet, Fragments, IpOptions, Oversize, Rule, Ruleset, Service};

/// The same policy after `edits` changes; a wholly different one now and then.
pub(crate) fn change(rng: &mut Rng, before: &Ruleset, edits: usize) -> Ruleset {
    let mut other = rulesets::ruleset(rng, before.rules.len());
    let count = before.interfaces.len();
    for (at, rule) in other.rules.iter_mut().enumerate() {
        rule.id = format!("n{at}");
        rule.interfaces.retain(|interface| *interface < count);
        if rule.interfaces.is_empty() {
            rule.interfaces.push(0);
        }
    }
    let mut after = before.clone();
    if once_in(rng, 12) {
        after.rules = other.rules.clone();
    }
    for _ in 0..edits {
        if once_in(rng, 3) { setting(rng, &mut after, &other) } else { rule(rng, &mut after, &other) }
    }
    after.rules.sort_by_key(|rule| rule.action);
    after
}

fn rule(rng: &mut Rng, after: &mut Ruleset, other: &Ruleset) {
    let new: Rule = other.rules[rng.usize(0..other.rules.len())].clone();
    let count = after.rules.len();
    let at = rng.usize(0..count);
    let rule = &mut after.rules[at];
    match rng.u32(0..9) {
        0 if count > 1 => {
            after.rules.remove(at);
        }
        0 | 1 => after.rules.push(new),
        2 => rule.from = rule.from.union(&new.from),
        3 => rule.to = narrowed(&rule.to, &new.to),
        4 if !rule.services.is_empty() && !new.services.is_empty() => {
            let more = pick(rng, &new.services);
            rule.services.push(more);
        }
        5 if rule.services.len() > 1 => {
            rule.services.pop();
        }
        6 => rule.vlans = new.vlans,
        7 if !rule.services.is_empty() => rule.services = vec![Service::default()],
        _ => rule.action = if rule.action == Action::Deny { Action::Allow } else { Action::Deny },
    }
}

fn narrowed(set: &AddressSet, less: &AddressSet) -> AddressSet {
    let left = set.difference(less);
    if left.is_empty() { set.clone() } else { left }
}

fn setting(rng: &mut Rng, after: &mut Ruleset, other: &Ruleset) {
    let new = other.interfaces[0].clone();
    let which = rng.usize(0..after.interfaces.len());
    let interface = &mut after.interfaces[which];
    match rng.u32(0..9) {
        0 => interface.mtu = pick(rng, &[68, 70, 576, 1500, 1504, 9000, 65_535]),
        1 => interface.oversize = pick(rng, &[Oversize::Drop, Oversize::Count]),
        2 => interface.fragments = pick(rng, &[Fragments::Drop, Fragments::Stateless]),
        3 => interface.ip_options = pick(rng, &[IpOptions::Drop, IpOptions::Pass]),
        4 => interface.outer_tag = pick(rng, &[0x8100, 0x88a8, 0x9100]),
        5 => interface.vlans.extend(new.vlans),
        6 if interface.vlans.len() > 1 => {
            interface.vlans.pop();
        }
        7 => interface.sources = new.sources,
        _ => after.vlans.clone_from(&other.vlans),
    }
}
