//! What is told of each rule: what it has matched, whose it is, when it ends.

use std::collections::BTreeMap;

use super::super::family::Family;
use super::super::snapshot::Snapshot;
use super::number;
use crate::counters::Total;
use crate::ruleset::Action;

/// The rules' own series.
pub(in super::super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let [packets, bytes] = counted(snapshot);
    vec![packets, bytes, info(snapshot), last_hits(snapshot), expires(snapshot)]
}

/// The name of an action as the policy writes it.
pub(in super::super) fn action_name(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
    }
}

fn counted(snapshot: &Snapshot) -> [Family; 2] {
    let mut packets = Family::counter(
        "perimeter_rule_packets_total",
        "Frames credited to a rule on an interface: the first in file order that matches, deny before allow.",
    );
    let mut bytes = Family::counter(
        "perimeter_rule_bytes_total",
        "Bytes of the frames credited to a rule on an interface.",
    );
    for one in &snapshot.interfaces {
        let mut totals: BTreeMap<(Action, &str), Total> = BTreeMap::new();
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

fn info(snapshot: &Snapshot) -> Family {
    let mut info = Family::gauge(
        "perimeter_rule_info",
        "Always 1: whose a rule of the policy in force is, by which ticket and for which control.",
    );
    for rule in &snapshot.rules {
        let text = |about: &Option<String>| about.clone().unwrap_or_default();
        info.add(
            &[
                ("rule", &rule.id),
                ("action", action_name(rule.action)),
                ("owner", &text(&rule.about.owner)),
                ("ticket", &text(&rule.about.ticket)),
                ("control", &text(&rule.about.control)),
            ],
            1.0,
        );
    }
    info
}

fn last_hits(snapshot: &Snapshot) -> Family {
    let mut last_hits = Family::gauge(
        "perimeter_rule_last_hit_timestamp_seconds",
        "When a rule matched last, on any interface, in seconds since 1970; 0 where it never did.",
    );
    let mut hits: BTreeMap<&str, i64> = BTreeMap::new();
    for one in &snapshot.interfaces {
        let Some(known) = &one.accounting.last_hits else { continue };
        for (_, id) in &one.rules {
            let hit = hits.entry(id).or_default();
            *hit = known.get(id).map_or(*hit, |last| last.as_second().max(*hit));
        }
    }
    for (rule, second) in hits {
        last_hits.add(&[("rule", rule)], second as f64);
    }
    last_hits
}

fn expires(snapshot: &Snapshot) -> Family {
    let mut expires = Family::gauge(
        "perimeter_rule_expires_timestamp_seconds",
        "When a rule with a last day stops matching: the midnight after that day, UTC, in seconds since 1970.",
    );
    for rule in &snapshot.rules {
        if let Some(end) = rule.about.expires.as_deref().and_then(end_of) {
            expires.add(&[("rule", &rule.id)], end.as_second() as f64);
        }
    }
    expires
}

/// The midnight after a day written YYYY-MM-DD, in UTC.
pub fn end_of(last_day: &str) -> Option<jiff::Timestamp> {
    let day: jiff::civil::Date = last_day.parse().ok()?;
    let next = day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(next.timestamp())
}
