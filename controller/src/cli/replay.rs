//! `perimeter replay`: the verdict on every frame of captures, and whether it is the expected one.

mod report;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::report::{Ended, Human, Json, Report, Shown};
use super::policy_file::PolicyArgs;
use super::{Env, Exit, choose};
use crate::backend::nft::judge::JudgeError;
use crate::backend::xdp::program::{LoadError, Program};
use crate::capture::Capture;
use crate::compile::compile;
use crate::replay::{
    Engine, Engines, Expectations, Nftables, Record, ReplayError, Summary, Totals, Words, base_name, replay,
};
use crate::ruleset::Ruleset;
use crate::simulate::Model;

/// Captures of at least this many bytes show a progress bar.
const LONG: u64 = 16 << 20;

/// Judge every frame of captures as if it had just been received
///
/// Captured bytes are the frame. The policy's verdicts are given as if `enforce: true`, and nothing is changed.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct ReplayArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Captures of Ethernet frames: pcap or pcapng
    #[arg(required = true, value_name = "PCAP")]
    captures: Vec<PathBuf>,
    /// The interface that receives the frames; may be left out where the policy has one
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Who judges
    #[arg(long, value_enum, default_value_t = Choice::Model)]
    engine: Choice,
    /// One JSON object a frame, then the summary
    #[arg(long)]
    json: bool,
    /// Compare with the decisions in FILE; a difference is exit status 2
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write the decisions to FILE, for --expect
    #[arg(long, value_name = "FILE")]
    write_expected: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  perimeter replay gateway.yaml gateway.pcap
  perimeter replay gateway.yaml gateway.pcap --json | jq -c 'select(.verdict == \"drop\")'
  perimeter replay gateway.yaml *.pcap --write-expected expected.jsonl
  perimeter replay gateway.yaml *.pcap --engine all --expect expected.jsonl

Expectations are one JSON object a line, as --write-expected and --json write them; \"rule\" and \"reason\" may be left \
out and are then not compared. They go by the capture's file name, whatever its folder. Every frame of the captures \
given must be expected, and every expected frame must be there.

Exit status: 0 done and as expected, 1 error, 2 a decision is not the expected one or engines differ.";

/// The engines that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// The classifier in user space; needs no privilege
    Model,
    /// The kernel program, loaded privately for test runs; needs root
    Xdp,
    /// nftables: a real ingress chain in a network namespace of its own; needs root
    Nft,
    /// Every engine that can be had; any difference between them is exit status 2
    All,
}

/// Runs the command.
pub(super) fn run(args: &ReplayArgs, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(loaded) = args.policy.load(env)? else {
        return Ok(Exit::Reported);
    };
    let ruleset = &loaded.ruleset;
    let interface = choose::interface(ruleset, args.interface.as_deref())?;
    let mut engines = engines(ruleset, interface, args.engine, env)?;
    let expectations = args.expect.as_deref().map(expectations).transpose()?;
    let names = names(&args.captures);
    let mut session = Session {
        ruleset,
        expectations: expectations.as_ref(),
        names: &names,
        written: args.write_expected.as_deref().map(create).transpose()?,
        totals: Totals::default(),
        failed: 0,
        shows_progress: !(args.json && io::stdout().is_terminal()),
    };
    let mut report: Box<dyn Report> = if args.json {
        Box::new(Json::default())
    } else {
        Box::new(Human::new(&names, expectations.is_some()))
    };
    for (path, name) in args.captures.iter().zip(&names) {
        session.capture(path, name, &mut engines, report.as_mut(), env)?;
    }
    let interface = &ruleset.interfaces[interface].name;
    let summary = Summary::new(&session.totals, names.len(), session.failed, interface, engines.names());
    report.summary(&summary, env.out)?;
    session.finish()
}

/// The engines of a replay. Of `all`, those that cannot be had here are named on standard error.
fn engines(
    ruleset: &Ruleset,
    interface: usize,
    choice: Choice,
    env: &mut Env<'_>,
) -> anyhow::Result<Engines> {
    let image = compile(ruleset, interface)?;
    let mut engines: Vec<Box<dyn Engine>> = Vec::new();
    if matches!(choice, Choice::Model | Choice::All) {
        engines.push(Box::new(Model::from(image.clone())));
    }
    if matches!(choice, Choice::Xdp | Choice::All) {
        let program = Program::private(&image);
        engines.extend(had(program, "xdp", LoadError::is_unavailable, choice, env)?);
    }
    if matches!(choice, Choice::Nft | Choice::All) {
        let table = Nftables::new(ruleset, interface);
        engines.extend(had(table, "nft", JudgeError::is_unavailable, choice, env)?);
    }
    Ok(Engines::new(Model::from(image), engines))
}

/// An engine, if it is to be had; one of `all` that is not is named on standard error and left out.
fn had<T: Engine + 'static, E: std::error::Error + Send + Sync + 'static>(
    engine: Result<T, E>,
    name: &str,
    is_unavailable: impl Fn(&E) -> bool,
    choice: Choice,
    env: &mut Env<'_>,
) -> anyhow::Result<Option<Box<dyn Engine>>> {
    match engine {
        Ok(engine) => Ok(Some(Box::new(engine))),
        Err(error) if choice == Choice::All && is_unavailable(&error) => {
            writeln!(env.err, "perimeter: engine {name} is left out: {error}")?;
            Ok(None)
        }
        Err(error) => {
            let line = format!("engine {name}: {error}");
            Err(anyhow::Error::new(error).context(line))
        }
    }
}

fn expectations(path: &Path) -> anyhow::Result<Expectations> {
    let read = || Ok(Expectations::read(BufReader::new(File::open(path)?))?);
    read().map_err(|error: anyhow::Error| anyhow!("{}: {error}", path.display()))
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// The captures as they are named on the command line.
fn names(captures: &[PathBuf]) -> Vec<String> {
    captures.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// What goes on from one capture to the next.
struct Session<'a> {
    ruleset: &'a Ruleset,
    expectations: Option<&'a Expectations>,
    names: &'a [String],
    written: Option<BufWriter<File>>,
    totals: Totals,
    /// Captures with an error.
    failed: usize,
    shows_progress: bool,
}

impl Session<'_> {
    /// Replays one capture. What is wrong with the capture is reported, and is no reason not to read the next one.
    fn capture(
        &mut self,
        path: &Path,
        name: &str,
        engines: &mut Engines,
        report: &mut dyn Report,
        env: &mut Env<'_>,
    ) -> anyhow::Result<()> {
        let (ruleset, written) = (self.ruleset, &mut self.written);
        let key = portable(name, self.names);
        let expected = self.expectations.map(|all| all.of(name)).transpose()?;
        let mut totals = Totals::default();
        let progress = self.shows_progress;
        let mut line = Vec::new();
        let mut each = |judged: &crate::replay::Judged<'_>| {
            let words = Words::new(judged.judgement.decision, ruleset);
            if let Some(written) = written {
                line.clear();
                serde_json::to_writer(&mut line, &Record::new(key, judged.frame.number, words))?;
                line.push(b'\n');
                written.write_all(&line)?;
            }
            report.frame(&Shown { file: name, judged, words, ruleset }, env.out)
        };
        let result = open(path, progress)
            .map_err(anyhow::Error::new)
            .and_then(|file| Capture::new(file).map_err(anyhow::Error::new))
            .map(|mut capture| replay(&mut capture, engines, ruleset, expected, &mut totals, &mut each));
        self.totals.add(&totals);
        match result {
            Ok(Ok(missing)) => report.capture(&Ended { file: name, totals: &totals, missing }, env)?,
            Ok(Err(ReplayError::Capture(error))) => {
                report.capture(&Ended { file: name, totals: &totals, missing: &[] }, env)?;
                self.fail(name, &error, env)?;
            }
            Ok(Err(error)) => return Err(anyhow!("{name}: {error}")),
            Err(error) => self.fail(name, error.as_ref(), env)?,
        }
        Ok(())
    }

    fn fail(&mut self, name: &str, error: &dyn std::error::Error, env: &mut Env<'_>) -> io::Result<()> {
        self.failed += 1;
        env.out.flush()?;
        writeln!(env.err, "perimeter: {name}: {error}")
    }

    /// An error outweighs a difference: where something was not judged, nobody can say that it is as expected.
    fn finish(self) -> anyhow::Result<Exit> {
        if let Some(mut written) = self.written {
            written.flush().map_err(|error| anyhow!("cannot write the expectations: {error}"))?;
        }
        Ok(match (self.failed, self.totals.contradicted()) {
            (0, false) => Exit::Done,
            (0, true) => Exit::Negative,
            _ => Exit::Reported,
        })
    }
}

/// What expectations call a capture: its file name, or where two have the same, what the command line says.
fn portable<'a>(name: &'a str, names: &[String]) -> &'a str {
    let alike = names.iter().filter(|other| base_name(other) == base_name(name)).count();
    if alike == 1 { base_name(name) } else { name }
}

/// Opens a capture; a long one moves a bar on standard error where that is a terminal.
fn open(path: &Path, shows_progress: bool) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if !shows_progress || length < LONG {
        return Ok(Box::new(file));
    }
    // No ticking thread: the lines of the results are written under the lock that it would wait for.
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style);
    Ok(Box::new(bar.wrap_read(file)))
}
