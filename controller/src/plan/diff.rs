//! What changes for one interface between two rulesets: its settings field by field, its rules one by one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words;
use crate::ruleset::{Action, AddressSet, Interface, Rule, Ruleset, Vlan, VlanRange};

/// One field before and after, in the words of the policy; empty where it was not, or is no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub before: String,
    pub after: String,
}

/// The rules that speak of the same VLANs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// "vlan mgmt (10)", "untagged", "any vlan".
    pub vlan: String,
    pub rules: Vec<RuleChange>,
}

/// What happens to one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    pub rule: String,
    pub action: Action,
    pub step: RuleStep,
    /// The conditions in one line; the old ones of a rule that goes.
    pub conditions: String,
    /// "NET-1042, owner netops".
    pub about: String,
    /// What changed in a rule that stays.
    pub fields: Vec<FieldChange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleStep {
    Added,
    Removed,
    Changed,
}

/// Settings that change, rules that change, and how many rules stay the same.
pub(super) type Difference = (Vec<FieldChange>, Vec<Group>, usize);

/// The difference on one interface, which was called `name`. `before` is `None` where nothing is known: everything is new.
pub(super) fn interface(before: Option<&Ruleset>, after: (&Ruleset, usize), name: &str) -> Difference {
    let (ruleset, index) = after;
    let old = before.and_then(|old| Some((old, old.interfaces.iter().position(|one| one.name == name)?)));
    let settings = settings(old.map(|(old, at)| &old.interfaces[at]), &ruleset.interfaces[index]);
    let vlans = old.map_or(Vec::new(), |(old, _)| vlans(&old.vlans, &ruleset.vlans));
    let old_rules = old.map_or(Vec::new(), |(old, at)| rules_of(old, at));
    let (groups, same) = rules(&old_rules, &rules_of(ruleset, index));
    ([settings, vlans].concat(), groups, same)
}

fn rules_of(ruleset: &Ruleset, index: usize) -> Vec<&Rule> {
    ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&index)).collect()
}

/// Fields that differ; every field where there was no interface.
fn settings(before: Option<&Interface>, after: &Interface) -> Vec<FieldChange> {
    let then = fields(after);
    let now = before.map(fields);
    let pairs = then.into_iter().enumerate().map(|(at, (field, after))| FieldChange {
        field: field.to_owned(),
        before: now.as_ref().map_or(String::new(), |now| now[at].1.clone()),
        after,
    });
    pairs.filter(|change| change.before != change.after).collect()
}

fn fields(interface: &Interface) -> Vec<(&'static str, String)> {
    vec![
        ("mode", words::mode(interface.mode).to_owned()),
        ("enforce", interface.enforce.to_string()),
        ("mtu", interface.mtu.to_string()),
        ("oversize", words::oversize(interface.oversize).to_owned()),
        ("fragments", words::fragments(interface.fragments).to_owned()),
        ("ip_options", words::ip_options(interface.ip_options).to_owned()),
        ("vlans", words::vlans(&interface.vlans)),
        ("outer_tag", format!("0x{:04x}", interface.outer_tag)),
        ("accounting", words::accounting(interface.accounting)),
        ("sources", interface.sources.as_ref().map_or("anyone".to_owned(), words::addresses)),
    ]
}

/// What changes about the named VLANs.
fn vlans(before: &[Vlan], after: &[Vlan]) -> Vec<FieldChange> {
    let describe = |vlan: &Vlan| {
        let sources = vlan.sources.as_ref().map_or("anyone".to_owned(), words::addresses);
        let mtu = vlan.mtu.map_or(String::new(), |mtu| format!(", mtu {mtu}"));
        format!("id {}, sources {sources}{mtu}", vlan.id)
    };
    let old: BTreeMap<&str, &Vlan> = before.iter().map(|vlan| (vlan.name.as_str(), vlan)).collect();
    let new: BTreeMap<&str, &Vlan> = after.iter().map(|vlan| (vlan.name.as_str(), vlan)).collect();
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let changed = names.filter(|name| old.get(*name) != new.get(*name)).map(|name| {
        let text = |side: &BTreeMap<&str, &Vlan>| side.get(name).map_or(String::new(), |vlan| describe(vlan));
        FieldChange { field: format!("vlan {name}"), before: text(&old), after: text(&new) }
    });
    changed.collect()
}

/// A rule's identity: one that moves between `allow` and `deny` goes and comes.
fn key(rule: &Rule) -> (Action, &str) {
    (rule.action, rule.id.as_str())
}

fn rules(before: &[&Rule], after: &[&Rule]) -> (Vec<Group>, usize) {
    let old: BTreeMap<_, &Rule> = before.iter().map(|rule| (key(rule), *rule)).collect();
    let new: BTreeMap<_, &Rule> = after.iter().map(|rule| (key(rule), *rule)).collect();
    let mut groups = Vec::new();
    let mut same = 0;
    for rule in after {
        match old.get(&key(rule)) {
            None => push(&mut groups, rule, RuleStep::Added, Vec::new()),
            Some(was) => match changes(was, rule) {
                fields if fields.is_empty() => same += 1,
                fields => push(&mut groups, rule, RuleStep::Changed, fields),
            },
        }
    }
    for rule in before.iter().filter(|rule| !new.contains_key(&key(rule))) {
        push(&mut groups, rule, RuleStep::Removed, Vec::new());
    }
    (groups, same)
}

fn push(groups: &mut Vec<Group>, rule: &Rule, step: RuleStep, fields: Vec<FieldChange>) {
    let change = RuleChange {
        rule: rule.id.clone(),
        action: rule.action,
        step,
        conditions: words::rule(rule),
        about: about(rule),
        fields,
    };
    let vlan = group(rule);
    match groups.iter_mut().find(|group| group.vlan == vlan) {
        Some(group) => group.rules.push(change),
        None => groups.push(Group { vlan, rules: vec![change] }),
    }
}

/// The heading under which a rule stands.
fn group(rule: &Rule) -> String {
    let Some(ranges) = &rule.vlans else { return "any vlan".to_owned() };
    let ids = ranges.iter().map(VlanRange::to_string).collect::<Vec<_>>().join(", ");
    match rule.written.vlan.as_str() {
        _ if ids == "untagged" => ids,
        words if words.is_empty() || words == ids => format!("vlan {ids}"),
        words => format!("vlan {words} ({ids})"),
    }
}

fn about(rule: &Rule) -> String {
    let about = &rule.about;
    let labelled = [("owner", &about.owner), ("control", &about.control), ("expires", &about.expires)];
    let labelled =
        labelled.iter().filter_map(|(label, value)| Some(format!("{label} {}", value.as_deref()?)));
    about.ticket.clone().into_iter().chain(labelled).collect::<Vec<_>>().join(", ")
}

/// What differs between two rules of one id.
fn changes(before: &Rule, after: &Rule) -> Vec<FieldChange> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut found = vec![
        plain("vlan", group(before), group(after)),
        ends("from", (&before.written.from, &before.from), (&after.written.from, &after.from)),
        ends("to", (&before.written.to, &before.to), (&after.written.to, &after.to)),
        asked(before, after),
        plain("log", before.log.to_string(), after.log.to_string()),
    ];
    let (was, is) = (&before.about, &after.about);
    for (field, was, is) in [
        ("owner", &was.owner, &is.owner),
        ("ticket", &was.ticket, &is.ticket),
        ("control", &was.control, &is.control),
        ("description", &was.description, &is.description),
        ("expires", &was.expires, &is.expires),
    ] {
        found.push(plain(field, text(was), text(is)));
    }
    found.into_iter().flatten().collect()
}

fn plain(field: &str, before: String, after: String) -> Option<FieldChange> {
    (before != after).then(|| FieldChange { field: field.to_owned(), before, after })
}

/// One end of a rule. Where the words stay and their meaning moves, the meaning is what is shown.
fn ends(field: &str, before: (&str, &AddressSet), after: (&str, &AddressSet)) -> Option<FieldChange> {
    let words = |(words, set): (&str, &AddressSet)| match words {
        "" => words::addresses(set),
        words => words.to_owned(),
    };
    let (was, is) = (words(before), words(after));
    if was != is {
        return plain(field, was, is);
    }
    let (gone, come) = (before.1.difference(after.1), after.1.difference(before.1));
    let mut moved = Vec::new();
    if !come.is_empty() {
        moved.push(format!("gains {}", words::addresses(&come)));
    }
    if !gone.is_empty() {
        moved.push(format!("loses {}", words::addresses(&gone)));
    }
    plain(
        field,
        was.clone(),
        if moved.is_empty() { was } else { format!("{is}, which {}", moved.join(" and ")) },
    )
}

/// Services, ports, states and EtherTypes, in words where they differ, else as resolved.
fn asked(before: &Rule, after: &Rule) -> Option<FieldChange> {
    let words = |rule: &Rule| format!("{} {}", rule.written.ethertype, words::asked(rule)).trim().to_owned();
    let resolved = |rule: &Rule| {
        let types = rule.ethertypes.iter().map(|kind| format!("0x{kind:04x}"));
        types.chain([words::services(&rule.services)]).collect::<Vec<_>>().join(", ")
    };
    plain("service", words(before), words(after))
        .or_else(|| plain("service", resolved(before), resolved(after)))
}
