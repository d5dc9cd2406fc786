//! The verdict, sentence by sentence: frames as byte literals, and what the contract says of each.
//!
//! Promises: one group of tests a step, one case a reason, an exception or an edge; every engine that is at hand is
//! asked, the oracle first.

#[path = "../oracle/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod oracle;

mod addresses;
mod fragments;
mod ipv4;
mod ipv6;
mod layer2;
mod layer4;
mod rules;
mod size;

use perimeter::ruleset::Ruleset;
use perimeter::simulate::Model;
use perimeter_classifier::verdict::{Decision, DropReason, DropReason as Reason};

/// A passed IP packet under `plain::open`.
const IP: Decision = Decision::Pass(0);
/// A passed frame that is not IP under `plain::open`.
const OTHER: Decision = Decision::Pass(1);

/// Destination and source MAC of frames where they do not matter.
const MACS: &str = "020000000002 020000000001";

/// A case: what it shows, the frame in hex from the EtherType or first TPID on, the decision.
type Case<'a> = (&'a str, String, Decision);

const fn dropped(reason: DropReason) -> Decision {
    Decision::Drop(reason)
}

/// Bytes from hex, white space aside.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    assert_eq!(digits.len() % 2, 0, "an odd number of hex digits in {text:?}");
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Zero bytes as hex.
fn zeros(count: usize) -> String {
    "00".repeat(count)
}

/// Each case, with the MACs before it, under `ruleset` on its first interface.
fn check(ruleset: &Ruleset, cases: &[Case<'_>]) {
    let model = model(ruleset);
    for (name, text, expected) in cases {
        check_by(ruleset, &model, name, &hex(&format!("{MACS}{text}")), *expected);
    }
}

/// One whole frame.
fn check_frame(ruleset: &Ruleset, name: &str, frame: &[u8], expected: Decision) {
    check_by(ruleset, &model(ruleset), name, frame, expected);
}

fn model(ruleset: &Ruleset) -> Model {
    Model::new(ruleset, 0).expect("a policy this small is within the budget")
}

fn check_by(ruleset: &Ruleset, model: &Model, name: &str, frame: &[u8], expected: Decision) {
    assert_eq!(oracle::judge(ruleset, 0, frame), expected, "the oracle on: {name}");
    assert_eq!(model.judge(frame), expected, "the model on: {name}");
}
