//! One network device.

use super::Fact;
use crate::backend::Enforcement;

/// Everything about one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicFacts {
    pub name: String,
    /// `None` where no device has this name.
    pub link: Fact<Option<Link>>,
    pub driver: Fact<String>,
    pub xdp: Fact<XdpFeatures>,
    /// What `ethtool -k` lists, by the kernel's names.
    pub offloads: Fact<Vec<Toggle>>,
    /// `None` where it is not an end of a veth pair.
    pub peer: Fact<Option<Peer>>,
    /// `None` where the driver has no such setting.
    pub channels: Fact<Option<Channels>>,
    pub enforcement: Fact<Enforcement>,
    /// Programs at tc's ingress (tcx), and `clsact` or `ingress` where classic filters may stand.
    pub tc: Fact<Vec<String>>,
    /// Bytes of a page: the room of one receive buffer.
    pub page_bytes: usize,
}

/// What rtnetlink tells of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    /// ARPHRD number; 1 is Ethernet.
    pub kind: u16,
    pub up: bool,
    /// Bytes of layer 3.
    pub mtu: u32,
    /// What software device it is (`veth`, `bond`, `vlan`); `None` for hardware.
    pub software: Option<String>,
    /// The device that a VLAN, macvlan or ipvlan stands on, where it is in this namespace.
    pub parent: Option<String>,
    /// The bond, bridge or team that it belongs to, and its kind.
    pub controller: Option<(String, String)>,
    pub virtual_functions: u32,
    /// Queues that the device was made with.
    pub receive_queues: u32,
}

/// What a driver says of its XDP (`xdp-features` of the netdev netlink family, Linux 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures {
    /// Passing and dropping.
    pub basic: bool,
    /// Frames in several buffers.
    pub frags: bool,
}

/// One feature of a device, as ethtool tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toggle {
    /// The kernel's name.
    pub name: String,
    pub on: bool,
    /// Nobody can change it.
    pub fixed: bool,
}

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// In another network namespace, which cannot be entered from here.
    Elsewhere,
    Seen {
        name: String,
        /// What has a command that follows run where it is; empty where that is here.
        enter: String,
        /// Its features that falsify what arrives and are on, by the kernel's names.
        harmful: Vec<String>,
        /// Queues that it sends from, where it tells.
        send_queues: Option<u32>,
    },
}

/// How many queues a device uses, and can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Queues that receive, those that also send included.
    pub receive: u32,
    pub most_receive: u32,
    /// Queues that send, those that also receive included.
    pub send: u32,
    /// Whether one queue does both (`ethtool -L ... combined`).
    pub combined: bool,
}
