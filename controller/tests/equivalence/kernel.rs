//! The kernel program, verified and loaded, through `BPF_PROG_TEST_RUN`.
//!
//! Needs root; without it the tests say why they judge nothing, and fail where `CI=true` promises root.

use crate::campaign::{Engine, Scale, image, run};
use crate::exhaustive;
use perimeter::backend::xdp::program::{LoadError, Program, TestRunError};
use perimeter::compile::compile;
use perimeter::ruleset::Ruleset;
use perimeter_classifier::verdict::Decision;

impl Engine for Program {
    const NAME: &'static str = "kernel";

    fn new(ruleset: &Ruleset, interface_index: usize) -> Option<Self> {
        let image = image(ruleset, interface_index)?;
        match Program::private(&image) {
            Ok(program) => Some(program),
            Err(error) => panic!("the policy is within the budget, the program is not loaded: {error}"),
        }
    }

    fn judge(&mut self, frame: &[u8]) -> Option<Decision> {
        match self.test_run(frame) {
            Ok(decision) => Some(decision),
            Err(TestRunError::Length(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whether programs can be loaded here.
pub(crate) fn can_load() -> bool {
    let image = compile(&crate::oracle::plain::open(), 0).expect("a policy this small is within the budget");
    match Program::private(&image) {
        Ok(_) => true,
        Err(error @ LoadError::Denied) => {
            let promised = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!promised, "CI=true, and yet: {error}");
            println!("skipped (no-privilege): {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn kernel_agrees_with_the_oracle() {
    if can_load() {
        run::<Program>(&Scale::from_environment(40, 204_000)).assert_covers();
    }
}

#[test]
fn kernel_small_spaces() {
    if can_load() {
        exhaustive::judge_all::<Program>();
    }
}
