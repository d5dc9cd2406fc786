//! A report: what a policy decided, on one page for a ticket.
//!
//! Promises: pure; a [`Report`] is gathered once, from captures that the model judges or from a snapshot of the live state,
//! and the same report gives the same bytes. The sums of a capture are those of `replay`. Refuses nothing: of a capture that
//! is cut, the good frames are in it, and the fault.

mod document;
mod gather;
mod html;
mod live;
mod markdown;
#[cfg(test)]
mod tests;
mod timeline;

use jiff::Timestamp;
use serde::Serialize;

use crate::counters::{Accounting, InterfaceCounters, Loss};
use crate::digest::Digest;
use crate::ruleset::{Interface, Ruleset, VlanLabels};
use crate::status::{InterfaceStatus, TrialStatus};
use crate::telemetry::RuleFacts;

pub use self::gather::Gathering;
pub use self::html::html;
pub use self::live::live;
pub use self::markdown::markdown;
pub use self::timeline::{Bucket, Timeline};

/// Everything that a page tells.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub made: Timestamp,
    /// Of the program that made it.
    pub version: &'static str,
    pub origin: Origin,
    pub interfaces: Vec<Part>,
}

/// Where the numbers come from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Captures, judged by the model as if `enforce: true`.
    Captures(Judged),
    /// The kernel, since counting began on each interface.
    Live {
        /// Whether what is in force is what was put in force.
        in_sync: bool,
        /// The generation that goes unless it is confirmed.
        trial: Option<TrialStatus>,
    },
}

/// What was judged, and by which policy.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The policy's file, as it was named.
    pub policy: String,
    pub digest: Digest,
    /// Rules that had expired by then match nothing.
    pub at: Timestamp,
    pub captures: Vec<CaptureFacts>,
}

/// One capture.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaptureFacts {
    /// The file, as it was named.
    pub name: String,
    /// SHA-256 of the whole file; `None` where it cannot be read to its end.
    pub sha256: Option<Digest>,
    /// Length of the file.
    pub bytes: u64,
    /// Frames that were judged.
    pub frames: u64,
    /// Frames of which the capture holds fewer bytes than were on the wire.
    pub cut_short: u64,
    /// Why it was not read to its end.
    pub fault: Option<String>,
}

/// What one interface received.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Part {
    pub interface: String,
    /// What the kernel enforces; `None` for captures.
    pub state: Option<InterfaceStatus>,
    /// `None` where the policy's text is not kept.
    pub mtu: Option<Mtu>,
    pub counters: InterfaceCounters,
    pub accounting: Accounting,
    /// What people say about the rules.
    pub rules: Vec<RuleFacts>,
    /// `None` for the live state: the kernel keeps sums, no series.
    pub timeline: Option<Timeline>,
    /// What was lost around the program; `None` for captures and where the device cannot be asked.
    pub loss: Option<Loss>,
}

/// The MTUs of an interface, in bytes of layer 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mtu {
    pub interface: u32,
    /// By label, of the VLANs that have one of their own.
    pub vlans: Vec<(String, u32)>,
}

impl Mtu {
    fn of(ruleset: &Ruleset, index: usize) -> Mtu {
        let labels = VlanLabels::of(ruleset, index);
        let own = ruleset.vlans.iter().filter(|vlan| labels.number(vlan.id) > 0);
        let vlans = own.filter_map(|vlan| Some((vlan.name.clone(), vlan.mtu?))).collect();
        Mtu { interface: ruleset.interfaces[index].mtu, vlans }
    }

    /// That of the VLANs of one label.
    fn on(&self, label: &str) -> u32 {
        self.vlans.iter().find(|(name, _)| name == label).map_or(self.interface, |(_, mtu)| *mtu)
    }
}

/// What the rules of one interface say about themselves.
fn rules(ruleset: &Ruleset, index: usize) -> Vec<RuleFacts> {
    let here = ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&index));
    let facts =
        here.map(|rule| RuleFacts { id: rule.id.clone(), action: rule.action, about: rule.about.clone() });
    facts.collect()
}

/// The interface of a policy, judged as captures are: enforced, and everything counted.
fn as_judged(interface: &Interface) -> Interface {
    let all =
        crate::ruleset::Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true };
    Interface { enforce: true, accounting: all, ..interface.clone() }
}

/// A character that shows itself and changes nothing around it, else the replacement character.
fn visible(letter: char) -> char {
    match letter {
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
            '\u{fffd}'
        }
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    }
}
