//! What a change means: the frames that pass under one ruleset and not under the other, on one interface.
//!
//! Promises: sets of frames, not a difference of texts. Every frame that is judged differently is in one of the
//! differences, and every difference was shown to both models as a frame and judged by them as it says; where the work
//! would take too long, `is_complete` is false and what is given is right but may not be all. Pure.
//! Refuses: interfaces that are not enforced on one side; everything passes there, and no set need be computed.

mod compare;
mod credit;
mod frame;
mod pieces;
mod vital;
mod witness;

use crate::ruleset::Ruleset;
use crate::space::{Budget, Region, Setting};
use crate::tables::Image;

pub use credit::{Credit, credit};
pub use frame::segment;
pub use vital::{Vital, dying};
pub use witness::Witness;

/// An interface under one ruleset.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub ruleset: &'a Ruleset,
    /// Position in the ruleset.
    pub interface: usize,
    /// What was compiled from the two.
    pub tables: &'a Image,
}

/// What changes on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What passes after and not before, widest first.
    pub opens: Vec<Difference>,
    /// What passes before and not after, widest first.
    pub closes: Vec<Difference>,
    /// Whether that is all.
    pub is_complete: bool,
}

/// Frames that pass on one side only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub causes: Vec<Cause>,
    /// As people read it, one region a kind of frame: of these, what the settings that both sides have let through.
    pub regions: Vec<Region>,
    /// Exactly: disjoint, less everything that the settings of both sides or the contract itself refuse. A frame in one of
    /// them passes on the one side and not on the other, if its lengths and flags do not contradict each other.
    pub exact: Vec<Region>,
    /// One of the frames.
    pub witness: Witness,
}

/// What makes the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The `allow` rule at this position of the passing side's ruleset; it is not on the other side.
    Allow(usize),
    /// The `deny` rule at this position of the dropping side's ruleset; it is not on the other side.
    Deny(usize),
    /// The setting of the dropping side refuses what that of the other does not.
    Setting(Setting),
}

/// Comparisons of regions in both directions together: under two seconds.
pub const STEPS: usize = 10_000_000;

/// Most differences that are told, in each direction.
pub const MOST: usize = 1_000;

/// What changes from `before` to `after`.
pub fn compare(before: Side<'_>, after: Side<'_>) -> Meaning {
    compare_within(before, after, STEPS)
}

/// [`compare()`] with a budget of the caller's.
pub fn compare_within(before: Side<'_>, after: Side<'_>, steps: usize) -> Meaning {
    let (was, is) = pieces::both(before, after);
    let judges = witness::Judges::new(&was, &is);
    // What closes is told however much opens: a third of the work is kept for it.
    let mut rest = Budget::new(steps);
    let mut budget = rest.lend(steps - steps / 3);
    let opens = compare::gains((before, &was), (after, &is), &judges, &mut budget);
    rest.take_back(budget);
    let closes = compare::gains((after, &is), (before, &was), &judges, &mut rest);
    Meaning {
        is_complete: opens.is_complete && closes.is_complete,
        opens: opens.differences,
        closes: closes.differences,
    }
}

impl Meaning {
    /// Whether every frame is judged as before.
    pub fn is_same(&self) -> bool {
        self.is_complete && self.opens.is_empty() && self.closes.is_empty()
    }
}
