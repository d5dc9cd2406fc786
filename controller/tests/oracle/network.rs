//! Step 2: ARP, IPv4 and its options, IPv6 and its extension headers.

use super::layer2::Link;
use super::{Step, be16, be32, be128};
use perimeter::ruleset::{Family, IpOptions, ether};
use perimeter_classifier::verdict::DropReason;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const ICMPV6: u8 = 58;
const IGMP: u8 = 2;

/// What a frame carries.
pub(crate) enum Content<'a> {
    Arp { sender: u32 },
    Ip(Packet<'a>),
    Other { ethertype: u16 },
}

/// Source and destination, of one family.
#[derive(Clone, Copy)]
pub(crate) enum Addresses {
    V4 { source: u32, destination: u32 },
    V6 { source: u128, destination: u128 },
}

/// An IP packet, its headers read.
pub(crate) struct Packet<'a> {
    pub(crate) addresses: Addresses,
    pub(crate) protocol: u8,
    pub(crate) hop_limit: u8,
    /// IPv4 total length; IPv6 40 and the payload length.
    pub(crate) size: usize,
    /// Layer 4: what follows the IPv4 header or the IPv6 walk, up to the IP length.
    pub(crate) payload: &'a [u8],
    /// The fragment fields, or the fragment header if there is one (an atomic one included).
    pub(crate) fragment: Option<Fragment>,
}

/// What says that a packet is a piece of another.
#[derive(Clone, Copy)]
pub(crate) struct Fragment {
    /// In bytes.
    pub(crate) offset: usize,
    pub(crate) more: bool,
    /// Bytes of this piece: after the IPv4 header, or after the fragment header.
    pub(crate) length: usize,
    /// Bytes of the IPv4 header, or of the IPv6 headers between the fixed and the fragment header.
    pub(crate) headers: usize,
}

impl Packet<'_> {
    pub(crate) fn family(&self) -> Family {
        match self.addresses {
            Addresses::V4 { .. } => Family::V4,
            Addresses::V6 { .. } => Family::V6,
        }
    }

    /// More fragments follow or some went before: an atomic fragment is none.
    pub(crate) fn is_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.more || fragment.offset != 0)
    }

    /// A fragment without the beginning of layer 4.
    pub(crate) fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset != 0)
    }
}

impl Content<'_> {
    /// Step 4's size in bytes.
    pub(crate) fn layer3_size(&self, link: &Link<'_>) -> usize {
        match self {
            Content::Ip(packet) => packet.size,
            Content::Arp { .. } | Content::Other { .. } => link.rest.len(),
        }
    }
}

/// Carries out step 2.
pub(crate) fn read<'a>(options: IpOptions, link: &Link<'a>) -> Step<Content<'a>> {
    match link.ethertype {
        ether::ARP => arp(link.rest),
        0x0800 => ipv4(options, link.rest).map(Content::Ip),
        0x86dd => ipv6(options, link.rest).map(Content::Ip),
        ethertype => Ok(Content::Other { ethertype }),
    }
}

fn arp(rest: &[u8]) -> Step<Content<'_>> {
    if rest.len() < 28 {
        return Err(DropReason::Truncated);
    }
    let operation = be16(rest, 6);
    if rest[..6] != [0, 1, 0x08, 0x00, 6, 4] || (operation != 1 && operation != 2) {
        return Err(DropReason::Malformed);
    }
    Ok(Content::Arp { sender: be32(rest, 14) })
}

fn ipv4(options: IpOptions, rest: &[u8]) -> Step<Packet<'_>> {
    if rest.len() < 20 {
        return Err(DropReason::Truncated);
    }
    let header = usize::from(rest[0] % 16) * 4;
    let size = usize::from(be16(rest, 2));
    if rest[0] / 16 != 4 || header < 20 || size < header {
        return Err(DropReason::Malformed);
    }
    if header > rest.len() || size > rest.len() {
        return Err(DropReason::Truncated);
    }
    let protocol = rest[9];
    ipv4_options(options, protocol, &rest[20..header])?;
    let fields = be16(rest, 6);
    let fragment = Fragment {
        offset: usize::from(fields % 0x2000) * 8,
        more: fields & 0x2000 != 0,
        length: size - header,
        headers: header,
    };
    Ok(Packet {
        addresses: Addresses::V4 { source: be32(rest, 12), destination: be32(rest, 16) },
        protocol,
        hop_limit: rest[8],
        size,
        payload: &rest[header..size],
        fragment: Some(fragment).filter(|fragment| fragment.more || fragment.offset != 0),
    })
}

fn ipv4_options(policy: IpOptions, protocol: u8, options: &[u8]) -> Step<()> {
    if policy == IpOptions::Drop {
        let router_alert = protocol == IGMP && options == [0x94, 0x04, 0x00, 0x00];
        return if options.is_empty() || router_alert { Ok(()) } else { Err(DropReason::IpOptions) };
    }
    let mut at = 0;
    while at < options.len() && options[at] != 0 {
        if options[at] == 1 {
            at += 1;
            continue;
        }
        let length = usize::from(*options.get(at + 1).ok_or(DropReason::Malformed)?);
        if length < 2 || at + length > options.len() {
            return Err(DropReason::Malformed);
        }
        if options[at] == 131 || options[at] == 137 {
            return Err(DropReason::IpOptions);
        }
        at += length;
    }
    Ok(())
}

fn ipv6(options: IpOptions, rest: &[u8]) -> Step<Packet<'_>> {
    if rest.len() < 40 {
        return Err(DropReason::Truncated);
    }
    let length = usize::from(be16(rest, 4));
    if rest[0] / 16 != 6 || (length == 0 && rest[6] != NO_NEXT_HEADER) {
        return Err(DropReason::Malformed);
    }
    if 40 + length > rest.len() {
        return Err(DropReason::Truncated);
    }
    let walk = walk(options, rest[6], &rest[40..40 + length])?;
    Ok(Packet {
        addresses: Addresses::V6 { source: be128(rest, 8), destination: be128(rest, 24) },
        protocol: walk.protocol,
        hop_limit: rest[7],
        size: 40 + length,
        payload: &rest[40 + walk.at..40 + length],
        fragment: walk.fragment,
    })
}

/// Where the walk over the extension headers stands.
struct Walk {
    protocol: u8,
    at: usize,
    fragment: Option<Fragment>,
}

fn walk(options: IpOptions, first: u8, payload: &[u8]) -> Step<Walk> {
    let mut walk = Walk { protocol: first, at: 0, fragment: None };
    let mut headers = 0;
    while [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS].contains(&walk.protocol) {
        headers += 1;
        let misplaced = walk.protocol == HOP_BY_HOP && headers > 1;
        let second = walk.protocol == FRAGMENT && walk.fragment.is_some();
        if misplaced || second || headers == 9 {
            return Err(DropReason::Ipv6Extension);
        }
        let header = whole_header(walk.protocol, &payload[walk.at..])?;
        check_header(options, walk.protocol, header)?;
        if walk.protocol == FRAGMENT {
            walk.fragment = Some(Fragment {
                offset: usize::from(be16(header, 2) / 8) * 8,
                more: header[3] % 2 == 1,
                length: payload.len() - walk.at - 8,
                headers: walk.at,
            });
        }
        walk.at += header.len();
        let later = walk.protocol == FRAGMENT && walk.fragment.is_some_and(|fragment| fragment.offset != 0);
        walk.protocol = header[0];
        if later {
            break;
        }
    }
    Ok(walk)
}

/// The bytes of the extension header that begins `rest`, if it is whole within the payload.
fn whole_header(kind: u8, rest: &[u8]) -> Step<&[u8]> {
    let length = match (kind, rest.get(1)) {
        (FRAGMENT, _) => 8,
        (_, Some(units)) => 8 + usize::from(*units) * 8,
        (_, None) => return Err(DropReason::Truncated),
    };
    rest.get(..length).ok_or(DropReason::Truncated)
}

fn check_header(options: IpOptions, kind: u8, header: &[u8]) -> Step<()> {
    if kind == ROUTING && (header[2] == 0 || header[3] != 0) {
        return Err(DropReason::Ipv6Extension);
    }
    if kind == FRAGMENT || options == IpOptions::Pass || (kind == HOP_BY_HOP && is_router_alert(header)) {
        return Ok(());
    }
    Err(DropReason::Ipv6Extension)
}

/// The hop-by-hop header of MLD: 8 bytes, ICMPv6 next, router alert 0, padding.
fn is_router_alert(header: &[u8]) -> bool {
    header.len() == 8
        && header[0] == ICMPV6
        && header[2..6] == [0x05, 0x02, 0x00, 0x00]
        && (header[6..] == [0x01, 0x00] || header[6..] == [0x00, 0x00])
}
