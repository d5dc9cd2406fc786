//! Reading POLICY for every command that takes one.
//!
//! Promises: all problems go to standard error, with the source line on a terminal; on an error the command ends there,
//! nothing changed. Files that the policy names are looked for beside it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::fs::OFlags;

use super::Env;
use crate::plan::PlanFile;
use crate::policy::{self, Diagnostic, Reading, Severity};
use crate::ruleset::Ruleset;

/// A policy, and the instant as of which it is judged.
#[derive(clap::Args, Debug, Clone)]
pub(super) struct PolicyArgs {
    /// The policy, a YAML file
    #[arg(value_name = "POLICY")]
    pub(super) policy: PathBuf,
    /// Judge as of this time: YYYY-MM-DD or RFC 3339, UTC without an offset [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) at: Option<Timestamp>,
}

/// A policy without errors.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) ruleset: Ruleset,
    /// The policy under the path given, then the files it names under the paths it writes, each with its content.
    pub(super) sources: Vec<(String, Vec<u8>)>,
    /// What has been printed already.
    pub(super) warnings: Vec<Diagnostic>,
}

/// Largest policy, in bytes.
const POLICY_LIMIT: u64 = 256 << 20;
/// Largest file that a policy names, in bytes.
const LIST_LIMIT: u64 = 1 << 30;

impl PolicyArgs {
    /// Reads the policy and prints its problems; nothing if an error is among them.
    pub(super) fn load(&self, env: &mut Env<'_>) -> anyhow::Result<Option<Loaded>> {
        load(&self.policy, self.at.unwrap_or(env.now), env)
    }
}

/// Reads a policy as of `at` and prints its problems; nothing if an error is among them.
pub(super) fn load(path: &Path, at: Timestamp, env: &mut Env<'_>) -> anyhow::Result<Option<Loaded>> {
    let text = text(path)?;
    let name = path.display().to_string();
    let Reading { ruleset, diagnostics, files } = policy::read(&name, &text, &mut beside(path), at);
    print(&diagnostics, env)?;
    let Some(ruleset) = ruleset else {
        writeln!(env.err, "{}; nothing was changed", tally(&diagnostics))?;
        return Ok(None);
    };
    let sources = [(name, text)].into_iter().chain(files).collect();
    Ok(Some(Loaded { ruleset, sources, warnings: diagnostics }))
}

/// Reads the policy that a plan holds, as of now.
pub(super) fn from_plan(file: &PlanFile, env: &mut Env<'_>) -> anyhow::Result<Option<Loaded>> {
    let sources = file.sources();
    let mut inside = |name: &str| {
        let found = sources.iter().skip(1).find(|(path, _)| path == name);
        found.map(|(_, text)| text.clone()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let text = sources.first().map_or(&[][..], |(_, text)| text);
    let Reading { ruleset, diagnostics, .. } = policy::read(&file.policy_file, text, &mut inside, env.now);
    print(&diagnostics, env)?;
    Ok(ruleset.map(|ruleset| Loaded { ruleset, sources, warnings: diagnostics }))
}

/// The content of a policy.
pub(super) fn text(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = File::open(path).and_then(|file| limited(file, POLICY_LIMIT));
    read.map_err(|error| anyhow::anyhow!("cannot read the policy {}: {error}", path.display()))
}

/// Gives the files that the policy at `path` names.
pub(super) fn beside(path: &Path) -> impl FnMut(&str) -> io::Result<Vec<u8>> {
    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
    move |name| {
        // Opening a named pipe would wait for somebody who writes to it.
        let unwaiting = OFlags::NONBLOCK.bits() as i32;
        let file = File::options().read(true).custom_flags(unwaiting).open(directory.join(name))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        limited(file, LIST_LIMIT)
    }
}

fn limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Prints diagnostics to standard error: one line each, or with the source line on a terminal.
pub(super) fn print(diagnostics: &[Diagnostic], env: &mut Env<'_>) -> io::Result<()> {
    for diagnostic in diagnostics {
        if env.terminal_err {
            writeln!(env.err, "{}", diagnostic.illustrated(env.colour_err))?;
        } else {
            writeln!(env.err, "{diagnostic}")?;
        }
    }
    Ok(())
}

/// `2 errors, 1 warning`.
pub(super) fn tally(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let show = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match (errors, warnings) {
        (_, 0) => show(errors, "error"),
        (0, _) => show(warnings, "warning"),
        _ => format!("{}, {}", show(errors, "error"), show(warnings, "warning")),
    }
}

/// Reads an instant: a day begins at midnight UTC, and a time without an offset is UTC.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    instant(text).ok_or_else(|| {
        "write YYYY-MM-DD, or an RFC 3339 time such as 2027-06-30T12:00:00Z (UTC without an offset)".into()
    })
}

fn instant(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_at_checked(10)?;
    let is_day = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let is_time = time.is_empty() || time.starts_with(['T', 't', ' ']) && time.len() >= "T00:00".len();
    if !is_day || !is_time {
        return None;
    }
    // A time with an offset that is wrong must not be read as if it had none.
    if time.contains(['+', '-', '[', 'Z', 'z']) {
        return text.parse().ok();
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_rfc_3339_in_utc_unless_they_say_otherwise() {
        let midnight: Timestamp = "2027-06-30T00:00:00Z".parse().unwrap();
        for text in [
            "2027-06-30",
            "2027-06-30T00:00:00",
            "2027-06-30T00:00:00Z",
            "2027-06-30T02:00:00+02:00",
            "2027-06-29t23:00:00-01:00",
        ] {
            assert_eq!(parse_time(text), Ok(midnight), "{text}");
        }
        for bad in [
            "",
            "2027",
            "20270630",
            "2027-02-30",
            "2027-06-30T",
            "2027-06-30T25:00:00Z",
            "2027-06-30T00:00:00+99:00",
            "now",
            "30.06.2027",
            "2027-06-3é",
        ] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    /// Goal: a list that never ends, or never begins, is refused at once. Method: a named pipe that nobody writes to, a device.
    #[test]
    fn a_list_that_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
        let policy = dir.path().join("policy.yaml");
        let mut lists = beside(&policy);
        for name in ["pipe", "/dev/zero"] {
            assert_eq!(lists(name).unwrap_err().to_string(), "it is not a regular file", "{name}");
        }
    }
}
