//! Any bytes as a frame, under one of eight rulesets: the classifier does not panic and says what the oracle says.
#![no_main]

#[path = "../../../../controller/tests/fuzzed/mod.rs"]
#[allow(dead_code, reason = "the other functions belong to other targets")]
mod fuzzed;
#[path = "../../../../controller/tests/generate/mod.rs"]
#[allow(dead_code, unused_imports, reason = "libFuzzer makes the frames")]
mod generate;
#[path = "../../../../controller/tests/oracle/mod.rs"]
#[allow(dead_code, reason = "the target uses a part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzzed::frame(input));
