//! One frame of which the kernel has told.
//!
//! Promises: what an event says of the verdict is what was counted, in the same series. Events are a sample: a frame of
//! which nothing is told was counted all the same.

use jiff::Timestamp;
use perimeter_classifier::verdict::DropReason;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Outcome, Subject};
use crate::ruleset::{Action, VlanId};

/// A frame that was dropped, or that a rule with `log: true` matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub time: Timestamp,
    pub interface: String,
    pub verdict: Outcome,
    /// `None` where the frame passed.
    #[serde(serialize_with = "reason", deserialize_with = "read_reason")]
    pub reason: Option<DropReason>,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    pub action: Option<Action>,
    /// The tags as they were on the wire, the outer one first; a priority tag is 0.
    pub tags: Vec<u16>,
    /// The label under which the VLAN is counted; `None` where `accounting:` has no `vlan`, and where nftables tells.
    pub vlan: Option<String>,
    /// Bytes of the whole frame, from the destination MAC on.
    pub length: u32,
    /// The first bytes of the frame, at most [`HEADER_BYTES`].
    #[serde(serialize_with = "hexadecimal", deserialize_with = "read_hexadecimal")]
    pub header: Vec<u8>,
}

impl Event {
    /// The VIDs of the tags that a frame begins with.
    pub fn tags(frame: &[u8]) -> Vec<u16> {
        let is_tag = |kind: &[u8]| matches!(kind, [0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00]);
        let tags = frame.get(12..).unwrap_or_default().chunks_exact(4);
        tags.take_while(|tag| is_tag(&tag[..2]))
            .map(|tag| u16::from_be_bytes([tag[2], tag[3]]) & 0xfff)
            .collect()
    }

    /// The VLAN that the tags are of, where there are as many as a frame may have. A lone priority tag is untagged.
    pub fn vlan_id(&self) -> Option<VlanId> {
        match *self.tags.as_slice() {
            [] | [0] => Some(VlanId::Untagged),
            [vid] => Some(VlanId::Single(vid)),
            [outer, inner] => Some(VlanId::Stacked { outer, inner }),
            _ => None,
        }
    }

    /// The tags in the words of the policy: `untagged`, `10`, `100/200`. A lone priority tag is untagged.
    pub fn stack(&self) -> String {
        match self.tags.as_slice() {
            [] | [0] => "untagged".to_owned(),
            tags => tags.iter().map(u16::to_string).collect::<Vec<_>>().join("/"),
        }
    }

    /// The verdict and what decided, for people: `drop: no_rule`, `pass: rule web`.
    pub fn decision(&self) -> String {
        let verdict = match self.verdict {
            Outcome::Pass => "pass",
            Outcome::Drop => "drop",
            Outcome::WouldDrop => "would drop",
        };
        let reason = self.reason.map(|reason| reason.name().to_owned());
        let rule = self.rule.as_ref().map(|rule| format!("rule {rule}"));
        let why: Vec<String> = reason.into_iter().chain(rule).collect();
        format!("{verdict}: {}", why.join(", "))
    }
}

/// What has decided about a frame, in the words of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub rule: Option<String>,
    pub action: Option<Action>,
    pub reason: Option<DropReason>,
}

impl Decided {
    /// What is counted under a rule or a reason; `None` for accounting.
    pub fn of(outcome: Outcome, subject: &Subject) -> Option<Decided> {
        match subject.decided() {
            Subject::Rule(action, id) => {
                let reason = (outcome != Outcome::Pass).then_some(DropReason::Denied);
                Some(Decided { rule: Some(id.clone()), action: Some(*action), reason })
            }
            Subject::Reason(reason) => Some(Decided { rule: None, action: None, reason: Some(*reason) }),
            _ => None,
        }
    }
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
    /// Made and lost: the ring, or the log of nftables, was full.
    pub lost: u64,
    /// Not made, because nobody reads: neither `perimeter serve` nor `perimeter events` runs. nftables makes them all the same.
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

fn read_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DropReason>, D::Error> {
    let Some(name) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let reason = DropReason::ALL.into_iter().find(|reason| reason.name() == name);
    reason.map(Some).ok_or_else(|| D::Error::custom(format!("no drop reason is called {name}")))
}

fn read_hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let digits = String::deserialize(deserializer)?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(|| D::Error::custom("the bytes of a frame are no hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    #[test]
    fn an_event_survives_json() {
        let text = serde_json::to_string(&event()).unwrap();
        assert!(text.contains(r#""reason":"no_rule""#) && text.contains(r#""header":"02"#), "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event());
    }

    #[test]
    fn beyond_a_thousandth_loss_is_a_major_non_conformity() {
        let totals = |lost| EventTotals { emitted: 1000 - lost, lost, ..EventTotals::default() };
        assert!(!totals(1).is_major_non_conformity() && totals(2).is_major_non_conformity());
        assert_eq!(EventTotals::default().lost_ratio(), 0.0);
    }
}
