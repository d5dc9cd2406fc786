//! Snapshots for the unit tests.

use std::collections::BTreeMap;

use super::{RuleFacts, Snapshot, Tables};
use crate::backend::Enforcement;
use crate::counters::{Count, Counts, Series, account_series, series};
use crate::digest::Digest;
use crate::plan::{Applied, Known};
use crate::ruleset::{About, Action, Ruleset};
use crate::samples::{observed, record, rule, ruleset};
use crate::state::{Enforced, Expected};
use crate::status::status;

/// One interface, `wan0`, in force in native mode, with the rules `arp` and `bad`; nothing was received.
pub(crate) fn snapshot() -> Snapshot {
    let mut ruleset = ruleset(&["wan0"]);
    ruleset.rules.insert(0, rule("bad", Action::Deny, &[0]));
    taken(&ruleset, |_| 0)
}

/// A rule with a last day.
pub(crate) fn expiring(id: &str, last_day: &str) -> RuleFacts {
    let about = About { expires: Some(last_day.to_owned()), ..About::default() };
    RuleFacts { id: id.to_owned(), action: Action::Allow, about }
}

/// What is told where `ruleset` is in force and each series has counted so many packets of 100 bytes.
pub(crate) fn taken(ruleset: &Ruleset, packets: impl Fn(&Series) -> u64) -> Snapshot {
    let (policy, generation) = (Digest::of(ruleset), 3);
    let names: Vec<String> = ruleset.interfaces.iter().map(|one| one.name.clone()).collect();
    let in_force = |name: &String| observed(name, Enforcement::InForce(record(name, policy, generation)));
    let facts: Vec<_> = names.iter().map(in_force).collect();
    let at = "2026-11-22T01:00:00Z".parse().expect("a time");
    let applied = Applied { at, by: "tester".into(), policy_file: "edge.yaml".into() };
    let known = BTreeMap::from([(policy, Known::new(ruleset.clone(), applied, at))]);
    let settled = Enforced { generation, policy, interfaces: names.clone(), guards: Vec::new() };
    let expected = Expected { settled: Some(settled), begun: None };
    let counts: Counts = (0..names.len())
        .flat_map(|index| [series(ruleset, index), account_series(ruleset, index)].concat())
        .map(|series| {
            let packets = packets(&series);
            (series, Count { packets, bytes: 100 * packets, ..Count::default() })
        })
        .collect();
    let tables = Tables { counters: counts.len() as u64, counter_bytes: 2 << 20 };
    let status = status(&facts, &expected, &known, &[]);
    Snapshot::new(at, status, &expected, &known, &counts, tables)
}
