//! `perimeter detach`: stop enforcing.

use anyhow::bail;

use super::change::{Consent, ended};
use super::host::Host;
use super::{Env, Exit, Global};
use crate::backend::Backend;
use crate::plan::{Detail, Plan, human};
use crate::reconcile::{self, Ending};
use crate::state::{expected, on_trial};

/// Stop enforcing: detach the programs, remove what is pinned, restore offloads
///
/// Everything passes from then on. Counters end with the last interface. Policies and records are kept.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter detach                                   every interface, after asking
  perimeter detach --interface wan0
  perimeter detach --yes --allow-open                from a script")]
pub struct DetachArgs {
    /// Only this interface
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

/// What is pinned, what should be enforced and is not, and what would be once a trial is taken back: that it should be is
/// forgotten.
fn enforced_or_expected(host: &Host) -> anyhow::Result<Vec<String>> {
    let mut names = host.backend.enforced()?;
    let journal = host.state.recent(host.namespace)?;
    let expected = expected(&journal, host.namespace);
    names.extend(expected.settled.into_iter().chain(expected.begun).flat_map(|one| one.interfaces));
    names.extend(on_trial(&journal, host.namespace).into_iter().flat_map(|trial| trial.back));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Carries out the command.
pub(super) fn run(args: &DetachArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    end(&mut Host::open(global)?, args.interface.as_ref(), &args.consent, env)
}

/// Ends enforcement on one interface or on all, after asking.
pub(super) fn end(
    host: &mut Host,
    interface: Option<&String>,
    consent: &Consent,
    env: &mut Env<'_>,
) -> anyhow::Result<Exit> {
    consent.sign(env);
    let enforced = enforced_or_expected(host)?;
    let names = match interface {
        Some(name) if !enforced.contains(name) => {
            bail!("{name} is not enforced by perimeter in this network namespace; nothing was changed")
        }
        Some(name) => vec![name.clone()],
        None if enforced.is_empty() => {
            writeln!(env.out, "No interface is enforced in this network namespace: nothing to detach.")?;
            return Ok(Exit::Done);
        }
        None => enforced,
    };
    let observed = names.iter().map(|name| host.backend.observe(name)).collect::<Result<Vec<_>, _>>()?;
    let plan = Plan::detach(&observed, &host.known(&observed, env.now)?);
    human(&plan, Detail::Brief, env.out)?;
    env.out.flush()?;
    if !consent.given(&plan, env)? {
        writeln!(env.err, "perimeter: not detached; nothing was changed")?;
        return Ok(Exit::Reported);
    }
    let lock = host.state.lock()?;
    let now = names.iter().map(|name| host.backend.observe(name)).collect::<Result<Vec<_>, _>>()?;
    if now != observed {
        bail!("something changed since this plan was shown; look again; nothing was changed")
    }
    env.now = jiff::Timestamp::now();
    let ending = Ending { occasion: host.occasion(env), must_happen: false };
    let report = reconcile::detach(&mut host.backend, (&host.state, &lock), &plan, &ending)?;
    ended(&report, env)?;
    Ok(Exit::Done)
}
