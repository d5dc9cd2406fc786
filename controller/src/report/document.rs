//! A report as headings, sentences, tables and charts: what both formats show, in one order.
//!
//! Promises: cells are plain text, escaped by the format that writes them; a chart tells nothing that a table does not.

mod counts;
mod places;

use jiff::Timestamp;

use super::{CaptureFacts, Judged, Origin, Part, Report};
use crate::backend::names;
use crate::counters::{Total, grouped};
use crate::plan::ended;
use crate::status::{InterfaceStatus, TrialStatus};

/// One piece of a page.
#[derive(Clone, Debug)]
pub(super) enum Block {
    /// Of an interface.
    Heading(String),
    /// Of one matter of an interface.
    Section(&'static str),
    Text(String),
    /// What a reader must not miss.
    Warning(String),
    Table(Table),
    Chart(Chart),
}

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Words,
    Number,
}

pub(super) type Column = (&'static str, Align);

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    /// As many cells as columns.
    pub(super) rows: Vec<Vec<String>>,
    /// Behind each row, where there is one: how much of the whole it is, from 0 to 1.
    pub(super) shares: Vec<f64>,
    /// The numbers of a chart, which a page need not show at once.
    pub(super) is_detail: bool,
}

/// Bars, each of two parts on top of each other.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: String,
    /// What the parts are; the second is empty where there is one part only.
    pub(super) parts: [&'static str; 2],
    pub(super) bars: Vec<Bar>,
}

#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) parts: [u64; 2],
}

/// Everything that a page shows below its title.
pub(super) fn document(report: &Report) -> Vec<Block> {
    let mut blocks = origin(report);
    for part in &report.interfaces {
        blocks.push(Block::Heading(format!("Interface {}", part.interface)));
        blocks.extend(part.state.iter().flat_map(state));
        blocks.extend(counts::verdicts(part));
        blocks.extend(part.timeline.iter().flat_map(counts::over_time));
        blocks.extend(counts::reasons(part));
        blocks.extend(counts::rules(part));
        blocks.extend(places::all(part));
    }
    blocks
}

/// The first line of a page.
pub(super) fn title(report: &Report) -> String {
    let names: Vec<&str> = report.interfaces.iter().map(|part| part.interface.as_str()).collect();
    match (&report.origin, names.as_slice()) {
        (_, []) => "Perimeter report".to_owned(),
        (Origin::Captures(_), _) => format!("Perimeter report: captures on {}", names.join(", ")),
        (Origin::Live { .. }, _) => format!("Perimeter report: {}, live", names.join(", ")),
    }
}

fn origin(report: &Report) -> Vec<Block> {
    let made = format!("{} by perimeter {}", second(report.made), report.version);
    match &report.origin {
        Origin::Captures(judged) => captures(judged, made),
        Origin::Live { in_sync, trial } => {
            let mut blocks = vec![facts(vec![("made", made)])];
            if report.interfaces.is_empty() {
                blocks.push(Block::Text("No interface is enforced in this network namespace.".into()));
            } else if *in_sync {
                blocks.push(Block::Text("What is in force is what was put in force last.".into()));
            } else {
                blocks.push(Block::Warning("Not all is in force as it was left.".into()));
            }
            blocks.extend(trial.iter().map(|trial| {
                let TrialStatus { generation, until, .. } = trial;
                let until = second(*until);
                let on_trial =
                    || format!("Generation {generation} is on trial until {until} and not confirmed yet.");
                Block::Warning(trial.trouble().unwrap_or_else(on_trial))
            }));
            blocks
        }
    }
}

/// An instant, to the second.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn captures(judged: &Judged, made: String) -> Vec<Block> {
    let Judged { policy, digest, at, captures } = judged;
    let about = vec![
        ("made", made),
        ("policy", policy.clone()),
        ("policy digest", digest.to_string()),
        ("judged as of", second(*at)),
        ("judged by", "the model, as if enforced; captured bytes are the frame".to_owned()),
    ];
    let columns = vec![
        ("capture", Align::Words),
        ("frames", Align::Number),
        ("captured short", Align::Number),
        ("bytes of the file", Align::Number),
        ("SHA-256", Align::Words),
    ];
    let rows = captures.iter().map(|one: &CaptureFacts| {
        let digest = one.sha256.map_or("cannot be read".to_owned(), |digest| digest.to_string());
        vec![one.name.clone(), grouped(one.frames), grouped(one.cut_short), grouped(one.bytes), digest]
    });
    let mut blocks = vec![facts(about)];
    blocks.push(Block::Table(Table { columns, rows: rows.collect(), ..Table::default() }));
    let faults = captures.iter().filter_map(|one| Some((&one.name, one.fault.as_ref()?)));
    blocks.extend(faults.map(|(name, fault)| Block::Warning(format!("Not whole: {name}: {fault}"))));
    blocks
}

/// What the kernel enforces on an interface.
fn state(state: &InterfaceStatus) -> Vec<Block> {
    let word = match (state.enforced, state.shadow) {
        (true, _) => "enforcing",
        (false, true) => "shadow mode, nothing is dropped",
        (false, false) => "not enforcing",
    };
    let mut about = vec![("state", word.to_owned())];
    if !state.engines.is_empty() {
        about.push(("engines", names(&state.engines)));
    }
    about.extend(state.generation.map(|number| ("generation", number.to_string())));
    about.extend(state.policy.map(|digest| ("policy digest", digest.to_string())));
    about.extend(state.applied.as_ref().map(|applied| {
        ("applied", format!("{} by {} from {}", second(applied.at), applied.by, applied.policy_file))
    }));
    about.extend(state.why.clone().filter(|_| state.generation.is_some()).map(|why| ("mode", why)));
    let expired = state.expired.iter().map(|lapse| Block::Text(ended(lapse)));
    let drift = state.drift.iter().map(|drift| Block::Warning(drift.clone()));
    [facts(about)].into_iter().chain(expired).chain(drift).collect()
}

/// A table of names and what they stand for.
fn facts(facts: Vec<(&'static str, String)>) -> Block {
    let rows = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let columns = vec![("fact", Align::Words), ("value", Align::Words)];
    Block::Table(Table { columns, rows, ..Table::default() })
}

/// A table whose last two columns are frames and bytes, each row with its share of `whole` frames.
fn totals(words: &[&'static str], rows: Vec<(Vec<String>, Total)>, whole: u64) -> Block {
    let mut columns: Vec<Column> = words.iter().map(|word| (*word, Align::Words)).collect();
    columns.extend([("frames", Align::Number), ("bytes", Align::Number)]);
    let shares = rows.iter().map(|(_, total)| share(total.packets, whole)).collect();
    let rows = rows.into_iter().map(|(mut cells, total)| {
        cells.extend([grouped(total.packets), grouped(total.bytes)]);
        cells
    });
    Block::Table(Table { columns, rows: rows.collect(), shares, is_detail: false })
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).clamp(0.0, 1.0) }
}

/// What is said where accounting is switched off.
fn not_counted(part: &Part, what: &str) -> Block {
    Block::Text(format!("{what} not counted on {}: the policy's accounting leaves them out.", part.interface))
}
