//! `perimeter history --check`: is what was recorded what was written?
//!
//! Promises: every record of the state directory is looked at, whatever its namespace, and every generation that must still
//! be kept; nothing is changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::super::{Env, Exit};
use crate::digest::Digest;
use crate::state::{Broken, Event, Sealed, State, What, is_past};

/// What was found.
#[derive(Serialize)]
struct Checked {
    /// Records whose seal fits.
    records: usize,
    /// Records before them, of a version that sealed none.
    unsealed: usize,
    /// Lines that a crash cut short, from 1.
    torn: Vec<usize>,
    /// Generations whose policy is kept as it was put in force.
    generations: usize,
    /// What does not hold.
    findings: Vec<String>,
    /// The seal of the last record.
    last: Option<Digest>,
}

/// Looks, and says what was found; `noted`: a seal that must be among those of the records.
pub(super) fn run(
    state: &State,
    noted: Option<Digest>,
    json: bool,
    env: &mut Env<'_>,
) -> anyhow::Result<Exit> {
    let checked = look(state, noted, env.now)?;
    if json {
        serde_json::to_writer(&mut *env.out, &checked)?;
        writeln!(env.out)?;
    } else {
        tell(&checked, noted, env)?;
    }
    Ok(if checked.findings.is_empty() { Exit::Done } else { Exit::Negative })
}

fn look(state: &State, noted: Option<Digest>, now: Timestamp) -> anyhow::Result<Checked> {
    let (generations, mut findings) = generations(state, &state.journal()?, now);
    let sealed = state.check_seals()?.unwrap_or_else(|broken: Broken| {
        findings.insert(0, format!("{}: {broken}", state.journal_path().display()));
        Sealed::default()
    });
    if let Some(noted) = noted.filter(|noted| !sealed.seals.contains(noted)) {
        findings.push(format!(
            "no record has the seal {noted}: the journal was cut off before it, or written anew"
        ));
    }
    let Sealed { seals, unsealed, torn } = sealed;
    Ok(Checked { records: seals.len(), unsealed, torn, generations, findings, last: seals.last().copied() })
}

/// How many generations are kept with the policy that the journal names, and what is wrong with others.
fn generations(state: &State, events: &[Event], now: Timestamp) -> (usize, Vec<String>) {
    let (mut whole, mut findings) = (0, Vec::new());
    let mut seen = BTreeSet::new();
    for event in events {
        let What::Begun { generation, policy } = event.what else { continue };
        if !seen.insert((generation, policy)) {
            continue;
        }
        match state.generation(generation) {
            Ok(stored) if stored.record.policy == policy => whole += 1,
            Ok(stored) => findings.push(format!(
                "generation {generation} is kept with policy {}, and was put in force with {}",
                stored.record.policy.short(),
                policy.short()
            )),
            Err(_) if is_past(event.occasion.at, now) => {}
            Err(error) => findings.push(error.to_string()),
        }
    }
    (whole, findings)
}

fn tell(checked: &Checked, noted: Option<Digest>, env: &mut Env<'_>) -> anyhow::Result<()> {
    for finding in &checked.findings {
        writeln!(env.out, "{finding}")?;
    }
    if !checked.findings.is_empty() {
        writeln!(env.out, "What is recorded here is not, or not all, what was written.")?;
        return Ok(());
    }
    let Checked { records, generations, .. } = checked;
    writeln!(
        env.out,
        "{records} records as they were written, {generations} generations as they were put in force."
    )?;
    if checked.unsealed > 0 {
        writeln!(env.out, "{} older records have no seal: nothing is known of them.", checked.unsealed)?;
    }
    for line in &checked.torn {
        writeln!(env.out, "Line {line} is no record: a crash cut it short.")?;
    }
    if noted.is_some() {
        writeln!(
            env.out,
            "The seal is that of one of them: up to there nothing was changed since it was noted."
        )?;
    }
    if let Some(last) = checked.last {
        writeln!(env.out, "Last seal: {last}")?;
        writeln!(
            env.out,
            "Keep it where nobody who can write here can write: `perimeter history --check SEAL` finds it again."
        )?;
    }
    Ok(())
}
