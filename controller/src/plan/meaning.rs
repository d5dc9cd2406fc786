//! What a plan means, in a form that can be kept and shown: the frames that would pass and did not, and the other way round.
//!
//! Promises: a function of the two policies alone, so that a plan file says the same wherever it is made. See
//! [`crate::meaning`] for what is promised of the sets. What is known only of a session is no part of it.

mod exact;
mod render;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use perimeter_classifier::verdict::Decision;
use serde::{Deserialize, Serialize};

use super::{InterfacePlan, Known, Plan, Step};
use crate::backend::nft::divergence;
use crate::backend::{Enforcement, Engine};
use crate::compile::{OverBudget, compile};
use crate::describe::describe;
use crate::digest::Digest;
use crate::meaning::{Cause, Difference, Side, Vital, compare, credit, dying};
use crate::ruleset::Ruleset;
use crate::space::{Dimension, Set};
use crate::tables::Image;

pub(super) use render::human;

/// What changes for the frames of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What would pass and does not now, widest first.
    pub opens: Vec<Change>,
    /// What passes now and would not, widest first.
    pub closes: Vec<Change>,
    /// Whether that is all; otherwise it is true, and there is more.
    pub is_complete: bool,
    /// Ids before and after of rules that match the same.
    pub renamed: Vec<(String, String)>,
    /// What the host depends on that passes now and would not.
    #[serde(default)]
    pub dying: Vec<Dying>,
    /// Rules stand in another order, so that where several match another is credited.
    pub is_reordered: bool,
}

/// Frames that pass under XDP and that nftables drops whatever the policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfEngine {
    /// They would pass and do not now; else the other way round.
    pub opens: bool,
    /// Which, a class each, as far as the policy passes them.
    pub frames: Vec<String>,
}

impl OfEngine {
    /// Each side: the engines that judge, and the policy on its interface. Nothing where no frame feels the change.
    pub(super) fn new(
        (before, was): (&[Engine], Option<(&Ruleset, usize)>),
        (after, is): (&[Engine], (&Ruleset, usize)),
    ) -> Option<Self> {
        let [had, has] = [before, after].map(|engines| engines.contains(&Engine::Nft));
        if before.is_empty() || had == has {
            return None;
        }
        // What closes is what passed before, as far as that is known.
        let (ruleset, index) = if had { is } else { was.unwrap_or(is) };
        let felt = divergence::felt(ruleset, index);
        let frames: Vec<String> = felt.iter().map(|class| class.what.to_owned()).collect();
        (!frames.is_empty()).then_some(OfEngine { opens: had, frames })
    }
}

/// Something that a host depends on, and that would no longer pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dying {
    /// "ARP".
    pub what: String,
    pub vlan: String,
    /// What becomes of the host.
    pub then: String,
}

/// Frames that pass on one side only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// "vlan 10", "every vlan".
    pub vlan: String,
    /// "192.0.2.0/25 -> 203.0.113.10 tcp/22".
    pub frames: String,
    /// "rule web is new", "mtu".
    pub because: Vec<String>,
    /// The same exactly: regions without a frame in common, each a map from a field to its ranges. A field that is not
    /// there may have any value.
    pub exact: Vec<BTreeMap<String, Vec<String>>>,
    pub witness: Shown,
}

/// One frame of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// In one line, for people.
    pub line: String,
    /// The bytes in hexadecimal, from the destination MAC on.
    pub frame: String,
    /// The rule that passes it, under the policy that does.
    pub passed_by: String,
    /// Why the other policy drops it.
    pub reason: String,
    /// The `deny` rule that drops it, where one does.
    pub denied_by: Option<String>,
}

impl Plan {
    /// Works out what the plan means. `images` are the tables of `ruleset` by interface.
    ///
    /// # Errors
    /// [`OverBudget`] when the tables of a policy in force cannot be made again.
    pub fn tell(
        &mut self,
        ruleset: &Ruleset,
        images: &[Image],
        known: &BTreeMap<Digest, Known>,
    ) -> Result<(), OverBudget> {
        for one in self.interfaces.iter_mut().filter(|one| one.step == Step::Replace) {
            one.meaning = told(one, ruleset, images, known)?;
        }
        Ok(())
    }

    /// The same with what it means taken from another plan, made of the same policies.
    pub fn told_as(mut self, other: &Plan) -> Plan {
        for (one, other) in self.interfaces.iter_mut().zip(&other.interfaces) {
            if one.now == other.now {
                one.meaning.clone_from(&other.meaning);
            }
        }
        self
    }
}

/// `None` where one side is not known, not a policy, or drops nothing while the other does.
fn told(
    plan: &InterfacePlan,
    ruleset: &Ruleset,
    images: &[Image],
    known: &BTreeMap<Digest, Known>,
) -> Result<Option<Told>, OverBudget> {
    let Enforcement::InForce(record) = &plan.now else { return Ok(None) };
    if record.enforce == plan.shadow {
        return Ok(None);
    }
    let Some(known) = known.get(&record.policy) else { return Ok(None) };
    let position = |ruleset: &Ruleset| ruleset.interfaces.iter().position(|one| one.name == plan.interface);
    let (Some(was), Some(is)) = (position(&known.ruleset), position(ruleset)) else { return Ok(None) };
    let tables = compile(&known.ruleset, was)?;
    let before = Side { ruleset: &known.ruleset, interface: was, tables: &tables };
    let after = Side { ruleset, interface: is, tables: &images[is] };
    Ok(Some(of_sides(before, after)))
}

fn of_sides(before: Side<'_>, after: Side<'_>) -> Told {
    let meaning = compare(before, after);
    let credit = credit((before.ruleset, before.interface), (after.ruleset, after.interface));
    let changes = |differences: &[Difference], dropping, passing, opens| {
        differences.iter().map(|one| Change::new(one, dropping, passing, opens)).collect()
    };
    Told {
        opens: changes(&meaning.opens, before, after, true),
        closes: changes(&meaning.closes, after, before, false),
        is_complete: meaning.is_complete,
        dying: dying(after, &meaning.closes).into_iter().map(|one| Dying::new(one, after)).collect(),
        renamed: credit.renamed,
        is_reordered: credit.is_reordered,
    }
}

impl Told {
    /// Whether every frame is judged as before.
    pub fn is_same(&self) -> bool {
        self.is_complete && self.opens.is_empty() && self.closes.is_empty()
    }
}

impl Dying {
    fn new((vital, stack): (Vital, Set), after: Side<'_>) -> Self {
        let (what, then) = vital.words();
        Dying { what: what.to_owned(), vlan: words::vlan(&stack, after), then: then.to_owned() }
    }
}

impl Change {
    fn new(difference: &Difference, dropping: Side<'_>, passing: Side<'_>, opens: bool) -> Self {
        let witness = &difference.witness;
        let id = |side: Side<'_>, rule: usize| side.ruleset.rules[rule].id.clone();
        let reason = witness.dropped.reason().map_or("", |reason| reason.name());
        let denied_by = match witness.dropped {
            Decision::Denied(rule) => Some(id(dropping, rule as usize)),
            _ => None,
        };
        let because = difference.causes.iter().map(|cause| because(*cause, dropping, passing, opens));
        Change {
            vlan: words::vlan(difference.regions[0].side(Dimension::Stack), passing),
            frames: words::frames(difference, dropping, passing),
            because: because.collect(),
            exact: difference.exact.iter().map(exact::exact).collect(),
            witness: Shown {
                line: describe(&witness.frame),
                frame: witness.frame.iter().map(|byte| format!("{byte:02x}")).collect(),
                passed_by: id(passing, witness.passed_by),
                reason: reason.to_owned(),
                denied_by,
            },
        }
    }
}

/// Why a difference is there, in a few words.
fn because(cause: Cause, dropping: Side<'_>, passing: Side<'_>, opens: bool) -> String {
    let (own, other, rule, is_here) = match cause {
        Cause::Setting(setting) => return words::setting(setting).to_owned(),
        // An `allow` rule is on the passing side: new where the change opens, gone where it closes.
        Cause::Allow(rule) => (passing, dropping, rule, opens),
        Cause::Deny(rule) => (dropping, passing, rule, !opens),
    };
    let rule = &own.ruleset.rules[rule];
    let named =
        |known: &&crate::ruleset::Rule| known.id == rule.id && known.interfaces.contains(&other.interface);
    let kind = if matches!(cause, Cause::Deny(_)) { "deny rule" } else { "rule" };
    let became = match (other.ruleset.rules.iter().find(named), is_here) {
        (Some(_), _) => "has changed",
        (None, true) => "is new",
        (None, false) => "is gone",
    };
    format!("{kind} {} {became}", rule.id)
}
