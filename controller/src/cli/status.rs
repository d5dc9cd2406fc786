//! `perimeter status`: what is enforced now?

use super::host::Host;
use super::{Env, Exit, Global};
use crate::backend::Backend;
use crate::counters::report;
use crate::state::{expected, on_trial};
use crate::status::{human, status};

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

/// Carries out the command.
pub(super) fn run(args: &StatusArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let host = Host::open(global)?;
    let journal = host.state.journal()?;
    let expected = expected(&journal, host.namespace);
    let mut names: Vec<String> = Vec::new();
    for enforced in expected.settled.iter().chain(&expected.begun) {
        names.extend(
            enforced.interfaces.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>(),
        );
    }
    let mut observed = host.observe(&names)?;
    let known = host.known(&observed, env.now)?;
    host.inspect(&mut observed, &known)?;
    let status = status(&observed, &expected, &known, &report(&host.backend.counters()?))
        .with_trial(on_trial(&journal, host.namespace).as_ref(), env.now);
    if args.json {
        serde_json::to_writer_pretty(&mut *env.out, &status)?;
        writeln!(env.out)?;
    } else {
        human(&status, env.out)?;
    }
    Ok(if status.in_sync { Exit::Done } else { Exit::Negative })
}
