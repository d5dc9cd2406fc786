//! Rules that expire: in every epoch the model and the kernel decide as the oracle does without the rules that have ended.
//!
//! `PERIMETER_SEED`, `PERIMETER_POLICIES` and `PERIMETER_FRAMES` scale a run.

use crate::campaign::Scale;
use crate::generate::{self, Rng, pick, rulesets};
use crate::kernel::can_load;
use crate::oracle;
use crate::tally::Tally;
use jiff::Timestamp;
use perimeter::backend::xdp::program::{Program, TestRunError};
use perimeter::compile::compile;
use perimeter::ruleset::{Rule, Ruleset};
use perimeter::tables::Image;
use perimeter_classifier::classify::classify;
use perimeter_classifier::frame::Slice;
use perimeter_classifier::tables::Tables;
use perimeter_classifier::verdict::Decision;

/// Tables once some instants have passed.
struct Later<'a>(&'a Image, u32);

impl Tables for Later<'_> {
    fn setting(&self, index: usize) -> u32 {
        self.0.setting(index)
    }

    fn word(&self, index: u32) -> u32 {
        self.0.word(index)
    }

    fn epoch(&self) -> u32 {
        self.1
    }
}

/// A policy some, most or all of whose rules expire, on a few days or on one each.
fn expiring(seed: u64) -> (Rng, Ruleset) {
    let mut rng = Rng::with_seed(seed);
    let size = rulesets::size(&mut rng).min(400);
    let mut ruleset = generate::ruleset(&mut rng, size);
    let share = pick(&mut rng, &[10, 50, 90, 100]);
    let days = pick(&mut rng, &[1, 2, 5, 20, 300]);
    for rule in &mut ruleset.rules {
        if rng.u32(0..100) < share {
            let day = rng.u32(0..days);
            rule.about.expires =
                Some(format!("{}-{:02}-{:02}", 2030 + day / 168, day / 14 % 12 + 1, day % 14 + 1));
        }
    }
    (rng, ruleset)
}

/// When the rules of an interface end.
fn instants(ruleset: &Ruleset, interface: usize) -> Vec<Timestamp> {
    let here = ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&interface));
    let mut instants: Vec<Timestamp> = here.filter_map(Rule::end).collect();
    instants.sort_unstable();
    instants.dedup();
    instants
}

/// The same rules in the same places, but those that end by `at` are on no interface.
fn without_ended(ruleset: &Ruleset, at: Timestamp) -> Ruleset {
    let mut left = ruleset.clone();
    for rule in left.rules.iter_mut().filter(|rule| rule.end().is_some_and(|end| end <= at)) {
        rule.interfaces.clear();
    }
    left
}

/// Judges frames in the first, the last and some other epochs.
fn run(scale: &Scale, mut judge: impl FnMut(&Image, u32) -> Box<dyn FnMut(&[u8]) -> Option<Decision> + '_>) {
    let (mut tally, mut turned) = (Tally::default(), 0);
    for seed in scale.seed..scale.seed + scale.policies {
        let (mut rng, ruleset) = expiring(seed);
        for interface in 0..ruleset.interfaces.len() {
            let image = compile(&ruleset, interface).unwrap();
            let instants = instants(&ruleset, interface);
            let some = (0..3).map(|_| rng.usize(0..=instants.len()));
            let mut epochs: Vec<usize> = some.chain([0, instants.len()]).collect();
            epochs.sort_unstable();
            epochs.dedup();
            let each = scale.frames / scale.policies / (ruleset.interfaces.len() * epochs.len()) as u64;
            for epoch in epochs {
                let at = epoch.checked_sub(1).map_or(Timestamp::UNIX_EPOCH, |last| instants[last]);
                let left = without_ended(&ruleset, at);
                let mut judge = judge(&image, epoch as u32);
                for _ in 0..each {
                    let frame = generate::frame(&mut rng, &ruleset, interface);
                    let Some(judged) = judge(&frame) else { continue };
                    let expected = oracle::judge(&left, interface, &frame);
                    assert_eq!(
                        judged,
                        expected,
                        "seed {seed}, interface {interface}, epoch {epoch} of {}: {frame:02x?}; \
                         PERIMETER_SEED={seed} PERIMETER_POLICIES=1 cargo test -p perimeter --test equivalence expiry",
                        instants.len()
                    );
                    turned += u64::from(expected != oracle::judge(&ruleset, interface, &frame));
                    tally.count(judged);
                }
            }
        }
    }
    println!("{turned} frames were decided otherwise than in the first epoch\n{tally}");
    assert!(
        turned * 20 > scale.frames,
        "only {turned} frames were decided otherwise than in the first epoch"
    );
}

#[test]
fn expiry_in_the_model() {
    run(&Scale::from_environment(80, 160_000), |image, epoch| {
        let image = image.clone();
        Box::new(move |frame| Some(classify(&Slice(frame), &Later(&image, epoch))))
    });
}

#[test]
fn expiry_in_the_kernel() {
    if !can_load() {
        return;
    }
    run(&Scale::from_environment(12, 36_000), |image, epoch| {
        let program = Program::private(image).unwrap();
        program.set_epoch(epoch).unwrap();
        Box::new(move |frame| match program.test_run(frame) {
            Ok(decision) => Some(decision),
            Err(TestRunError::Length(_)) => None,
            Err(error) => panic!("{error}"),
        })
    });
}
