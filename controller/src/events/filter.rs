//! Which events somebody wants to see.
//!
//! Promises: an event is wanted where it meets every condition that is set.

use std::net::IpAddr;
use std::str::FromStr;

use perimeter_classifier::verdict::DropReason;

use crate::counters::Event;
use crate::describe::addresses;
use crate::ruleset::{VlanId, VlanRange};

/// Conditions; what is empty or `None` asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub interface: Option<String>,
    pub rule: Option<String>,
    pub reason: Option<DropReason>,
    /// A label of a VLAN, or the tags as `untagged`, `10`, `100/200`.
    pub vlan: Option<String>,
    /// What the policies in force hold under that label, for events that have none.
    pub ranges: Vec<VlanRange>,
    /// The source or the destination is in it.
    pub address: Option<Prefix>,
}

impl Filter {
    /// Whether an event is wanted.
    pub fn takes(&self, event: &Event) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&self.interface, Some(&event.interface))
            && is(&self.rule, event.rule.as_deref())
            && self.reason.is_none_or(|reason| event.reason == Some(reason))
            && (is(&self.vlan, event.vlan.as_deref())
                || is(&self.vlan, Some(&event.stack()))
                || event.vlan.is_none() && event.vlan_id().is_some_and(|id| self.holds(id)))
            && self.address.is_none_or(|prefix| {
                addresses(&event.header).is_some_and(|(from, to)| prefix.holds(from) || prefix.holds(to))
            })
    }

    fn holds(&self, id: VlanId) -> bool {
        self.ranges.iter().any(|range| range.contains(id))
    }
}

/// An address, or all that begin like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Whether an address is among them.
    pub fn holds(self, address: IpAddr) -> bool {
        let (ours, theirs, bits) = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => (ours.to_bits().into(), theirs.to_bits().into(), 32),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            _ => return false,
        };
        let shift = bits - u32::from(self.length);
        u128::checked_shr(ours ^ theirs, shift).unwrap_or(0) == 0
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("\"{text}\" is no address; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        match length.unwrap_or(most) {
            length if length <= most => Ok(Prefix { address, length }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    #[test]
    fn every_condition_has_to_hold() {
        let none = Filter::default();
        let with = |address: &str| Filter { address: Some(address.parse().unwrap()), ..none.clone() };
        let named = |vlan: &str| Filter { vlan: Some(vlan.into()), ..none.clone() };
        assert!(none.takes(&event()));
        for (filter, taken) in [
            (with("192.0.2.0/24"), true),
            (with("203.0.113.10"), true),
            (with("203.0.113.11"), false),
            (with("2001:db8::/32"), false),
            (with("0.0.0.0/0"), true),
            (named("mgmt"), true),
            (named("10"), true),
            (named("11"), false),
            (Filter { reason: Some(DropReason::Denied), ..named("mgmt") }, false),
            (Filter { rule: Some("web".into()), ..none.clone() }, false),
            (
                Filter { interface: Some("wan0".into()), reason: Some(DropReason::NoRule), ..none.clone() },
                true,
            ),
        ] {
            assert_eq!(filter.takes(&event()), taken, "{filter:?}");
        }
    }

    #[test]
    fn an_event_without_a_label_is_known_by_its_tags() {
        let ranges = vec![VlanRange::Single { low: 9, high: 10 }];
        let office = Filter { vlan: Some("office".into()), ranges, ..Filter::default() };
        let bare = Event { vlan: None, ..event() };
        assert!(office.takes(&bare));
        assert!(!office.takes(&event()), "its label is another one");
        for tags in [vec![], vec![0], vec![11], vec![10, 20], vec![10, 20, 30]] {
            assert!(!office.takes(&Event { tags: tags.clone(), ..bare.clone() }), "{tags:?}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "192.0.2.0/33", "192.0.2/24", "::/129", "here"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
