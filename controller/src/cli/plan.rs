//! `perimeter plan`: what would change in the kernel?

use super::host::Host;
use super::policy_file::PolicyArgs;
use super::{Env, Exit, Global};
use crate::plan::{Plan, human};
use crate::policy::Diagnostic;

/// Show what would change in the kernel; change nothing
///
/// The policy is compared with what the kernel enforces now, rule by rule, not with a file: what was detached or replaced
/// behind perimeter's back shows. A change that ends enforcement is the first line.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter plan gateway.yaml
  perimeter plan gateway.yaml --detailed-exitcode    0: no changes, 2: some
  perimeter plan gateway.yaml --at 2027-07-01        as of then: rules that have expired are gone
  perimeter plan gateway.yaml --json | jq '.interfaces[].groups'")]
pub struct PlanArgs {
    #[command(flatten)]
    policy: PolicyArgs,
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
}

/// Carries out the command.
pub(super) fn run(args: &PlanArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(loaded) = args.policy.load(env)? else { return Ok(Exit::Reported) };
    let Some(planned) = Host::open(global)?.plan(&loaded, env)? else { return Ok(Exit::Reported) };
    if args.json {
        let answer = Answer { plan: &planned.plan, warnings: &loaded.warnings };
        serde_json::to_writer_pretty(&mut *env.out, &answer)?;
        writeln!(env.out)?;
    } else {
        human(&planned.plan, env.out)?;
    }
    Ok(if args.detailed_exitcode && planned.plan.changes { Exit::Negative } else { Exit::Done })
}
