//! What the kernel says about one network device (rtnetlink, RTM_GETLINK): its kind, and which XDP program is attached;
//! and by which number it knows another network namespace (RTM_GETNSID).
//!
//! Promises: the answer is of this moment and of this network namespace; nothing is changed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkInfo, LinkMessage, LinkXdp, Stats64, XdpAttached,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::BackendError;
use super::netlink;

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) index: u32,
    /// ARPHRD number; 1 is Ethernet.
    pub(super) kind: u16,
    /// Bytes of layer 3 that it takes.
    pub(super) mtu: u32,
    /// The index of what it is a member of: a bond, a bridge.
    pub(super) controller: Option<u32>,
    /// What software device it is, as `ip link` spells it; `None` for hardware.
    pub(super) software: Option<String>,
    pub(super) program: Option<Attached>,
    /// The other end, where this is one of a veth pair.
    pub(super) veth_peer: Option<PeerLink>,
}

/// The XDP program on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) program: u32,
    pub(super) how: How,
}

/// Where in the receive path a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Driver,
    Generic,
    /// On the device itself, or more than one at once.
    Other,
}

/// Where the other end of a veth pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerLink {
    /// Its index in its own network namespace.
    pub(super) index: u32,
    /// By which number this network namespace knows that one; `None` where it is this one.
    pub(super) namespace: Option<i32>,
}

/// ARPHRD_ETHER of `linux/if_arp.h`.
pub(super) const ETHERNET: u16 = 1;

/// The device of this name; `None` where there is none.
pub(super) fn find(interface: &str) -> Result<Option<Device>, BackendError> {
    by_name(interface).map_err(|error| BackendError::failed(format!("look at {interface}"), error))
}

/// The same; `None` too for a device that carries no Ethernet frames.
pub(super) fn ethernet(interface: &str) -> Result<Option<Device>, BackendError> {
    Ok(find(interface)?.filter(Device::is_ethernet))
}

impl Device {
    pub(super) fn is_ethernet(&self) -> bool {
        self.kind == ETHERNET
    }
}

/// The device of this name; `None` where there is none.
pub(super) fn by_name(name: &str) -> io::Result<Option<Device>> {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::IfName(name.to_owned()));
    ask(question)
}

/// What the kernel has counted on a device (`rtnl_link_stats64`); `None` where there is none of this name.
pub(super) fn statistics(name: &str) -> io::Result<Option<Stats64>> {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::IfName(name.to_owned()));
    match request(RouteNetlinkMessage::GetLink(question)) {
        Ok(RouteNetlinkMessage::NewLink(link)) => {
            Ok(link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::Stats64(statistics) => Some(statistics),
                _ => None,
            }))
        }
        Ok(_) => Err(unasked()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ERANGE)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The device of this index; `None` where there is none.
pub(super) fn by_index(index: u32) -> io::Result<Option<Device>> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    ask(question)
}

/// The devices that are members of the one of this index, in the kernel's order.
pub(super) fn members(controller: u32) -> io::Result<Vec<Device>> {
    let all = netlink::dump(NETLINK_ROUTE, RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let device = |message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(describe(link)),
        _ => None,
    };
    Ok(all.into_iter().filter_map(device).filter(|one| one.controller == Some(controller)).collect())
}

/// The number by which this network namespace knows another; `None` where it knows none.
pub(super) fn namespace_number(namespace: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    let mut question = NsidMessage::default();
    question.attributes.push(NsidAttribute::Fd(namespace.as_raw_fd().cast_unsigned()));
    let RouteNetlinkMessage::NewNsId(answer) = request(RouteNetlinkMessage::GetNsId(question))? else {
        return Err(unasked());
    };
    let number = answer.attributes.iter().find_map(|attribute| match attribute {
        NsidAttribute::Id(number) => Some(*number),
        _ => None,
    });
    Ok(number.filter(|number| *number >= 0))
}

fn ask(question: LinkMessage) -> io::Result<Option<Device>> {
    match request(RouteNetlinkMessage::GetLink(question)) {
        Ok(RouteNetlinkMessage::NewLink(link)) => Ok(Some(describe(link))),
        Ok(_) => Err(unasked()),
        // ERANGE: the name is longer than any device's.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ERANGE)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn unasked() -> io::Error {
    io::Error::other("the kernel answered a question about the network with something else")
}

/// One question, one answer.
fn request(question: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
    netlink::ask(NETLINK_ROUTE, question)
}

fn describe(link: LinkMessage) -> Device {
    let mut device = Device {
        index: link.header.index,
        kind: u16::from(link.header.link_layer_type),
        ..Device::default()
    };
    let (mut veth, mut peer, mut namespace) = (false, None, None);
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => device.name = name,
            LinkAttribute::Mtu(bytes) => device.mtu = bytes,
            LinkAttribute::Controller(index) => device.controller = Some(index),
            LinkAttribute::Xdp(xdp) => device.program = attached(&xdp),
            LinkAttribute::LinkInfo(info) => {
                veth = info.contains(&LinkInfo::Kind(InfoKind::Veth));
                device.software = info.iter().find_map(software);
            }
            LinkAttribute::Link(index) => peer = Some(index),
            LinkAttribute::LinkNetNsId(number) => namespace = Some(number),
            _ => {}
        }
    }
    device.veth_peer = peer.filter(|_| veth).map(|index| PeerLink { index, namespace });
    device
}

/// The kinds of devices (as `ip link` spells them) that get frames from a receive handler, or by redirection: both come
/// after the outer tag is taken out (`__netif_receive_skb_core` of `net/core/dev.c`). A VLAN's device is no such one: the
/// tag is meant to be gone there.
const FED: [&str; 10] =
    ["bond", "bridge", "hsr", "ifb", "ipvlan", "ipvtap", "macvlan", "macvtap", "openvswitch", "team"];

/// Kinds of devices whose members all carry its frames: what comes in by one of them came to the whole.
const SHARED: [&str; 2] = ["bond", "team"];

impl Device {
    /// What it is (as `ip link` spells it), where another device hands it its frames after the kernel has taken the outer
    /// tag out of them.
    pub(super) fn fed_as(&self) -> Option<&str> {
        self.software.as_deref().filter(|kind| is_fed(kind))
    }

    /// Whether it is made of members that share its frames.
    pub(super) fn is_bond(&self) -> bool {
        self.software.as_deref().is_some_and(|kind| SHARED.contains(&kind))
    }
}

/// Whether devices of a kind get their frames without the outer tag.
pub(crate) fn is_fed(kind: &str) -> bool {
    FED.contains(&kind)
}

fn software(info: &LinkInfo) -> Option<String> {
    match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    }
}

fn attached(xdp: &[LinkXdp]) -> Option<Attached> {
    let how = xdp.iter().find_map(|one| match one {
        LinkXdp::Attached(XdpAttached::None) => None,
        LinkXdp::Attached(XdpAttached::Driver) => Some(How::Driver),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(How::Generic),
        LinkXdp::Attached(_) => Some(How::Other),
        _ => None,
    })?;
    let program = xdp.iter().find_map(|one| match one {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) | LinkXdp::HwProgId(id) => {
            Some(*id)
        }
        _ => None,
    });
    Some(Attached { program: program.unwrap_or(0), how })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_no_ethernet_and_nonsense_is_no_device() {
        let lo = by_name("lo").unwrap().unwrap();
        assert_eq!((lo.name.as_str(), lo.kind, lo.program), ("lo", 772, None));
        assert_eq!(by_index(lo.index).unwrap(), Some(lo));
        assert_eq!(by_name("no-such-device").unwrap(), None);
        assert_eq!(by_name("a-name-much-longer-than-fifteen").unwrap(), None);
    }
}
