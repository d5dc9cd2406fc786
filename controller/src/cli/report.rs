//! `perimeter report`: one page for a ticket, from captures or from the live state.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::policy_file::{self, Loaded, parse_time};
use super::reader::Reader;
use super::{Env, Exit, Global, choose};
use crate::report::{Gathering, Report, html, live, markdown};

/// Write one page for a ticket: what a policy decides about captures, or what is in force and has counted
///
/// With a policy and captures the model judges every frame, as `replay` does, and nothing is changed. Without them the
/// page tells the live state, from the readings of `status` and `counters`; the kernel keeps sums, so that it has no
/// verdicts over time. An HTML page is one file: nothing from elsewhere, no script.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter report gateway.yaml gateway.pcap --out report.html
  perimeter report gateway.yaml *.pcap --interface wan0 --format markdown
  perimeter report --format markdown --out live.md

Exit status: 0 done, 1 error; of a capture that is cut or corrupt the good frames are on the page, and the fault.")]
pub struct ReportArgs {
    /// The policy that judges, a YAML file; left out: the live state
    #[arg(value_name = "POLICY", requires = "captures")]
    policy: Option<PathBuf>,
    /// Captures of Ethernet frames: pcap or pcapng
    #[arg(value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// The interface that receives the frames; may be left out where the policy has one. Of the live state: only this one
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Judge as of this time: YYYY-MM-DD or RFC 3339, UTC without an offset [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "policy")]
    at: Option<Timestamp>,
    /// What the page is written in
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Print one JSON object instead
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write to FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One file for a browser, with plots
    Html,
    /// Tables for a ticket
    Markdown,
}

/// Carries out the command.
pub(super) fn run(args: &ReportArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let (report, exit) = match &args.policy {
        Some(policy) => match judged(args, policy, env)? {
            Some(judged) => judged,
            None => return Ok(Exit::Reported),
        },
        None => (in_force(args, global, env)?, Exit::Done),
    };
    let text = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        match args.format {
            Format::Html => html(&report),
            Format::Markdown => markdown(&report),
        }
    };
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| anyhow!("cannot write the report {}: {error}", path.display()))?,
        None => env.out.write_all(text.as_bytes())?,
    }
    Ok(exit)
}

/// The report of captures; `None` where the policy has errors. A capture with a fault makes the exit an error.
fn judged(args: &ReportArgs, policy: &Path, env: &mut Env<'_>) -> anyhow::Result<Option<(Report, Exit)>> {
    let at = args.at.unwrap_or(env.now);
    let Some(Loaded { ruleset, .. }) = policy_file::load(policy, at, env)? else { return Ok(None) };
    let interface = choose::interface(&ruleset, args.interface.as_deref())?;
    let mut gathering = Gathering::new(&ruleset, interface)?;
    let mut exit = Exit::Done;
    for path in &args.captures {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| anyhow!("cannot read the capture {name}: {error}"))?;
        if let Err(error) = gathering.capture(&name, file) {
            writeln!(env.err, "perimeter: {name}: {error}")?;
            exit = Exit::Reported;
        }
    }
    Ok(Some((gathering.finish(&policy.display().to_string(), at, env.now), exit)))
}

/// The report of what is in force.
fn in_force(args: &ReportArgs, global: &Global, env: &Env<'_>) -> anyhow::Result<Report> {
    let mut reader = Reader::open(global)?;
    let snapshot = reader.settled(env.now)?;
    let mut report = live(&snapshot, |policy| reader.ruleset(policy));
    if let Some(name) = &args.interface {
        report.interfaces.retain(|part| part.interface == *name);
        if report.interfaces.is_empty() {
            bail!("{name} is not enforced and should not be: `perimeter status` tells what is");
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
