use std::collections::{BTreeMap, BTreeSet};

use super::samples::{expiring, snapshot, taken};
use super::{Exposition, Snapshot};
use crate::counters::{Outcome, Series, Subject};
use crate::ruleset::{Accounting, Action};
use crate::samples::{rule, ruleset};

/// The series of the contract that a snapshot has: name, type, labels; of the histogram its count.
const SERIES: [(&str, &str, &[&str]); 23] = [
    ("perimeter_packets_total", "counter", &["interface", "reason", "verdict"]),
    ("perimeter_bytes_total", "counter", &["interface", "reason", "verdict"]),
    ("perimeter_rule_packets_total", "counter", &["action", "interface", "rule"]),
    ("perimeter_rule_bytes_total", "counter", &["action", "interface", "rule"]),
    ("perimeter_rule_info", "gauge", &["action", "control", "owner", "rule", "ticket"]),
    ("perimeter_rule_expires_timestamp_seconds", "gauge", &["rule"]),
    ("perimeter_enforced", "gauge", &["interface"]),
    ("perimeter_policy_in_sync", "gauge", &[]),
    ("perimeter_policy_info", "gauge", &["generation", "hash", "interface", "mode"]),
    ("perimeter_table_entries", "gauge", &["table"]),
    ("perimeter_table_bytes", "gauge", &["table"]),
    ("perimeter_rule_last_hit_timestamp_seconds", "gauge", &["rule"]),
    ("perimeter_vlan_packets_total", "counter", &["interface", "verdict", "vlan"]),
    ("perimeter_oversize_packets_total", "counter", &["interface", "vlan"]),
    ("perimeter_fragments_total", "counter", &["interface", "kind"]),
    ("perimeter_pmtu_messages_total", "counter", &["family", "interface"]),
    ("perimeter_pmtu_smallest_bytes", "gauge", &["family", "interface"]),
    ("perimeter_frame_size_bytes_count", "histogram", &["interface"]),
    ("perimeter_interface_loss_total", "counter", &["cause", "interface"]),
    ("perimeter_events_total", "counter", &[]),
    ("perimeter_events_lost_total", "counter", &[]),
    ("perimeter_events_suppressed_total", "counter", &[]),
    ("process_cpu_seconds_total", "counter", &[]),
];

/// One line of an exposition: the series without its value, and the value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

fn text(snapshot: &Snapshot) -> String {
    Exposition::new().text(snapshot).expect("it can be written out")
}

fn label_names(series: &str) -> Vec<&str> {
    let inside = series.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    let mut names: Vec<&str> =
        inside.split("\",").filter_map(|pair| Some(pair.split_once("=\"")?.0)).collect();
    names.sort_unstable();
    names
}

/// Goal: names, types and labels are the contract's. Method: each family of a snapshot against the table.
#[test]
fn every_series_is_as_the_contract_says() {
    let mut snapshot = snapshot();
    snapshot.rules.push(expiring("old", "2026-11-30"));
    let text = text(&snapshot);
    for (name, kind, labels) in SERIES {
        let own = |key: &&String| key.split('{').next() == Some(name);
        let name = name.strip_suffix("_count").unwrap_or(name);
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} in {text}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} in {text}");
        let all = samples(&text);
        let own: Vec<&String> = all.keys().filter(own).collect();
        assert!(!own.is_empty(), "{name} has no series");
        assert!(own.iter().all(|series| label_names(series) == labels), "{own:?}");
    }
    let known: BTreeSet<&str> = SERIES.iter().map(|series| series.0.trim_end_matches("_count")).collect();
    let told = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in told.filter(|name| !name.starts_with("process_")) {
        assert!(known.contains(name), "{name} is not in the contract");
    }
}

/// Goal: a rate can be taken from the first scrape on. Method: nothing received, and every verdict and reason is there.
#[test]
fn every_series_is_there_at_zero() {
    let all = samples(&text(&snapshot()));
    let packets: Vec<_> = all.iter().filter(|(key, _)| key.starts_with("perimeter_packets_total")).collect();
    assert_eq!(packets.len(), 1 + 2 * 15, "{packets:?}");
    assert!(packets.iter().all(|(_, value)| **value == 0.0));
    for action in [
        "{interface=\"wan0\",rule=\"arp\",action=\"allow\"}",
        "{interface=\"wan0\",rule=\"bad\",action=\"deny\"}",
    ] {
        assert_eq!(all[&format!("perimeter_rule_packets_total{action}")], 0.0);
    }
}

/// Goal: received = passed + dropped + would_drop. Method: each kernel counter has a number of its own; the sums agree, and
/// the drops of deny rules are those counted as `denied`.
#[test]
fn the_sums_are_those_of_the_kernel() {
    let mut ruleset = ruleset(&["wan0", "wan1"]);
    ruleset.rules.insert(0, rule("bad", Action::Deny, &[0, 1]));
    ruleset.interfaces[1].enforce = false;
    let count = |series: &Series| {
        let subject = match &series.subject {
            Subject::Rule(Action::Deny, _) => 1000,
            Subject::Rule(Action::Allow, _) => 100,
            Subject::Reason(reason) => 1 + *reason as u64,
            _ => return 5,
        };
        subject + if series.outcome == Outcome::WouldDrop { 7 } else { 0 }
    };
    let all = samples(&text(&taken(&ruleset, count)));
    let sum = |name: &str, has: &str| -> f64 {
        let own = all.iter().filter(|(key, _)| key.starts_with(name) && key.contains(has));
        own.map(|(_, value)| *value).sum()
    };
    let reasons: u64 = (1..=15).sum();
    assert_eq!(sum("perimeter_packets_total", "wan0"), (reasons + 1000 + 100) as f64);
    assert_eq!(sum("perimeter_packets_total", "wan1"), (reasons + 15 * 7 + 1007 + 100) as f64);
    assert_eq!(sum("perimeter_bytes_total", "wan0"), 100.0 * sum("perimeter_packets_total", "wan0"));
    assert_eq!(sum("perimeter_packets_total", "verdict=\"would_drop\""), (reasons + 15 * 7 + 1007) as f64);
    assert_eq!(sum("perimeter_rule_packets_total", "rule=\"bad\""), 2007.0);
    assert_eq!(all["perimeter_enforced{interface=\"wan0\"}"], 1.0);
}

/// Goal: labels come from the policy only. Method: a rule that the policy no longer has stays in the sums, and has no series.
#[test]
fn a_rule_that_is_gone_has_no_series() {
    let mut snapshot = snapshot();
    snapshot.interfaces[0].rules.retain(|(_, id)| id != "bad");
    assert!(!text(&snapshot).contains("perimeter_rule_packets_total{interface=\"wan0\",rule=\"bad\""));
}

/// Goal: what people write about a rule cannot break the text. Method: quotes, backslashes and line ends in an owner.
#[test]
fn words_of_people_are_escaped() {
    let mut snapshot = snapshot();
    snapshot.rules[0].about.owner = Some("a \"b\" \\ c\nd".into());
    assert!(text(&snapshot).contains(r#"owner="a \"b\" \\ c\nd""#), "{}", text(&snapshot));
}

/// Goal: a scrape of 10,000 rules is cheap to write. Prints what it took; a slow machine does not fail it.
#[test]
fn ten_thousand_rules_are_written_out() {
    let mut ruleset = ruleset(&["wan0"]);
    ruleset.rules = (0..10_000).map(|at| rule(&format!("rule-{at}"), Action::Allow, &[0])).collect();
    let snapshot = taken(&ruleset, |_| 3);
    let mut exposition = Exposition::new();
    let mut text = String::new();
    for which in ["first", "second"] {
        let begun = std::time::Instant::now();
        text = exposition.text(&snapshot).expect("it can be written out");
        println!("10,000 rules: {} KiB, the {which} time in {:?}", text.len() >> 10, begun.elapsed());
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("perimeter_rule_packets_total{")).count(), 10_000);
}

/// Goal: what is taken over from the last scrape never shows. Method: one teller of snapshots whose rules, values, labels and
/// accounting change, and back, against a new one for each.
#[test]
fn what_was_told_before_changes_nothing() {
    let mut changed = ruleset(&["wan0", "wan1"]);
    changed.rules.insert(0, rule("a-new-first", Action::Deny, &[0]));
    changed.rules.push(rule("a-new-last", Action::Allow, &[1]));
    changed.interfaces[0].accounting.fragments = false;
    let mut about = taken(&ruleset(&["wan0"]), |_| 7);
    about.rules[0].about.owner = Some("netops".into());
    let own = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("process_")).map(str::to_owned).collect()
    };
    let mut teller = Exposition::new();
    for (at, snapshot) in [snapshot(), taken(&changed, |_| 3), about, snapshot()].iter().enumerate() {
        let told = teller.text(snapshot).expect("it can be written out");
        assert_eq!(own(&told), own(&text(snapshot)), "snapshot {at}");
    }
}

/// Goal: what `accounting:` switches off is absent, and what is on is there at zero. Method: all, and none.
#[test]
fn accounting_is_there_where_it_is_on() {
    let mut ruleset = ruleset(&["wan0"]);
    let on = text(&taken(&ruleset, |_| 2));
    for line in [
        "perimeter_vlan_packets_total{interface=\"wan0\",vlan=\"untagged\",verdict=\"would_drop\"} 0",
        "perimeter_vlan_packets_total{interface=\"wan0\",vlan=\"other\",verdict=\"drop\"} 2",
        "perimeter_frame_size_bytes_bucket{interface=\"wan0\",le=\"128\"} 4",
        "perimeter_frame_size_bytes_bucket{interface=\"wan0\",le=\"+Inf\"} 22",
        "perimeter_frame_size_bytes_sum{interface=\"wan0\"} 2200",
        "perimeter_fragments_total{interface=\"wan0\",kind=\"tiny\"} 2",
        "perimeter_rule_last_hit_timestamp_seconds{rule=\"arp\"} 0",
    ] {
        assert!(on.contains(line), "{line} in {on}");
    }
    ruleset.interfaces[0].accounting = Accounting::NONE;
    let off = text(&taken(&ruleset, |_| 2));
    for name in ["vlan_packets", "oversize", "fragments_total", "frame_size", "pmtu", "last_hit"] {
        assert!(!off.contains(&format!("perimeter_{name}")), "{name}");
    }
}

/// Goal: a rule is not called unused because nobody could tell. Method: nftables keeps no last hits.
#[test]
fn nftables_keeps_no_last_hits() {
    let mut snapshot = snapshot();
    assert!(snapshot.interfaces[0].accounting.last_hits.is_some());
    snapshot.interfaces[0].accounting.last_hits = None;
    assert!(!text(&snapshot).contains("last_hit"));
}

#[test]
fn labels_hold_no_control_characters() {
    let mut snapshot = snapshot();
    let mut rule = expiring("old", "2026-11-30");
    rule.about.owner = Some("net\u{1b}[2K\0ops\u{202e}".into());
    snapshot.rules = vec![rule];
    let text = Exposition::new().text(&snapshot).unwrap();
    assert!(text.contains(r#"owner="net\\u{1b}[2K\\u{0}ops\\u{202e}""#), "{text}");
}
