//! What the walk learns of a frame beside its verdict: what accounting counts, and the verdict does not need.
//!
//! Promises: nothing here changes a verdict. What a policy does not count (see [`crate::abi::setting`]) is not learned and
//! stays 0, so that the kernel program has no instruction for it.

use crate::tables::Family;
use crate::verdict::Decision;

/// A decision, and what was learned on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    pub decision: Decision,
    pub learned: Learned,
}

impl Judged {
    /// Of a frame of which nothing is learned but the number of its VLAN's label.
    #[inline(always)]
    pub fn labelled(decision: Decision, label: u32) -> Self {
        Judged { decision, learned: Learned { label, ..Learned::default() } }
    }
}

/// Plain numbers: in the kernel they live in registers, and an enum would be taken apart on every way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Number of the VLAN's label; 0 where the interface does not allow it, or it could not be told.
    pub label: u32,
    /// 1: came to step 4 and is over the MTU, dropped or not.
    pub oversize: u32,
    /// A number of [`fragment`]: well formed, and came to step 5.
    pub fragment: u32,
    /// Came to step 6 and says that a packet was too large for its path: 1 + the number of [`Family`]; else 0.
    pub pmtu: u32,
    /// The MTU that it announces in bytes; 0: none.
    pub announced: u32,
}

/// Numbers of [`Learned::fragment`].
pub mod fragment {
    /// A packet of its own.
    pub const NONE: u32 = 0;
    /// Offset 0, and more follow.
    pub const FIRST: u32 = 1;
    /// Neither the first nor the last.
    pub const MIDDLE: u32 = 2;
    /// None follow.
    pub const LAST: u32 = 3;
    /// What `fragment_tiny` means, whatever else it is.
    pub const TINY: u32 = 4;
}

impl Learned {
    /// Notes a message that a packet was too large, and the MTU that it announces.
    #[inline(always)]
    pub fn too_big(&mut self, family: Family, announced: u32) {
        self.pmtu = match family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        self.announced = announced;
    }
}
