//! The verdict: the seven steps, in their order.
//!
//! Promises: the first step that fails gives the drop reason. One function a kind of frame (IPv4, IPv6, ARP, the rest);
//! each reads top to bottom as the contract does. The lookups stand where their result is first needed. The walk is the
//! only definition of the verdict; a frame that is [plain](crate::header::plain) gets the same one at a glance, and in
//! the kernel for two thirds of the instructions.

use crate::abi::setting;
use crate::frame::{Frame, MAX_OFFSET};
use crate::header::address::{is_martian_source_v4, is_martian_v4, is_martian_v6};
use crate::header::arp::Arp;
use crate::header::ethernet::Ethernet;
use crate::header::fragment::{Fragment, Part};
use crate::header::ipv4::Ipv4;
use crate::header::ipv6::{Ipv6, Payload};
use crate::header::plain::{Kind, Plain};
use crate::header::transport::{Transport, is_too_big};
use crate::header::{ethertype, llc, neighbour, protocol};
use crate::learned::{Judged, Learned};
use crate::tables::{self, AddressClass, Family, Layer4, ServiceClass, Tables, Zone};
use crate::verdict::{Decision, DropReason, RuleIndex};

/// How many drop reasons there are.
const REASONS: u32 = DropReason::ALL.len() as u32;

/// Judges one frame.
#[inline(always)]
pub fn classify<F: Frame, T: Tables>(frame: &F, tables: &T) -> Judged {
    let pass = |rule, label| Judged::labelled(Decision::Pass(rule), label);
    match at_a_glance(frame, tables, pass, Judged::labelled) {
        Some(judged) => judged,
        None => walk(frame, tables),
    }
}

/// What [`walk`] would decide on a plain frame that comes to step 7, and the label that is all it would learn of it; `None`
/// for any other. Told to `pass` or to `stop`: what is told apart here need not be put together to be asked for again.
#[inline(always)]
pub fn at_a_glance<F: Frame, T: Tables, R>(
    frame: &F,
    tables: &T,
    pass: impl FnOnce(RuleIndex, u32) -> R,
    stop: impl FnOnce(Decision, u32) -> R,
) -> Option<R> {
    let plain = Plain::read(frame)?;
    // First of the lookups: here the ports are at hand.
    let service = plain_service(tables, &plain);
    let zone = tables::zone(tables, plain.stack)?;
    let step = Steps { frame, tables, zone };
    // Where VLANs are counted, frames over the MTU are for the walk to tell, even if they are not dropped.
    let told = step.is_set(setting::OVERSIZE_DROP) || tables.setting(setting::VLAN_SLOTS) != 0;
    if told && plain.total_length > zone.mtu {
        return None;
    }
    let source = tables::source_v4(tables, plain.source);
    if step.is_set(setting::HAS_SOURCES) && step.speaks(source).is_err() {
        return None;
    }
    let destination = tables::destination_v4(tables, plain.destination);
    Some(match tables::decide_ip(tables, step.zone, source, destination, service) {
        Decision::Pass(rule) => pass(rule, zone.label),
        decision => stop(decision, zone.label),
    })
}

#[inline(always)]
fn plain_service<T: Tables>(tables: &T, plain: &Plain) -> ServiceClass {
    let (source, destination) = ((plain.ports >> 16) as u16, plain.ports as u16);
    let tcp =
        |new| tables::service(tables, Family::V4, protocol::TCP, Layer4::Tcp { source, destination, new });
    match plain.kind {
        Kind::Segment => tcp(false),
        Kind::Opening => tcp(true),
        Kind::Datagram => {
            tables::service(tables, Family::V4, protocol::UDP, Layer4::Udp { source, destination })
        }
    }
}

/// Judges one frame, step by step.
#[inline(always)]
pub fn walk<F: Frame, T: Tables>(frame: &F, tables: &T) -> Judged {
    let mut learned = Learned::default();
    // One number for every outcome: an enum with a payload would be written at each of the many exits.
    let outcome = match judge(frame, tables, &mut learned) {
        Ok(rule) => rule.wrapping_add(REASONS),
        Err(reason) => reason as u32,
    };
    let decision = match DropReason::from_index(outcome) {
        Some(reason) => Decision::Drop(reason),
        None if outcome - REASONS < tables.setting(setting::DENY_RULES) => {
            Decision::Denied(outcome - REASONS)
        }
        None => Decision::Pass(outcome - REASONS),
    };
    Judged { decision, learned }
}

/// The rule that decides in step 7, or why a step fails.
#[inline(always)]
fn judge<F: Frame, T: Tables>(frame: &F, tables: &T, learned: &mut Learned) -> Result<RuleIndex, DropReason> {
    let ethernet = Ethernet::read(frame, tables.setting(setting::OUTER_TAG))?;
    let zone = tables::zone(tables, ethernet.stack).ok_or(DropReason::VlanNotAllowed)?;
    learned.label = zone.label;
    let step = Steps { frame, tables, zone };
    let at = merged::<F, 0x1f>(frame, ethernet.payload);
    let decision = match ethernet.ethertype {
        ethertype::IPV4 => step.ipv4(at, learned),
        ethertype::IPV6 => step.ipv6(at, learned),
        ethertype::ARP => step.arp(at, learned),
        other => step.other(at, other, learned),
    };
    match decision? {
        Decision::Pass(rule) | Decision::Denied(rule) => Ok(rule),
        Decision::Drop(reason) => Err(reason),
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
    fn ipv4(&self, at: u32, learned: &mut Learned) -> Result<Decision, DropReason> {
        let ip = Ipv4::read(self.frame, at, self.is_set(setting::IP_OPTIONS_PASS))?;
        if is_martian_v4(ip.source, ip.destination) {
            return Err(DropReason::Martian);
        }
        let source = tables::source_v4(self.tables, ip.source);
        let destination = tables::destination_v4(self.tables, ip.destination);
        if self.is_set(setting::HAS_SOURCES) && ip.source != 0 {
            self.speaks(source)?;
        }
        self.size(ip.total_length, learned)?;
        let (family, protocol) = (Family::V4, ip.protocol);
        let part = self.part(ip.fragment, family, protocol, ip.length, learned)?;
        let transport = Transport { family, protocol, part, at: ip.payload, length: ip.length };
        let service = self.service(transport, learned)?;
        Ok(tables::decide_ip(self.tables, self.zone, source, destination, service))
    }

    #[inline(always)]
    fn ipv6(&self, at: u32, learned: &mut Learned) -> Result<Decision, DropReason> {
        let ip = Ipv6::read(self.frame, at)?;
        // Before the walk: every way through it would take the verifier through the lookups once more.
        let source = tables::source_v6(self.tables, ip.source.high, ip.source.low);
        let destination = tables::destination_v6(self.tables, ip.destination.high, ip.destination.low);
        let payload = ip.payload(self.frame, self.is_set(setting::IP_OPTIONS_PASS))?;
        if is_martian_v6(ip.source, ip.destination) {
            return Err(DropReason::Martian);
        }
        let (family, protocol) = (Family::V6, payload.protocol);
        let from_this_link = ip.source.is_link_local() && protocol == protocol::ICMPV6;
        if self.is_set(setting::HAS_SOURCES) && !ip.source.is_unspecified() && !from_this_link {
            self.speaks(source)?;
        }
        self.size(ip.total_length, learned)?;
        let part = self.part(payload.fragment, family, protocol, payload.length, learned)?;
        let payload = Payload { at: merged::<F, MAX_OFFSET>(self.frame, payload.at), ..payload };
        let transport = Transport { family, protocol, part, at: payload.at, length: payload.length };
        let service = self.service(transport, learned)?;
        if protocol == protocol::ICMPV6 && part != Part::Later {
            self.neighbour(ip.hop_limit, payload)?;
        }
        Ok(tables::decide_ip(self.tables, self.zone, source, destination, service))
    }

    #[inline(always)]
    fn arp(&self, at: u32, learned: &mut Learned) -> Result<Decision, DropReason> {
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
        self.size(self.frame.len() - at, learned)?;
        Ok(tables::decide_ether(self.tables, self.zone, ethertype::ARP))
    }

    /// Frames without addresses that could be judged.
    #[inline(always)]
    fn other(&self, at: u32, kind: u16, learned: &mut Learned) -> Result<Decision, DropReason> {
        let key = if kind < ethertype::FIRST { llc::read(self.frame, at, kind)? } else { kind };
        self.size(self.frame.len() - at, learned)?;
        Ok(tables::decide_ether(self.tables, self.zone, key))
    }

    /// The second half of step 3, where `sources` are set.
    #[inline(always)]
    fn speaks(&self, source: AddressClass) -> Result<(), DropReason> {
        if tables::speaks(self.tables, self.zone, source) {
            Ok(())
        } else {
            Err(DropReason::VlanSourceMismatch)
        }
    }

    /// Step 4, `bytes` of layer 3.
    #[inline(always)]
    fn size(&self, bytes: u32, learned: &mut Learned) -> Result<(), DropReason> {
        if self.tables.setting(setting::VLAN_SLOTS) != 0 {
            // The sign of the difference: a comparison would be two ways for the verifier to walk.
            learned.oversize = self.zone.mtu.wrapping_sub(bytes) >> 31;
        }
        if self.is_set(setting::OVERSIZE_DROP) && bytes > self.zone.mtu {
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
        learned: &mut Learned,
    ) -> Result<Part, DropReason> {
        let Some(fragment) = fragment else {
            return Ok(Part::Whole);
        };
        if self.tables.setting(setting::FRAGMENT_SLOTS) != 0 {
            learned.fragment = fragment.kind(family, protocol, layer4);
        }
        fragment.judge(self.is_set(setting::FRAGMENTS_STATELESS), family, protocol, layer4)
    }

    /// Step 6 but for neighbour discovery, and what rules can ask about. The arms end alike on purpose: in each one it
    /// is known which header was read, and nothing is packed to be unpacked again.
    #[inline(always)]
    fn service(&self, transport: Transport, learned: &mut Learned) -> Result<ServiceClass, DropReason> {
        if transport.part == Part::Later {
            return Ok(self.class(transport, Layer4::LaterFragment));
        }
        // The most frequent first.
        if transport.protocol == protocol::TCP {
            return Ok(self.class(transport, transport.tcp(self.frame)?));
        }
        match (transport.family, transport.protocol) {
            (_, protocol::UDP) => Ok(self.class(transport, transport.udp(self.frame)?)),
            (_, protocol::SCTP) => Ok(self.class(transport, transport.sctp(self.frame)?)),
            (Family::V4, protocol::ICMP) => {
                let (message, mtu) = transport.icmp(self.frame)?;
                if self.counts_pmtu() && is_too_big(Family::V4, message) {
                    learned.too_big(Family::V4, mtu);
                }
                Ok(self.class(transport, message))
            }
            (Family::V6, protocol::ICMPV6) => {
                let message = transport.icmpv6(self.frame)?;
                if self.counts_pmtu() && is_too_big(Family::V6, message) {
                    learned.too_big(Family::V6, transport.icmpv6_mtu(self.frame));
                }
                Ok(self.class(transport, message))
            }
            _ => Ok(self.class(transport, Layer4::Other)),
        }
    }

    #[inline(always)]
    fn counts_pmtu(&self) -> bool {
        self.tables.setting(setting::PMTU_SLOTS) != 0
    }

    #[inline(always)]
    fn class(&self, transport: Transport, layer4: Layer4) -> ServiceClass {
        tables::service(self.tables, transport.family, transport.protocol, layer4)
    }

    /// The end of step 6, for an ICMPv6 message.
    #[inline(always)]
    fn neighbour(&self, hop_limit: u8, payload: Payload) -> Result<(), DropReason> {
        match neighbour::judge(self.frame, hop_limit, payload)? {
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

/// `offset` as it is, but no longer a number that the verifier follows: paths that differ in nothing else become one.
/// `MASK` is all ones. No frame has 128 MiB, so nothing is added; the verifier cannot know.
#[inline(always)]
fn merged<F: Frame, const MASK: u32>(frame: &F, offset: u32) -> u32 {
    // 33 sets every tenth of bits from five: with the mask of 15 bits no bit stays known.
    let nothing = (frame.len() >> 27) * if MASK > 0x1f { 0x421 } else { 1 };
    (offset + nothing) & MASK
}
