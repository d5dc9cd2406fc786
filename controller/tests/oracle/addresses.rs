//! Step 3: addresses that cannot be, and who may speak here.

use super::network::{Addresses, Content, Packet};
use super::{Step, holds_v4, holds_v6};
use perimeter::ruleset::AddressSet;
use perimeter_classifier::verdict::DropReason;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Carries out step 3.
pub(crate) fn check(content: &Content<'_>, sources: Option<&AddressSet>) -> Step<()> {
    match content {
        Content::Other { .. } => Ok(()),
        Content::Arp { sender } => check_arp(*sender, sources),
        Content::Ip(packet) => match packet.addresses {
            Addresses::V4 { source, destination } => check_v4(source, destination, sources),
            Addresses::V6 { source, destination } => check_v6(packet, source, destination, sources),
        },
    }
}

fn check_arp(sender: u32, sources: Option<&AddressSet>) -> Step<()> {
    if sender == 0 {
        return Ok(());
    }
    if is_martian_source_v4(sender) {
        return Err(DropReason::Martian);
    }
    among(sources.is_none_or(|sources| holds_v4(sources, sender)))
}

fn check_v4(source: u32, destination: u32, sources: Option<&AddressSet>) -> Step<()> {
    let to_many = in_v4(destination, "224.0.0.0", 4) || destination == u32::MAX;
    let unspecified = source == 0 && to_many;
    if is_martian_source_v4(source) && !unspecified {
        return Err(DropReason::Martian);
    }
    let reserved = in_v4(destination, "240.0.0.0", 4) && destination != u32::MAX;
    if in_v4(destination, "0.0.0.0", 8) || in_v4(destination, "127.0.0.0", 8) || reserved {
        return Err(DropReason::Martian);
    }
    among(unspecified || sources.is_none_or(|sources| holds_v4(sources, source)))
}

fn check_v6(packet: &Packet<'_>, source: u128, destination: u128, sources: Option<&AddressSet>) -> Step<()> {
    let unspecified = source == 0 && in_v6(destination, "ff00::", 8);
    let embedded = |address| in_v6(address, "::", 96) || in_v6(address, "::ffff:0:0", 96);
    if (embedded(source) || in_v6(source, "ff00::", 8)) && !unspecified {
        return Err(DropReason::Martian);
    }
    if embedded(destination) {
        return Err(DropReason::Martian);
    }
    let link_local = is_link_local(source) && packet.protocol == 58;
    among(unspecified || link_local || sources.is_none_or(|sources| holds_v6(sources, source)))
}

fn among(it_is: bool) -> Step<()> {
    if it_is { Ok(()) } else { Err(DropReason::VlanSourceMismatch) }
}

fn is_martian_source_v4(address: u32) -> bool {
    in_v4(address, "0.0.0.0", 8) || in_v4(address, "127.0.0.0", 8) || in_v4(address, "224.0.0.0", 3)
}

/// fe80::/10.
pub(crate) fn is_link_local(address: u128) -> bool {
    in_v6(address, "fe80::", 10)
}

fn in_v4(address: u32, prefix: &str, bits: u32) -> bool {
    let prefix: Ipv4Addr = prefix.parse().expect("a literal of this file");
    address >> (32 - bits) == prefix.to_bits() >> (32 - bits)
}

fn in_v6(address: u128, prefix: &str, bits: u32) -> bool {
    let prefix: Ipv6Addr = prefix.parse().expect("a literal of this file");
    address >> (128 - bits) == prefix.to_bits() >> (128 - bits)
}
