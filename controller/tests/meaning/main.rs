//! What a change means, against the oracle: the frames that are judged differently are exactly those claimed.

#[path = "../generate/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod generate;
#[path = "../oracle/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod oracle;
#[path = "../../../benches/src/shapes.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the benchmarks, where it is public")]
mod shapes;

mod change;
mod claims;
mod fields;
mod random;
mod size;
mod tiny;
