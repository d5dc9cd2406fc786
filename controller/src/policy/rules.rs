//! The `allow` and `deny` sections.

use std::collections::HashMap;
use std::rc::Rc;

use super::diagnostic::quoted;
use super::fields::{Entry, Fields, Word, describe};
use super::rule::{self, Draft, KEYS, Scope};
use super::source::{Mark, Report};
use super::text::check_id;
use super::tree::{Content, Node};
use crate::ruleset::Action;

/// The ids that were met, with the place of each.
type Ids = HashMap<Rc<str>, Mark>;

/// Reads all rules that are right: `deny` in file order, then `allow` in file order.
pub(super) fn read(top: &Fields, scope: &mut Scope, report: &mut Report) -> Vec<Draft> {
    let mut sections = [(Action::Deny, top.get("deny")), (Action::Allow, top.get("allow"))];
    // Of two equal ids the one further down is the wrong one.
    sections.sort_by_key(|(_, section)| section.map(|entry| entry.key.mark.line));
    let mut ids = Ids::new();
    let mut drafts = Vec::new();
    for (action, section) in sections {
        for node in section.and_then(|section| rule_nodes(section, report)).unwrap_or_default() {
            drafts.extend(read_rule(node, action, &mut ids, scope, report));
        }
    }
    drafts.sort_by_key(|draft: &Draft| draft.rule.action);
    drafts
}

fn rule_nodes<'e>(section: &'e Entry, report: &mut Report) -> Option<&'e [Node]> {
    let name = quoted(&section.key.text);
    match &section.value.content {
        Content::List(nodes) if nodes.is_empty() => {
            report.error(
                section.value.mark,
                format!("{name} is an empty list"),
                "write a rule, or remove the key",
            );
            None
        }
        Content::List(nodes) => Some(nodes),
        Content::Nothing => section.no_value(report),
        Content::Broken => None,
        other => {
            let message = format!("{name} is not a list of rules but {}", describe(other));
            report.error(section.value.mark, message, "begin each rule with `- id: NAME`");
            None
        }
    }
}

fn read_rule(
    node: &Node,
    action: Action,
    ids: &mut Ids,
    scope: &mut Scope,
    report: &mut Report,
) -> Option<Draft> {
    let errors = report.errors();
    let fields = Fields::read(node, "a rule", &KEYS, report)?;
    let id = read_id(&fields, ids, report);
    let name = id.as_ref().map_or("", |word| &word.text);
    // A rule without a good id is still judged: every problem is to be told.
    let draft = rule::read(&fields, name, action, scope, report);
    // Without a key that was misspelt it would be another rule, of which warnings would not be true.
    id.and(draft).filter(|_| report.errors() == errors)
}

fn read_id(fields: &Fields, ids: &mut Ids, report: &mut Report) -> Option<Word> {
    if fields.get("id").is_none() {
        report.error(fields.mark, "a rule has no `id`", "add `id: NAME`: counters and logs are keyed on it");
        return None;
    }
    let word = fields.text("id", report)?;
    if let Some(first) = ids.get(&word.text) {
        let remedy = format!("the first is on line {}: ids are unique over allow and deny", first.line);
        report.error(word.mark, format!("duplicate id {}", quoted(&word.text)), remedy);
        return None;
    }
    ids.insert(word.text.clone(), word.mark);
    report.value(word.mark, check_id(&word.text))?;
    Some(word)
}
