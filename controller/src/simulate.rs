//! The model: the kernel program's classifier over the same tables, in user space.
//!
//! Promises: the verdict of a frame is the one that the XDP program compiled from this ruleset gives; no privilege is
//! needed. It judges as if `enforce: true`, and keeps no state between frames.

use perimeter_classifier::classify::classify;
use perimeter_classifier::frame::Slice;
use perimeter_classifier::learned::Judged;
use perimeter_classifier::verdict::Decision;

use crate::compile::{OverBudget, compile};
use crate::ruleset::Ruleset;
use crate::tables::Image;

/// One interface of a ruleset, ready to judge frames.
#[derive(Clone, Debug)]
pub struct Model {
    image: Image,
}

impl Model {
    /// Compiles what `ruleset` says of its interface number `interface`.
    ///
    /// # Errors
    /// [`OverBudget`] when the tables would be too large.
    pub fn new(ruleset: &Ruleset, interface: usize) -> Result<Self, OverBudget> {
        Ok(Model { image: compile(ruleset, interface)? })
    }

    /// The decision on a frame, given from its destination MAC on.
    pub fn judge(&self, frame: &[u8]) -> Decision {
        judge(&self.image, frame)
    }

    /// The decision on a frame, and what accounting would count of it.
    pub fn look(&self, frame: &[u8]) -> Judged {
        classify(&Slice(frame), &self.image)
    }
}

/// The decision of compiled tables on a frame, given from its destination MAC on.
pub fn judge(image: &Image, frame: &[u8]) -> Decision {
    classify(&Slice(frame), image).decision
}

impl From<Image> for Model {
    /// A model over tables that are compiled already.
    fn from(image: Image) -> Self {
        Model { image }
    }
}
