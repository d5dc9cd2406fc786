//! `perimeter restore`: after a boot, what was kept before it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::SignedDuration;

use super::apply::{absolute, parse_wait};
use super::change::{Consent, How, Wish, put_in_force};
use super::host::{Host, names};
use super::policy_file::load;
use super::{Env, Exit, Global};
use crate::backend::{Backend, Device};
use crate::state::kept;

/// Put the last kept generation in force again, as at boot
///
/// A generation that was on trial and not confirmed is not kept: what was before it comes back. What was detached stays so.
/// Where nothing was kept, or it cannot be put in force, the fallback policy is: one that lets you in to mend things, and
/// nothing else. Asks nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter restore
  perimeter restore --wait 30s --fallback /etc/perimeter/fallback.yaml     as perimeter.service does")]
pub struct RestoreArgs {
    /// The policy to put in force where what was kept cannot be
    #[arg(long, value_name = "POLICY")]
    fallback: Option<PathBuf>,
    /// How long to wait for the interfaces to appear, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = parse_wait, default_value = "0s")]
    wait: SignedDuration,
}

/// Carries out the command.
pub(super) fn run(args: &RestoreArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let mut host = Host::open(global)?;
    let deadline = Instant::now() + args.wait.unsigned_abs();
    let why = match last(&mut host, deadline, global, env) {
        Ok(exit @ (Exit::Done | Exit::Negative)) => return Ok(exit),
        Ok(Exit::Reported) => "it was refused".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    let Some(policy) = &args.fallback else {
        bail!("what was kept cannot be put in force: {why}; nothing was changed")
    };
    writeln!(
        env.err,
        "perimeter: what was kept cannot be put in force: {why}; falling back to {}",
        policy.display()
    )?;
    fall_back(&mut host, policy, deadline, global, env)?;
    // The machine is guarded, but not by what was kept: that is no success.
    Ok(Exit::Negative)
}

fn last(host: &mut Host, deadline: Instant, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(kept) = kept(&host.state.recent(host.namespace)?, host.namespace) else {
        bail!("no generation was kept in this network namespace")
    };
    let wish = host.stored(kept.generation, env.now)?.on(&kept.interfaces);
    enforce(host, &wish, deadline, global, env)
}

fn fall_back(
    host: &mut Host,
    policy: &Path,
    deadline: Instant,
    global: &Global,
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let Some(loaded) = load(policy, env.now, env)? else { bail!("the fallback policy has errors") };
    let wish = Wish::new(loaded.ruleset, loaded.sources, absolute(policy));
    match enforce(host, &wish, deadline, global, env)? {
        Exit::Done | Exit::Negative => Ok(()),
        Exit::Reported => bail!("the fallback policy was refused: nothing is enforced"),
    }
}

fn enforce(
    host: &mut Host,
    wish: &Wish,
    deadline: Instant,
    global: &Global,
    env: &mut Env<'_>,
) -> anyhow::Result<Exit> {
    wait(host, wish, deadline)?;
    let Some((wish, gone)) = host.reachable(wish)? else { return Ok(Exit::Reported) };
    let how = How { ends_trial: true, left_alone: gone.clone(), ..How::default() };
    let exit = put_in_force(host, &wish, (&Consent::given_before(), how), global, env)?;
    if exit != Exit::Done || gone.is_empty() {
        return Ok(exit);
    }
    let gone = gone.join(", ");
    writeln!(
        env.err,
        "perimeter: {gone} could not be reached, and is not enforced: run `perimeter restore` again when it can"
    )?;
    Ok(Exit::Negative)
}

/// Waits until every interface is there, until the deadline: those that are there by then are guarded.
fn wait(host: &Host, wish: &Wish, deadline: Instant) -> anyhow::Result<()> {
    let is_missing =
        |name: &String| host.backend.observe(name).map(|observed| observed.device == Device::Missing);
    let all = names(&wish.ruleset);
    while Instant::now() < deadline {
        let missing = all.iter().map(is_missing).collect::<Result<Vec<_>, _>>()?;
        if !missing.contains(&true) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
