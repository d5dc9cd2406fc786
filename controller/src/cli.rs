//! The command line: one file a verb. Nouns read, verbs change.
//!
//! Promises: results go to standard output, errors to standard error, one line first; exit 0 done, 1 error, 2 a negative
//! answer. Nothing else in the crate prints, and nothing imports this module but `main`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What a command may touch of the process around it; tests pass their own.
pub struct Env<'a> {
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    /// Whether standard output and standard error take colour (a terminal, and no `NO_COLOR`).
    pub colour_out: bool,
    pub colour_err: bool,
    /// Whether a person can be asked: standard input is a terminal.
    pub interactive: bool,
    pub now: jiff::Timestamp,
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

/// perimeter enforces a network allow-list in the kernel.
#[derive(Parser, Debug)]
#[command(name = "perimeter", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(clap::Args, Debug, Clone)]
pub struct Global {
    /// Where generations, policies and records are kept
    #[arg(long, global = true, env = "PERIMETER_STATE_DIR", default_value = "/var/lib/perimeter")]
    pub state_dir: PathBuf,
    /// Where the kernel objects are pinned
    #[arg(long, global = true, env = "PERIMETER_BPFFS", default_value = "/sys/fs/bpf/perimeter")]
    pub bpffs: PathBuf,
    /// Say the whole chain of causes of an error
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {}

/// Carries out one command.
pub fn run(cli: Cli, _env: &mut Env<'_>) -> anyhow::Result<Exit> {
    match cli.command {}
}
