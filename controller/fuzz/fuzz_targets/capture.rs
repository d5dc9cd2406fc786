//! Any bytes as a capture: frames in order until the end or one error, and no panic.
#![no_main]

#[path = "../../tests/fuzzed/mod.rs"]
#[allow(dead_code, reason = "the other functions belong to other targets")]
mod fuzzed;
#[path = "../../tests/generate/mod.rs"]
#[allow(dead_code, reason = "the frame target uses it")]
mod generate;
#[path = "../../tests/oracle/mod.rs"]
#[allow(dead_code, reason = "the frame target uses it")]
mod oracle;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::capture(input));
