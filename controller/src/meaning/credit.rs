//! Rules that match what they matched, under another name or in another order: the verdict stays, the credit moves.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::ruleset::{Action, Rule, Ruleset};
use crate::space::{Addresses, Region, of_rule};

/// What changes about whose counter a frame adds to, where nothing else changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Ids before and after of rules that match the same.
    pub renamed: Vec<(String, String)>,
    /// Rules that both have stand in another order: where several match, another is credited.
    pub is_reordered: bool,
}

/// Compares the rules of one interface; `before` and `after` are rulesets with the interface's position.
pub fn credit(before: (&Ruleset, usize), after: (&Ruleset, usize)) -> Credit {
    let (was, is) = (rules_of(before), rules_of(after));
    let ids = |rules: &[&Rule]| -> FxHashSet<(Action, String)> {
        rules.iter().map(|rule| (rule.action, rule.id.clone())).collect()
    };
    let (old, new) = (ids(&was), ids(&is));
    let key = |rule: &Rule| (rule.action, rule.id.clone());
    let mut addresses = Addresses::default();
    let mut gone: FxHashMap<(Action, Vec<Region>), &Rule> = FxHashMap::default();
    for rule in was.iter().filter(|rule| !new.contains(&key(rule))) {
        gone.entry((rule.action, of_rule(rule, &mut addresses))).or_insert(rule);
    }
    let mut renamed = Vec::new();
    for rule in is.iter().filter(|rule| !old.contains(&key(rule))) {
        if let Some(was) = gone.remove(&(rule.action, of_rule(rule, &mut addresses))) {
            renamed.push((was.id.clone(), rule.id.clone()));
        }
    }
    let kept = |rules: &[&Rule], other: &FxHashSet<(Action, String)>| -> Vec<(Action, String)> {
        rules.iter().map(|rule| key(rule)).filter(|key| other.contains(key)).collect()
    };
    Credit { renamed, is_reordered: kept(&was, &new) != kept(&is, &old) }
}

fn rules_of((ruleset, interface): (&Ruleset, usize)) -> Vec<&Rule> {
    ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&interface)).collect()
}
