//! `perimeter schema`: the JSON Schema of the policy language, for editors.

use super::{Env, Exit};
use crate::policy;

/// Print the policy's JSON Schema, for editors that complete and check it
///
/// Keep it beside your policies, and name it in the first line of each:
/// `perimeter schema > policy.schema.json`, then `# yaml-language-server: $schema=policy.schema.json`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter schema > policy.schema.json")]
pub struct Args {
    /// Print it on one line
    #[arg(long)]
    json: bool,
}

/// Prints the schema.
pub(super) fn run(args: &Args, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let schema = policy::schema();
    if args.json {
        let value: serde_json::Value = serde_json::from_str(&schema)?;
        writeln!(env.out, "{value}")?;
    } else {
        write!(env.out, "{schema}")?;
    }
    Ok(Exit::Done)
}
