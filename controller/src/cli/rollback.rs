//! `perimeter rollback`: a new generation with the content of an old one.

use anyhow::{anyhow, bail};

use super::change::{Consent, How, put_in_force};
use super::host::Host;
use super::{Env, Exit, Global, detach};
use crate::backend::{InForce, Observed};
use crate::state::{Event, Expected, Trial, earlier, expected, on_trial};

/// Put the content of an earlier generation in force again, as a new generation
///
/// Without a number: what was in force before. A generation on trial ends with it, at once and as at its deadline: what was
/// detached stays so. Rules that have expired meanwhile stay expired.
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
        (Some(number), Some(trial)) if number == trial.generation => {
            bail!("generation {number} is on trial: `perimeter confirm` keeps it; nothing was changed")
        }
        (Some(number), _) => number,
        (None, Some(Trial { before: Some(before), back, .. })) if !back.is_empty() => *before,
        (None, Some(_)) => return detach::end(&mut host, None, &args.consent, env),
        (None, None) => match before(&host, &journal)? {
            Some(number) => number,
            None => {
                bail!("no other policy was in force before in this network namespace; nothing was changed")
            }
        },
    };
    // What a trial is to go back to is not held up by a text: the ruleset is known by its digest.
    if trial.is_none() && !host.state.is_as_noted(number)? {
        bail!(
            "what is kept of generation {number} is not what was put in force, and would be kept as the policy of a new one: \
             `perimeter history --check` tells more, `perimeter apply POLICY` takes what you have reviewed; nothing was changed"
        )
    }
    let mut wish = host
        .stored(number, env.now)
        .map_err(|error| anyhow!("cannot go back: {error:#}; nothing was changed"))?;
    if let (None, Some(trial)) = (args.generation, &trial) {
        wish = wish.on(&trial.back);
    }
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

/// The generation whose content was in force before what is. Where an apply was interrupted and some of it is in force, that is
/// what was put in force last, which the records know.
fn before(host: &Host, journal: &[Event]) -> anyhow::Result<Option<u64>> {
    let Expected { settled, begun } = expected(journal, host.namespace);
    if let (Some(settled), Some(begun)) = (settled, begun) {
        let is_met = |record: &InForce| record.generation == begun.generation;
        if host.observe(&begun.interfaces)?.iter().flat_map(Observed::records).any(is_met) {
            return Ok(Some(settled.generation));
        }
    }
    Ok(earlier(journal, host.namespace))
}
