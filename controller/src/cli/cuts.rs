//! The warning about connections that a plan would cut.

use std::io::{self, Write};

use super::host::Planned;
use crate::backend::sessions::Sessions;
use crate::counters::grouped;
use crate::lifelines::{Cut, cuts};
use crate::plan::Step;
use crate::ruleset::Ruleset;

/// The connections of this machine that end where the plan changes something.
pub(super) fn of(planned: &Planned, ruleset: &Ruleset) -> Vec<Cut> {
    if !planned.plan.changes {
        return Vec::new();
    }
    let is_changed = |cut: &Cut| {
        let changed = |step| matches!(step, Step::Start | Step::Replace);
        planned.plan.interfaces.iter().any(|one| one.interface == cut.interface && changed(one.step))
    };
    cuts(ruleset, &planned.images, &Sessions::read()).into_iter().filter(is_changed).collect()
}

/// Writes the warning, if there is something to warn of.
pub(super) fn warn(cuts: &[Cut], out: &mut dyn Write) -> io::Result<()> {
    let (own, others): (Vec<&Cut>, Vec<&Cut>) = cuts.iter().partition(|cut| cut.is_own);
    for cut in own {
        writeln!(
            out,
            "! your own connection ({}) {}: you would be cut off; a rule must pass it, or apply with --confirm-within",
            shown(cut),
            why(cut)
        )?;
    }
    match others[..] {
        [] => Ok(()),
        [one] => writeln!(out, "! the connection {} {}: it would be cut", shown(one), why(one)),
        [first, ..] => writeln!(
            out,
            "! {} established connections would be cut, such as {}, which {}",
            grouped(others.len() as u64),
            shown(first),
            why(first)
        ),
    }
}

fn shown(cut: &Cut) -> String {
    let vlan = if cut.vlan == "untagged" { String::new() } else { format!(" vlan {}", cut.vlan) };
    format!("{} -> {}, {}{vlan}", cut.peer, cut.local, cut.interface)
}

fn why(cut: &Cut) -> String {
    match (&cut.denied_by, cut.reason) {
        (Some(rule), _) => format!("is denied by {rule}"),
        (None, "no_rule") => "is passed by no rule of this policy".to_owned(),
        (None, reason) => format!("is dropped by this policy ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(is_own: bool, reason: &'static str) -> Cut {
        Cut {
            interface: "wan0".into(),
            vlan: if is_own { "untagged".into() } else { "10".into() },
            peer: "198.51.100.44:51514".into(),
            local: "203.0.113.10:22".into(),
            is_own,
            reason,
            denied_by: None,
        }
    }

    #[test]
    fn the_own_connection_comes_first_and_the_others_are_counted() {
        let mut out = Vec::new();
        let all = [cut(false, "vlan_source_mismatch"), cut(true, "no_rule"), cut(false, "no_rule")];
        warn(&all, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "! your own connection (198.51.100.44:51514 -> 203.0.113.10:22, wan0) is passed by no rule of this policy: \
             you would be cut off; a rule must pass it, or apply with --confirm-within\n\
             ! 2 established connections would be cut, such as 198.51.100.44:51514 -> 203.0.113.10:22, wan0 vlan 10, \
             which is dropped by this policy (vlan_source_mismatch)\n"
        );
    }
}
