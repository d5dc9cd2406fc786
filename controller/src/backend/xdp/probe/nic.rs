//! One device: rtnetlink, ethtool, its XDP and what stands at its ingress.

use std::io;
use std::path::Path;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::tc::{TcAttribute, TcMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::xdp_features;
use crate::backend::Enforcement;
use crate::backend::device::{self, ETHERNET};
use crate::backend::ethtool;
use crate::backend::facts::{Channels, Fact, Link, NicFacts, Peer, Toggle, Unknown};
use crate::backend::netlink::{ask, dump};
use crate::backend::peer::Peer as OtherEnd;
use crate::backend::xdp::observe;
use crate::backend::xdp::pins::Pins;
use crate::backend::xdp::sys;
use crate::state::Namespace;

/// Features of a veth's other end after which frames arrive merged, or without their tag, by the kernel's names.
const HARMFUL: [&str; 5] = [
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp-segmentation",
    "tx-vlan-hw-insert",
    "tx-vlan-stag-hw-insert",
];

/// The Ethernet devices of this network namespace, in the kernel's order.
pub fn ethernet_devices() -> Fact<Vec<String>> {
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answer = dump(NETLINK_ROUTE, question).map_err(Unknown::because)?;
    let name = |message| match message {
        RouteNetlinkMessage::NewLink(link) if u16::from(link.header.link_layer_type) == ETHERNET => {
            link.attributes.into_iter().find_map(|one| match one {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            })
        }
        _ => None,
    };
    Ok(answer.into_iter().filter_map(name).collect())
}

/// Everything about the device of this name. `place` says below which folder, and for which network namespace, pins lie.
pub fn nic(name: &str, place: Fact<(&Path, Namespace)>) -> NicFacts {
    let (link, peer) = split(found(name));
    let index = link.as_ref().ok().and_then(Option::as_ref).map(|link| link.index);
    let of_device = || index.ok_or_else(|| Unknown("the device itself is unknown".to_owned()));
    NicFacts {
        name: name.to_owned(),
        driver: ethtool::driver(name).map_err(Unknown::because),
        xdp: of_device().and_then(xdp_features::features),
        offloads: toggles(name).map_err(Unknown::because),
        peer,
        channels: channels(name),
        enforcement: place.and_then(|place| enforcement(name, place)),
        tc: of_device().and_then(|index| tc(index).map_err(Unknown::because)),
        page_bytes: rustix::param::page_size(),
        link,
    }
}

fn enforcement(name: &str, (bpffs, namespace): (&Path, Namespace)) -> Fact<Enforcement> {
    let observed = observe::observe(&Pins::new(bpffs, namespace), name).map_err(Unknown::because)?;
    Ok(observed.enforcement)
}

/// One device by its name or, where that is empty, by its index.
fn question(name: &str, index: u32) -> RouteNetlinkMessage {
    let mut question = LinkMessage::default();
    question.header.index = index;
    question.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::Vf, LinkExtentMask::SkipStats]));
    if !name.is_empty() {
        question.attributes.push(LinkAttribute::IfName(name.to_owned()));
    }
    RouteNetlinkMessage::GetLink(question)
}

fn message(name: &str, index: u32) -> io::Result<Option<LinkMessage>> {
    match ask(NETLINK_ROUTE, question(name, index)) {
        Ok(RouteNetlinkMessage::NewLink(link)) => Ok(Some(link)),
        Ok(_) => Err(io::Error::other("the kernel answered a question about a device with something else")),
        // ERANGE: the name is longer than any device's.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ERANGE)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A device, and its other end where it is one of a veth pair.
fn found(name: &str) -> io::Result<Option<(Link, Option<Peer>)>> {
    let Some(message) = message(name, 0)? else { return Ok(None) };
    let mut link = Link {
        index: message.header.index,
        kind: u16::from(message.header.link_layer_type),
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    let (mut other, mut elsewhere, mut above) = (None, false, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Mtu(bytes) => link.mtu = bytes,
            LinkAttribute::NumRxQueues(count) => link.receive_queues = count,
            LinkAttribute::NumVf(count) => link.virtual_functions = count,
            LinkAttribute::Link(index) => other = Some(index),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::Controller(index) => above = Some(index),
            LinkAttribute::LinkInfo(info) => link.software = software(&info),
            _ => {}
        }
    }
    if let Some(index) = above {
        link.controller = named(index)?;
    }
    let other = other.filter(|_| !elsewhere).map(named).transpose()?.flatten().map(|(name, _)| name);
    if link.software.as_deref() == Some("veth") {
        return Ok(Some((link, Some(peer(name)?))));
    }
    link.parent = other;
    Ok(Some((link, None)))
}

type Split = (Fact<Option<Link>>, Fact<Option<Peer>>);

/// Two facts of one answer.
fn split(found: io::Result<Option<(Link, Option<Peer>)>>) -> Split {
    match found.map_err(Unknown::because) {
        Ok(Some((link, peer))) => (Ok(Some(link)), Ok(peer)),
        Ok(None) => (Ok(None), Ok(None)),
        Err(cause) => (Err(cause.clone()), Err(cause)),
    }
}

/// The name and the kind of another device.
fn named(index: u32) -> io::Result<Option<(String, String)>> {
    let Some(message) = message("", index)? else { return Ok(None) };
    let (mut name, mut kind) = (String::new(), None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text,
            LinkAttribute::LinkInfo(info) => kind = software(&info),
            _ => {}
        }
    }
    Ok(Some((name, kind.unwrap_or_default())))
}

fn software(info: &[LinkInfo]) -> Option<String> {
    info.iter().find_map(|one| match one {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    })
}

fn toggles(name: &str) -> io::Result<Vec<Toggle>> {
    let toggle = |state: ethtool::State| Toggle { name: state.name, on: state.on, fixed: state.fixed };
    Ok(ethtool::features(name)?.into_iter().map(toggle).collect())
}

/// The other end of a veth device, in whatever network namespace it is.
fn peer(device: &str) -> io::Result<Peer> {
    let end = match device::by_name(device)?.map(|device| OtherEnd::of(&device)) {
        Some(Ok(Some(end))) => end,
        // Of a right that is missing nothing is known; a namespace without a name or a process is known for that.
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(Peer::Elsewhere),
    };
    let found = end.within(|name| Ok((toggles(name)?, channels(name).ok().flatten())))?;
    let harmful = found.0.into_iter().filter(|one| one.on && HARMFUL.contains(&one.name.as_str()));
    Ok(Peer::Seen {
        harmful: harmful.map(|one| one.name).collect(),
        enter: end.command(""),
        send_queues: found.1.map(|channels| channels.send),
        name: end.name,
    })
}

fn channels(name: &str) -> Fact<Option<Channels>> {
    match ethtool::channels(name) {
        Ok(counts) => Ok(Some(Channels {
            receive: counts.receive + counts.combined,
            most_receive: counts.most_receive.max(counts.most_combined),
            send: counts.send + counts.combined,
            combined: counts.most_combined > 0,
        })),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(error) => Err(Unknown::because(error)),
    }
}

/// What may judge the device's frames between XDP and the stack, apart from nftables.
fn tc(index: u32) -> io::Result<Vec<String>> {
    let mut found: Vec<String> =
        sys::tcx_programs(index)?.into_iter().map(|id| format!("tcx program {id}")).collect();
    let mut question = TcMessage::default();
    question.header.index = index.cast_signed();
    for answer in dump(NETLINK_ROUTE, RouteNetlinkMessage::GetQueueDiscipline(question))? {
        // Older kernels list every device's, whichever was asked for.
        let RouteNetlinkMessage::NewQueueDiscipline(discipline) = answer else { continue };
        if discipline.header.index != index.cast_signed() {
            continue;
        }
        found.extend(discipline.attributes.into_iter().filter_map(|one| match one {
            TcAttribute::Kind(kind) if kind == "clsact" || kind == "ingress" => Some(kind),
            _ => None,
        }));
    }
    Ok(found)
}
