//! Large and hostile policies: read in seconds, refused without a panic.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::time::Duration;

use perimeter::policy;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::corpus;
use super::mutate::{apply, edit};

/// Ample for an unoptimized build; an algorithm that is not linear takes minutes.
const SECONDS: Duration = Duration::from_secs(60);

/// Time this thread has had a processor: a busy machine does not lengthen it.
fn worked() -> Duration {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds = schedule.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first field is time on a processor"))
}

/// Reads a policy, which must not take long.
fn read_in_seconds(policy: &[u8], list: &[u8]) -> policy::Reading {
    let before = worked();
    let reading = read_with_list(policy, list);
    let took = worked() - before;
    assert!(took < SECONDS, "took {took:?}");
    reading
}

const WITH_A_LIST: &[u8] = b"version: 1\ninterfaces:\n  wan0:\nnetworks:\n  partners: { file: list.txt }\n\
    allow:\n  - { id: partners, from: partners }\n";

fn read_with_list(policy: &[u8], list: &[u8]) -> policy::Reading {
    let mut files = |name: &str| -> io::Result<Vec<u8>> {
        assert_eq!(name, "list.txt");
        Ok(list.to_vec())
    };
    policy::read("large.yaml", policy, &mut files, corpus::day())
}

#[test]
fn a_list_of_a_million_prefixes_is_read_in_seconds() {
    let mut list = String::with_capacity(16_000_000);
    for number in 0..1_000_000_u32 {
        // Even /24s below 128.0.0.0 and scattered /64s: none touches another.
        if number % 4 == 3 {
            let _ = writeln!(list, "2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xffff);
        } else {
            let address = (1 << 24) + (number << 9);
            let _ =
                writeln!(list, "{}.{}.{}.0/24", address >> 24, (address >> 16) & 0xff, (address >> 8) & 0xff);
        }
    }
    let reading = read_in_seconds(WITH_A_LIST, list.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{}", reading.diagnostics[0]);
    let from = &reading.ruleset.expect("an accepted policy").rules[0].from;
    assert_eq!((from.v4().len(), from.v6().len()), (750_000, 250_000));
}

#[test]
fn a_million_bad_lines_are_reported_without_drowning_the_reader() {
    let list = "10.0.0.1/8\n".repeat(1_000_000);
    let reading = read_in_seconds(WITH_A_LIST, list.as_bytes());
    assert!(reading.ruleset.is_none());
    assert!(!reading.diagnostics.is_empty());
}

#[test]
fn a_policy_of_ten_thousand_rules_is_read_in_seconds() {
    let mut text = String::from("version: 1\ninterfaces:\n  wan0: { vlans: [1-4094] }\nallow:\n");
    for number in 0..10_000 {
        let (high, low) = (number / 250, number % 250);
        let _ = writeln!(
            text,
            "  - {{ id: r-{number}, from: 10.{high}.{low}.0/24, service: [https, udp/{number}] }}"
        );
    }
    let reading = read_in_seconds(text.as_bytes(), b"");
    assert_eq!(reading.ruleset.expect("an accepted policy").rules.len(), 10_000);
}

#[test]
fn ten_thousand_rules_are_linted_in_seconds() {
    let mut text = String::from("version: 1\ninterfaces:\n  wan0: { vlans: [1-4094] }\n");
    text.push_str("deny:\n  - { id: no, from: 10.39.0.0/16 }\nallow:\n");
    for number in 0..10_000 {
        let (high, low, vlan) = (number / 250, number % 250, number % 50 + 1);
        let service = ["https, dns", "ssh", "tcp/8000-8099", "any"][number % 4];
        let to = if number % 3 == 0 { "any".to_owned() } else { format!("203.0.{}.0/24", number % 200) };
        let _ = writeln!(
            text,
            "  - {{ id: r-{number}, vlan: {vlan}, from: 10.{high}.{low}.0/24, to: {to}, service: [{service}] }}"
        );
    }
    // Two halves that together cover what one of the ten thousand matches.
    text.push_str("  - { id: low, vlan: 2, from: 10.0.1.0/25, service: tcp }\n");
    text.push_str("  - { id: high, vlan: 2, from: 10.0.1.128/25, service: tcp/1-100 }\n");
    let read = {
        let before = worked();
        read_with_list(text.as_bytes(), b"");
        worked() - before
    };
    let before = worked();
    let reading = policy::check("large.yaml", text.as_bytes(), &mut |_| Ok(Vec::new()), corpus::day());
    let took = (worked() - before).saturating_sub(read);
    println!("lints take {took:?}");
    assert!(took < if cfg!(debug_assertions) { SECONDS } else { Duration::from_secs(2) }, "took {took:?}");
    let found = |text: &str| reading.diagnostics.iter().filter(|one| one.message.contains(text)).count();
    assert!(found("\"r-1\" is redundant: together \"low\"") == 1, "{:#?}", &reading.diagnostics[..8]);
    assert!(found("\"no\" (line 5) drops everything it would pass") > 100);
}

#[test]
fn mistakes_by_the_thousand_are_reported_in_seconds() {
    let mut text = String::from("version: 1\ninterfaces:\n  wan0:\nnetworks:\n");
    for number in 0..500 {
        let _ = writeln!(text, "  office-{number}: [10.{}.{}.0/24]", number / 250, number % 250);
    }
    text.push_str("allow:\n");
    for number in 0..500 {
        let _ = writeln!(
            text,
            "  - {{ id: r-{number}, from: [ofice-{number}], service: htps-{number}, vlan: 1{number} }}"
        );
    }
    let reading = read_in_seconds(text.as_bytes(), b"");
    assert!(reading.diagnostics.len() >= 1_000, "only {}", reading.diagnostics.len());
}

#[test]
fn wide_lists_and_long_chains_are_read_in_seconds() {
    let mut text = String::from("version: 1\ninterfaces:\n  wan0: { vlans: [");
    (1..4_000).for_each(|number| text.push_str(&format!("{number}/1, ")));
    text.push_str("untagged] }\nnetworks:\n  n-0: [192.0.2.0/24]\n");
    (1..5_000)
        .for_each(|number| text.push_str(&format!("  n-{number}: {{ include: [n-{}] }}\n", number - 1)));
    text.push_str("services:\n  s-0: https\n");
    (1..1_000).for_each(|number| text.push_str(&format!("  s-{number}: [s-{}, udp/{number}]\n", number - 1)));
    text.push_str("allow:\n  - { id: a, from: n-4999, service: [ssh], vlan: 1/1 }\n");
    let reading = read_in_seconds(text.as_bytes(), b"");
    assert!(!reading.diagnostics.is_empty());
}

proptest! {
    #![proptest_config(Config { cases: 4_000, failure_persistence: None, ..Config::default() })]

    /// Whatever becomes of a policy, the reader answers, and a policy without errors has a ruleset.
    #[test]
    fn mutated_policies_never_panic(which in any::<usize>(), edits in prop::collection::vec(edit(), 1..6)) {
        let policies = [corpus::policies("valid"), corpus::policies("invalid")].concat();
        let path = &policies[which % policies.len()];
        let mut text = fs::read(path).expect("a readable corpus");
        edits.iter().for_each(|edit| apply(edit, &mut text));
        let reading = corpus::read_text(path, &text);
        let errors = reading.diagnostics.iter().any(|found| found.severity == policy::Severity::Error);
        prop_assert_eq!(reading.ruleset.is_none(), errors);
        for found in &reading.diagnostics {
            prop_assert!(found.line >= 1 && found.column >= 1, "{}", found);
            prop_assert!(!found.to_string().contains('\n') && !found.illustrated(true).is_empty());
        }
    }
}
