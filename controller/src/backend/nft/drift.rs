//! In which ways a table is not as perimeter wrote it, each in words.
//!
//! Promises: pure; names the chain, the set, and the rule of the policy wherever one is concerned. A change that no frame
//! can meet (a chain that nothing leads to) is told all the same.

use super::ir::{BASE, Element, Rule, Set, Table};
use super::listing::{Elements, Listing};
use super::text;

/// How many differences of one kind are told one by one.
const TOLD: usize = 4;

/// Every difference between what a table should be and what the kernel lists.
pub(super) fn drift(table: &Table, found: &Listing) -> Vec<String> {
    let expected = Listing::expected(table);
    let all = table.chains.iter().map(|chain| (chain.name.as_str(), chain.rules.as_slice()));
    let written = all.chain([(BASE, table.base.rules.as_slice())]);
    let mut drift: Vec<String> = Vec::new();
    let mut flushed = 0;
    for (name, rules) in written {
        let wanted = &expected.chains[name];
        match found.chains.get(name) {
            None => drift.push(format!("chain {} is gone", place(name))),
            Some(listed) if listed.is_empty() && !wanted.is_empty() => flushed += 1,
            Some(listed) => drift.extend(chain(name, rules, wanted, listed)),
        }
    }
    let emptied = |count| format!("its nftables table was flushed: {count} of its chains have no rules");
    drift.extend((flushed > 0).then(|| emptied(flushed)));
    let foreign = found.chains.keys().filter(|name| !expected.chains.contains_key(*name));
    drift.extend(foreign.map(|name| format!("chain {name} was added")));
    for set in &table.sets {
        match found.sets.get(&set.name) {
            None => drift.push(format!("set {} is gone", set.name)),
            Some(listed) => drift.extend(elements(set, &expected.sets[&set.name], listed)),
        }
    }
    let foreign = found.sets.keys().filter(|name| !expected.sets.contains_key(*name));
    drift.extend(foreign.map(|name| format!("set {name} was added")));
    drift
}

/// A chain, with the rule of the policy that it credits.
fn place(name: &str) -> String {
    match credited(name) {
        Some(rule) => format!("{name} (rule {rule})"),
        None => name.to_owned(),
    }
}

/// The rule id that a chain credits, by its name: `allow.web`, `deny.bad.tag`.
fn credited(chain: &str) -> Option<&str> {
    let (_, id) = chain.split_once("allow.").or_else(|| chain.split_once("deny."))?;
    Some(id.strip_suffix(super::names::TAGGED).unwrap_or(id))
}

/// The differences between the rules of one chain.
fn chain(name: &str, rules: &[Rule], wanted: &[String], listed: &[String]) -> Vec<String> {
    if wanted == listed {
        return Vec::new();
    }
    let missing: Vec<usize> = (0..wanted.len()).filter(|&at| !listed.contains(&wanted[at])).collect();
    let foreign = listed.iter().filter(|rule| !wanted.contains(rule)).count();
    let place = place(name);
    let mut told: Vec<String> = missing
        .iter()
        .take(TOLD)
        .map(|&at| format!("a rule of chain {place} is gone or was edited: `{}`", text::rule(&rules[at])))
        .collect();
    told.extend(more(missing.len(), "rules of", &place));
    if foreign > 0 {
        told.push(format!("chain {place} has rules that perimeter did not write ({foreign})"));
    }
    if told.is_empty() {
        told.push(format!("the rules of chain {place} stand twice, or in another order"));
    }
    told
}

/// The differences between the elements of one set.
fn elements(set: &Set, wanted: &Elements, listed: &Elements) -> Vec<String> {
    let gone: Vec<String> = wanted
        .iter()
        .filter(|(key, _)| !listed.contains_key(*key))
        .map(|(key, to)| format!("element {} is gone from {}{}", word(set, key), set.name, leads(to)))
        .collect();
    let added: Vec<String> = listed
        .iter()
        .filter(|(key, _)| !wanted.contains_key(*key))
        .map(|(key, to)| format!("element {} was added to {}{}", word(set, key), set.name, leads(to)))
        .collect();
    let turned: Vec<String> = wanted
        .iter()
        .filter(|(key, to)| listed.get(*key).is_some_and(|now| now != *to))
        .map(|(key, to)| {
            format!("element {} of {} leads elsewhere now{}", word(set, key), set.name, leads(to))
        })
        .collect();
    [gone, added, turned].into_iter().flat_map(|all| short(all, &set.name)).collect()
}

/// The first few, and how many more there are.
fn short(mut all: Vec<String>, set: &str) -> Vec<String> {
    let count = all.len();
    all.truncate(TOLD);
    all.extend(more(count, "elements of", set));
    all
}

fn more(count: usize, what: &str, of: &str) -> Option<String> {
    (count > TOLD).then(|| format!("so it is with {} more {what} {of}", count - TOLD))
}

/// Where a verdict or a counter leads, where that is the credit of a rule.
fn leads(to: &str) -> String {
    let name = to.split_once(':').map_or(to, |(_, chain)| chain);
    credited(name).map_or(String::new(), |rule| format!(", for rule {rule}"))
}

/// A key in nft's words.
fn word(set: &Set, (low, high): &(Vec<u8>, Vec<u8>)) -> String {
    let high = if high.is_empty() { low } else { high };
    let mut key = Vec::new();
    let mut at = 0;
    for part in &set.key {
        let number = |bytes: &[u8]| {
            let bytes = bytes.get(at..at + part.length()).unwrap_or_default();
            bytes.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte))
        };
        key.push((number(low), number(high)));
        at += part.length().next_multiple_of(4);
    }
    text::element(set, &Element { key, to: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nft::lower::{Options, lower};
    use crate::samples::ruleset;

    fn table() -> Table {
        let mut ruleset = ruleset(&["wan0"]);
        ruleset.rules[0].services = vec![crate::ruleset::Service {
            protocol: Some(6),
            destination_ports: Some((22, 22)),
            ..Default::default()
        }];
        lower(&ruleset, 0, &Options::default()).unwrap()
    }

    /// What is told after `change`.
    fn after(change: impl FnOnce(&mut Listing)) -> Vec<String> {
        let table = table();
        let mut found = Listing::expected(&table);
        change(&mut found);
        drift(&table, &found)
    }

    #[test]
    fn what_was_written_is_no_drift() {
        let listing = Listing::expected(&table());
        assert!(listing.chains.values().flatten().count() > 20 && !listing.sets.is_empty());
        assert_eq!(after(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn a_flush_a_deleted_rule_and_an_edited_one_are_told_by_name() {
        let all = after(|found| found.chains.values_mut().for_each(Vec::clear));
        assert!(all.len() == 1 && all[0].starts_with("its nftables table was flushed"), "{all:?}");
        let credit = "allow.arp";
        let gone = after(|found| drop(found.chains.get_mut(credit).unwrap().remove(0)));
        assert_eq!(gone.len(), 1, "{gone:?}");
        let edited = after(|found| found.chains.get_mut(BASE).unwrap()[0] = "counter".into());
        assert!(edited[0].starts_with("a rule of chain ingress is gone or was edited: `"), "{edited:?}");
        assert!(edited[1].contains("did not write (1)"), "{edited:?}");
        let chain = after(|found| drop(found.chains.remove(credit)));
        assert_eq!(chain, ["chain allow.arp (rule arp) is gone"]);
        let twice = after(|found| found.chains.get_mut(BASE).unwrap().reverse());
        assert!(twice.is_empty() || twice[0].contains("in another order"), "{twice:?}");
    }

    #[test]
    fn an_element_more_or_less_is_told_with_the_rule_it_credits() {
        let (name, key, to) = {
            let listing = Listing::expected(&table());
            let credits = |to: &&String| to.contains("allow.arp");
            let (name, elements) =
                listing.sets.iter().find(|(_, elements)| elements.values().any(|to| credits(&to))).unwrap();
            let (key, to) = elements.iter().find(|(_, to)| credits(to)).unwrap();
            (name.clone(), key.clone(), to.clone())
        };
        let gone = after(|found| drop(found.sets.get_mut(&name).unwrap().remove(&key)));
        assert!(gone[0].starts_with("element ") && gone[0].ends_with(", for rule arp"), "{gone:?}");
        let other: (Vec<u8>, Vec<u8>) = (key.0.iter().map(|byte| byte ^ 1).collect(), key.1.clone());
        let added = after(|found| drop(found.sets.get_mut(&name).unwrap().insert(other, to)));
        assert!(added[0].contains(&format!("was added to {name}")), "{added:?}");
        let turned = after(|found| drop(found.sets.get_mut(&name).unwrap().insert(key, "x:allow.b".into())));
        assert!(turned[0].contains("leads elsewhere now, for rule arp"), "{turned:?}");
        let emptied = after(|found| found.sets.get_mut(&name).unwrap().clear());
        assert!(emptied.len() <= TOLD + 1, "{emptied:?}");
    }
}
