//! The ingress chain of nftables, frame by frame through a tap device.
//!
//! Needs root; without it the tests say why they judge nothing, and fail where `CI=true` promises root.

use crate::campaign::{Engine, Scale, run};
use perimeter::backend::nft::divergence;
use perimeter::backend::nft::judge::{Judge, JudgeError};
use perimeter::ruleset::{Interface, Ruleset};
use perimeter_classifier::verdict::Decision;

impl Engine for Judge {
    const NAME: &'static str = "nft";

    fn new(ruleset: &Ruleset, interface_index: usize) -> Option<Self> {
        match Judge::new(ruleset, interface_index) {
            Ok(judge) => Some(judge),
            Err(JudgeError::TooLarge(_)) => None,
            Err(error) => panic!("the policy is within the budget, the table is not loaded: {error}"),
        }
    }

    fn judge(&mut self, frame: &[u8]) -> Option<Decision> {
        if frame.len() < 14 || frame.len() > 65_535 {
            return None;
        }
        match Judge::judge(self, frame) {
            Ok(Some(decision)) => Some(decision),
            // What the kernel drops before the hook, nobody judged.
            Ok(None) if is_cut(frame) => None,
            Ok(None) => panic!("the hook was not handed the frame"),
            Err(error) => panic!("{error}"),
        }
    }

    fn diverges(frame: &[u8], interface: &Interface) -> bool {
        divergence::of(frame, interface).is_some()
    }
}

/// Whether the frame ends less than two bytes after a tag that the kernel takes off.
fn is_cut(frame: &[u8]) -> bool {
    divergence::of(frame, &crate::oracle::plain::interface()) == Some(&divergence::TAG_CUT)
}

/// Whether namespaces and tables can be made here.
pub(crate) fn can_judge() -> bool {
    match Judge::new(&crate::oracle::plain::open(), 0) {
        Ok(_) => true,
        Err(error) => {
            let promised = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!promised, "CI=true, and yet: {error}");
            println!("skipped (no-privilege): {error}");
            false
        }
    }
}

#[test]
fn nft_agrees_with_the_oracle() {
    if can_judge() {
        run::<Judge>(&Scale::from_environment(24, 50_000)).assert_covers();
    }
}
