//! Any bytes as a policy: a ruleset or errors, and no panic.
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

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::policy(input));
