//! Verdicts, reasons, rules: what every frame is counted under once.

use std::collections::BTreeMap;

use super::super::{Part, Timeline};
use super::{Align, Bar, Block, Chart, Table, second, totals};
use crate::counters::{Outcome, Total, grouped};
use crate::ruleset::{About, Action};

/// A verdict as people call it.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Drop => "drop",
        Outcome::WouldDrop => "would drop",
    }
}

pub(super) fn verdicts(part: &Part) -> Vec<Block> {
    let counters = &part.counters;
    let mut rows =
        vec![("received", counters.received), ("pass", counters.passed), ("drop", counters.dropped)];
    if counters.would_drop.packets > 0 {
        rows.push(("would drop", counters.would_drop));
    }
    let rows = rows.into_iter().map(|(word, total)| (vec![word.to_owned()], total)).collect();
    vec![Block::Section("Verdicts"), totals(&["verdict"], rows, counters.received.packets)]
}

pub(super) fn over_time(timeline: &Timeline) -> Vec<Block> {
    let mut blocks = vec![Block::Section("Verdicts over time")];
    if timeline.untimed > 0 {
        let frames = grouped(timeline.untimed);
        blocks.push(Block::Text(format!("{frames} frames have no time in their capture and are not here.")));
    }
    if timeline.buckets.is_empty() {
        return blocks;
    }
    let width = duration(timeline.width_ms);
    let bars = timeline.buckets.iter().map(|one| {
        let label = one.from.to_string();
        Bar { label, parts: [one.passed, one.dropped] }
    });
    let title = format!("Frames in each {width}, UTC");
    blocks.push(Block::Chart(Chart { title, parts: ["pass", "drop"], bars: bars.collect() }));
    let met = timeline.buckets.iter().filter(|one| one.passed + one.dropped > 0);
    let rows = met.map(|one| vec![one.from.to_string(), grouped(one.passed), grouped(one.dropped)]);
    blocks.push(Block::Text(format!("Each row is {width}; those without a frame are left out.")));
    blocks.push(Block::Table(Table {
        columns: vec![("from (UTC)", Align::Words), ("pass", Align::Number), ("drop", Align::Number)],
        rows: rows.collect(),
        shares: Vec::new(),
        is_detail: true,
    }));
    blocks
}

/// `10 ms`, `5 s`, `30 min`, `6 h`, `2 d`.
fn duration(milliseconds: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| milliseconds >= *size).unwrap_or((1, "ms"));
    format!("{} {}", milliseconds / unit.0, unit.1)
}

pub(super) fn reasons(part: &Part) -> Vec<Block> {
    let met = part.counters.reasons.iter().filter(|reason| reason.packets > 0);
    let mut rows: Vec<(Vec<String>, Total)> = met
        .map(|one| {
            let total = Total { packets: one.packets, bytes: one.bytes };
            (vec![one.reason.to_owned(), word(one.verdict).to_owned()], total)
        })
        .collect();
    rows.sort_by_key(|(_, total)| std::cmp::Reverse(total.packets));
    let title = Block::Section("Reasons");
    if rows.is_empty() {
        return vec![title, Block::Text("Nothing was dropped.".into())];
    }
    vec![title, totals(&["reason", "verdict"], rows, part.counters.received.packets)]
}

pub(super) fn rules(part: &Part) -> Vec<Block> {
    let abouts: BTreeMap<&str, &About> =
        part.rules.iter().map(|rule| (rule.id.as_str(), &rule.about)).collect();
    let all = &part.counters.rules;
    let mut met: Vec<_> = all.iter().filter(|rule| rule.packets > 0).collect();
    met.sort_by_key(|rule| std::cmp::Reverse(rule.packets));
    let silent = all.len() - met.len();
    let rows: Vec<(Vec<String>, Total)> = met
        .into_iter()
        .map(|one| {
            let about = abouts.get(one.rule.as_str());
            let said = |of: fn(&About) -> &Option<String>| about.and_then(|about| of(about).clone());
            let action = if one.action == Action::Deny { "deny" } else { "allow" };
            let last = part.accounting.last_hits.as_ref().and_then(|hits| hits.get(&one.rule));
            let cells = vec![
                one.rule.clone(),
                action.to_owned(),
                word(one.verdict).to_owned(),
                said(|about| &about.owner).unwrap_or_default(),
                said(|about| &about.ticket).unwrap_or_default(),
                last.map_or(String::new(), |last| second(*last)),
            ];
            (cells, Total { packets: one.packets, bytes: one.bytes })
        })
        .collect();
    let mut blocks = vec![Block::Section("Rules that decided")];
    if !rows.is_empty() {
        let columns = ["rule", "action", "verdict", "owner", "ticket", "last hit"];
        blocks.push(totals(&columns, rows, part.counters.received.packets));
    }
    let verb = if silent == 1 { "rule" } else { "rules" };
    blocks.push(Block::Text(format!("{} {verb} decided about no frame.", grouped(silent as u64))));
    blocks
}
