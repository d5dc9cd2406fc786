//! Random policies and the frames that probe them.
//!
//! Promises: everything follows from a seed, so that a failure is replayed by its number. Frames are aimed at a
//! ruleset (the edges of its ranges, its VLANs, its ports), so that a fair share passes and every drop reason is met.

pub(crate) mod aim;
pub(crate) mod ethernet;
pub(crate) mod ipv4;
pub(crate) mod ipv6;
pub(crate) mod layer4;
pub(crate) mod rulesets;
pub(crate) mod services;
pub(crate) mod sets;
pub(crate) mod spoil;

pub(crate) use ethernet::frame;
pub(crate) use fastrand::Rng;
pub(crate) use rulesets::ruleset;

/// True once in `n` times.
pub(crate) fn once_in(rng: &mut Rng, n: u32) -> bool {
    rng.u32(0..n) == 0
}

/// One of these.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(0..choices.len())]
}

/// This many random bytes.
pub(crate) fn bytes(rng: &mut Rng, count: usize) -> Vec<u8> {
    (0..count).map(|_| rng.u8(..)).collect()
}

/// A number of a range, often one of its edges, now and then the number just outside.
pub(crate) fn near_edge(rng: &mut Rng, low: u128, high: u128, largest: u128) -> u128 {
    match rng.u32(0..16) {
        0..=3 => low,
        4..=7 => high,
        8 => low.saturating_sub(1),
        9 => high.saturating_add(1).min(largest),
        _ => rng.u128(low..=high),
    }
}
