//! `perimeter history`: what was done, when, by whom, and what was in force at any past instant.

mod check;

use jiff::Timestamp;
use serde::Serialize;

use super::policy_file::parse_time;
use super::{Env, Exit, Global};
use crate::backend::xdp::namespace;
use crate::digest::Digest;
use crate::printable::printable;
use crate::state::{Event, Namespace, State, What, expected};

/// List what was done, or what was in force at an instant
///
/// From the records of the state directory; what the kernel enforces now is told by `perimeter status`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter history
  perimeter history --at 2027-03-01T12:00:00Z     what was in force then
  perimeter history --json | jq 'select(.event == \"in_force\")'
  perimeter history --check                       is the record whole? for an auditor
  perimeter show 7                                the policy of generation 7")]
pub struct HistoryArgs {
    /// What was in force at this time: YYYY-MM-DD or RFC 3339, UTC without an offset
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<Timestamp>,
    /// Whether every record is as it was written and none is missing; with SEAL, up to the one that had this seal
    ///
    /// Each record is sealed with the one before it, and --check tells the last seal. Who can write the journal can write a
    /// whole new one, but not one with a seal that was noted elsewhere. Exit 2 where something was changed.
    #[arg(long, value_name = "SEAL", conflicts_with = "at")]
    check: Option<Option<Digest>>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// One interface at a past instant.
#[derive(Serialize)]
struct InForce<'a> {
    interface: &'a str,
    generation: u64,
    policy: String,
    policy_file: Option<String>,
    /// An apply was interrupted at that time: the interface may have had this or what was before.
    interrupted: bool,
}

/// Carries out the command.
pub(super) fn run(args: &HistoryArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let state = State::new(&global.state_dir);
    if let Some(noted) = args.check {
        return check::run(&state, noted, args.json, env);
    }
    let namespace = namespace()?;
    let mut events = state.journal()?;
    events.retain(|event| event.occasion.namespace == namespace);
    match args.at {
        Some(at) => past(&state, &events, (at, namespace), args.json, env)?,
        None if args.json => {
            for event in &events {
                serde_json::to_writer(&mut *env.out, event)?;
                writeln!(env.out)?;
            }
        }
        None if events.is_empty() => writeln!(env.out, "Nothing was done in this network namespace.")?,
        None => list(&events, env)?,
    }
    Ok(Exit::Done)
}

/// What was in force at an instant.
fn past(
    state: &State,
    events: &[Event],
    (at, namespace): (Timestamp, Namespace),
    json: bool,
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let until = events.iter().filter(|event| event.occasion.at <= at).cloned().collect::<Vec<_>>();
    let expected = expected(&until, namespace);
    let sides =
        expected.begun.iter().map(|one| (one, true)).chain(expected.settled.iter().map(|one| (one, false)));
    let mut found = 0;
    for (enforced, interrupted) in sides {
        let stored = state.generation(enforced.generation).ok();
        for interface in &enforced.interfaces {
            let policy_file = stored.as_ref().map(|stored| stored.record.policy_file.clone());
            let (generation, policy) = (enforced.generation, enforced.policy.to_string());
            let one = InForce { interface, generation, policy, policy_file, interrupted };
            tell_past(&one, json, env)?;
            found += 1;
        }
    }
    if found == 0 && !json {
        writeln!(env.out, "Nothing was enforced in this network namespace then.")?;
    }
    Ok(())
}

fn tell_past(one: &InForce<'_>, json: bool, env: &mut Env<'_>) -> anyhow::Result<()> {
    if json {
        serde_json::to_writer(&mut *env.out, one)?;
        writeln!(env.out)?;
        return Ok(());
    }
    let InForce { interface, generation, policy, .. } = one;
    let interface = printable(interface);
    let from = one.policy_file.as_ref().map_or(String::new(), |file| format!(", from {}", printable(file)));
    let doubt = if one.interrupted { "; an apply was interrupted, so it may have had this" } else { "" };
    writeln!(env.out, "{interface}  generation {generation}, policy {}{from}{doubt}", &policy[..8])?;
    Ok(())
}

/// One line an event; that something was begun is told only where nothing came of it.
fn list(events: &[Event], env: &mut Env<'_>) -> anyhow::Result<()> {
    for (at, event) in events.iter().enumerate() {
        let Some(text) = words(event, &events[..at], &events[at + 1..]) else { continue };
        let author = &event.occasion.author;
        let session = author.session.map_or(String::new(), |session| format!(" (session {session})"));
        let ticket = author.ticket.as_ref().map_or(String::new(), |ticket| format!("  [{ticket}]"));
        let when = event.occasion.at.strftime("%Y-%m-%d %H:%M:%S");
        let line = format!("{when}  {}{session}  {text}{ticket}", author.by);
        writeln!(env.out, "{}", printable(&line))?;
    }
    Ok(())
}

fn words(event: &Event, earlier: &[Event], later: &[Event]) -> Option<String> {
    let on = event.interfaces.join(", ");
    Some(match &event.what {
        What::Begun { generation, .. } => {
            let is_next = |event: &Event| match event.what {
                What::InForce { generation: it, .. } | What::Failed { generation: it, .. } => {
                    it == *generation
                }
                _ => false,
            };
            if later.iter().any(is_next) {
                return None;
            }
            format!("generation {generation} was begun on {on}, and interrupted")
        }
        What::InForce { generation, policy, .. } => {
            format!("generation {generation} in force on {on} (policy {})", policy.short())
        }
        What::Failed { generation, why } => format!("generation {generation} failed on {on}: {why}"),
        What::Trial { generation, before, until } => {
            let back = before.map_or("nothing".to_owned(), |before| format!("generation {before}"));
            let until = until.strftime("%H:%M:%S");
            format!("generation {generation} on trial until {until}, before {back} comes back")
        }
        What::Confirmed { generation } => {
            let is_reverting = |event: &Event| matches!(event.what, What::Reverting { generation: it, .. } if it == *generation);
            match earlier.iter().any(is_reverting) {
                true => format!("generation {generation} stays: it says what was before it"),
                false => format!("generation {generation} confirmed"),
            }
        }
        What::Reverting { generation, why } => format!("generation {generation} to be taken back: {why}"),
        What::Detached => format!("enforcement ended on {on}"),
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::state::{Author, Occasion};

    #[test]
    fn a_record_cannot_pass_for_two() {
        let author = Author {
            by: "a\u{1b}[2K".into(),
            session: None,
            ticket: Some("NET-1]\n2026-11-22 15:00:00  auditor  generation 9 confirmed".into()),
        };
        let occasion = Occasion { at: Timestamp::UNIX_EPOCH, author, namespace: Namespace { cookie: 1 } };
        let confirmed = What::Confirmed { generation: 2 };
        let event = Event { occasion, interfaces: vec!["wan0".into()], what: confirmed };
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), io::empty());
        let mut env = Env::plain(&mut out, &mut err, &mut input, Timestamp::UNIX_EPOCH, "tester");
        list(&[event], &mut env).unwrap();
        let told = String::from_utf8(out).unwrap();
        assert_eq!(
            told,
            "1970-01-01 00:00:00  a\\u{1b}[2K  generation 2 confirmed  [NET-1]\\n2026-11-22 15:00:00  auditor  \
             generation 9 confirmed]\n"
        );
    }
}
