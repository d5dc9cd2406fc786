//! The status for people.

use std::io::{self, Write};

use super::{InterfaceStatus, Status, TrialStatus};
use crate::backend::names;
use crate::counters::{InterfaceCounters, Outcome, grouped};
use crate::plan::ended;
use crate::printable::printable;
use crate::state::Writer;

/// A few lines an interface: what is in force, what it has counted, what is wrong.
pub fn human(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    if status.interfaces.is_empty() {
        writeln!(out, "No interface is enforced in this network namespace.")?;
    }
    let width = status.interfaces.iter().map(|one| one.interface.len()).max().unwrap_or(0) + 3;
    for one in &status.interfaces {
        writeln!(out, "{:width$}{}", one.interface, headline(one))?;
        if let Some(applied) = &one.applied {
            let when = applied.at.strftime("%Y-%m-%d %H:%M");
            let (by, file) = (printable(&applied.by), printable(&applied.policy_file));
            writeln!(out, "{:width$}applied {when} UTC by {by} from {file}", "")?;
        }
        if let (Some(why), Some(_)) = (&one.why, one.generation) {
            writeln!(out, "{:width$}{}", "", printable(why))?;
        }
        for lapse in &one.expired {
            writeln!(out, "{:width$}{}", "", ended(lapse))?;
        }
        for drift in one.drift.iter().chain(&one.notes) {
            writeln!(out, "{:width$}! {}", "", printable(drift))?;
        }
        if let Some(counters) = one.counters.as_ref().filter(|_| one.generation.is_some()) {
            writeln!(out, "{:width$}{}", "", sums(counters))?;
        }
    }
    status.trial.iter().try_for_each(|trial| writeln!(out, "{}", on_trial(trial)))?;
    status.change.iter().try_for_each(|writer| writeln!(out, "{}", under_way(writer)))
}

fn under_way(writer: &Writer) -> String {
    let Writer { pid, since } = writer;
    let since = since.strftime("%H:%M:%S");
    format!(
        "! a change is under way (process {pid}, since {since} UTC): look again when it is done, or end it if it hangs (`kill {pid}`)"
    )
}

fn on_trial(trial: &TrialStatus) -> String {
    let TrialStatus { generation, until, .. } = trial;
    match trial.trouble() {
        Some(trouble) => format!("! {trouble}"),
        None => format!(
            "Generation {generation} is on trial until {} UTC: `perimeter confirm` keeps it.",
            until.strftime("%H:%M:%S")
        ),
    }
}

fn headline(one: &InterfaceStatus) -> String {
    let word = match (one.generation, one.enforced) {
        (None, false) => return "not enforcing".to_owned(),
        (None, true) => return format!("enforcing   {}", names(&one.engines)),
        (Some(_), true) => "enforcing",
        (Some(_), false) => "shadow mode, nothing is dropped",
    };
    let engine = names(&one.engines);
    let policy = one.policy.map_or(String::new(), |policy| policy.short());
    let generation = one.generation.unwrap_or(0);
    let sync = match (one.in_sync, one.drift.is_empty()) {
        (true, _) => "in sync with",
        (false, true) => "being changed, now",
        (false, false) => "not as it was left:",
    };
    format!("{word}   {engine}   generation {generation}   {sync} policy {policy}")
}

/// "passed 18,204,551   dropped 391,204   (no_rule 388,770, malformed 333)".
fn sums(counters: &InterfaceCounters) -> String {
    let mut text = format!(
        "passed {}   dropped {}",
        grouped(counters.passed.packets),
        grouped(counters.dropped.packets)
    );
    if counters.would_drop.packets > 0 {
        text += &format!("   would drop {}", grouped(counters.would_drop.packets));
    }
    let reasons: Vec<String> = counters
        .reasons
        .iter()
        .filter(|reason| reason.packets > 0)
        .map(|reason| {
            let shadow = if reason.verdict == Outcome::WouldDrop { "would: " } else { "" };
            format!("{shadow}{} {}", reason.reason, grouped(reason.packets))
        })
        .collect();
    if reasons.is_empty() { text } else { format!("{text}   ({})", reasons.join(", ")) }
}
