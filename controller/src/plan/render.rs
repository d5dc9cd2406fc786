//! A plan for people.

use std::io::{self, Write};

use super::{
    Applied, Choice, FieldChange, Group, InterfacePlan, Lapse, Opening, Plan, RuleChange, RuleStep, Step,
};
use crate::backend::{Enforcement, Engine, names};
use crate::printable::printable;
use crate::ruleset::Action;

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The widest changes in meaning.
    Brief,
    /// Every change in meaning, each with a frame.
    Full,
}

/// Writes the whole plan: what ends enforcement first, then interface by interface.
pub fn human(plan: &Plan, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    for one in &plan.interfaces {
        if let Some(opening) = one.opens {
            writeln!(out, "! {} will {}", one.interface, opens(opening))?;
        }
    }
    if !plan.changes {
        in_sync(plan, out)?;
        unchanged(plan, out)?;
        return lapses(plan, out);
    }
    for one in plan.interfaces.iter().filter(|one| one.changes()) {
        interface(one, out)?;
    }
    unchanged(plan, out)?;
    super::meaning::human(plan, detail, out)?;
    lapses(plan, out)?;
    if plan.makes_generation() { summary(plan, out) } else { Ok(()) }
}

/// What is worth knowing of interfaces to which nothing would be done.
fn unchanged(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for one in plan.interfaces.iter().filter(|one| !one.changes()) {
        let told = one.findings.iter().chain(&one.notes);
        told.into_iter().try_for_each(|note| writeln!(out, "! {}: {note}", one.interface))?;
    }
    Ok(())
}

/// What ends by itself, and what has.
fn lapses(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for Lapse { rule, action, last_day } in &plan.lapses {
        match action {
            Action::Allow => writeln!(
                out,
                "! {rule} ends with {last_day} (UTC): from then on the kernel matches it no longer, by itself"
            )?,
            Action::Deny => writeln!(
                out,
                "! deny rule {rule} ends with {last_day} (UTC): from then on what it keeps out passes, by itself, where \
                 a rule allows it"
            )?,
        }
    }
    for one in &plan.interfaces {
        for lapse in &one.expired {
            writeln!(out, "= {}: {}", one.interface, ended(lapse))?;
        }
    }
    Ok(())
}

/// "rule visitors has expired (last day 2027-06-30): it matches nothing".
pub fn ended(lapse: &Lapse) -> String {
    let kind = if lapse.action == Action::Deny { "deny rule" } else { "rule" };
    format!("{kind} {} has expired (last day {}): it matches nothing", lapse.rule, lapse.last_day)
}

/// What a change that ends enforcement means.
fn opens(opening: Opening) -> &'static str {
    match opening {
        Opening::NoLongerNamed => {
            "no longer be enforced, because the policy does not name it: everything will pass"
        }
        Opening::ShadowMode => "only count what it drops now (`enforce: false`): everything will pass",
        Opening::Detached => "no longer be enforced: everything will pass",
    }
}

/// "No changes. wan0 enforces generation 8 (native XDP), which is this policy."
pub fn in_sync(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let mut text = "No changes.".to_owned();
    for one in &plan.interfaces {
        if let Enforcement::InForce(record) = &one.now {
            let verb = if record.enforce { "enforces" } else { "counts, and drops nothing, under" };
            text += &format!(
                " {} {verb} generation {} ({}), which is this policy.",
                one.interface,
                record.generation,
                engines(one, record.engine)
            );
        }
    }
    writeln!(out, "{text}")
}

fn interface(one: &InterfacePlan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}  ({})", one.interface, now(one))?;
    if one.unknown {
        let why = match &one.now {
            Enforcement::OtherVersion(_) => "what it enforces cannot be read by this version",
            _ => "its policy is not kept in the state directory",
        };
        writeln!(out, "  {why}: every rule is shown as new")?;
    }
    if one.step == Step::End {
        writeln!(out, "  - enforcement ends; offloads that were switched off for it are restored")?;
    }
    for damage in &one.damage {
        let remedy = if one.step == Step::End { "" } else { ": it is made anew" };
        writeln!(out, "  ! {}{remedy}", printable(damage))?;
    }
    settings(one, out)?;
    if let Some(choice) = &one.guard {
        guard(choice, out)?;
    }
    for feature in &one.switch_off {
        let name = feature.name();
        writeln!(
            out,
            "  ~ offload {name}: on -> off, read back after the change; `perimeter detach` restores it"
        )?;
    }
    for feature in &one.switch_on {
        writeln!(out, "  ~ offload {}: off -> on, as it was before perimeter", feature.name())?;
    }
    for group in &one.groups {
        rules(group, out)?;
    }
    match (one.step, one.same_rules) {
        (Step::Replace, 0) => {}
        (Step::Replace, same) if one.groups.is_empty() && one.settings.is_empty() => {
            writeln!(out, "  = the same rules ({same}), under the number of the new generation")?;
        }
        (Step::Replace, same) => writeln!(out, "\n  = everything else (rules: {same})")?,
        _ => {}
    }
    for finding in one.findings.iter().chain(&one.notes) {
        writeln!(out, "\n  ! {finding}")?;
    }
    writeln!(out)
}

/// Which engines judge from now on, where those are others, and why.
fn guard(choice: &Choice, out: &mut dyn Write) -> io::Result<()> {
    let why = if choice.why.is_empty() { String::new() } else { format!("; {}", choice.why) };
    let after = names(&choice.engines);
    match (choice.before.as_slice(), choice.changes()) {
        (_, false) => Ok(()),
        ([], _) => writeln!(out, "  + guard: {after}{why}"),
        (before, _) => {
            let how = match choice.has_interlude() {
                true => "nftables stands in between, so that there is no gap",
                false => "the new one stands before the old one falls",
            };
            writeln!(out, "  ~ guard: {} -> {after}; {how}{why}", names(before))
        }
    }
}

/// The engines that judge now; `first` is that of the record.
fn engines(one: &InterfacePlan, first: Engine) -> String {
    match one.guard.as_ref().map(|guard| guard.before.as_slice()) {
        Some(before @ [_, _, ..]) => names(before),
        _ => first.name().to_owned(),
    }
}

/// What is in force, and since when.
pub(super) fn now(one: &InterfacePlan) -> String {
    match &one.now {
        Enforcement::Off => "not enforced now".to_owned(),
        Enforcement::Lost { why } => format!("not enforced now: {why}"),
        Enforcement::Foreign(program) => {
            format!("not enforced now: program {} \"{}\"", program.id, program.name)
        }
        Enforcement::OtherVersion(program) => {
            format!("{}, by another version of perimeter (ABI {})", program.engine.name(), program.abi)
        }
        Enforcement::InForce(record) => {
            let shadow = if record.enforce { "" } else { ", shadow mode" };
            let since = one.applied.as_ref().map_or(String::new(), applied);
            let name = match &record.interface {
                name if *name == one.interface => String::new(),
                name => format!(", put in force as {name}"),
            };
            let engines = engines(one, record.engine);
            format!("{engines}, generation {}{shadow}{since}{name}", record.generation)
        }
    }
}

fn applied(applied: &Applied) -> String {
    format!(", applied {} by {}", applied.at.strftime("%Y-%m-%d %H:%M"), printable(&applied.by))
}

fn settings(one: &InterfacePlan, out: &mut dyn Write) -> io::Result<()> {
    let (new, changed): (Vec<&FieldChange>, Vec<&FieldChange>) = one
        .settings
        .iter()
        .partition(|change| change.before.is_empty() && !change.field.starts_with("vlan "));
    if !new.is_empty() {
        let all: Vec<String> =
            new.iter().map(|change| format!("{} {}", change.field, change.after)).collect();
        writeln!(out, "  + {}", all.join("; "))?;
    }
    for change in changed {
        writeln!(out, "  ~ {}", field(change))?;
    }
    Ok(())
}

fn field(change: &FieldChange) -> String {
    let side = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let text = format!("{}: {} -> {}", change.field, side(&change.before), side(&change.after));
    printable(&text).into_owned()
}

fn rules(group: &Group, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n  {}", group.vlan)?;
    let width = group.rules.iter().map(|rule| rule.rule.len()).max().unwrap_or(0);
    group.rules.iter().try_for_each(|one| rule(one, width, out))
}

fn rule(one: &RuleChange, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let sign = match one.step {
        RuleStep::Added => '+',
        RuleStep::Removed => '-',
        RuleStep::Changed => '~',
    };
    let action = if one.action == Action::Deny { "deny " } else { "" };
    let id = &one.rule;
    if one.step == RuleStep::Changed {
        let fields: Vec<String> = one.fields.iter().map(field).collect();
        return writeln!(out, "    {sign} {id:width$}  {action}{}", fields.join("; "));
    }
    let about = if one.about.is_empty() { String::new() } else { format!("  [{}]", one.about) };
    writeln!(out, "    {sign} {id:width$}  {action}{}{}", one.conditions, printable(&about))
}

fn summary(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let changed = |step: RuleStep| {
        let rules = plan.interfaces.iter().flat_map(|one| &one.groups).flat_map(|group| &group.rules);
        let mut ids: Vec<&str> =
            rules.filter(|rule| rule.step == step).map(|rule| rule.rule.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    };
    let (before, after) = plan
        .interfaces
        .iter()
        .fold((0, 0), |(before, after), one| (before + one.table_bytes.0, after + one.table_bytes.1));
    writeln!(
        out,
        "Tables: {} -> {}.   Rules: {} added, {} changed, {} removed.",
        kibibytes(before),
        kibibytes(after),
        changed(RuleStep::Added),
        changed(RuleStep::Changed),
        changed(RuleStep::Removed)
    )
}

fn kibibytes(bytes: u64) -> String {
    if bytes >= 10 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes.div_ceil(1024)) }
}
