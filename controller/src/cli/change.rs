//! Putting a policy in force, for every command that does: plan, show, ask, take the lock, make sure that nothing has
//! changed meanwhile, carry it out.
//!
//! Promises: what is carried out is what was shown. Nobody holds the lock while a person thinks.

use anyhow::bail;
use jiff::{SignedDuration, Timestamp};

use super::host::{Host, Planned};
use super::{Env, Exit, Global, cuts, keeper, timer};
use crate::backend::{Feature, list, names};
use crate::counters::grouped;
use crate::plan::{Plan, changed, human};
use crate::printable::first_forging;
use crate::reconcile::{self, Order, Report, Trial};
use crate::ruleset::Ruleset;
use crate::state::{Lock, Source};

/// A policy that is to be in force.
#[derive(Clone)]
pub(super) struct Wish {
    pub(super) ruleset: Ruleset,
    /// The policy's own text first, then the files it names.
    pub(super) sources: Vec<Source>,
    /// Where the policy was read, made absolute.
    pub(super) policy_file: String,
    /// Its other interfaces cannot be reached now.
    pub(super) partial: bool,
    /// A note that cannot be written does not keep it from happening.
    pub(super) must_happen: bool,
}

impl Wish {
    pub(super) fn new(ruleset: Ruleset, sources: Vec<Source>, policy_file: String) -> Wish {
        Wish { ruleset, sources, policy_file, partial: false, must_happen: false }
    }

    /// What it says of these interfaces.
    pub(super) fn on(mut self, interfaces: &[String]) -> Wish {
        self.ruleset = self.ruleset.of_interfaces(|name| interfaces.iter().any(|one| one == name));
        self
    }
}

/// What stands for an answer where nobody is asked, and what is noted.
#[derive(clap::Args, Debug, Clone)]
pub(super) struct Consent {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// With --yes: agree to a change after which an interface no longer keeps anything out
    #[arg(long)]
    allow_open: bool,
    /// The change request that this carries out, for the record
    #[arg(long, value_name = "TEXT", value_parser = parse_ticket)]
    ticket: Option<String>,
}

/// A text that shows in the record as it was given.
fn parse_ticket(text: &str) -> Result<String, String> {
    match first_forging(text) {
        None => Ok(text.to_owned()),
        Some(found) => Err(format!(
            "it holds a control character, U+{:04X}, which would show as something else: write it without, such as NET-1042",
            u32::from(found)
        )),
    }
}

impl Consent {
    /// Of whoever set things up so that this command runs by itself.
    pub(super) fn given_before() -> Consent {
        Consent { yes: true, allow_open: true, ticket: None }
    }

    /// Whether to go on with a plan that has been shown; asks where somebody can answer.
    pub(super) fn given(&self, plan: &Plan, env: &mut Env<'_>) -> anyhow::Result<bool> {
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

    /// Notes the ticket with who runs the command.
    pub(super) fn sign(&self, env: &mut Env<'_>) {
        env.author.ticket.clone_from(&self.ticket);
    }
}

/// The circumstances of a change.
#[derive(Default)]
pub(super) struct How<'a> {
    /// The plan that somebody reviewed: this one or none.
    pub(super) reviewed: Option<&'a Plan>,
    /// The new generation goes again unless it is confirmed within this time.
    pub(super) within: Option<SignedDuration>,
    /// Whether this may take the place of a generation on trial.
    pub(super) ends_trial: bool,
    /// Interfaces that cannot be reached now, and stay as they are.
    pub(super) left_alone: Vec<String>,
}

/// Plans, shows, asks and applies.
pub(super) fn put_in_force(
    host: &mut Host,
    wish: &Wish,
    (consent, how): (&Consent, How<'_>),
    global: &Global,
    env: &mut Env<'_>,
) -> anyhow::Result<Exit> {
    host.require_lasting(&wish.ruleset)?;
    consent.sign(env);
    if !how.ends_trial {
        host.refuse_trial(env.now)?;
    }
    let Some(mut planned) = host.plan(&wish.ruleset, env)? else { return Ok(Exit::Reported) };
    planned.plan.leave_alone(&how.left_alone);
    if how.within.is_some() && planned.plan.changes && !planned.plan.makes_generation() {
        bail!(
            "no new generation would be made, so that there is nothing to put on trial: apply without --confirm-within"
        )
    }
    let is_done = |reviewed: &Plan| !planned.plan.changes && reviewed.policy == planned.plan.policy;
    if let Some(reviewed) = how.reviewed.filter(|reviewed| !is_done(reviewed)) {
        same("the plan was made", reviewed, &planned.plan)?;
    }
    human(&planned.plan, global.detail(), env.out)?;
    cuts::warn(&cuts::of(&planned, &wish.ruleset), env.out)?;
    env.out.flush()?;
    if planned.plan.changes && !consent.given(&planned.plan, env)? {
        writeln!(env.err, "perimeter: not applied; nothing was changed")?;
        return Ok(Exit::Reported);
    }
    let lock = host.state.lock()?;
    let Some(now) = host.compare(&wish.ruleset, &planned.images, env)? else { return Ok(Exit::Reported) };
    let mut now = now.told_as(&planned.plan);
    now.leave_alone(&how.left_alone);
    same("this plan was shown", &planned.plan, &now)?;
    if !how.ends_trial {
        host.refuse_trial(env.now)?;
    }
    if !now.changes {
        let occasion = host.occasion(env);
        let stays = reconcile::acknowledge(&mut host.backend, (&host.state, &lock), &now, &occasion)?;
        if let Some(generation) = stays {
            writeln!(env.out, "Generation {generation} is kept: it says the same.")?;
        }
        return Ok(Exit::Done);
    }
    // The record tells when it was done, not when it was thought of.
    env.now = Timestamp::now();
    match how.within {
        Some(within) => on_trial(host, lock, (planned, wish), within, global, env)?,
        None => {
            let report = carry_out(host, &lock, (planned, wish), None, env)?;
            tell(&report, &wish.ruleset, env)?;
        }
    }
    Ok(Exit::Done)
}

/// Refuses where something is no longer as it was when somebody read the plan.
fn same(when: &str, then: &Plan, now: &Plan) -> anyhow::Result<()> {
    match changed(then, now).as_slice() {
        [] => Ok(()),
        changed => bail!(
            "something changed since {when}: {}; look at a new plan; nothing was changed",
            changed.join("; ")
        ),
    }
}

/// Applies, with a keeper that takes it back unless somebody confirms.
fn on_trial(
    host: &mut Host,
    lock: Lock,
    (planned, wish): (Planned, &Wish),
    within: SignedDuration,
    global: &Global,
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let before = host.whole(&planned.plan)?;
    let program = env.program.clone();
    let mut keeper = None;
    let mut start = |generation| {
        let started = keeper::start(&program, global, (generation, before), within)?;
        Ok(keeper.insert(started).charge.until)
    };
    let trial = Trial { before, keeper: &mut start };
    let report = carry_out(host, &lock, (planned, wish), Some(trial), env)?;
    // Whoever wants to confirm, or to go back, does not wait for systemd.
    drop(lock);
    let Some(keeper) = keeper else { return tell(&report, &wish.ruleset, env) };
    let (charge, deadline) = keeper.let_go();
    let timer = timer::start(&program, global, charge, deadline, host.namespace);
    tell(&report, &wish.ruleset, env)?;
    let back = before.map_or("nothing is enforced again, as before".to_owned(), |before| {
        format!("what generation {before} says is in force again")
    });
    writeln!(
        env.out,
        "On trial until {} UTC: `perimeter confirm` keeps it, else {back}.",
        charge.until.strftime("%H:%M:%S")
    )?;
    if let Err(why) = timer {
        writeln!(env.out, "A process alone sees to that, and no timer: {why}.")?;
    }
    Ok(())
}

/// Carries out a plan.
pub(super) fn carry_out<'a>(
    host: &mut Host,
    lock: &Lock,
    (planned, wish): (Planned, &'a Wish),
    trial: Option<Trial<'a>>,
    env: &mut Env<'_>,
) -> anyhow::Result<Report> {
    let order = Order {
        ruleset: &wish.ruleset,
        images: planned.images,
        sources: &wish.sources,
        policy_file: &wish.policy_file,
        occasion: host.occasion(env),
        trial,
        must_happen: wish.must_happen,
        partial: wish.partial,
    };
    let report = reconcile::apply(&mut host.backend, &host.state, lock, &planned.plan, order)?;
    if let Err(error) = host.prune(lock, env) {
        writeln!(env.err, "perimeter: policies of long ago could not be removed: {error}")?;
    }
    Ok(report)
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
    for (interface, features) in &report.switched_off {
        let off: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
        writeln!(env.out, "{interface}  the generation in force stays; switched off: {}", off.join(", "))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_shows_as_it_is() {
        assert_eq!(parse_ticket("NET-1042, für Müller").as_deref(), Ok("NET-1042, für Müller"));
        for bad in ["NET-1\nauditor", "NET-1\u{1b}[2K", "\u{202e}1-TEN", "a\0"] {
            assert!(parse_ticket(bad).unwrap_err().contains("control character, U+"), "{bad:?}");
        }
    }
}
