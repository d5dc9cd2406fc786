//! `perimeter show`: a saved plan, or a past generation, for whoever reviews it.

use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;

use super::policy_file::text;
use super::{Env, Exit, Global};
use crate::plan::{Detail, Plan, PlanFile, human};
use crate::printable::{print_values, printable, printable_lines};
use crate::ruleset::Ruleset;
use crate::state::{Record, State, Stored};

/// Show a plan that was written by `plan --out`, or the policy of a past generation
///
/// Needs no privilege. The SHA-256 of a plan is what `plan --out` printed: who applies it applies what you see.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter show gateway.plan
  perimeter show gateway.plan --json | jq .plan.interfaces[].groups
  perimeter show 7                                 who put generation 7 in force, and its policy")]
pub struct ShowArgs {
    /// A plan file, or the number of a generation
    #[arg(value_name = "PLANFILE|GENERATION")]
    what: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Carries out the command.
pub(super) fn run(args: &ShowArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let path = Path::new(&args.what);
    match args.what.parse() {
        Ok(number) if !path.exists() => {
            let state = State::new(&global.state_dir);
            generation(&state.generation(number)?, args.json, env)?;
            if !state.is_as_noted(number)? {
                writeln!(
                    env.err,
                    "perimeter: what is kept of generation {number} is not what was put in force: `perimeter history --check`"
                )?;
                return Ok(Exit::Negative);
            }
        }
        _ => plan(path, args.json, global.detail(), env)?,
    }
    Ok(Exit::Done)
}

fn plan(path: &Path, json: bool, detail: Detail, env: &mut Env<'_>) -> anyhow::Result<()> {
    let bytes = text(path)?;
    let Some(file) = PlanFile::read(&bytes) else {
        bail!("{} is no plan; `perimeter plan POLICY --out FILE` writes one", path.display())
    };
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    if json {
        env.out.write_all(&file.bytes())?;
        return Ok(());
    }
    writeln!(env.out, "Plan for {}, SHA-256 {}\n", printable(&file.policy_file), file.digest())?;
    human(&shown(&file.plan)?, detail, env.out)?;
    Ok(())
}

/// A plan whose texts stay on their lines: anybody may have written the file.
fn shown(plan: &Plan) -> serde_json::Result<Plan> {
    let mut document = serde_json::to_value(plan)?;
    print_values(&mut document);
    serde_json::from_value(document)
}

#[derive(Serialize)]
struct Generation<'a> {
    #[serde(flatten)]
    record: &'a Record,
    ruleset: &'a Ruleset,
}

fn generation(stored: &Stored, json: bool, env: &mut Env<'_>) -> anyhow::Result<()> {
    let Stored { record, ruleset, sources } = stored;
    if json {
        serde_json::to_writer_pretty(&mut *env.out, &Generation { record, ruleset })?;
        writeln!(env.out)?;
        return Ok(());
    }
    let author = &record.occasion.author;
    let ticket = author.ticket.as_ref().map_or(String::new(), |ticket| format!(" for {ticket}"));
    let head = format!(
        "Generation {}, policy {}, put in force {} UTC by {}{ticket} on {}",
        record.generation,
        record.policy.short(),
        record.occasion.at.strftime("%Y-%m-%d %H:%M:%S"),
        author.by,
        record.interfaces.join(", ")
    );
    writeln!(env.out, "{}", printable(&head))?;
    for (name, text) in sources {
        writeln!(env.out, "\n# {}", printable(name))?;
        let text = printable_lines(&String::from_utf8_lossy(text));
        write!(env.out, "{text}{}", if text.ends_with('\n') { "" } else { "\n" })?;
    }
    Ok(())
}
