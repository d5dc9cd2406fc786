//! What fuzzing asks of the parts that read bytes from elsewhere: no panic, and the promises they make.
//!
//! The fuzz targets of `xdp/classifier/fuzz` and `controller/fuzz` call these functions, and so does a test over the
//! committed corpora, so that CI runs them without a nightly compiler.

use crate::{generate, oracle};
use perimeter::capture::{Capture, FRAME_LIMIT};
use perimeter::policy::{self, Severity};
use perimeter::ruleset::{Fragments, IpOptions, Oversize, Ruleset, VlanRange};
use perimeter::simulate::Model;
use std::sync::LazyLock;

/// Rulesets that the first byte of an input chooses from.
static RULESETS: LazyLock<Vec<(Ruleset, Model)>> = LazyLock::new(|| {
    let by_hand = [oracle::plain::open(), oracle::plain::open_with(lenient)];
    let random = (1..=6).map(|seed| generate::ruleset(&mut generate::Rng::with_seed(seed), 24));
    let with_model = |ruleset: Ruleset| {
        let model = Model::new(&ruleset, 0).expect("rulesets of at most 24 rules are within the budget");
        (ruleset, model)
    };
    by_hand.into_iter().chain(random).map(with_model).collect()
});

fn lenient(interface: &mut perimeter::ruleset::Interface) {
    interface.ip_options = IpOptions::Pass;
    interface.fragments = Fragments::Stateless;
    interface.oversize = Oversize::Count;
    interface.vlans = vec![
        oracle::plain::entry(VlanRange::Untagged),
        oracle::plain::entry(VlanRange::Single { low: 1, high: 4094 }),
        oracle::plain::entry(VlanRange::Stacked { outer: 100, inner: 200 }),
    ];
}

/// The classifier says what the oracle says. The first byte chooses the ruleset, the rest is the frame.
pub(crate) fn frame(input: &[u8]) {
    let Some((&choice, frame)) = input.split_first() else { return };
    let (ruleset, model) = &RULESETS[usize::from(choice) % RULESETS.len()];
    assert_eq!(model.judge(frame), oracle::judge(ruleset, 0, frame));
}

/// A policy is read to a ruleset or to errors, never to both or neither, and the same way each time.
pub(crate) fn policy(text: &[u8]) {
    let read = || {
        let mut files = |_: &str| Ok(b"192.0.2.0/24 # a network\n2001:db8::1\n".to_vec());
        policy::read("fuzz.yaml", text, &mut files, jiff::Timestamp::UNIX_EPOCH)
    };
    let reading = read();
    let errors = reading.diagnostics.iter().filter(|fault| fault.severity == Severity::Error).count();
    assert_eq!(reading.ruleset.is_none(), errors > 0, "{errors} errors");
    assert_eq!(reading.ruleset, read().ruleset);
}

/// A capture gives frames in order, none over the limit, until its end or one error.
pub(crate) fn capture(file: &[u8]) {
    let Ok(mut capture) = Capture::new(file) else { return };
    let mut known = 0;
    while let Some(next) = capture.next_frame() {
        let Ok(frame) = next else {
            assert!(capture.next_frame().is_none(), "a frame after an error");
            return;
        };
        known += 1;
        assert_eq!(frame.number, known);
        assert!(frame.bytes.len() <= FRAME_LIMIT && frame.bytes.len() <= file.len());
    }
}
