//! The corpora through the reader: every valid policy is accepted with exactly the warnings expected of it, every
//! invalid one is refused with exactly the diagnostics expected of it, in one pass; those of `lint` are accepted, with
//! what `perimeter check` adds.
//!
//! Beside `NAME.yaml`, `NAME.expected` has one line a diagnostic, in any order:
//! `[FILE:]LINE:COLUMN: SEVERITY: PART ... PART`. FILE is left out for the policy itself; the parts (the offending text,
//! the remedy) must stand in the diagnostic in this order. `PERIMETER_BLESS=1 cargo test -p perimeter --test policies`
//! rewrites the lines that no longer fit with the whole diagnostic, for a person to read and cut to what matters.

use std::fs;
use std::path::Path;

use perimeter::policy::{Reading, Severity};

use super::corpus;

/// One line of a `.expected` file.
struct Expected {
    line: String,
    place: String,
    parts: Vec<String>,
}

impl Expected {
    fn parse(line: &str) -> Expected {
        let words: Vec<&str> = line.splitn(3, ": ").collect();
        let [place, severity, rest] = words[..] else { panic!("not an expectation: {line}") };
        let parts = rest.split(" ... ").map(str::to_owned).collect();
        Expected { line: line.to_owned(), place: format!("{place}: {severity}: "), parts }
    }

    /// Whether `diagnostic` stands at the place and has the parts, one after the other.
    fn fits(&self, diagnostic: &str) -> bool {
        let Some(mut rest) = diagnostic.strip_prefix(&self.place) else { return false };
        self.parts.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

/// The diagnostics of a policy as lines, its own name left out.
fn diagnosed(path: &Path, reading: &Reading) -> Vec<String> {
    let own = format!("{}:", path.file_name().expect("corpus files have names").to_string_lossy());
    let shown = reading.diagnostics.iter().map(|diagnostic| {
        let line = diagnostic.to_string();
        line.strip_prefix(&own).map_or(line.clone(), str::to_owned)
    });
    shown.collect()
}

/// Pairs expectations with diagnostics one to one; what is left over on either side.
fn unpaired(expected: Vec<Expected>, mut found: Vec<String>) -> (Vec<Expected>, Vec<String>) {
    let missing =
        expected.into_iter().filter(|expected| match found.iter().position(|line| expected.fits(line)) {
            Some(at) => {
                found.remove(at);
                false
            }
            None => true,
        });
    (missing.collect(), found)
}

fn blessing() -> bool {
    std::env::var_os("PERIMETER_BLESS").is_some()
}

/// Rewrites the expectations that do not fit, and keeps the others.
fn bless(file: &Path, expected: &str, missing: &[Expected], surplus: &[String]) {
    let kept = expected.lines().filter(|line| !missing.iter().any(|missing| missing.line == *line));
    let mut lines: Vec<&str> = kept.chain(surplus.iter().map(String::as_str)).collect();
    lines.sort_by_key(|line| {
        let place = line.split(": ").next().unwrap_or_default();
        let mut numbers = place.rsplit(':').map(|number| number.parse().unwrap_or(0));
        let column: usize = numbers.next().unwrap_or(0);
        (numbers.next().unwrap_or(0), column)
    });
    if lines.is_empty() {
        let _ = fs::remove_file(file);
    } else {
        fs::write(file, lines.join("\n") + "\n").expect("a writable corpus");
    }
}

/// Everything wrong with one case, as text; empty if it is as expected.
fn judge(path: &Path, reading: &Reading, accepted: bool) -> String {
    let file = path.with_extension("expected");
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let (found, usable) = (diagnosed(path, reading), reading.ruleset.is_some());
    let (missing, surplus) = unpaired(expected.lines().map(Expected::parse).collect(), found);
    if blessing() && !(missing.is_empty() && surplus.is_empty()) {
        bless(&file, &expected, &missing, &surplus);
    }
    let mut wrong = String::new();
    if usable != accepted {
        wrong.push_str(&format!("  {}\n", if usable { "accepted" } else { "refused" }));
    }
    missing.iter().for_each(|expected| wrong.push_str(&format!("  missing   {}\n", expected.line)));
    surplus.iter().for_each(|line| wrong.push_str(&format!("  surplus   {line}\n")));
    if wrong.is_empty() { wrong } else { format!("{}\n{wrong}", corpus::case(path)) }
}

fn judge_corpus(name: &str, read: fn(&Path) -> Reading, accepted: bool, at_least: usize) {
    let policies = corpus::policies(name);
    assert!(policies.len() >= at_least, "the corpus {name} shrank to {}", policies.len());
    let wrong: String = policies.iter().map(|path| judge(path, &read(path), accepted)).collect();
    assert!(wrong.is_empty() || blessing(), "not as expected:\n{wrong}");
}

#[test]
fn every_valid_policy_is_accepted_with_the_expected_warnings() {
    judge_corpus("valid", corpus::read, true, 46);
}

#[test]
fn every_invalid_policy_is_refused_with_the_expected_diagnostics() {
    judge_corpus("invalid", corpus::read, false, 80);
}

#[test]
fn check_says_what_is_probably_not_meant() {
    judge_corpus("lint", corpus::check, true, 10);
}

#[test]
fn every_invalid_policy_has_expectations_with_an_error_among_them() {
    for path in corpus::policies("invalid") {
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        assert!(expected.contains(": error: "), "{} expects no error", corpus::case(&path));
    }
}

#[test]
fn expectations_belong_to_a_policy() {
    for name in ["valid", "invalid", "lint"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(name);
        for entry in fs::read_dir(folder).expect("the corpus is part of the repository") {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_some_and(|extension| extension == "expected") {
                assert!(path.with_extension("yaml").exists(), "{} has no policy", path.display());
            }
        }
    }
}

#[test]
fn diagnostics_come_in_the_order_of_the_file() {
    for path in ["valid", "invalid"].iter().flat_map(|name| corpus::policies(name)) {
        let own = path.file_name().expect("corpus files have names").to_string_lossy().into_owned();
        let reading = corpus::read(&path);
        let places = reading.diagnostics.iter().filter(|found| found.file == own);
        let places: Vec<(usize, usize)> = places.map(|found| (found.line, found.column)).collect();
        assert!(places.is_sorted(), "{}: {places:?}", corpus::case(&path));
    }
}

#[test]
fn an_error_names_a_remedy_and_shows_nothing_meant_for_programmers() {
    for path in corpus::policies("invalid") {
        for found in corpus::read(&path).diagnostics {
            let line = found.to_string();
            assert!(found.severity == Severity::Warning || !found.remedy.is_empty(), "no remedy: {line}");
            for sign in ["Some(", "None", "Err(", "{ ", "\\u{", "Utf8Error"] {
                assert!(!line.contains(sign), "a debug form: {line}");
            }
        }
    }
}
