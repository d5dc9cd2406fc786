//! The oracle: the verdict on one frame, told naively from the contract.
//!
//! Promises: each sentence of the contract's section "The verdict" is carried out literally, in its order, over plain
//! byte offsets, with rules scanned one by one and sets asked range by range. It shares no code with the classifier:
//! only the words for a decision and the canonical ruleset. Refuses to be fast, and to be clever.

pub(crate) mod accounts;
mod addresses;
mod fragments;
mod layer2;
mod layer4;
mod network;
pub(crate) mod plain;
mod rules;

use perimeter::ruleset::{AddressSet, Interface, Oversize, Ruleset, Vlan, VlanId};
use perimeter_classifier::verdict::{Decision, DropReason};

/// What the first failing step gives, or what the step learned.
pub(crate) type Step<T> = Result<T, DropReason>;

/// The verdict of `ruleset` on a frame that the interface at `interface_index` receives.
pub(crate) fn judge(ruleset: &Ruleset, interface_index: usize, frame: &[u8]) -> Decision {
    seven_steps(ruleset, interface_index, frame).unwrap_or_else(Decision::Drop)
}

fn seven_steps(ruleset: &Ruleset, interface_index: usize, frame: &[u8]) -> Step<Decision> {
    let interface = &ruleset.interfaces[interface_index];
    let link = layer2::read(interface, frame)?;
    let content = network::read(interface.ip_options, &link)?;
    let named = ruleset.vlans.iter().find(|vlan| vlan.id == link.vlan);
    let sources = sources_that_apply(interface, named);
    addresses::check(&content, sources)?;
    check_size(interface, named, content.layer3_size(&link))?;
    if let network::Content::Ip(packet) = &content {
        fragments::check(interface.fragments, packet)?;
        layer4::check(packet, sources)?;
    }
    Ok(rules::decide(&ruleset.rules, interface_index, link.vlan, &content))
}

/// The VLAN's sources, else the interface's; `None` is anyone.
fn sources_that_apply<'a>(interface: &'a Interface, named: Option<&'a Vlan>) -> Option<&'a AddressSet> {
    match named {
        Some(Vlan { sources: Some(sources), .. }) => Some(sources),
        _ => interface.sources.as_ref(),
    }
}

/// Step 4.
fn check_size(interface: &Interface, named: Option<&Vlan>, layer3_size: usize) -> Step<()> {
    let mtu = match named {
        Some(Vlan { mtu: Some(mtu), .. }) => *mtu,
        _ => interface.mtu,
    };
    let over = layer3_size > mtu as usize;
    if over && interface.oversize == Oversize::Drop { Err(DropReason::Oversize) } else { Ok(()) }
}

/// Membership, range by range.
pub(crate) fn holds_v4(set: &AddressSet, address: u32) -> bool {
    set.v4().iter().any(|&(low, high)| low <= address && address <= high)
}

/// Membership, range by range.
pub(crate) fn holds_v6(set: &AddressSet, address: u128) -> bool {
    set.v6().iter().any(|&(low, high)| low <= address && address <= high)
}

/// The network-order 16-bit number at `offset`, which the caller knows to be there.
fn be16(bytes: &[u8], offset: usize) -> u16 {
    u16::from(bytes[offset]) * 256 + u16::from(bytes[offset + 1])
}

/// The IPv4 address at `offset`.
fn be32(bytes: &[u8], offset: usize) -> u32 {
    bytes[offset..offset + 4].iter().fold(0, |number, &byte| number * 256 + u32::from(byte))
}

/// The IPv6 address at `offset`.
fn be128(bytes: &[u8], offset: usize) -> u128 {
    bytes[offset..offset + 16].iter().fold(0, |number, &byte| number * 256 + u128::from(byte))
}

/// Step 1's view of a VLAN: what remains after a priority tag is taken away.
fn remaining(tags: &[layer2::Tag]) -> VlanId {
    match tags {
        [] | [layer2::Tag { vid: 0, .. }] => VlanId::Untagged,
        [lone] => VlanId::Single(lone.vid),
        [outer, inner, ..] => VlanId::Stacked { outer: outer.vid, inner: inner.vid },
    }
}
