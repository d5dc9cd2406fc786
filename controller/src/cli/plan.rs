//! `perimeter plan`: what would change in the kernel?

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::apply::absolute;
use super::host::Host;
use super::policy_file::{Loaded, PolicyArgs};
use super::settle::settled;
use super::{Env, Exit, Global, cuts};
use crate::lifelines::Cut;
use crate::plan::{Plan, PlanFile, human};
use crate::policy::Diagnostic;
use crate::state::Writer;
use crate::status::TrialStatus;

/// Show what would change in the kernel; change nothing
///
/// The policy is compared with what the kernel enforces now, rule by rule, not with a file: what was detached or replaced
/// behind perimeter's back shows. A change that ends enforcement is the first line.
///
/// "What it means" is no difference of texts: it names the frames that would pass and do not now, and the other way
/// round, exactly. Renamed or reordered rules and merged prefixes change nothing there.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter plan gateway.yaml
  perimeter plan gateway.yaml --detailed-exitcode    0: no changes, 2: some
  perimeter plan gateway.yaml --at 2027-07-01        as of then: rules that have expired are gone
  perimeter plan gateway.yaml --out gateway.plan     then `perimeter show` and `perimeter apply` it
  perimeter plan gateway.yaml -v                     every range of frames that opens or closes, each with a frame
  perimeter plan gateway.yaml --json | jq '.interfaces[].meaning.opens[].frames'")]
pub struct PlanArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Write the plan to a file, for somebody to review with `perimeter show` and to put in force with `perimeter apply`
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with 2 where there are differences
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(serde::Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// What the policy's reader warns of.
    warnings: &'a [Diagnostic],
    /// Connections of this machine that would end.
    cuts: &'a [Cut],
    /// The generation on trial: until that is decided, nothing is applied.
    trial: Option<TrialStatus>,
    /// Who changes things meanwhile.
    change: Option<Writer>,
}

/// Carries out the command.
pub(super) fn run(args: &PlanArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(loaded) = args.policy.load(env)? else { return Ok(Exit::Reported) };
    let host = Host::open(global)?;
    let trial = host.trial(&host.state.recent(host.namespace)?, env.now);
    // What is in force is judged as of the same moment.
    env.now = args.policy.at.unwrap_or(env.now);
    let (planned, change) = settled(
        &host.state,
        || host.plan(&loaded.ruleset, env),
        |planned| planned.as_ref().is_none_or(|planned| !planned.plan.changes),
    );
    let Some(planned) = planned? else { return Ok(Exit::Reported) };
    let cuts = cuts::of(&planned, &loaded.ruleset);
    if args.json {
        let answer = Answer { plan: &planned.plan, warnings: &loaded.warnings, cuts: &cuts, trial, change };
        serde_json::to_writer_pretty(&mut *env.out, &answer)?;
        writeln!(env.out)?;
    } else {
        human(&planned.plan, global.detail(), env.out)?;
        cuts::warn(&cuts, env.out)?;
        if let Some(trial) = trial {
            writeln!(env.out, "! {}; until then `perimeter apply` changes nothing", trial.undecided())?;
        }
        if let Some(Writer { pid, .. }) = change {
            writeln!(
                env.out,
                "! a change is under way (process {pid}): what is compared with may be half of it; plan again when it is done"
            )?;
        }
    }
    if let Some(path) = &args.out {
        write(&planned.plan, &loaded, (&args.policy.policy, path), env)?;
    }
    Ok(if args.detailed_exitcode && planned.plan.changes { Exit::Negative } else { Exit::Done })
}

/// Writes a plan file, and says by which digest to know it.
fn write(
    plan: &Plan,
    loaded: &Loaded,
    (policy, path): (&Path, &Path),
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let file = PlanFile::new(plan.clone(), absolute(policy), &loaded.sources)?;
    std::fs::write(path, file.bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(env.err, "The plan is in {}, SHA-256 {}", path.display(), file.digest())?;
    Ok(())
}
