//! One campaign: random policies, each with its share of frames, an engine beside the oracle.

use crate::generate::{self, Rng, rulesets};
use crate::oracle;
use crate::shrink;
use crate::tally::Tally;
use perimeter::compile::{Scheme, compile, compile_spread};
use perimeter::ruleset::{Interface, Ruleset};
use perimeter::tables::Image;
use perimeter_classifier::verdict::Decision;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// An engine that judges frames of one interface under one policy.
pub(crate) trait Engine: Sized {
    /// What the engine is called in a report.
    const NAME: &'static str;
    /// `None` where the policy is beyond the engine's budget.
    fn new(ruleset: &Ruleset, interface_index: usize) -> Option<Self>;
    fn judge(&mut self, frame: &[u8]) -> Option<Decision>;
    /// Whether the engine is known to drop this frame, under whatever reason.
    fn diverges(_frame: &[u8], _interface: &Interface) -> bool {
        false
    }
}

/// The tables of a policy. Small policies would all have their rules in one group: every other policy has them spread,
/// in the ways of large ones. The number of rules decides, so that a failure replays.
pub(crate) fn image(ruleset: &Ruleset, interface: usize) -> Option<Image> {
    let spread = [Scheme::Shapes, Scheme::ThreeBands, Scheme::FiveBands];
    let image = match ruleset.rules.len() % 6 {
        way @ 0..3 => compile_spread(ruleset, interface, spread[way]),
        _ => compile(ruleset, interface),
    };
    image.ok()
}

/// Whether an engine may have judged a frame so.
fn fine<E: Engine>(ruleset: &Ruleset, interface: usize, frame: &[u8], judged: Option<Decision>) -> bool {
    match judged {
        None => true,
        Some(judged) if judged == oracle::judge(ruleset, interface, frame) => true,
        Some(Decision::Drop(_)) => E::diverges(frame, &ruleset.interfaces[interface]),
        Some(_) => false,
    }
}

/// How much is judged, from the environment.
pub(crate) struct Scale {
    pub(crate) seed: u64,
    pub(crate) policies: u64,
    pub(crate) frames: u64,
}

impl Scale {
    /// The numbers given unless the environment says otherwise.
    pub(crate) fn from_environment(policies: u64, frames: u64) -> Self {
        let number = |name: &str, default| match std::env::var(name) {
            Ok(text) => {
                text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
            }
            Err(_) => default,
        };
        Scale {
            seed: number("PERIMETER_SEED", 1),
            policies: number("PERIMETER_POLICIES", policies),
            frames: number("PERIMETER_FRAMES", frames),
        }
    }
}

/// Judges everything twice; panics at the first difference.
pub(crate) fn run<E: Engine>(scale: &Scale) -> Tally {
    let each = scale.frames.div_ceil(scale.policies);
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= scale.policies {
                return tally;
            }
            tally.add(&judge_policy::<E>(scale.seed + index, each));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sum = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(tally) => sum.add(&tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    println!("{} agrees with the oracle\n{sum}", E::NAME);
    sum
}

fn judge_policy<E: Engine>(seed: u64, frames: u64) -> Tally {
    let mut rng = Rng::with_seed(seed);
    let size = rulesets::size(&mut rng);
    let ruleset = generate::ruleset(&mut rng, size);
    let mut tally = Tally::default();
    for interface in 0..ruleset.interfaces.len() {
        let engine = caught(|| E::new(&ruleset, interface));
        let replay = format!("PERIMETER_SEED={seed} PERIMETER_POLICIES=1 PERIMETER_FRAMES={frames} ");
        let fail = |frame: &[u8]| -> ! { panic!("{}", report::<E>(&replay, &ruleset, interface, frame)) };
        let Some(mut engine) = engine.unwrap_or_else(|| fail(&[])) else {
            println!("seed {seed}: {} rules are beyond the budget of {}", ruleset.rules.len(), E::NAME);
            continue;
        };
        for _ in 0..frames / ruleset.interfaces.len() as u64 {
            let frame = generate::frame(&mut rng, &ruleset, interface);
            match caught(|| engine.judge(&frame)) {
                Some(judged) if fine::<E>(&ruleset, interface, &frame, judged) => {
                    judged.into_iter().for_each(|judged| tally.count(judged));
                }
                _ => fail(&frame),
            }
        }
    }
    tally
}

/// Judges each of these frames twice on the policy's only interface; panics at the first difference.
pub(crate) fn compare<E: Engine>(ruleset: &Ruleset, frames: impl Iterator<Item = Vec<u8>>) {
    let mut engine = E::new(ruleset, 0).expect("a policy written by hand is within the budget");
    for frame in frames {
        let judged = caught(|| engine.judge(&frame));
        let fine = judged.is_some_and(|judged| fine::<E>(ruleset, 0, &frame, judged));
        assert!(fine, "{}", report::<E>("", ruleset, 0, &frame));
    }
}

/// `None` where the engine panics.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// What a person needs to see and to replay a difference.
///
/// `environment` stands before the command that replays it.
fn report<E: Engine>(environment: &str, ruleset: &Ruleset, interface: usize, frame: &[u8]) -> String {
    let judge = |ruleset: &Ruleset, frame: &[u8]| {
        caught(|| E::new(ruleset, interface).and_then(|mut engine| engine.judge(frame)))
    };
    let differs = |ruleset: &Ruleset, frame: &[u8]| match judge(ruleset, frame) {
        None => true,
        Some(judged) => !fine::<E>(ruleset, interface, frame, judged),
    };
    let small_policy = shrink::ruleset(ruleset, |tried| differs(tried, frame));
    let small_frame = shrink::frame(frame, |tried| differs(&small_policy, tried));
    let judged =
        judge(&small_policy, &small_frame).map_or("a panic".to_owned(), |judged| format!("{judged:?}"));
    let expected = oracle::judge(&small_policy, interface, &small_frame);
    let policy = serde_json::to_string(&small_policy).expect("a ruleset is plain data");
    format!(
        "{engine} and the oracle differ on interface {interface}: {judged}, expected {expected:?}\n\
         frame  {}\n\
         made small: {}\n\
         policy made small: {policy}\n\
         replay: {environment}cargo test -p perimeter --test equivalence {engine}",
        hex(frame),
        hex(&small_frame),
        engine = E::NAME,
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
