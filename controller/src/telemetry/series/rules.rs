//! What is told of each rule: what it has matched, whose it is, when it ends.

use std::collections::HashMap;

use super::super::family::{Families, Family};
use super::super::snapshot::Snapshot;
use super::number;
use crate::counters::Total;
use crate::printable::printable_lines;
use crate::ruleset::{About, Action};

/// The rules' own series.
pub(in super::super) fn families(snapshot: &Snapshot, families: &mut Families) -> Vec<Family> {
    let [packets, bytes] = counted(snapshot, families);
    vec![packets, bytes, info(snapshot, families), last_hits(snapshot, families), expires(snapshot, families)]
}

/// The name of an action as the policy writes it.
pub(in super::super) fn action_name(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    }
}

fn counted(snapshot: &Snapshot, families: &mut Families) -> [Family; 2] {
    let mut packets = families.counter(
        "perimeter_rule_packets_total",
        "Frames credited to a rule on an interface: the first in file order that matches, deny before allow.",
    );
    let mut bytes = families
        .counter("perimeter_rule_bytes_total", "Bytes of the frames credited to a rule on an interface.");
    for one in &snapshot.interfaces {
        let mut totals: HashMap<(Action, &str), Total> = HashMap::with_capacity(one.rules.len());
        for count in &one.counters.rules {
            // What a rule matched in shadow mode it matched all the same.
            let total = totals.entry((count.action, &count.rule)).or_default();
            total.packets = total.packets.wrapping_add(count.packets);
            total.bytes = total.bytes.wrapping_add(count.bytes);
        }
        for (action, id) in &one.rules {
            let total = totals.get(&(*action, id.as_str())).copied().unwrap_or_default();
            let labels = [("interface", one.name.as_str()), ("rule", id), ("action", action_name(*action))];
            packets.add(&labels, number(total.packets));
            bytes.add(&labels, number(total.bytes));
        }
    }
    [packets, bytes]
}

fn info(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut info = families.gauge(
        "perimeter_rule_info",
        "Always 1: whose a rule of the policy in force is, by which ticket and for which control.",
    );
    for rule in &snapshot.rules {
        let About { owner, ticket, control, .. } = &rule.about;
        let [owner, ticket, control] =
            [owner, ticket, control].map(|text| printable_lines(text.as_deref().unwrap_or("")));
        let action = action_name(rule.action);
        let whose = [("owner", &*owner), ("ticket", &*ticket), ("control", &*control)];
        info.add(&[("rule", &rule.id), ("action", action), whose[0], whose[1], whose[2]], 1.0);
    }
    info
}

fn last_hits(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut last_hits = families.gauge(
        "perimeter_rule_last_hit_timestamp_seconds",
        "When a rule matched last, on any interface, in seconds since 1970; 0 where it never did.",
    );
    let mut hits: HashMap<&str, i64> = HashMap::with_capacity(snapshot.rules.len());
    for one in &snapshot.interfaces {
        let Some(known) = &one.accounting.last_hits else { continue };
        for (_, id) in &one.rules {
            let hit = hits.entry(id).or_default();
            *hit = known.get(id).map_or(*hit, |last| last.as_second().max(*hit));
        }
    }
    for rule in &snapshot.rules {
        if let Some(second) = hits.get(rule.id.as_str()) {
            last_hits.add(&[("rule", &rule.id)], *second as f64);
        }
    }
    last_hits
}

fn expires(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut expires = families.gauge(
        "perimeter_rule_expires_timestamp_seconds",
        "When a rule with a last day stops matching: the midnight after that day, UTC, in seconds since 1970.",
    );
    for rule in &snapshot.rules {
        if let Some(end) = rule.about.end() {
            expires.add(&[("rule", &rule.id)], end.as_second() as f64);
        }
    }
    expires
}
