//! A table in nft's own language, as `nft -f` takes it and as people read it.
//!
//! Promises: the text means exactly what `netlink` sends; `nft -c -f` of nftables 1.0.6 accepts it.

mod fields;
mod sets;

pub(super) use sets::element;

use std::fmt::Write as _;

use super::ir::{BASE, PRIORITY, Relation, Rule, Statement, Table, Verdict};
use fields::{field, value};

/// The whole table, ready for `nft -f`: it replaces a table of the same name.
pub fn render(table: &Table) -> String {
    let mut text = String::new();
    for line in &table.about {
        let _ = writeln!(text, "# {line}");
    }
    let _ = writeln!(text, "table netdev {} {{", table.name);
    for counter in &table.counters {
        let _ = writeln!(text, "\tcounter {} {{ packets 0 bytes 0; }}", counter.name);
    }
    for set in &table.sets {
        sets::render(&mut text, set);
    }
    // A chain must be known before something goes to it; the base chain comes last all the same, as nothing goes there.
    for chain in &table.chains {
        chain_block(&mut text, &chain.name, None, &chain.rules);
    }
    let policy = if table.base.accept { "accept" } else { "drop" };
    let head = format!(
        "type filter hook ingress device \"{}\" priority {PRIORITY}; policy {policy};",
        table.base.device
    );
    chain_block(&mut text, BASE, Some(&head), &table.base.rules);
    text.push_str("}\n");
    text
}

fn chain_block(text: &mut String, name: &str, head: Option<&str>, rules: &[Rule]) {
    let _ = writeln!(text, "\n\tchain {name} {{");
    if let Some(head) = head {
        let _ = writeln!(text, "\t\t{head}");
    }
    for one in rules {
        let _ = writeln!(text, "\t\t{}", rule(one));
    }
    text.push_str("\t}\n");
}

/// One rule on one line.
pub fn rule(rule: &Rule) -> String {
    let mut words: Vec<String> = rule.statements.iter().map(statement).collect();
    if let Some(comment) = &rule.comment {
        words.push(format!("comment \"{comment}\""));
    }
    words.join(" ")
}

fn statement(one: &Statement) -> String {
    match one {
        Statement::Compare { field: read, relation, value: number } => {
            let relation = match relation {
                Relation::Equal => "",
                Relation::Differs => "!= ",
                Relation::Below => "< ",
                Relation::Above => "> ",
            };
            format!("{} {relation}{}", field(read), value(read, number))
        }
        Statement::Member { fields, set, inside } => {
            format!("{} {}@{set}", concatenation(fields), if *inside { "" } else { "!= " })
        }
        Statement::Outside { field: read, low, high } => {
            format!("{} != {}-{}", field(read), value(read, low), value(read, high))
        }
        Statement::Dispatch { fields, map } => format!("{} vmap @{map}", concatenation(fields)),
        Statement::CountBy { fields, map } => format!("counter name {} map @{map}", concatenation(fields)),
        Statement::Count(counter) => format!("counter name \"{counter}\""),
        Statement::Beyond { rate, burst } => format!("limit rate over {rate}/second burst {burst} packets"),
        Statement::Log { group, prefix } => format!("log prefix \"{prefix}\" group {group}"),
        Statement::Verdict(verdict) => self::verdict(verdict),
    }
}

fn concatenation(fields: &[super::ir::Field]) -> String {
    fields.iter().map(field).collect::<Vec<_>>().join(" . ")
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Goto(chain) => format!("goto {chain}"),
        Verdict::Jump(chain) => format!("jump {chain}"),
        Verdict::Return => "return".to_owned(),
    }
}
