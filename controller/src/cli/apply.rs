//! `perimeter apply`: make it so.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::SignedDuration;

use super::change::{Consent, How, Wish, put_in_force};
use super::host::Host;
use super::policy_file::{from_plan, load, text};
use super::{Env, Exit, Global};
use crate::plan::PlanFile;

/// Put a policy in force, after showing the plan and asking
///
/// Everything is compiled, loaded and verified first; then each interface switches between two frames, and if one fails,
/// those already switched go back. Enforcement outlives this command. Applying twice changes nothing and says so.
///
/// A plan written by `perimeter plan --out` is applied exactly, or not at all where anything has changed since. With
/// --confirm-within, what was in force before comes back by itself unless `perimeter confirm` is run in time: lose your
/// connection, and you get it back.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter apply gateway.yaml                           shows the plan, then asks
  perimeter apply gateway.yaml --confirm-within 60s      then `perimeter confirm`, or it is taken back
  perimeter apply reviewed.plan                          what somebody else has planned and reviewed
  perimeter apply gateway.yaml --yes --ticket NET-1042   from a script
  perimeter apply gateway.yaml --yes --allow-open        where the plan ends enforcement on an interface
  nsenter --net=/run/netns/gw perimeter apply gateway.yaml")]
pub struct ApplyArgs {
    /// The policy, a YAML file; or a plan
    #[arg(value_name = "POLICY|PLANFILE")]
    policy: PathBuf,
    /// Take it back unless `perimeter confirm` is run within this time, such as 60s or 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_within)]
    confirm_within: Option<SignedDuration>,
    #[command(flatten)]
    consent: Consent,
}

/// Carries out the command.
pub(super) fn run(args: &ApplyArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let bytes = text(&args.policy)?;
    let file = match PlanFile::read(&bytes) {
        Some(file) => Some(file.with_context(|| format!("cannot apply {}", args.policy.display()))?),
        None => None,
    };
    let loaded = match &file {
        Some(file) => {
            as_reviewed(file)?;
            from_plan(file, env)?
        }
        None => load(&args.policy, env.now, env)?,
    };
    let Some(loaded) = loaded else { return Ok(Exit::Reported) };
    let policy_file = match &file {
        Some(file) => file.policy_file.clone(),
        None => absolute(&args.policy),
    };
    let wish = Wish::new(loaded.ruleset, loaded.sources, policy_file);
    let how =
        How { reviewed: file.as_ref().map(|file| &file.plan), within: args.confirm_within, ..How::default() };
    put_in_force(&mut Host::open(global)?, &wish, (&args.consent, how), global, env)
}

/// A path that still names the file when another directory is the current one.
pub(super) fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or(path.to_owned()).display().to_string()
}

/// Refuses a plan whose policy has been edited since. Where the files are not there any more, the plan's own copy is all
/// there is, and it is what was reviewed.
fn as_reviewed(file: &PlanFile) -> anyhow::Result<()> {
    let folder = Path::new(&file.policy_file).parent().unwrap_or(Path::new("/"));
    for (at, (name, then)) in file.sources().into_iter().enumerate() {
        let path = if at == 0 { PathBuf::from(&file.policy_file) } else { folder.join(name) };
        match std::fs::read(&path) {
            Ok(now) if now != then => bail!(
                "{} has been edited since the plan was made; look at a new plan; nothing was changed",
                path.display()
            ),
            _ => {}
        }
    }
    Ok(())
}

/// Reads `60s`, `10m`, `1h`, `1m 30s`.
fn parse_within(text: &str) -> Result<SignedDuration, String> {
    match parse_wait(text)? {
        SignedDuration::ZERO => Err("it must be at least 1s".to_owned()),
        within => Ok(within),
    }
}

/// Reads a duration that may be nothing.
pub(super) fn parse_wait(text: &str) -> Result<SignedDuration, String> {
    let wait: SignedDuration =
        text.parse().map_err(|_| "write a duration such as 60s, 10m or 1h".to_owned())?;
    let is_whole = wait.subsec_nanos() == 0 && (0..=24 * 3600).contains(&wait.as_secs());
    if is_whole { Ok(wait) } else { Err("it must be whole seconds, 24h at most".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_a_unit() {
        assert_eq!(parse_within("60s"), Ok(SignedDuration::from_secs(60)));
        assert_eq!(parse_within("1m30s"), Ok(SignedDuration::from_secs(90)));
        for bad in ["", "60", "0s", "-5s", "25h", "soon"] {
            assert!(parse_within(bad).is_err(), "{bad}");
        }
    }
}
