//! The engines against the oracle: the same verdict, rule and reason on every frame.
//!
//! Promises: every failure prints its seed, the policy and the frame, made small, and the command that replays it.
//! `PERIMETER_SEED` (first policy), `PERIMETER_POLICIES` and `PERIMETER_FRAMES` scale a run.

#[path = "../generate/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod generate;
#[path = "../oracle/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod oracle;
#[path = "../../../benches/src/shapes.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the rule sets of the measurements; a part of them is tested here"
)]
mod shapes;

mod accounting;
mod campaign;
mod classbench;
mod divergences;
mod exhaustive;
mod expiry;
mod foreign;
mod kernel;
mod model;
mod nft;
mod ranges;
mod regressions;
mod shrink;
mod tally;
