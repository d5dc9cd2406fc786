//! What takes a generation on trial back: a process of its own that outlives the command, its terminal and its login.
//!
//! Promises: it stands, with the tables of what was before compiled, before the first frame meets the new generation; it
//! goes without a trace once the generation is confirmed or replaced; at the deadline, by a clock that nobody can set and
//! that runs while the machine sleeps, it puts back what was there. Where that fails it tries again, and says why in
//! `keeper.log` of the state directory.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use super::change::{Wish, carry_out};
use super::host::{Host, Planned};
use super::{Env, Exit, Global};
use crate::plan::Plan;
use crate::reconcile;
use crate::state::{Event, Lock, StateError, What, on_trial};
use crate::tables::Image;

/// How often the journal is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// How often, and how many times, a revert that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
const TRIES: usize = 600;
/// What the keeper prints when it stands.
const READY: &str = "ready";

/// What a keeper is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) generation: u64,
    /// What comes back; nothing was enforced where this is `None`.
    pub(super) before: Option<u64>,
    pub(super) within: SignedDuration,
}

/// Wait for the end of a trial, and take it back unless it was confirmed
#[derive(clap::Args, Debug)]
pub struct KeeperArgs {
    #[arg(long)]
    generation: u64,
    #[arg(long)]
    before: Option<u64>,
    #[arg(long, value_name = "MILLISECONDS")]
    within: u64,
}

/// Starts a keeper, and comes back when it stands.
pub(super) fn start(program: &Path, global: &Global, charge: Charge) -> io::Result<()> {
    let log = File::options().create(true).append(true).open(global.state_dir.join("keeper.log"))?;
    let mut command = Command::new(program);
    command.arg("--state-dir").arg(&global.state_dir).arg("--bpffs").arg(&global.bpffs);
    command.args(["keeper", "--generation", &charge.generation.to_string()]);
    if let Some(before) = charge.before {
        command.args(["--before", &before.to_string()]);
    }
    command.args(["--within", &charge.within.as_millis().to_string()]);
    let mut keeper = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
    let mut line = String::new();
    if let Some(out) = keeper.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    if line.trim_end() == READY {
        return Ok(());
    }
    keeper.wait()?;
    Err(io::Error::other(format!("it ended at once: see {}", global.state_dir.join("keeper.log").display())))
}

/// Carries out the command.
pub(super) fn run(args: &KeeperArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    // From here on no signal of the terminal or the login reaches this process.
    rustix::process::setsid().context("leave the session of the terminal")?;
    std::env::set_current_dir("/").context("leave the current directory")?;
    let deadline = boottime() + Duration::from_millis(args.within);
    let mut host = Host::open(global)?;
    let before = args.before.map(|number| host.stored(number, env.now)).transpose()?;
    let images = before.as_ref().map(|wish| Host::compile(&wish.ruleset)).transpose()?;
    writeln!(env.out, "{READY}")?;
    env.out.flush()?;
    if !waits(&host, args.generation, deadline)? {
        return Ok(Exit::Done);
    }
    for _ in 0..TRIES {
        env.now = Timestamp::now();
        match take_back(&mut host, args.generation, before.as_ref().zip(images.as_deref()), env) {
            Ok(()) => return Ok(Exit::Done),
            Err(error) => writeln!(env.err, "{} generation {}: {error:#}", env.now, args.generation)?,
        }
        std::thread::sleep(AGAIN);
    }
    bail!("generation {} could not be taken back; see `perimeter status`", args.generation)
}

/// Waits for the deadline. False where the trial was decided before.
fn waits(host: &Host, generation: u64, deadline: Duration) -> anyhow::Result<bool> {
    let mut begun = false;
    while boottime() < deadline {
        let is_on = is_on_trial(host, generation)?;
        if begun && !is_on {
            return Ok(false);
        }
        begun |= is_on;
        std::thread::sleep(GLANCE.min(deadline.saturating_sub(boottime())));
    }
    is_on_trial(host, generation)
}

fn is_on_trial(host: &Host, generation: u64) -> anyhow::Result<bool> {
    let trial = on_trial(&host.state.journal()?, host.namespace);
    Ok(trial.is_some_and(|trial| trial.generation == generation))
}

/// Puts back what was in force before, unless somebody decided in the last moment.
fn take_back(
    host: &mut Host,
    generation: u64,
    before: Option<(&Wish, &[Image])>,
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let lock = lock(host)?;
    let Some(trial) =
        on_trial(&host.state.journal()?, host.namespace).filter(|trial| trial.generation == generation)
    else {
        return Ok(());
    };
    let why = format!("not confirmed by {}", trial.until.strftime("%H:%M:%S"));
    let what = What::Reverting { generation, why };
    let event = Event { occasion: host.occasion(env), interfaces: trial.interfaces.clone(), what };
    host.state.append(&lock, &event)?;
    match before {
        Some((wish, images)) => again(host, &lock, (wish, images), env),
        None => nothing(host, &lock, env),
    }
}

/// The lock is held for moments only: whoever has it is about to be done.
fn lock(host: &Host) -> anyhow::Result<Lock> {
    for _ in 0..40 {
        match host.state.lock() {
            Err(StateError::Busy(_)) => std::thread::sleep(Duration::from_millis(25)),
            other => return Ok(other?),
        }
    }
    Ok(host.state.lock()?)
}

/// Puts the policy of before in force, as a new generation.
fn again(
    host: &mut Host,
    lock: &Lock,
    (wish, images): (&Wish, &[Image]),
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let Some(plan) = host.compare(&wish.ruleset, images, env)? else {
        bail!("what was in force before cannot be put in force now")
    };
    if plan.changes {
        carry_out(host, lock, (Planned { plan, images: images.to_vec() }, wish), None, env)?;
    } else {
        reconcile::acknowledge(&host.state, lock, &plan, &host.occasion(env))?;
    }
    Ok(())
}

/// Ends the enforcement that there was not before.
fn nothing(host: &mut Host, lock: &Lock, env: &Env<'_>) -> anyhow::Result<()> {
    let observed = host.observe(&[])?;
    let plan = Plan::detach(&observed, &host.known(&observed)?);
    let occasion = host.occasion(env);
    reconcile::detach(&mut host.backend, &host.state, lock, &plan, &occasion)?;
    Ok(())
}

/// Time since the boot, sleep included.
fn boottime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}
