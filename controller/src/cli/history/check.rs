//! `perimeter history --check`: is what was recorded what was written?
//!
//! Promises: every record of the state directory is looked at, whatever its namespace, and every generation that must still
//! be kept; nothing is changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::super::{Env, Exit};
use crate::digest::Digest;
use crate::state::{Event, Sealed, State, What, is_past};

/// What was found.
#[derive(Default, Serialize)]
struct Checked {
    /// Records whose seal fits.
    records: usize,
    /// Records before them, of a version that sealed none.
    unsealed: usize,
    /// Lines that a crash cut short, from 1.
    torn: Vec<usize>,
    /// Generations whose policy is kept as it was put in force.
    generations: usize,
    /// Generations of which nothing was noted, and nothing is there: the disk was full, or an older version began them.
    missing: Vec<u64>,
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
    let Sealed { seals, unsealed, torn, broken } = state.check_seals()?;
    let path = state.journal_path();
    let mut checked = Checked {
        records: seals.len(),
        unsealed,
        torn,
        findings: broken.iter().map(|broken| format!("{}: {broken}", path.display())).collect(),
        last: seals.last().copied(),
        ..Checked::default()
    };
    if let Some(noted) = noted.filter(|noted| !seals.contains(noted)) {
        let finding =
            format!("no record has the seal {noted}: the journal was cut off before it, or written anew");
        checked.findings.push(finding);
    }
    generations(state, &state.journal()?, now, &mut checked);
    Ok(checked)
}

/// Holds what is kept of each generation against what was noted when it began.
fn generations(state: &State, events: &[Event], now: Timestamp, checked: &mut Checked) {
    let begun = || {
        events.iter().filter_map(|event| match event.what {
            What::Begun { generation, policy, kept } => Some((generation, policy, kept, event.occasion.at)),
            _ => None,
        })
    };
    // The newest is kept however old it is.
    let newest = begun().map(|(generation, ..)| generation).max();
    let mut seen = BTreeSet::new();
    for (generation, policy, noted, at) in begun() {
        if !seen.insert((generation, policy)) {
            continue;
        }
        match state.what_is_kept(generation) {
            Ok(Some(found)) if noted.map_or(found.ruleset == policy, |noted| found.all == noted) => {
                checked.generations += 1;
            }
            Ok(Some(_)) => {
                checked
                    .findings
                    .push(format!("what is kept of generation {generation} is not what was put in force"));
            }
            Ok(None) if noted.is_none() => checked.missing.push(generation),
            Ok(None) if is_past(at, now) && Some(generation) != newest => {}
            Ok(None) => checked.findings.push(format!("generation {generation} is not kept any more")),
            Err(error) => checked
                .findings
                .push(format!("what is kept of generation {generation} cannot be read: {error}")),
        }
    }
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
        let older = checked.unsealed;
        writeln!(env.out, "{older} older records are as they were when the first one was sealed.")?;
    }
    for line in &checked.torn {
        writeln!(env.out, "Line {line} is no record: a crash cut it short.")?;
    }
    for generation in &checked.missing {
        writeln!(env.out, "Generation {generation} was never noted as kept, and is not.")?;
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
