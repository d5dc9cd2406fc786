//! `perimeter confirm`: keep what is on trial.

use anyhow::bail;
use jiff::Timestamp;

use super::host::Host;
use super::{Env, Exit, Global};
use crate::backend::Backend;
use crate::state::{Event, What, on_trial};

/// Keep the generation that `apply --confirm-within` put in force
///
/// Run it from where the new policy must let you in: that you can is the point.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter apply gateway.yaml --confirm-within 60s
  perimeter confirm")]
pub struct ConfirmArgs {}

/// Carries out the command.
pub(super) fn run(_: &ConfirmArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let host = Host::open(global)?;
    let lock = host.state.lock()?;
    let Some(trial) = on_trial(&host.state.recent(host.namespace)?, host.namespace) else {
        bail!("no generation is on trial in this network namespace: there is nothing to confirm")
    };
    let generation = trial.generation;
    for name in &trial.interfaces {
        let observed = host.backend.observe(name)?;
        if observed.records().all(|record| record.generation != generation) {
            bail!(
                "generation {generation} is on trial, and {name} does not enforce it: `perimeter status` tells what it does; nothing was confirmed"
            )
        }
    }
    env.now = Timestamp::now();
    let what = What::Confirmed { generation };
    host.state.append(&lock, &Event { occasion: host.occasion(env), interfaces: trial.interfaces, what })?;
    writeln!(env.out, "Generation {generation} is kept.")?;
    Ok(Exit::Done)
}
