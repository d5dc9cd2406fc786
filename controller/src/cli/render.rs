//! `perimeter render`: the nftables ruleset of a policy, as text.

use serde_json::json;

use super::policy_file::{Loaded, PolicyArgs};
use super::{Env, Exit, Global, choose};
use crate::backend::nft::{Options, instance, lower, text};
use crate::digest::Digest;

/// Print a policy as an nftables ruleset, for reading
///
/// It is what mode nft applies: one table an interface, on its ingress hook. The text can be tried with `nft -c -f`;
/// `perimeter apply` puts it in force, with its counters kept.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter render gateway.yaml | less
  perimeter render gateway.yaml --interface wan0 > wan0.nft && nft -c -f wan0.nft")]
pub struct RenderArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Only this interface
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Print one JSON object an interface
    #[arg(long)]
    json: bool,
}

/// Carries out the command.
pub(super) fn run(args: &RenderArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let Some(Loaded { ruleset, .. }) = args.policy.load(env)? else { return Ok(Exit::Reported) };
    let chosen = match &args.interface {
        Some(name) => vec![choose::interface(&ruleset, Some(name))?],
        None => (0..ruleset.interfaces.len()).collect(),
    };
    let options = Options { instance: instance(&global.bpffs), ..Options::default() };
    for index in chosen {
        let mut table = lower(&ruleset, index, &options)?;
        table.about = vec![format!(
            "Interface {} of policy {}, {} rules. perimeter made this text; an apply replaces what it describes.",
            ruleset.interfaces[index].name,
            Digest::of(&ruleset).short(),
            ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&index)).count(),
        )];
        let text = text::render(&table);
        if args.json {
            writeln!(
                env.out,
                "{}",
                json!({ "interface": ruleset.interfaces[index].name, "table": table.name, "nft": text })
            )?;
        } else {
            write!(env.out, "{text}")?;
        }
    }
    Ok(Exit::Done)
}
