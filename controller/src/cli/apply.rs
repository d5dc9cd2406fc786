//! `perimeter apply`: make it so.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::host::{Host, Planned};
use super::policy_file::{Loaded, load};
use super::{Env, Exit, Global};
use crate::backend::{Feature, list, names};
use crate::counters::grouped;
use crate::plan::{Plan, human};
use crate::reconcile::{self, Order, Report};
use crate::ruleset::Ruleset;
use crate::state::Lock;

/// Put a policy in force, after showing the plan and asking
///
/// Everything is compiled, loaded and verified first; then each interface switches between two frames, and if one fails,
/// those already switched go back. Enforcement outlives this command. Applying twice changes nothing and says so.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter apply gateway.yaml                       shows the plan, then asks
  perimeter apply gateway.yaml --yes                 from a script
  perimeter apply gateway.yaml --yes --allow-open    where the plan ends enforcement on an interface
  nsenter --net=/run/netns/gw perimeter apply gateway.yaml")]
pub struct ApplyArgs {
    /// The policy, a YAML file
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    #[command(flatten)]
    consent: Consent,
}

/// What stands for an answer where nobody is asked.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(super) struct Consent {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// With --yes: agree to a change after which an interface no longer keeps anything out
    #[arg(long)]
    allow_open: bool,
}

impl Consent {
    /// Whether to go on with a plan that has been shown; asks where somebody can answer.
    pub(super) fn given(self, plan: &Plan, env: &mut Env<'_>) -> anyhow::Result<bool> {
        match (self.yes, plan.opens) {
            (true, true) if !self.allow_open => {
                bail!("this ends enforcement: it needs --allow-open beside --yes; nothing was changed")
            }
            (true, _) => Ok(true),
            (false, _) if !env.interactive => {
                bail!(
                    "nobody can be asked, since this is no terminal: run it again with --yes; nothing was changed"
                )
            }
            (false, true) => Ok(env.ask("End enforcement as told in the first line?")?),
            (false, false) => Ok(env.ask("Apply this?")?),
        }
    }
}

/// Carries out the command.
pub(super) fn run(args: &ApplyArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(loaded) = load(&args.policy, env.now, env)? else { return Ok(Exit::Reported) };
    let mut host = Host::open(global)?;
    host.require_lasting(&loaded.ruleset)?;
    let lock = host.state.lock()?;
    let Some(planned) = host.plan(&loaded, env)? else { return Ok(Exit::Reported) };
    human(&planned.plan, env.out)?;
    env.out.flush()?;
    if !planned.plan.changes {
        reconcile::acknowledge(&host.state, &lock, &planned.plan, (&env.who, env.now, host.namespace))?;
        return Ok(Exit::Done);
    }
    if !args.consent.given(&planned.plan, env)? {
        writeln!(env.err, "perimeter: not applied; nothing was changed")?;
        return Ok(Exit::Reported);
    }
    let report = carry_out(&mut host, &lock, planned, &loaded, &args.policy, env)?;
    tell(&report, &loaded.ruleset, env)?;
    Ok(Exit::Done)
}

fn carry_out(
    host: &mut Host,
    lock: &Lock,
    planned: Planned,
    loaded: &Loaded,
    policy: &Path,
    env: &Env<'_>,
) -> anyhow::Result<Report> {
    let policy_file = std::path::absolute(policy).unwrap_or(policy.to_owned()).display().to_string();
    let order = Order {
        ruleset: &loaded.ruleset,
        images: planned.images,
        sources: &loaded.sources,
        policy_file: &policy_file,
        by: &env.who,
        at: env.now,
        namespace: host.namespace,
    };
    Ok(reconcile::apply(&mut host.backend, &host.state, lock, &planned.plan, order)?)
}

/// One line an interface.
fn tell(report: &Report, ruleset: &Ruleset, env: &mut Env<'_>) -> anyhow::Result<()> {
    for one in &report.in_force {
        let generation = report.generation.unwrap_or(0);
        let index = ruleset.interfaces.iter().position(|interface| interface.name == one.interface);
        let rules =
            ruleset.rules.iter().filter(|rule| index.is_some_and(|index| rule.interfaces.contains(&index)));
        let rules = grouped(rules.count() as u64);
        let engine = names(&one.engines);
        let refused =
            if one.refused.is_empty() { String::new() } else { format!("; {}", list(&one.refused)) };
        let restored = again(&one.restored);
        let interface = &one.interface;
        writeln!(
            env.out,
            "{interface}  generation {generation} is in force ({engine}, rules: {rules}{refused}{restored})"
        )?;
    }
    if report.generation.is_none() && report.ended.is_empty() {
        writeln!(env.out, "Offloads were switched off; the generation in force stays.")?;
    }
    ended(report, env)
}

/// Where enforcement has ended.
pub(super) fn ended(report: &Report, env: &mut Env<'_>) -> anyhow::Result<()> {
    for (interface, restored) in &report.ended {
        writeln!(env.out, "{interface}  is no longer enforced{}", again(restored))?;
    }
    Ok(())
}

/// The offloads that are on again.
fn again(restored: &[Feature]) -> String {
    let names: Vec<&str> = restored.iter().map(|feature| feature.name()).collect();
    if names.is_empty() { String::new() } else { format!("; on again: {}", names.join(", ")) }
}
