//! The load across the headers: one read tells an ordinary packet from everything else.
//!
//! Promises: 16 bytes from the source address on, masked and compared at once, say: source no group, no tag or one customer
//! tag of the zone, EtherType, and for IPv4 five words of header and (where there is no tag) no fragment. A frame that
//! is too short for the load ends the rule that asks, whichever way it asks.

use super::build::Build;
use super::shape::{Place, Shape};
use crate::backend::nft::ir::{Element, Field, Header, Part, Raw, Relation, Rule, Statement, To, Verdict};
use crate::ruleset::Family;

/// Where the load begins: with the source address.
const WINDOW: u32 = 6;
const VID: [u8; 2] = [0x0f, 0xff];

/// What of the window matters, and what it has to be.
struct Pattern {
    mask: [u8; 16],
    value: [u8; 16],
}

impl Pattern {
    /// No group, no tag, and for IPv4 five words of header and no fragment.
    fn untagged(family: Family) -> Pattern {
        let (mut mask, mut value) = ([0; 16], [0; 16]);
        mask[0] = 1;
        (mask[6], mask[7]) = (0xff, 0xff);
        match family {
            Family::V4 => {
                (mask[8], mask[14], mask[15]) = (0xff, 0x3f, 0xff);
                (value[6], value[7], value[8]) = (0x08, 0x00, 0x45);
            }
            Family::V6 => (value[6], value[7]) = (0x86, 0xdd),
        }
        Pattern { mask, value }
    }

    /// No group, one customer tag, and for IPv4 five words of header.
    fn tagged(family: Family, vid: u16) -> Pattern {
        let (mut mask, mut value) = ([0; 16], [0; 16]);
        mask[0] = 1;
        mask[6..12].copy_from_slice(&[0xff, 0xff, VID[0], VID[1], 0xff, 0xff]);
        (value[6], value[7]) = (0x81, 0x00);
        value[8..10].copy_from_slice(&vid.to_be_bytes());
        match family {
            Family::V4 => {
                mask[12] = 0xff;
                (value[10], value[11], value[12]) = (0x08, 0x00, 0x45);
            }
            Family::V6 => (value[10], value[11]) = (0x86, 0xdd),
        }
        Pattern { mask, value }
    }

    fn field(&self) -> Field {
        Raw::masked(Header::Link, WINDOW, &self.mask)
    }

    fn key(&self) -> Vec<(u128, u128)> {
        let exact = u128::from_be_bytes(self.value);
        vec![(exact, exact)]
    }
}

fn key() -> Vec<Part> {
    vec![Part::Raw { header: Header::Link, offset: WINDOW, length: 16 }]
}

fn word(family: Family) -> &'static str {
    if family == Family::V4 { "v4" } else { "v6" }
}

/// The packet is, or is not, an ordinary one of a family on a zone.
pub(super) fn ordinary(build: &mut Build<'_>, zone: usize, place: Place, is: bool) -> Statement {
    let family = place.family;
    let spans = build.zones[zone].singles.clone();
    let pattern = match (place.shape, &spans[..]) {
        (Shape::Untagged, _) => Pattern::untagged(family),
        (_, [(low, high)]) if low == high => Pattern::tagged(family, *low),
        _ => {
            let about = "ordinary packets on the VLANs of one zone";
            let set = build.set(&format!("fast.zone{zone}.{}", word(family)), about, key(), false, || {
                let patterns = vids(&spans).map(|vid| Pattern::tagged(family, vid));
                patterns.map(|pattern| Element { key: pattern.key(), to: None }).collect()
            });
            let fields = vec![Pattern::tagged(family, 0).field()];
            return Statement::Member { fields, set, inside: is };
        }
    };
    let relation = if is { Relation::Equal } else { Relation::Differs };
    Statement::Compare { field: pattern.field(), relation, value: pattern.value.to_vec() }
}

/// Takes the ordinary packets of a family that have a tag to the chains of their zones, in one lookup.
pub(super) fn by_vlan(build: &mut Build<'_>, family: Family, chains: &[(usize, String)]) -> Rule {
    let elements: Vec<Element> = chains
        .iter()
        .flat_map(|(zone, chain)| {
            let to = To::Verdict(Verdict::Goto(chain.clone()));
            let patterns = vids(&build.zones[*zone].singles).map(|vid| Pattern::tagged(family, vid));
            patterns.map(move |pattern| Element { key: pattern.key(), to: Some(to.clone()) })
        })
        .collect();
    let about = "ordinary packets, by VLAN";
    let map = build.set(&format!("fast.vlans.{}", word(family)), about, key(), false, || elements);
    Rule::new(vec![Statement::Dispatch { fields: vec![Pattern::tagged(family, 0).field()], map }])
}

fn vids(spans: &[(u16, u16)]) -> impl Iterator<Item = u16> {
    spans.iter().flat_map(|&(low, high)| low..=high)
}
