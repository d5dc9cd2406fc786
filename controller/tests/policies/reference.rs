//! `rules/`: `perimeter check` has nothing to say about the policies, every example of the language reference is read, its keys are
//! all shown, and the tables it prints are the program's.
//!
//! `PERIMETER_BLESS=1` writes the tables anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use perimeter::policy::{self, Severity};
use perimeter::ruleset::Family;

use super::corpus;

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

fn reference() -> String {
    fs::read_to_string(rules().join("README.md")).expect("the language reference")
}

/// The ```yaml blocks of the reference, with the line on which each begins.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_inside = false;
    for (number, line) in text.lines().enumerate() {
        match line {
            "```yaml" => {
                is_inside = true;
                found.push((number + 2, String::new()));
            }
            "```" => is_inside = false,
            _ if is_inside => {
                let (_, example) = found.last_mut().expect("a block is open");
                let _ = writeln!(example, "{line}");
            }
            _ => {}
        }
    }
    found
}

/// A whole policy out of an example that shows only some of its sections.
fn completed(example: &str) -> String {
    let mut whole = String::new();
    if !example.contains("version:") {
        whole.push_str("version: 1\n");
    }
    if !example.contains("interfaces:") {
        whole.push_str("interfaces: { wan0: { vlans: [untagged, 1-4094] } }\n");
    }
    whole + example
}

#[test]
fn every_example_of_the_reference_is_read_without_an_error() {
    let examples = examples(&reference());
    assert!(examples.len() >= 10, "the reference lost its examples");
    for (line, example) in examples {
        let reading = corpus::read_text(&rules().join("README.md"), completed(&example).as_bytes());
        let errors: Vec<String> = reading
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        assert!(errors.is_empty(), "the example at rules/README.md:{line}: {errors:#?}");
    }
}

#[test]
fn every_policy_of_the_folder_passes_check_without_a_remark() {
    let mut names = Vec::new();
    for entry in fs::read_dir(rules()).expect("rules/") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let reading = corpus::check(&path);
        let found: Vec<String> = reading.diagnostics.iter().map(ToString::to_string).collect();
        assert!(found.is_empty() && reading.ruleset.is_some(), "{found:#?}");
        names.push(corpus::case(&path));
    }
    names.sort();
    assert_eq!(names, ["gateway", "minimum", "vlan-segregation"]);
}

/// The keys of the language, out of its schema.
fn keys() -> BTreeSet<String> {
    let schema: serde_json::Value = serde_json::from_str(&policy::schema()).expect("the schema is JSON");
    let places = [
        "/properties",
        "/$defs/interface/properties",
        "/$defs/vlan/properties",
        "/$defs/network/anyOf/1/properties",
        "/$defs/rule/properties",
    ];
    let keys = places.iter().flat_map(|place| {
        let properties =
            schema.pointer(place).and_then(serde_json::Value::as_object).expect("an object of keys");
        properties.keys().cloned()
    });
    keys.collect()
}

#[test]
fn every_key_has_an_example() {
    let shown: String = examples(&reference()).into_iter().map(|(_, example)| example).collect();
    for key in keys() {
        assert!(shown.contains(&format!("{key}:")), "rules/README.md shows no example of `{key}`");
    }
}

/// What stands between `<!-- NAME -->` and `<!-- end -->` in the reference.
fn printed<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect("the mark of a table");
    rest.split_once("<!-- end -->").expect("the end of a table").0
}

fn built_in_table() -> String {
    let mut table = String::from("| name | stands for |\n| --- | --- |\n");
    for service in policy::builtin_services() {
        let words: Vec<String> = service.words.iter().map(|word| format!("`{word}`")).collect();
        let _ = writeln!(table, "| `{}` | {} |", service.name, words.join(", "));
    }
    table
}

fn icmp_table(family: Family) -> String {
    let mut table = String::from("| type | names |\n| --- | --- |\n");
    let types = policy::icmp_types(family);
    for same in types.chunk_by(|one, next| one.1 == next.1) {
        let names: Vec<String> = same.iter().map(|(name, _)| format!("`{name}`")).collect();
        let _ = writeln!(table, "| {} | {} |", same[0].1, names.join(", "));
    }
    table
}

#[test]
fn the_tables_of_the_reference_are_the_programs() {
    let tables = [
        ("built-in services", built_in_table()),
        ("icmp types", icmp_table(Family::V4)),
        ("icmpv6 types", icmp_table(Family::V6)),
    ];
    let mut text = reference();
    let before = text.clone();
    for (name, table) in &tables {
        let old = printed(&text, name).to_owned();
        if old != *table {
            text = text.replacen(&format!("<!-- {name} -->\n{old}"), &format!("<!-- {name} -->\n{table}"), 1);
        }
    }
    if std::env::var_os("PERIMETER_BLESS").is_some() {
        fs::write(rules().join("README.md"), &text).expect("a writable reference");
    } else {
        assert_eq!(
            before, text,
            "the tables of rules/README.md have drifted: run this test with PERIMETER_BLESS=1"
        );
    }
}
