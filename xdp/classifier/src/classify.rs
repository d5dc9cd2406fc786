//! The verdict: the seven steps, in their order.
//!
//! Promises: the first step that fails gives the drop reason. One function a kind of frame (IPv4, IPv6, ARP, the rest);
//! each reads top to bottom as the contract does. The lookups stand where their result is first needed.

use crate::abi::setting;
use crate::frame::Frame;
use crate::header::address::{is_martian_source_v4, is_martian_v4, is_martian_v6};
use crate::header::arp::Arp;
use crate::header::ethernet::Ethernet;
use crate::header::fragment::{Fragment, Part};
use crate::header::ipv4::Ipv4;
use crate::header::ipv6::Ipv6;
use crate::header::transport::Transport;
use crate::header::{ethertype, llc, neighbour, protocol};
use crate::tables::{self, AddressClass, Family, Layer4, Tables, Zone};
use crate::verdict::{Decision, DropReason};

/// Judges one frame.
#[inline(always)]
pub fn classify<F: Frame, T: Tables>(frame: &F, tables: &T) -> Decision {
    match judge(frame, tables) {
        Ok(decision) => decision,
        Err(reason) => Decision::Drop(reason),
    }
}

/// Steps 1 to 6 end in a drop reason, step 7 in a decision.
#[inline(always)]
fn judge<F: Frame, T: Tables>(frame: &F, tables: &T) -> Result<Decision, DropReason> {
    let ethernet = Ethernet::read(frame, tables.setting(setting::OUTER_TAG))?;
    let zone = tables::zone(tables, ethernet.stack).ok_or(DropReason::VlanNotAllowed)?;
    let step = Steps { frame, tables, zone };
    match ethernet.ethertype {
        ethertype::IPV4 => step.ipv4(ethernet.payload),
        ethertype::IPV6 => step.ipv6(ethernet.payload),
        ethertype::ARP => step.arp(ethernet.payload),
        other => step.other(ethernet.payload, other),
    }
}

/// A frame on a VLAN that its interface allows.
struct Steps<'a, F, T> {
    frame: &'a F,
    tables: &'a T,
    zone: Zone,
}

impl<F: Frame, T: Tables> Steps<'_, F, T> {
    #[inline(always)]
    fn ipv4(&self, at: u32) -> Result<Decision, DropReason> {
        let ip = Ipv4::read(self.frame, at, self.is_set(setting::IP_OPTIONS_PASS))?;
        if is_martian_v4(ip.source, ip.destination) {
            return Err(DropReason::Martian);
        }
        let source = tables::source_v4(self.tables, ip.source);
        let destination = tables::destination_v4(self.tables, ip.destination);
        if ip.source != 0 {
            self.speaks(source)?;
        }
        self.size(ip.total_length)?;
        let part = self.part(ip.fragment, Family::V4, ip.protocol, ip.length)?;
        let (family, protocol) = (Family::V4, ip.protocol);
        let transport = Transport { family, protocol, part, at: ip.payload, length: ip.length };
        let service = tables::service(self.tables, family, protocol, transport.read(self.frame)?);
        Ok(tables::decide_ip(self.tables, self.zone, source, destination, service))
    }

    #[inline(always)]
    fn ipv6(&self, at: u32) -> Result<Decision, DropReason> {
        let ip = Ipv6::read(self.frame, at, self.is_set(setting::IP_OPTIONS_PASS))?;
        if is_martian_v6(ip.source, ip.destination) {
            return Err(DropReason::Martian);
        }
        let source = tables::source_v6(self.tables, ip.source.high, ip.source.low);
        let destination = tables::destination_v6(self.tables, ip.destination.high, ip.destination.low);
        let from_this_link = ip.source.is_link_local() && ip.protocol == protocol::ICMPV6;
        if !ip.source.is_unspecified() && !from_this_link {
            self.speaks(source)?;
        }
        self.size(ip.total_length)?;
        let part = self.part(ip.fragment, Family::V6, ip.protocol, ip.length)?;
        let (family, protocol) = (Family::V6, ip.protocol);
        let transport = Transport { family, protocol, part, at: ip.payload, length: ip.length };
        let layer4 = transport.read(self.frame)?;
        self.neighbour(&ip, layer4)?;
        let service = tables::service(self.tables, family, protocol, layer4);
        Ok(tables::decide_ip(self.tables, self.zone, source, destination, service))
    }

    #[inline(always)]
    fn arp(&self, at: u32) -> Result<Decision, DropReason> {
        let arp = Arp::read(self.frame, at)?;
        // 0.0.0.0 probes for an address (RFC 5227).
        if arp.sender != 0 {
            if is_martian_source_v4(arp.sender) {
                return Err(DropReason::Martian);
            }
            if self.is_set(setting::HAS_SOURCES) {
                self.speaks(tables::source_v4(self.tables, arp.sender))?;
            }
        }
        self.size(self.frame.len() - at)?;
        Ok(tables::decide_ether(self.tables, self.zone, ethertype::ARP))
    }

    /// Frames without addresses that could be judged.
    #[inline(always)]
    fn other(&self, at: u32, kind: u16) -> Result<Decision, DropReason> {
        let key = if kind < ethertype::FIRST { llc::read(self.frame, at, kind)? } else { kind };
        self.size(self.frame.len() - at)?;
        Ok(tables::decide_ether(self.tables, self.zone, key))
    }

    /// The second half of step 3.
    #[inline(always)]
    fn speaks(&self, source: AddressClass) -> Result<(), DropReason> {
        if self.is_set(setting::HAS_SOURCES) && !tables::speaks(self.tables, self.zone, source) {
            return Err(DropReason::VlanSourceMismatch);
        }
        Ok(())
    }

    /// Step 4, `bytes` of layer 3.
    #[inline(always)]
    fn size(&self, bytes: u32) -> Result<(), DropReason> {
        if bytes > self.zone.mtu && self.is_set(setting::OVERSIZE_DROP) {
            return Err(DropReason::Oversize);
        }
        Ok(())
    }

    /// Step 5. `layer4` is the length of what follows every header that was walked.
    #[inline(always)]
    fn part(
        &self,
        fragment: Option<Fragment>,
        family: Family,
        protocol: u8,
        layer4: u32,
    ) -> Result<Part, DropReason> {
        let Some(fragment) = fragment else {
            return Ok(Part::Whole);
        };
        fragment.judge(self.is_set(setting::FRAGMENTS_STATELESS), family, protocol, layer4)
    }

    /// The end of step 6.
    #[inline(always)]
    fn neighbour(&self, ip: &Ipv6, layer4: Layer4) -> Result<(), DropReason> {
        let Layer4::Icmp { kind, code } = layer4 else {
            return Ok(());
        };
        let target = neighbour::judge(self.frame, ip, kind, code)?;
        match target {
            Some(target) if self.is_set(setting::HAS_SOURCES) && !target.is_link_local() => {
                self.speaks(tables::source_v6(self.tables, target.high, target.low))
            }
            _ => Ok(()),
        }
    }

    #[inline(always)]
    fn is_set(&self, setting: usize) -> bool {
        self.tables.setting(setting) == 1
    }
}
