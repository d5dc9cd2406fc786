//! `perimeter rollback`: a new generation with the content of an old one.

use anyhow::{anyhow, bail};

use super::change::{Consent, How, put_in_force};
use super::host::Host;
use super::{Env, Exit, Global, detach};
use crate::state::{earlier, on_trial};

/// Put the content of an earlier generation in force again, as a new generation
///
/// Without a number: what was in force before. A generation on trial ends with it. Rules that have expired meanwhile stay
/// expired.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter rollback           what was in force before, after asking
  perimeter rollback 7 --yes   what generation 7 was
  perimeter history            which generations there are")]
pub struct RollbackArgs {
    /// The generation whose content to put in force
    #[arg(value_name = "GENERATION")]
    generation: Option<u64>,
    #[command(flatten)]
    consent: Consent,
}

/// Carries out the command.
pub(super) fn run(args: &RollbackArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let mut host = Host::open(global)?;
    let journal = host.state.recent(host.namespace)?;
    let trial = on_trial(&journal, host.namespace);
    let number = match (args.generation, &trial) {
        (Some(number), _) => number,
        (None, Some(trial)) => match trial.before {
            Some(before) => before,
            None => return detach::end(&mut host, None, &args.consent, env),
        },
        (None, None) => match earlier(&journal, host.namespace) {
            Some(number) => number,
            None => {
                bail!("no other policy was in force before in this network namespace; nothing was changed")
            }
        },
    };
    let mut wish = host
        .stored(number, env.now)
        .map_err(|error| anyhow!("cannot go back: {error:#}; nothing was changed"))?;
    let mut how = How { ends_trial: true, ..How::default() };
    if trial.is_some()
        && let Some((reachable, gone)) = host.reachable(&wish)?
        && !gone.is_empty()
    {
        // One device that is gone must not keep the others from going back.
        writeln!(env.err, "perimeter: {} cannot be reached and stays as it is", gone.join(", "))?;
        (wish, how.left_alone) = (reachable, gone);
    }
    put_in_force(&mut host, &wish, (&args.consent, how), global, env)
}
