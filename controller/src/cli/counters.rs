//! `perimeter counters`: what has been passed and dropped?

use anyhow::bail;
use serde::Serialize;

use super::host::Host;
use super::{Env, Exit, Global};
use crate::backend::Backend;
use crate::counters::{InterfaceCounters, human, report};

/// Show what each interface, drop reason and rule has counted
///
/// received = passed + dropped + would_drop, to the packet. Counters survive every apply, keyed on the rule id; detaching
/// the last interface ends them. Bytes are whole frames.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  perimeter counters
  perimeter counters --rule admin-ssh
  perimeter counters --json | jq '.interfaces[].dropped'")]
pub struct CountersArgs {
    /// Only this rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Counters {
    interfaces: Vec<InterfaceCounters>,
}

#[derive(Serialize)]
struct Rule<'a> {
    interface: &'a str,
    #[serde(flatten)]
    count: &'a crate::counters::RuleCount,
}

/// Carries out the command.
pub(super) fn run(args: &CountersArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let interfaces = report(&Host::open(global)?.backend.counters()?);
    if let Some(id) = &args.rule {
        return one_rule(&interfaces, id, args.json, env);
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *env.out, &Counters { interfaces })?;
        writeln!(env.out)?;
    } else if interfaces.is_empty() {
        writeln!(env.out, "No interface is enforced in this network namespace: nothing is counted.")?;
    } else {
        human(&interfaces, env.out)?;
    }
    Ok(Exit::Done)
}

fn one_rule(
    interfaces: &[InterfaceCounters],
    id: &str,
    json: bool,
    env: &mut Env<'_>,
) -> anyhow::Result<Exit> {
    let all =
        || interfaces.iter().flat_map(|one| one.rules.iter().map(|count| (one.interface.as_str(), count)));
    let rules: Vec<Rule<'_>> = all()
        .filter(|(_, count)| count.rule == id)
        .map(|(interface, count)| Rule { interface, count })
        .collect();
    if rules.is_empty() {
        let near = all().map(|(_, count)| count.rule.as_str()).max_by(|a, b| {
            let likeness = |other| strsim::jaro_winkler(id, other);
            likeness(*a).total_cmp(&likeness(*b))
        });
        match near.filter(|near| strsim::jaro_winkler(id, near) > 0.8) {
            Some(near) => bail!("no rule \"{id}\" has counters; did you mean \"{near}\"?"),
            None => bail!("no rule \"{id}\" has counters; `perimeter counters` lists those that do"),
        }
    }
    if json {
        serde_json::to_writer_pretty(&mut *env.out, &serde_json::json!({ "rules": rules }))?;
        writeln!(env.out)?;
        return Ok(Exit::Done);
    }
    let only: Vec<InterfaceCounters> = interfaces
        .iter()
        .map(|one| InterfaceCounters {
            interface: one.interface.clone(),
            rules: one.rules.iter().filter(|count| count.rule == id).cloned().collect(),
            ..InterfaceCounters::default()
        })
        .filter(|one| !one.rules.is_empty())
        .collect();
    crate::counters::human_rules(&only, env.out)?;
    Ok(Exit::Done)
}
