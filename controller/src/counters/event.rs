//! One frame of which the kernel has told.
//!
//! Promises: what an event says of the verdict is what was counted, in the same series. Events are a sample: a frame of
//! which nothing is told was counted all the same.

use jiff::Timestamp;
use perimeter_classifier::verdict::DropReason;
use serde::{Serialize, Serializer};

use super::Outcome;
use crate::ruleset::Action;

/// A frame that was dropped, or that a rule with `log: true` matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    pub time: Timestamp,
    pub interface: String,
    pub verdict: Outcome,
    /// `None` where the frame passed.
    #[serde(serialize_with = "reason")]
    pub reason: Option<DropReason>,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    pub action: Option<Action>,
    /// The tags as they were on the wire, the outer one first; a priority tag is 0.
    pub tags: Vec<u16>,
    /// The label under which the VLAN is counted; `None` where `accounting:` has no `vlan`.
    pub vlan: Option<String>,
    /// Bytes of the whole frame, from the destination MAC on.
    pub length: u32,
    /// The first bytes of the frame, at most [`HEADER_BYTES`].
    #[serde(serialize_with = "hexadecimal")]
    pub header: Vec<u8>,
}

/// Most bytes of a frame that an event carries: two tags, IPv6, some extension headers and TCP.
pub const HEADER_BYTES: usize = perimeter_classifier::abi::EVENT_BYTES;

/// What became of all events since the counters were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventTotals {
    /// Handed over to the reader.
    pub emitted: u64,
    /// Not made, because the limit of so many a second was reached.
    pub suppressed: u64,
    /// Made and lost: the ring was full.
    pub lost: u64,
    /// Not made, because nobody reads: neither `perimeter serve` nor `perimeter events` runs.
    pub unheard: u64,
}

/// Beyond this share of lost events, what is told of dropped frames is not to be relied on.
pub const MAJOR_NON_CONFORMITY: f64 = 0.001;

impl EventTotals {
    /// The share of events that were made and lost, from 0 to 1.
    pub fn lost_ratio(self) -> f64 {
        let made = self.emitted.saturating_add(self.lost);
        if made == 0 { 0.0 } else { self.lost as f64 / made as f64 }
    }

    /// Whether more events were lost than may be.
    pub fn is_major_non_conformity(self) -> bool {
        self.lost_ratio() > MAJOR_NON_CONFORMITY
    }
}

fn reason<S: Serializer>(reason: &Option<DropReason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(DropReason::name).serialize(serializer)
}

fn hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&digits)
}
