//! `perimeter counters`: what has been passed and dropped?

use anyhow::bail;
use serde::Serialize;

use super::host::Host;
use super::{Env, Exit, Global};
use crate::backend::{Backend, Observed};
use crate::counters::{Accounting, InterfaceCounters, Switches, accounting, human, human_accounting, report};

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
    accounting: Vec<Accounting>,
}

#[derive(Serialize)]
struct Rule<'a> {
    interface: &'a str,
    #[serde(flatten)]
    count: &'a crate::counters::RuleCount,
}

/// Carries out the command.
pub(super) fn run(args: &CountersArgs, global: &Global, env: &mut Env<'_>) -> anyhow::Result<Exit> {
    let host = Host::open(global)?;
    let counts = host.backend.counters()?;
    let interfaces = report(&counts);
    if interfaces.is_empty() {
        refuse_untold(&host)?;
    }
    if let Some(id) = &args.rule {
        return one_rule(&interfaces, id, args.json, env);
    }
    let accounting = accounting(&counts, &switches(&host, env)?);
    if args.json {
        serde_json::to_writer_pretty(&mut *env.out, &Counters { interfaces, accounting })?;
        writeln!(env.out)?;
    } else if interfaces.is_empty() {
        writeln!(env.out, "No interface is enforced in this network namespace: nothing is counted.")?;
    } else {
        human(&interfaces, env.out)?;
        human_accounting(&accounting, env.out)?;
    }
    Ok(Exit::Done)
}

/// Refuses to say that nothing is counted where frames are judged.
fn refuse_untold(host: &Host) -> anyhow::Result<()> {
    match host.observe(&[])?.iter().find(|one| !one.engines().is_empty()) {
        Some(one) => bail!(
            "{} is enforced, and what it has counted cannot be read: `perimeter status` says why, `perimeter apply POLICY` counts anew",
            one.interface
        ),
        None => Ok(()),
    }
}

/// What the policies in force switch on, where they are still known.
fn switches(host: &Host, env: &Env<'_>) -> anyhow::Result<Switches> {
    let observed = host.observe(&[])?;
    let known = host.known(&observed, env.now)?;
    let mut switches = Switches::new();
    for record in observed.iter().flat_map(Observed::records) {
        let ruleset = known.get(&record.policy).map(|known| &known.stored);
        let interfaces = ruleset.iter().flat_map(|ruleset| &ruleset.interfaces);
        for one in interfaces.filter(|one| one.name == record.interface) {
            switches.insert(one.name.clone(), one.accounting);
        }
    }
    Ok(switches)
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
