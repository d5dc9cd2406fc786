//! What takes a generation on trial back: a process of its own that outlives the command, its terminal and its login.
//!
//! Promises: it stands, with the tables of what was before compiled, before the first frame meets the new generation; it
//! goes without a trace once the generation is confirmed or replaced; at the deadline, by a clock that nobody can set and
//! that runs while the machine sleeps, it puts back what [`Trial::back`] says. Where that fails, or cannot be noted, it tries
//! again, and says why in `keeper.log` of the state directory.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::change::{Wish, carry_out};
use super::host::{Host, Planned};
use super::{Env, Exit, Global};
use crate::plan::Plan;
use crate::reconcile::{self, Ending};
use crate::state::{Event, Lock, StateError, Trial, What, announced, expected, on_trial};
use crate::tables::Image;

/// How often the journal is looked for something new.
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
    /// The end of the trial as the journal notes it, by which it is told from any other trial of this number.
    pub(super) until: Timestamp,
}

/// Wait for the end of a trial, and take it back unless it was confirmed
#[derive(clap::Args, Debug)]
pub struct KeeperArgs {
    #[arg(long)]
    generation: u64,
    #[arg(long)]
    before: Option<u64>,
    /// Since the boot, sleep included; without it, this and the next come by standard input
    #[arg(long, value_name = "MILLISECONDS", requires = "until")]
    deadline: Option<u64>,
    #[arg(long, value_name = "TIME", requires = "deadline")]
    until: Option<Timestamp>,
}

/// Which trial a keeper keeps: numbers may come again where a state directory is made anew, instants do not.
#[derive(Clone, Copy, Debug)]
struct Kept {
    generation: u64,
    until: Timestamp,
}

impl Kept {
    fn is(self, trial: &Trial) -> bool {
        (trial.generation, trial.until) == (self.generation, self.until)
    }
}

/// A keeper that stands. The end of the way to it, at the latest with this process, tells it that the switch is over.
pub(super) struct Started {
    pub(super) charge: Charge,
    /// Time since the boot.
    deadline: Duration,
    _way: ChildStdin,
}

impl Started {
    /// The switch is over: what it keeps, and until when since the boot.
    pub(super) fn let_go(self) -> (Charge, Duration) {
        (self.charge, self.deadline)
    }
}

/// Starts a keeper, and comes back when it stands: from then on the time of the trial runs, since what is left to do is
/// soon done.
pub(super) fn start(
    program: &Path,
    global: &Global,
    (generation, before): (u64, Option<u64>),
    within: SignedDuration,
) -> io::Result<Started> {
    let log = File::options().create(true).append(true).open(global.state_dir.join("keeper.log"))?;
    let mut command = Command::new(program);
    command.args(words(global, generation, before));
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
    let mut line = String::new();
    if let Some(out) = keeper.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    match keeper.stdin.take() {
        Some(mut way) if line.trim_end() == READY => {
            let (until, deadline) = (Timestamp::now() + within, boottime() + within.unsigned_abs());
            writeln!(way, "{} {until}", deadline.as_millis())?;
            Ok(Started { charge: Charge { generation, before, until }, deadline, _way: way })
        }
        _ => {
            keeper.wait()?;
            let log = global.state_dir.join("keeper.log");
            Err(io::Error::other(format!("it ended at once: see {}", log.display())))
        }
    }
}

/// The words of the command that keeps `charge` until `deadline`, a time since the boot.
pub(super) fn words_until(global: &Global, charge: Charge, deadline: Duration) -> Vec<OsString> {
    let (deadline, until) = (deadline.as_millis().to_string(), charge.until.to_string());
    let mut words = words(global, charge.generation, charge.before);
    words.extend(["--deadline", &deadline, "--until", &until].map(OsString::from));
    words
}

/// The words of a command that is told the rest by its standard input.
fn words(global: &Global, generation: u64, before: Option<u64>) -> Vec<OsString> {
    let places = [("--state-dir", &global.state_dir), ("--bpffs", &global.bpffs)];
    let mut words: Vec<OsString> = places
        .into_iter()
        .flat_map(|(option, path)| [option.into(), path.clone().into_os_string()])
        .collect();
    words.extend(["keeper", "--generation"].map(OsString::from));
    words.push(generation.to_string().into());
    if let Some(before) = before {
        words.extend(["--before".to_owned(), before.to_string()].map(OsString::from));
    }
    words
}

/// Carries out the command.
pub(super) fn run(args: &KeeperArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    // From here on no signal of the terminal or the login reaches this process.
    match rustix::process::setsid() {
        // What systemd starts leads a session of its own already.
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(error).context("leave the session of the terminal"),
    }
    std::env::set_current_dir("/").context("leave the current directory")?;
    let mut host = Host::open(global)?;
    let mut before = match args.before {
        Some(number) => Some(Before::compile(&host, (number, &back(&host, args.generation)), env.now)?),
        None => None,
    };
    // Where another keeper holds it, or it cannot be held, there is as much to do.
    let _held = host.state.hold(args.generation);
    writeln!(env.out, "{READY}")?;
    env.out.flush()?;
    let given = args.deadline.zip(args.until);
    // Whoever started this ended before there was a trial where nothing is told.
    let Some((deadline, until)) = given.or_else(|| told(env)) else { return Ok(Exit::Done) };
    let kept = Kept { generation: args.generation, until };
    if !waits(&host, kept, Duration::from_millis(deadline), given.is_some()) {
        return Ok(Exit::Done);
    }
    for _ in 0..TRIES {
        env.now = Timestamp::now();
        match take_back(&mut host, kept, &mut before, env) {
            Ok(()) => return Ok(Exit::Done),
            // The log may be on the disk that is full: what has to be done does not wait for it.
            Err(error) => drop(writeln!(env.err, "{} generation {}: {error:#}", env.now, args.generation)),
        }
        std::thread::sleep(AGAIN);
    }
    bail!("generation {} could not be taken back; see `perimeter status`", args.generation)
}

/// The interfaces on which something comes back, as far as that can be told now; it is asked again at the deadline.
fn back(host: &Host, generation: u64) -> Vec<String> {
    let journal = host.state.recent(host.namespace).unwrap_or_default();
    let trial = announced(&journal, host.namespace).filter(|trial| trial.generation == generation);
    // Before the trial is noted nothing is switched.
    let now =
        || expected(&journal, host.namespace).settled.map_or(Vec::new(), |enforced| enforced.interfaces);
    trial.map_or_else(now, |trial| trial.back)
}

/// The deadline and the end of the trial, as [`start`] tells them.
fn told(env: &mut Env<'_>) -> Option<(u64, Timestamp)> {
    let mut line = String::new();
    env.input.read_line(&mut line).ok()?;
    let (deadline, until) = line.trim_end().split_once(' ')?;
    deadline.parse().ok().zip(until.parse().ok())
}

/// What comes back, compiled before it is needed.
struct Before {
    number: u64,
    /// On these interfaces.
    back: Vec<String>,
    wish: Wish,
    images: Vec<Image>,
}

impl Before {
    fn compile(host: &Host, (number, back): (u64, &[String]), now: Timestamp) -> anyhow::Result<Before> {
        let wish = Wish { must_happen: true, ..host.stored(number, now)?.on(back) };
        let images = Host::compile(&wish.ruleset)?;
        Ok(Before { number, back: back.to_vec(), wish, images })
    }

    /// Compiles it again where an interface was detached or a rule has expired meanwhile.
    fn refresh(&mut self, host: &Host, back: &[String], now: Timestamp) -> anyhow::Result<()> {
        if self.back != back || self.wish.ruleset != self.wish.ruleset.clone().as_of(now) {
            *self = Before::compile(host, (self.number, back), now)?;
        }
        Ok(())
    }
}

/// Waits for the deadline, a time since the boot. False where the trial was decided before, or never began. `is_noted`:
/// whether the journal has had the trial already.
fn waits(host: &Host, kept: Kept, deadline: Duration, mut is_noted: bool) -> bool {
    let mut is_over = is_said();
    let mut looked = None;
    let mut is_on = true;
    loop {
        let length = host.state.journal_length();
        if !host.state.is_there() {
            return false;
        }
        if looked != Some(length) {
            // What cannot be read now, or is gone, is taken for undecided: a trial ends by a word, not by a failure to hear it.
            is_noted |= length > 0;
            is_on = if length == 0 { is_noted } else { is_on_trial(host, kept).unwrap_or(true) };
            looked = Some(length);
        }
        if is_over && !is_on {
            return false;
        }
        if is_on && boottime() >= deadline {
            return true;
        }
        let left = deadline.saturating_sub(boottime());
        std::thread::sleep(if left.is_zero() { GLANCE } else { left.min(GLANCE) });
        is_over = is_over || is_said();
    }
}

/// Whether the switch is over: a word by standard input, its end and an error each say so. Without a thread, of which there
/// may be none to be had.
fn is_said() -> bool {
    let input = io::stdin();
    loop {
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&Timespec::default())) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}

fn is_on_trial(host: &Host, kept: Kept) -> anyhow::Result<bool> {
    Ok(on_trial(&host.state.recent(host.namespace)?, host.namespace).is_some_and(|trial| kept.is(&trial)))
}

/// Puts back what was in force before, unless somebody decided in the last moment.
fn take_back(
    host: &mut Host,
    kept: Kept,
    before: &mut Option<Before>,
    env: &mut Env<'_>,
) -> anyhow::Result<()> {
    let lock = lock(host)?;
    let journal = host.state.recent(host.namespace)?;
    if journal.is_empty() {
        bail!("the journal is gone: whether the generation was confirmed cannot be told")
    }
    let Some(trial) = on_trial(&journal, host.namespace).filter(|trial| kept.is(trial)) else {
        return Ok(());
    };
    let generation = kept.generation;
    let is_noted =
        |event: &Event| matches!(event.what, What::Reverting { generation: it, .. } if it == generation);
    if !journal.iter().any(is_noted) {
        let why = format!("not confirmed by {}", trial.until.strftime("%H:%M:%S"));
        let what = What::Reverting { generation, why };
        let event = Event { occasion: host.occasion(env), interfaces: trial.interfaces.clone(), what };
        // A note that cannot be written must not keep the gate open.
        let _ = host.state.append(&lock, &event);
    }
    match before {
        Some(before) if !trial.back.is_empty() => {
            before.refresh(host, &trial.back, env.now)?;
            again(host, &lock, before, env)?;
        }
        _ => nothing(host, &lock, &trial, env)?,
    }
    if is_on_trial(host, kept)? {
        bail!("it is taken back, but that could not be noted")
    }
    Ok(())
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

/// Puts the policy of before in force, as a new generation; on the interfaces that take it, where one is gone.
fn again(host: &mut Host, lock: &Lock, before: &Before, env: &mut Env<'_>) -> anyhow::Result<()> {
    let (plan, images, wish) = match host.compare(&before.wish.ruleset, &before.images, env)? {
        Some(plan) => (plan, before.images.clone(), before.wish.clone()),
        None => {
            let Some((wish, left_alone)) = host.reachable(&before.wish)? else {
                bail!("what was in force before cannot be put in force on any interface now")
            };
            let images = Host::compile(&wish.ruleset)?;
            let Some(mut plan) = host.compare(&wish.ruleset, &images, env)? else {
                bail!("what was in force before cannot be put in force now")
            };
            plan.leave_alone(&left_alone);
            (plan, images, wish)
        }
    };
    if plan.changes {
        carry_out(host, lock, (Planned { plan, images }, &wish), None, env)?;
    } else {
        let occasion = host.occasion(env);
        reconcile::acknowledge(&mut host.backend, (&host.state, lock), &plan, &occasion)?;
    }
    Ok(())
}

/// Ends the enforcement that there was not before; what is gone already is noted.
fn nothing(host: &mut Host, lock: &Lock, trial: &Trial, env: &Env<'_>) -> anyhow::Result<()> {
    let observed = host.observe(&trial.interfaces)?;
    let plan = Plan::detach(&observed, &host.known(&observed, env.now)?);
    let ending = Ending { occasion: host.occasion(env), must_happen: true };
    reconcile::detach(&mut host.backend, (&host.state, lock), &plan, &ending)?;
    Ok(())
}

/// Time since the boot, sleep included.
pub(super) fn boottime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}
