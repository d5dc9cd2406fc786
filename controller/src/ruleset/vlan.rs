//! VLAN stacks: no tag, one 802.1Q tag, or an outer and an inner one.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The tags of one frame after priority tags are taken away (IEEE 802.1Q: VID 1-4094).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VlanId {
    Untagged,
    Single(u16),
    Stacked { outer: u16, inner: u16 },
}

/// A set of VLAN stacks as the policy writes it. `Single` ranges are inclusive. 10 is never 10/x or x/10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VlanRange {
    Untagged,
    Single { low: u16, high: u16 },
    Stacked { outer: u16, inner: u16 },
}

impl VlanRange {
    /// Whether `id` is in this range.
    pub fn contains(self, id: VlanId) -> bool {
        match (self, id) {
            (VlanRange::Untagged, VlanId::Untagged) => true,
            (VlanRange::Single { low, high }, VlanId::Single(vid)) => (low..=high).contains(&vid),
            (VlanRange::Stacked { outer, inner }, VlanId::Stacked { outer: o, inner: i }) => {
                outer == o && inner == i
            }
            _ => false,
        }
    }
}

impl From<VlanId> for VlanRange {
    fn from(id: VlanId) -> Self {
        match id {
            VlanId::Untagged => VlanRange::Untagged,
            VlanId::Single(vid) => VlanRange::Single { low: vid, high: vid },
            VlanId::Stacked { outer, inner } => VlanRange::Stacked { outer, inner },
        }
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        VlanRange::from(*self).fmt(f)
    }
}

impl fmt::Display for VlanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            VlanRange::Untagged => f.write_str("untagged"),
            VlanRange::Single { low, high } if low == high => write!(f, "{low}"),
            VlanRange::Single { low, high } => write!(f, "{low}-{high}"),
            VlanRange::Stacked { outer, inner } => write!(f, "{outer}/{inner}"),
        }
    }
}
