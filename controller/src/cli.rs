//! The command line: one file a verb. Nouns read, verbs change.
//!
//! Promises: results go to standard output, errors to standard error, one line first; exit 0 done, 1 error, 2 a negative
//! answer. Nothing else in the crate prints, and nothing imports this module but `main`.

mod apply;
mod change;
mod check;
mod choose;
mod completions;
mod confirm;
mod counters;
mod cuts;
mod detach;
mod doctor;
mod events;
mod explain;
mod failure;
#[cfg(test)]
mod harness;
mod history;
mod host;
mod keeper;
mod listening;
mod man;
mod plan;
mod policy_file;
mod reader;
mod render;
mod replay;
mod report;
mod restore;
mod rollback;
mod schema;
mod serve;
mod settle;
mod show;
mod status;
mod steady;
mod timer;
mod top;

pub use failure::told;

use std::io::{BufRead, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::events::Place;
use crate::plan::Detail;
use crate::state::{Author, Namespace};

/// What a command may touch of the process around it; tests pass their own.
pub struct Env<'a> {
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    /// Where the answer to a question comes from.
    pub input: &'a mut dyn BufRead,
    /// Whether standard output and standard error take colour (a terminal, and no `NO_COLOR`).
    pub colour_out: bool,
    pub colour_err: bool,
    /// Whether standard error is a terminal, where source lines are shown.
    pub terminal_err: bool,
    /// Whether a person can be asked: standard input is a terminal.
    pub interactive: bool,
    pub now: jiff::Timestamp,
    /// Who runs the command, for the record.
    pub author: Author,
    /// The program that is running, for what must outlive it.
    pub program: PathBuf,
}

impl<'a> Env<'a> {
    /// No terminal and no colour, nobody to ask: where commands are run from a program.
    pub fn plain(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        input: &'a mut dyn BufRead,
        now: jiff::Timestamp,
        who: &str,
    ) -> Env<'a> {
        let (colour_out, colour_err, terminal_err, interactive) = (false, false, false, false);
        let author = Author { by: who.to_owned(), ..Author::default() };
        let program = "perimeter".into();
        Env { out, err, input, colour_out, colour_err, terminal_err, interactive, now, author, program }
    }

    /// Asks a question that only the whole word `yes` affirms.
    pub fn ask(&mut self, question: &str) -> std::io::Result<bool> {
        write!(self.err, "{question} Only \"yes\" is taken as yes: ")?;
        self.err.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }
}

/// How a command ended, where it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, allowed, in sync: 0.
    Done,
    /// A negative answer (differences, denied, drift): 2.
    Negative,
    /// Problems were found in the input and have been reported: 1.
    Reported,
}

/// perimeter enforces a network allow-list in the kernel
///
/// A policy is one YAML file: the interfaces to guard and what may enter there. Everything else is dropped and counted
/// under its own reason. Nothing keeps running: the kernel enforces on its own.
#[derive(Parser, Debug)]
#[command(name = "perimeter", version, after_help = WORKFLOW)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

const WORKFLOW: &str = "\
The usual way:
  perimeter check gateway.yaml           is the policy right?
  perimeter plan gateway.yaml            what would change in the kernel?
  perimeter apply gateway.yaml           change it, after asking
  perimeter apply gateway.yaml --confirm-within 60s; perimeter confirm
                                         change it, and take it back unless you can still get in
  perimeter rollback                     undo it
  perimeter status                       what is enforced now?
  perimeter counters                     what has it passed and dropped?
  perimeter events                       which frames are dropped, as it happens?
  perimeter top                          and what is it passing and dropping now?
  perimeter serve                        tell Prometheus, and a browser on this machine
  perimeter detach                       stop enforcing
  perimeter doctor                       can this machine enforce, and what is in the way?
  perimeter replay gateway.yaml a.pcap   what would it do with this traffic?
  perimeter report gateway.yaml a.pcap   the same as one page, for a ticket
  perimeter explain gateway.yaml ...     which rule decides about a packet, and why not the others?

Exit status: 0 done, allowed, in sync; 1 error; 2 a negative answer (differences, denied, drift).";

/// Options of every command.
#[derive(clap::Args, Debug, Clone)]
pub struct Global {
    /// Where generations, policies and records are kept
    #[arg(long, global = true, value_name = "DIR", env = "PERIMETER_STATE_DIR", hide_env_values = true)]
    #[arg(default_value = "/var/lib/perimeter")]
    pub state_dir: PathBuf,
    /// Where the kernel objects are pinned; must lie on a bpf file system
    #[arg(long, global = true, value_name = "DIR", env = "PERIMETER_BPFFS", hide_env_values = true)]
    #[arg(default_value = "/sys/fs/bpf/perimeter")]
    pub bpffs: PathBuf,
    /// Say more: the whole chain of causes of an error; of a plan, everything that it opens and closes
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

impl Global {
    /// How much of a plan is shown.
    fn detail(&self) -> Detail {
        if self.verbose { Detail::Full } else { Detail::Brief }
    }
}

impl Global {
    /// The same places for a process that stands in another directory.
    fn absolute(&self) -> Global {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Global { state_dir: absolute(&self.state_dir), bpffs: absolute(&self.bpffs), ..self.clone() }
    }

    /// Where the instance in a network namespace keeps its things.
    fn place(&self, namespace: Namespace) -> Place {
        Place { bpffs: self.bpffs.clone(), state_dir: self.state_dir.clone(), namespace }
    }
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Check(check::CheckArgs),
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Confirm(confirm::ConfirmArgs),
    Rollback(rollback::RollbackArgs),
    Restore(restore::RestoreArgs),
    History(history::HistoryArgs),
    Show(show::ShowArgs),
    Status(status::StatusArgs),
    Counters(counters::CountersArgs),
    Events(events::EventsArgs),
    Top(top::TopArgs),
    Detach(detach::DetachArgs),
    Doctor(doctor::DoctorArgs),
    Replay(replay::ReplayArgs),
    Report(report::ReportArgs),
    Render(render::RenderArgs),
    Explain(explain::ExplainArgs),
    Serve(serve::ServeArgs),
    Schema(schema::Args),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    #[command(hide = true)]
    Keeper(keeper::KeeperArgs),
}

/// Carries out one command.
pub fn run(cli: Cli, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let global = &cli.global.absolute();
    match cli.command {
        Command::Check(args) => check::run(&args, env),
        Command::Plan(args) => plan::run(&args, global, env),
        Command::Apply(args) => apply::run(&args, global, env),
        Command::Confirm(args) => confirm::run(&args, global, env),
        Command::Rollback(args) => rollback::run(&args, global, env),
        Command::Restore(args) => restore::run(&args, global, env),
        Command::History(args) => history::run(&args, global, env),
        Command::Show(args) => show::run(&args, global, env),
        Command::Keeper(args) => keeper::run(&args, global, env),
        Command::Status(args) => status::run(&args, global, env),
        Command::Counters(args) => counters::run(&args, global, env),
        Command::Events(args) => events::run(&args, global, env),
        Command::Top(args) => top::run(&args, global, env),
        Command::Detach(args) => detach::run(&args, global, env),
        Command::Doctor(args) => doctor::run(&args, global, env),
        Command::Replay(args) => replay::run(&args, env),
        Command::Report(args) => report::run(&args, global, env),
        Command::Render(args) => render::run(&args, global, env),
        Command::Explain(args) => explain::run(&args, env),
        Command::Serve(args) => serve::run(&args, global, env),
        Command::Schema(args) => schema::run(&args, env),
        Command::Completions(args) => completions::run(&args, env),
        Command::Man(args) => man::run(&args, env),
    }
}
