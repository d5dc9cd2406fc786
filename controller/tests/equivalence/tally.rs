//! What a campaign met: every reason, often enough.

use perimeter_classifier::verdict::{Decision, DropReason};
use std::fmt;

/// Frames by decision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    pub(crate) passed: u64,
    by_reason: [u64; DropReason::ALL.len()],
}

impl Tally {
    pub(crate) fn count(&mut self, decision: Decision) {
        self.frames += 1;
        match decision.reason() {
            None => self.passed += 1,
            Some(reason) => self.by_reason[reason as usize] += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.frames += other.frames;
        self.passed += other.passed;
        for (sum, more) in self.by_reason.iter_mut().zip(other.by_reason) {
            *sum += more;
        }
    }

    /// Fails where a reason is rarer than one frame in 5,000, or fewer than one frame in ten passes.
    ///
    /// `fragment_overlap` belongs to `fragments: follow`, which no engine offers. A run of fewer than 100,000 frames, as
    /// to replay one policy, proves nothing about the generator.
    pub(crate) fn assert_covers(&self) {
        if self.frames < 100_000 {
            return;
        }
        assert!(self.passed * 10 >= self.frames, "too few frames pass\n{self}");
        for reason in DropReason::ALL {
            let met = self.by_reason[reason as usize];
            let enough = met * 5_000 >= self.frames || reason == DropReason::FragmentOverlap;
            assert!(enough, "{} was met only {met} times\n{self}", reason.name());
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10} frames\n{:>10} passed", self.frames, self.passed)?;
        for reason in DropReason::ALL {
            writeln!(f, "{:>10} {}", self.by_reason[reason as usize], reason.name())?;
        }
        Ok(())
    }
}
