//! The rules and elements of a table in one form, whether they were about to be sent or the kernel lists them.
//!
//! Promises: two tables that judge alike in every frame have the same listing where perimeter wrote both; what the kernel
//! adds of its own (flags that are not set, other names of the same registers) is left out. Counts are no part of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use nftnl::nftnl_sys::libc;

use super::ir::{BASE, Table};
use super::netlink::batch::{Step, build};
use super::netlink::numbers;
use super::netlink::socket::{Reply, replies};
use super::read;

/// What judges frames, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The rules of each chain, in their order.
    pub(super) chains: BTreeMap<String, Vec<String>>,
    pub(super) sets: BTreeMap<String, Elements>,
}

/// The elements of a set: key, and end of the interval where it is one, to the verdict or the name of the counter; empty
/// where there is neither.
pub(super) type Elements = BTreeMap<(Vec<u8>, Vec<u8>), String>;

impl Listing {
    /// What the kernel would list of a table.
    pub(super) fn expected(table: &Table) -> Listing {
        let sets = (1..).zip(&table.sets).map(|(id, set)| Step::Set(set, id));
        let all = table.chains.iter().map(|chain| (chain.name.as_str(), &chain.rules));
        let rules = all.chain([(BASE, &table.base.rules)]);
        let rules = rules.flat_map(|(chain, rules)| rules.iter().map(move |rule| Step::Rule(chain, rule)));
        let batch = build(&table.name, &sets.chain(rules).collect::<Vec<_>>());
        let mut listing = Listing::default();
        for chain in table.chains.iter().map(|chain| chain.name.as_str()).chain([BASE]) {
            listing.chains.insert(chain.to_owned(), Vec::new());
        }
        for set in &table.sets {
            listing.sets.insert(set.name.clone(), Elements::new());
        }
        batch.iter().flat_map(replies).for_each(|(kind, message)| listing.add(kind, &message));
        listing
    }

    /// What the kernel lists of a table.
    pub(super) fn found(table: &str) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for chain in read::chains(table)? {
            listing.chains.insert(chain.name, Vec::new());
        }
        for rule in read::rules(table, None)? {
            listing.add_rule(rule.chain, &rule.expressions, &rule.userdata);
        }
        for set in read::sets(table)? {
            let elements = read::elements(table, &set)?;
            listing.sets.insert(set, Elements::new());
            elements.iter().for_each(|message| listing.add(libc::NFT_MSG_NEWSETELEM, message));
        }
        Ok(listing)
    }

    /// Whether a rule tells of frames.
    pub(super) fn tells(&self) -> bool {
        let mut expressions = self.chains.values().flatten().flat_map(|rule| rule.split("; "));
        expressions.any(|expression| expression.starts_with("log "))
    }

    fn add(&mut self, kind: i32, message: &Reply) {
        let attributes = &message.attributes;
        match kind {
            libc::NFT_MSG_NEWRULE => {
                let chain = text(attributes, numbers::RULE_CHAIN);
                let part = |kind| read::attribute(attributes, kind).unwrap_or_default();
                let (expressions, userdata) = (part(numbers::RULE_EXPRESSIONS), part(numbers::RULE_USERDATA));
                self.add_rule(chain, &expressions, &userdata);
            }
            libc::NFT_MSG_NEWSETELEM => {
                let set = text(attributes, numbers::ELEMENTS_SET);
                let list = read::attribute(attributes, numbers::ELEMENTS).unwrap_or_default();
                let elements = self.sets.entry(set).or_default();
                elements.extend(read::attributes(&list).into_iter().map(|(_, one)| element(&one)));
            }
            _ => {}
        }
    }

    fn add_rule(&mut self, chain: String, expressions: &[u8], userdata: &[u8]) {
        let mut words: Vec<String> =
            read::attributes(expressions).into_iter().map(|(_, one)| expression(&one)).collect();
        words.push(hex(userdata));
        self.chains.entry(chain).or_default().push(words.join("; "));
    }
}

/// Key, end of the interval, what they lead to.
fn element(bytes: &[u8]) -> ((Vec<u8>, Vec<u8>), String) {
    let value = |kind| {
        let data = read::attribute(bytes, kind).unwrap_or_default();
        read::attribute(&data, numbers::DATA_VALUE).unwrap_or_default()
    };
    let to = match read::attribute(bytes, numbers::ELEMENT_DATA) {
        Some(one) => data(&one),
        None => text(bytes, numbers::ELEMENT_COUNTER),
    };
    ((value(numbers::ELEMENT_KEY), value(numbers::ELEMENT_KEY_END)), to)
}

/// One expression: its name and its attributes, but for those that say nothing.
fn expression(bytes: &[u8]) -> String {
    let mut words = text(bytes, numbers::EXPRESSION_NAME);
    let parts = read::attribute(bytes, numbers::EXPRESSION_DATA).unwrap_or_default();
    let mut parts = read::attributes(&parts);
    parts.sort();
    for (kind, value) in parts {
        let value = match meaning(&text(bytes, numbers::EXPRESSION_NAME), kind) {
            Meaning::Register => register(&value),
            Meaning::Data => data(&value),
            Meaning::Text => String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned(),
            Meaning::Plain => hex(&value),
        };
        if value.trim_start_matches('0').is_empty() {
            continue;
        }
        let _ = write!(words, " {kind}={value}");
    }
    words
}

/// What an attribute of an expression holds.
enum Meaning {
    Register,
    /// Bytes or a verdict, one level deeper.
    Data,
    /// The kernel lists it with a zero byte at its end.
    Text,
    Plain,
}

/// By the kinds of `linux/netfilter/nf_tables.h`.
fn meaning(expression: &str, kind: i32) -> Meaning {
    match (expression, kind) {
        ("payload" | "meta" | "cmp" | "immediate" | "range", 1) => Meaning::Register,
        ("bitwise" | "byteorder", 1 | 2) | ("lookup", 2 | 3) | ("objref", 3) => Meaning::Register,
        ("cmp", 3) | ("bitwise", 4 | 5) | ("immediate", 2) | ("range", 3 | 4) => Meaning::Data,
        ("objref", 2 | 4) | ("lookup", 1) | ("log", 2) => Meaning::Text,
        _ => Meaning::Plain,
    }
}

/// The kernel lists the first of each four registers of 4 bytes by the name that it has as one of 16 (`nft_dump_register`).
fn register(value: &[u8]) -> String {
    const FIRST: u32 = libc::NFT_REG32_00 as u32;
    const LAST: u32 = libc::NFT_REG32_15 as u32;
    let Ok(bytes) = value.try_into() else { return hex(value) };
    let number = match u32::from_be_bytes(bytes) {
        number @ FIRST..=LAST if (number - FIRST).is_multiple_of(4) => (number - FIRST) / 4 + 1,
        number => number,
    };
    hex(&number.to_be_bytes())
}

/// Bytes, or a verdict and the chain that it leads to.
fn data(bytes: &[u8]) -> String {
    if let Some(value) = read::attribute(bytes, numbers::DATA_VALUE) {
        return hex(&value);
    }
    let verdict = read::attribute(bytes, numbers::DATA_VERDICT).unwrap_or_default();
    let code = read::attribute(&verdict, numbers::VERDICT_CODE).unwrap_or_default();
    format!("{}:{}", hex(&code), text(&verdict, numbers::VERDICT_CHAIN))
}

fn text(bytes: &[u8], kind: i32) -> String {
    let value = read::attribute(bytes, kind).unwrap_or_default();
    String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_one_name() {
        assert_eq!(register(&8u32.to_be_bytes()), register(&1u32.to_be_bytes()));
        assert_eq!(register(&12u32.to_be_bytes()), register(&2u32.to_be_bytes()));
        assert_ne!(register(&9u32.to_be_bytes()), register(&8u32.to_be_bytes()));
    }
}
