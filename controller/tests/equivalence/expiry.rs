//! Rules that expire: in every epoch the model and the kernel decide as the oracle does without the rules that have ended.
//!
//! `PERIMETER_SEED`, `PERIMETER_POLICIES` and `PERIMETER_FRAMES` scale a run.

use crate::campaign::{Engine, Scale};
use crate::generate::{self, Rng, pick, rulesets};
use crate::kernel::can_load;
use crate::nft::can_judge;
use crate::oracle;
use crate::tally::Tally;
use jiff::Timestamp;
use perimeter::backend::nft::judge::{Judge, JudgeError};
use perimeter::backend::xdp::program::{Program, TestRunError};
use perimeter::compile::compile;
use perimeter::ruleset::{Rule, Ruleset};
use perimeter::tables::Image;
use perimeter_classifier::classify::classify;
use perimeter_classifier::frame::Slice;
use perimeter_classifier::tables::Tables;
use perimeter_classifier::verdict::Decision;
use std::thread;
use std::time::Duration;

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

/// The same rules in the same places, but those that end by `at` are on no interface.
fn without_ended(ruleset: &Ruleset, at: Timestamp) -> Ruleset {
    let mut left = ruleset.clone();
    for rule in left.rules.iter_mut().filter(|rule| rule.end().is_some_and(|end| end <= at)) {
        rule.interfaces.clear();
    }
    left
}

/// An engine that judges frames of one interface in an epoch; `None` where it cannot be handed the frame.
trait Aged {
    fn new(image: Image) -> Self;
    fn judge(&self, epoch: u32, frame: &[u8]) -> Option<Decision>;
}

impl Aged for Image {
    fn new(image: Image) -> Self {
        image
    }

    fn judge(&self, epoch: u32, frame: &[u8]) -> Option<Decision> {
        Some(classify(&Slice(frame), &Later(self, epoch)).decision)
    }
}

impl Aged for Program {
    fn new(image: Image) -> Self {
        Program::private(&image).unwrap()
    }

    fn judge(&self, epoch: u32, frame: &[u8]) -> Option<Decision> {
        self.set_epoch(epoch).unwrap();
        match self.test_run(frame) {
            Ok(decision) => Some(decision),
            Err(TestRunError::Length(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What was judged, and how many frames were decided otherwise than in the first epoch.
#[derive(Default)]
struct Sum {
    tally: Tally,
    turned: u64,
}

fn run<E: Aged>(scale: &Scale) {
    let mut sum = Sum::default();
    for seed in scale.seed..scale.seed + scale.policies {
        let (mut rng, ruleset) = expiring(seed);
        for interface in 0..ruleset.interfaces.len() {
            let engine = E::new(compile(&ruleset, interface).unwrap());
            let each = scale.frames / scale.policies / ruleset.interfaces.len() as u64;
            judge_interface(&engine, (&mut rng, seed), (&ruleset, interface), each, &mut sum);
        }
    }
    let Sum { tally, turned } = sum;
    println!("{turned} frames were decided otherwise than in the first epoch\n{tally}");
    assert!(
        turned * 20 > scale.frames,
        "only {turned} frames were decided otherwise than in the first epoch"
    );
}

/// Judges frames in the first, the last and three other epochs.
fn judge_interface<E: Aged>(
    engine: &E,
    (rng, seed): (&mut Rng, u64),
    (ruleset, interface): (&Ruleset, usize),
    frames: u64,
    sum: &mut Sum,
) {
    let instants = ruleset.instants(interface);
    let others: [usize; 3] = std::array::from_fn(|_| rng.usize(0..=instants.len()));
    for epoch in others.into_iter().chain([0, instants.len()]) {
        let at = epoch.checked_sub(1).map_or(Timestamp::UNIX_EPOCH, |last| instants[last]);
        let left = without_ended(ruleset, at);
        for _ in 0..frames / 5 {
            let frame = generate::frame(rng, ruleset, interface);
            let Some(judged) = engine.judge(epoch as u32, &frame) else { continue };
            let expected = oracle::judge(&left, interface, &frame);
            assert_eq!(
                judged,
                expected,
                "seed {seed}, interface {interface}, epoch {epoch} of {}: {frame:02x?}; \
                 PERIMETER_SEED={seed} PERIMETER_POLICIES=1 cargo test -p perimeter --test equivalence expiry",
                instants.len()
            );
            sum.turned += u64::from(expected != oracle::judge(ruleset, interface, &frame));
            sum.tally.count(judged);
        }
    }
}

#[test]
fn expiry_in_the_model() {
    run::<Image>(&Scale::from_environment(40, 40_000));
}

/// nftables goes by the clock on the wall: some rules have ended long ago, others will not for long.
#[test]
fn expiry_in_nft() {
    if !can_judge() {
        return;
    }
    let scale = Scale::from_environment(5, 2_500);
    let mut turned = 0;
    for seed in scale.seed..scale.seed + scale.policies {
        let (mut rng, mut ruleset) = expiring(seed);
        for rule in ruleset.rules.iter_mut().filter(|rule| rule.about.expires.is_some()) {
            rule.about.expires = Some(format!("{}-01-01", pick(&mut rng, &[2001, 2002, 2003, 2101, 2102])));
        }
        let left = without_ended(&ruleset, Timestamp::now());
        for interface in 0..ruleset.interfaces.len() {
            let mut nft = match Judge::by_the_clock(&ruleset, interface) {
                Ok(nft) => nft,
                Err(JudgeError::TooLarge(_)) => continue,
                Err(error) => panic!("seed {seed}, interface {interface}: {error}"),
            };
            for _ in 0..scale.frames / scale.policies / ruleset.interfaces.len() as u64 {
                let frame = generate::frame(&mut rng, &ruleset, interface);
                let Some(judged) = Engine::judge(&mut nft, &frame) else { continue };
                let expected = oracle::judge(&left, interface, &frame);
                let declared = matches!(judged, Decision::Drop(_))
                    && Judge::diverges(&frame, &ruleset.interfaces[interface]);
                assert!(
                    judged == expected || declared,
                    "seed {seed}, interface {interface}: {judged:?}, expected {expected:?}: {frame:02x?}"
                );
                turned += u64::from(expected != oracle::judge(&ruleset, interface, &frame));
            }
        }
    }
    assert!(turned * 20 > scale.frames, "only {turned} frames were decided otherwise for an ended rule");
}

/// The frames before the instant are one rule's, those after it the next one's, with none in between.
#[test]
fn expiry_in_nft_as_it_happens() {
    if !can_judge() {
        return;
    }
    let mut ruleset = oracle::plain::open();
    let end = Timestamp::now() + Duration::from_secs(2);
    let lasting = ruleset.rules.clone();
    ruleset.rules.iter_mut().for_each(|rule| rule.about.expires = Some(end.to_string()));
    ruleset.rules.extend(lasting.into_iter().map(|rule| Rule { id: format!("{}-after", rule.id), ..rule }));
    let [datagram, lldp] = [udp(), [[2; 12].as_slice(), &[0x88, 0xcc], &[0; 46]].concat()];
    let mut nft = Judge::by_the_clock(&ruleset, 0).unwrap();
    let mut seen = Vec::new();
    // A rule of nftables ends with a whole second.
    while Timestamp::now() < end + Duration::from_millis(1_200) {
        let before = Timestamp::now();
        let judged = [&datagram, &lldp].map(|frame| Engine::judge(&mut nft, frame).unwrap());
        seen.push((before, judged, Timestamp::now()));
        thread::sleep(Duration::from_millis(2));
    }
    let of = |rules: [u32; 2]| rules.map(Decision::Pass);
    assert_eq!([&datagram, &lldp].map(|frame| Engine::judge(&mut nft, frame).unwrap()), of([2, 3]));
    for (before, judged, after) in seen {
        if after < end {
            assert_eq!(judged, of([0, 1]));
        } else if before > end + Duration::from_secs(1) {
            assert_eq!(judged, of([2, 3]));
        } else {
            assert!(
                judged
                    .into_iter()
                    .zip([[0, 2], [1, 3]])
                    .all(|(one, of)| of.map(Decision::Pass).contains(&one))
            );
        }
    }
}

/// A datagram from 10.0.0.1 to 10.0.0.2.
#[rustfmt::skip]
fn udp() -> Vec<u8> {
    vec![
        2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 8, 0,
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        4, 0, 0, 53, 0, 8, 0, 0,
    ]
}

#[test]
fn expiry_in_the_kernel() {
    if can_load() {
        run::<Program>(&Scale::from_environment(6, 9_000));
    }
}
