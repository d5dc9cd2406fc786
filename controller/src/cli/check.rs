//! `perimeter check`: is the policy right?

use clap::Args;
use serde::Serialize;

use super::policy_file::{PolicyArgs, beside, print, tally, text};
use super::{Env, Exit};
use crate::policy::{self, Diagnostic, Severity};

/// Validate a policy, and point out what is probably not meant
///
/// Every problem is reported in one pass, with its place and how to mend it. Warnings leave the exit status at 0: unused
/// names; rules that are expired, about to expire, shadowed, duplicate or redundant (exactly, also where several others
/// together are the cause) or over-broad; tunnels; rules without `vlan` on a trunk; missing ARP, neighbour discovery and
/// path MTU messages.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter check gateway.yaml
  perimeter check gateway.yaml --at 2027-07-01       as of then: which rules will have expired?
  perimeter check gateway.yaml --json | jq -r '.diagnostics[].message'")]
pub struct CheckArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Findings<'d> {
    diagnostics: &'d [Diagnostic],
    errors: usize,
    warnings: usize,
}

/// Carries out the command.
pub(super) fn run(args: &CheckArgs, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let path = &args.policy.policy;
    let at = args.policy.at.unwrap_or(env.now);
    let name = path.display().to_string();
    let reading = policy::check(&name, &text(path)?, &mut beside(path), at);
    let exit = if reading.ruleset.is_some() { Exit::Done } else { Exit::Reported };
    let diagnostics = &reading.diagnostics;
    if args.json {
        let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
        let findings =
            Findings { diagnostics, errors: count(Severity::Error), warnings: count(Severity::Warning) };
        serde_json::to_writer_pretty(&mut *env.out, &findings)?;
        writeln!(env.out)?;
        return Ok(exit);
    }
    print(diagnostics, env)?;
    match reading.ruleset {
        None => writeln!(env.err, "{}; nothing was changed", tally(diagnostics))?,
        Some(_) if !diagnostics.is_empty() => writeln!(env.out, "{}", tally(diagnostics))?,
        Some(ruleset) => {
            let (rules, interfaces) = (ruleset.rules.len(), ruleset.interfaces.len());
            writeln!(env.out, "{name}: no problems (rules: {rules}, interfaces: {interfaces})")?;
        }
    }
    Ok(exit)
}
