//! `perimeter status`: what is enforced now?

use jiff::Timestamp;
use serde::Serialize;

use super::host::Host;
use super::reader::names;
use super::settle::settled;
use super::{Env, Exit, Global};
use crate::agent::presence::{self, AgentStatus};
use crate::backend::Backend;
use crate::backend::loss::loss;
use crate::counters::{EventTotals, Loss, grouped, report};
use crate::events::totals;
use crate::state::expected;
use crate::status::{Status, human, status};

/// Show what the kernel enforces now, and whether that is what was put in force
///
/// Exits with 2 where an interface is not as it was left, or where nothing is enforced. While another command changes
/// things it waits for that, up to two seconds; what is not done by then is no drift, unless it takes ten.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter status
  perimeter status --json | jq '.interfaces[] | {interface, generation, drift}'")]
pub struct StatusArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was told of single frames, and what was lost around the program.
#[derive(Serialize)]
struct Watched {
    events: EventTotals,
    loss: Vec<Loss>,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    status: &'a Status,
    #[serde(flatten)]
    watched: &'a Watched,
    /// The agent of this network namespace, where one runs.
    agent: Option<AgentStatus>,
}

impl Watched {
    fn of(interfaces: &[String], events: EventTotals) -> Watched {
        // A device that cannot be asked is told of above.
        let loss = interfaces.iter().filter_map(|interface| loss(interface).ok().flatten());
        Watched { events, loss: loss.collect() }
    }

    /// Nothing where nothing happened.
    fn lines(&self) -> Vec<String> {
        let one = |loss: &Loss| Some(format!("{}: {}", loss.interface, loss.words()?));
        let mut lines: Vec<String> = self.loss.iter().filter_map(one).collect();
        let EventTotals { emitted, suppressed, lost, .. } = self.events;
        if emitted + suppressed + lost > 0 {
            let [emitted, suppressed, lost] = [emitted, suppressed, lost].map(grouped);
            lines.push(format!("events: {emitted} told, {suppressed} beyond the limit, {lost} lost"));
        }
        if self.events.is_major_non_conformity() {
            lines.push(format!(
                "! major non-conformity: {:.2} % of all events were lost, 0.1 % may be: their ring was full, because the reader \
                 (`perimeter serve` or `perimeter events`) did not keep up",
                100.0 * self.events.lost_ratio()
            ));
        }
        lines
    }
}

/// Carries out the command.
pub(super) fn run(args: &StatusArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let host = Host::open(global)?;
    let (seen, change) = settled(&host.state, || look(&host, global, env), |(status, _)| status.in_sync);
    let (status, watched) = seen?;
    let status = status.with_change(change, Timestamp::now());
    let agent = presence::find(&global.state_dir, host.namespace);
    if args.json {
        let told = Told { status: &status, watched: &watched, agent };
        serde_json::to_writer_pretty(&mut *env.out, &told)?;
        writeln!(env.out)?;
    } else {
        human(&status, env.out)?;
        watched.lines().into_iter().try_for_each(|line| writeln!(env.out, "{line}"))?;
        agent.iter().try_for_each(|agent| writeln!(env.out, "{agent}"))?;
    }
    Ok(if status.is_well() { Exit::Done } else { Exit::Negative })
}

/// What is enforced at the moment.
fn look(host: &Host, global: &Global, env: &Env<'_>) -> anyhow::Result<(Status, Watched)> {
    let journal = host.state.recent(host.namespace)?;
    let expected = expected(&journal, host.namespace);
    let names = names(&expected);
    let mut observed = host.observe(&names)?;
    let known = host.known(&observed, env.now)?;
    host.inspect(&mut observed, &known)?;
    let status = status(&observed, &expected, &known, &report(&host.backend.counters()?))
        .with_trial(host.trial(&journal, env.now));
    let watched = Watched::of(&names, totals(&global.place(host.namespace))?);
    Ok((status, watched))
}
