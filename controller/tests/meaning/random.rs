//! Random policies, random changes, random frames aimed at both.

use crate::change::change;
use crate::claims::claim;
use crate::generate::{self, Rng, pick};
use perimeter::ruleset::Ruleset;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Judges `frames` frames under each of these changes; how many are judged differently.
fn hold(seed: u64, before: &Ruleset, after: &Ruleset, frames: u64, steps: usize) -> u64 {
    let mut rng = Rng::with_seed(!seed);
    let mut different = 0;
    for interface in 0..before.interfaces.len() {
        let Some(claim) = claim(before, after, interface, steps) else { continue };
        claim.check_witnesses();
        for number in 0..frames {
            let aimed = if number % 2 == 0 { before } else { after };
            let frame = generate::frame(&mut rng, aimed, interface);
            different += u64::from(claim.check(&frame));
        }
    }
    different
}

/// Goal: what is claimed is exact. `PERIMETER_SEED` and `PERIMETER_POLICIES` scale a run.
#[test]
fn frames_are_judged_differently_where_that_is_claimed() {
    let mut different = 0;
    let first = number("PERIMETER_SEED", 1);
    for seed in first..first + number("PERIMETER_POLICIES", 150) {
        let mut rng = Rng::with_seed(seed);
        let rules = pick(&mut rng, &[2, 5, 12, 30]);
        let before = generate::ruleset(&mut rng, rules);
        let edits = rng.usize(0..4);
        let after = change(&mut rng, &before, edits);
        println!("seed {seed}");
        different += hold(seed, &before, &after, 600, 3_000_000);
    }
    assert!(different > 500 || std::env::var_os("PERIMETER_SEED").is_some(), "only {different}");
}

/// Goal: a budget that ends early leaves claims that are true, and says that there may be more.
#[test]
fn what_is_claimed_in_a_hurry_is_true() {
    for seed in 1..60 {
        let mut rng = Rng::with_seed(seed);
        let before = generate::ruleset(&mut rng, 40);
        let after = change(&mut rng, &before, 6);
        hold(seed, &before, &after, 200, 1 << (seed % 12));
    }
}
