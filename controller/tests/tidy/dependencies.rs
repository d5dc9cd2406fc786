//! The table of dependencies in the README is complete and true: each crate is named in its homes only.

use std::collections::BTreeMap;
use std::fs;

use super::report;
use super::source::{Source, root, sources};

/// The packages of the project that have dependencies.
const MANIFESTS: [&str; 5] = [
    "benches/Cargo.toml",
    "controller/Cargo.toml",
    "controller/fuzz/Cargo.toml",
    "xdp/Cargo.toml",
    "xdp/classifier/fuzz/Cargo.toml",
];

/// Crate to homes, as the README's table tells: `| crate | why | homes |`, names and homes in backticks.
fn table() -> BTreeMap<String, Vec<String>> {
    let readme = fs::read_to_string(root().join("README.md")).expect("the project has a README");
    let section = readme.split("\n## Dependencies\n").nth(1).expect("the README has a section Dependencies");
    let section = section.split("\n## ").next().unwrap_or(section);
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').collect();
        let (names, homes) = (quoted(cells.first()?), quoted(cells.get(2)?));
        Some(names.into_iter().map(move |name| (name, homes.clone())))
    };
    section.lines().filter_map(row).flatten().collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The third-party crates that a manifest names itself.
fn direct(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            continue;
        }
        let name: String = line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
        if inside && !name.is_empty() && !name.starts_with("perimeter") {
            found.push(name);
        }
    }
    found
}

fn all_direct() -> Vec<String> {
    let read = |path: &&str| fs::read_to_string(root().join(path)).ok();
    let mut found: Vec<String> =
        MANIFESTS.iter().filter_map(read).flat_map(|manifest| direct(&manifest)).collect();
    found.sort();
    found.dedup();
    found
}

/// Goal: nobody depends on what is not explained. Method: the manifests' crates and the table's are the same.
#[test]
fn the_table_is_complete() {
    let (table, direct) = (table(), all_direct());
    let missing = direct.iter().filter(|name| !table.contains_key(*name));
    let stale = table.keys().filter(|name| !direct.contains(name));
    let missing = missing.map(|name| format!("README.md: {name} is a dependency and not in the table"));
    let stale = stale.map(|name| format!("README.md: {name} is in the table and no dependency"));
    report(missing.chain(stale).collect());
}

/// Goal: a crate can be exchanged by changing its homes. Method: `name::` appears below them only; tests may use any.
#[test]
fn each_crate_stays_in_its_homes() {
    let files = sources();
    let mut violations = Vec::new();
    for (name, homes) in table() {
        let path = format!("{}::", name.replace('-', "_"));
        let foreign =
            |file: &&Source| !file.is_test() && !homes.iter().any(|home| is_below(&file.path, home));
        for file in files.iter().filter(foreign) {
            let program = file.lines_of_code().take(file.tests_begin());
            let uses = program.filter(|(_, line)| names(line, &path));
            violations
                .extend(uses.map(|(line, _)| format!("{}:{line}: {name} is not at home here", file.path)));
        }
    }
    report(violations);
}

/// Whether a path is the home itself, the module's file (`cli.rs` of `cli`) or lies inside.
fn is_below(path: &str, home: &str) -> bool {
    path.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

/// Whether the line names this path from its beginning: `serde::` is not in `jiff_serde::` nor in `a::serde::`.
fn names(line: &str, path: &str) -> bool {
    let begins =
        |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before));
    line.match_indices(path).any(|(at, _)| begins(at))
}
