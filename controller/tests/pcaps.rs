//! The captures of `pcaps/`: made again they are the same bytes, and everybody agrees on every frame.

mod captures;
#[allow(dead_code, reason = "the tests build rulesets by hand, the captures read policies")]
mod oracle;

use captures::{Capture, Verdict};
use perimeter::ruleset::Ruleset;
use perimeter::simulate::Model;
use perimeter_classifier::verdict::{Decision, DropReason};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn verdict(ruleset: &Ruleset, decision: Decision) -> String {
    let id = |rule: u32| &ruleset.rules[rule as usize].id;
    match decision {
        Decision::Pass(rule) => format!("pass {}", id(rule)),
        Decision::Denied(rule) => format!("denied {}", id(rule)),
        Decision::Drop(reason) => reason.name().to_owned(),
    }
}

fn intended(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass(rule) => format!("pass {rule}"),
        Verdict::Denied(rule) => format!("denied {rule}"),
        Verdict::Drop(reason) => reason.name().to_owned(),
    }
}

#[test]
fn oracle_and_model_give_the_intended_verdicts() {
    let mut wrong = Vec::new();
    for capture in captures::all() {
        let ruleset = captures::policy(&root().join(capture.policy));
        let model = Model::new(&ruleset, 0).expect("the policies of the captures are small");
        for (frame, number) in capture.frames.iter().zip(1..) {
            let intent = intended(frame.verdict);
            let oracle = verdict(&ruleset, oracle::judge(&ruleset, 0, &frame.bytes));
            let model = verdict(&ruleset, model.judge(&frame.bytes));
            if oracle != intent || model != intent {
                let (name, what) = (capture.name, frame.intent);
                wrong.push(format!("{name} {number} ({what}): {intent}; oracle {oracle}, model {model}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reason_is_shown() {
    let frames: Vec<Verdict> =
        captures::all().iter().flat_map(|capture| capture.frames.iter().map(|frame| frame.verdict)).collect();
    for reason in DropReason::ALL {
        let shown = frames.iter().any(|verdict| match verdict {
            Verdict::Pass(_) => false,
            Verdict::Denied(_) => reason == DropReason::Denied,
            Verdict::Drop(dropped) => *dropped == reason,
        });
        // Nothing gives fragment_overlap before `fragments: follow` is built.
        assert_eq!(shown, reason != DropReason::FragmentOverlap, "{}", reason.name());
    }
    assert!(frames.iter().any(|verdict| matches!(verdict, Verdict::Pass(_))));
}

#[test]
fn the_files_are_those_that_would_be_made() {
    let captures = captures::all();
    let mut expected: Vec<(String, Vec<u8>)> = captures.iter().flat_map(files).collect();
    expected.push(("README.md".to_owned(), captures::readme(&captures).into_bytes()));
    for (name, bytes) in &expected {
        let found = std::fs::read(root().join("pcaps").join(name)).unwrap_or_default();
        assert!(
            found == *bytes,
            "pcaps/{name} is not what `cargo run -p perimeter --example make_pcaps` writes"
        );
    }
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    for entry in std::fs::read_dir(root().join("pcaps")).expect("pcaps/ is part of the project") {
        let name = entry.expect("pcaps/ can be listed").file_name().into_string().expect("names are ASCII");
        assert!(known.contains(name.as_str()) || name.ends_with(".yaml"), "pcaps/{name} is made by nobody");
    }
}

fn files(capture: &Capture) -> Vec<(String, Vec<u8>)> {
    let ruleset = captures::policy(&root().join(capture.policy));
    let expected = captures::expectations(capture, &ruleset, |frame| oracle::judge(&ruleset, 0, frame));
    vec![
        (capture.file_name(), captures::file(capture)),
        (format!("{}.expected.jsonl", capture.name), expected.into_bytes()),
    ]
}
