//! What a plan means, for people.

use std::io::{self, Write};

use super::{Change, OfEngine, Told};
use crate::backend::Enforcement;
use crate::counters::grouped;
use crate::plan::{Detail, InterfacePlan, Plan, Step};

/// Changes of a direction that are shown of one interface where not all are.
const SHOWN: usize = 10;
const REASONS: usize = 3;

/// Writes the section of the plan; nothing where nothing would change.
pub(in crate::plan) fn human(plan: &Plan, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let concerned = |one: &&InterfacePlan| matches!(one.step, Step::Start | Step::Replace);
    let interfaces: Vec<&InterfacePlan> = plan.interfaces.iter().filter(concerned).collect();
    if interfaces.is_empty() {
        return Ok(());
    }
    writeln!(out, "What it means")?;
    for one in interfaces {
        interface(one, detail, out)?;
    }
    writeln!(out)
}

fn interface(one: &InterfacePlan, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let name = &one.interface;
    let Some(told) = &one.meaning else { return writeln!(out, "  {name}: {}", untold(one)) };
    if one.shadow {
        writeln!(out, "  {name}: shadow mode drops nothing, now and then; of what it counts as dropped:")?;
    }
    self::told(name, told, one.engine.as_ref(), detail, out)
}

/// What is said where the sets of frames are not.
fn untold(one: &InterfacePlan) -> &'static str {
    match (&one.now, one.shadow) {
        (Enforcement::InForce(record), true) if record.enforce => {
            "everything will pass: shadow mode counts what would be dropped"
        }
        (Enforcement::InForce(record), false) if !record.enforce => {
            "everything passes now, in shadow mode; what no rule passes will be dropped"
        }
        (Enforcement::InForce(_), true) => {
            "what is in force drops nothing and is not known: what would change cannot be told"
        }
        _ if one.step != Step::Start => "what is in force is not known: what would change cannot be told",
        (_, true) => "everything passes, now and then: shadow mode counts what would be dropped",
        (_, false) => "everything passes now; what no rule passes will be dropped",
    }
}

/// What is known of one interface.
pub(super) fn told(
    name: &str,
    told: &Told,
    engine: Option<&OfEngine>,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    if told.is_same() && engine.is_none() {
        writeln!(out, "  {name}: no change in meaning: every frame is judged as before")?;
    }
    for (verb, changes) in [("opens", &told.opens), ("closes", &told.closes)] {
        direction(name, verb, changes, told.is_complete, detail, out)?;
    }
    if let Some(OfEngine { opens, frames }) = engine {
        let (verb, why) = if *opens {
            ("opens", "nftables no longer judges")
        } else {
            ("closes", "nftables cannot judge them")
        };
        writeln!(out, "  {name}: {verb:6} what rules pass of {}  [{why}]", frames.join("; "))?;
    }
    if !told.is_complete {
        let is_bare = told.opens.is_empty() && told.closes.is_empty();
        let so_far = if is_bare {
            "no difference was found in the time there is"
        } else {
            "there is more than is told here"
        };
        writeln!(out, "  {name}: {so_far}: the change touches too many rules to tell every range of frames")?;
    } else if !told.is_same() || engine.is_some() {
        writeln!(out, "  {name}: everything else is judged as before")?;
    }
    for one in &told.dying {
        writeln!(out, "! {name}: {} would no longer pass ({}): {}", one.what, one.vlan, one.then)?;
    }
    credit(name, told, detail, out)
}

fn direction(
    name: &str,
    verb: &str,
    changes: &[Change],
    is_complete: bool,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = if detail == Detail::Full { changes.len() } else { changes.len().min(SHOWN) };
    // The widest are shown, by VLAN.
    let mut widest: Vec<&Change> = changes[..shown].iter().collect();
    widest.sort_by(|a, b| a.vlan.cmp(&b.vlan));
    for one in widest {
        let because = match one.because.len() {
            many if many > REASONS => {
                format!("{} and {} more", one.because[..REASONS].join(", "), many - REASONS)
            }
            _ => one.because.join(", "),
        };
        writeln!(out, "  {name}: {verb:6} {}: {}  [{because}]", one.vlan, one.frames)?;
        if detail == Detail::Full {
            witness(one, verb, out)?;
        }
    }
    if shown < changes.len() {
        let least = if is_complete { "" } else { "at least " };
        let left = grouped((changes.len() - shown) as u64);
        writeln!(out, "  {name}: {verb:6} {least}{left} narrower ranges more: -v shows them")?;
    }
    Ok(())
}

/// One frame of a change, with both verdicts.
fn witness(one: &Change, verb: &str, out: &mut dyn Write) -> io::Result<()> {
    let witness = &one.witness;
    let drop = match &witness.denied_by {
        Some(rule) => format!("denied by {rule}"),
        None => witness.reason.clone(),
    };
    let pass = format!("passed by {}", witness.passed_by);
    let (now, then) = if verb == "opens" { (drop, pass) } else { (pass, drop) };
    writeln!(out, "      such as {}: now {now}, then {then}", witness.line)?;
    writeln!(out, "      frame {}", witness.frame)
}

fn credit(name: &str, told: &Told, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let shown = if detail == Detail::Full { told.renamed.len() } else { told.renamed.len().min(SHOWN) };
    for (was, is) in &told.renamed[..shown] {
        writeln!(out, "  {name}: rule {is} matches what {was} matched; its counter begins at zero")?;
    }
    if shown < told.renamed.len() {
        let left = grouped((told.renamed.len() - shown) as u64);
        writeln!(out, "  {name}: {left} rules more have another id: -v shows them")?;
    }
    if told.is_reordered {
        writeln!(
            out,
            "  {name}: rules stand in another order: where several match, another one may be credited"
        )?;
    }
    Ok(())
}
