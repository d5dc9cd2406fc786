//! `perimeter status`: what is enforced now?

use serde::Serialize;

use super::host::Host;
use super::reader::names;
use super::{Env, Exit, Global};
use crate::agent::presence::{self, AgentStatus};
use crate::backend::Backend;
use crate::counters::report;
use crate::state::{expected, on_trial};
use crate::status::{Status, human, status};

/// Show what the kernel enforces now, and whether that is what was put in force
///
/// Exits with 2 where an interface is not as it was left, or where nothing is enforced.
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

/// The answer as JSON.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    status: &'a Status,
    /// The agent of this network namespace, where one runs.
    agent: Option<AgentStatus>,
}

/// Carries out the command.
pub(super) fn run(args: &StatusArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let host = Host::open(global)?;
    let journal = host.state.journal()?;
    let expected = expected(&journal, host.namespace);
    let mut observed = host.observe(&names(&expected))?;
    let known = host.known(&observed, env.now)?;
    host.inspect(&mut observed, &known)?;
    let status = status(&observed, &expected, &known, &report(&host.backend.counters()?))
        .with_trial(on_trial(&journal, host.namespace).as_ref(), env.now);
    let agent = presence::find(&global.state_dir, host.namespace);
    if args.json {
        serde_json::to_writer_pretty(&mut *env.out, &Told { status: &status, agent })?;
        writeln!(env.out)?;
    } else {
        human(&status, env.out)?;
        agent.iter().try_for_each(|agent| writeln!(env.out, "{agent}"))?;
    }
    Ok(if status.in_sync { Exit::Done } else { Exit::Negative })
}
