//! What a driver says of its XDP: the netdev family of generic netlink (`linux/netdev.h`, Linux 6.3).

use std::io;

use netlink_packet_core::{DefaultNla, parse_u16, parse_u64};
use netlink_sys::protocols::NETLINK_GENERIC;

use crate::backend::facts::{Fact, Unknown, XdpFeatures};
use crate::backend::netlink::{Raw, ask, value};

/// The family that tells the numbers of the others (`linux/genetlink.h`).
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_BASIC`: ABORTED, DROP, PASS and TX.
const BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_RX_SG`: frames in several buffers.
const RX_SG: u64 = 1 << 5;

/// The features of the device with this index.
pub(in crate::backend::xdp) fn features(index: u32) -> Fact<XdpFeatures> {
    let family = family().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unknown("the kernel does not tell before Linux 6.3".to_owned()),
        _ => Unknown::because(error),
    })?;
    let attributes = [DefaultNla::new(NETDEV_A_DEV_IFINDEX, index.to_ne_bytes().to_vec())];
    let question = Raw::new(family, [NETDEV_CMD_DEV_GET, 1, 0, 0], &attributes);
    let answer = ask(NETLINK_GENERIC, question).map_err(Unknown::because)?.attributes();
    let bits = value(&answer, NETDEV_A_DEV_XDP_FEATURES).and_then(|bytes| parse_u64(bytes).ok());
    let bits = bits.ok_or_else(|| Unknown("the kernel's answer does not tell".to_owned()))?;
    Ok(XdpFeatures { basic: bits & BASIC != 0, frags: bits & RX_SG != 0 })
}

/// The number of the family, which differs from boot to boot.
fn family() -> io::Result<u16> {
    let name = [DefaultNla::new(CTRL_ATTR_FAMILY_NAME, b"netdev\0".to_vec())];
    let question = Raw::new(GENL_ID_CTRL, [CTRL_CMD_GETFAMILY, 1, 0, 0], &name);
    let answer = ask(NETLINK_GENERIC, question)?.attributes();
    let number = value(&answer, CTRL_ATTR_FAMILY_ID).and_then(|bytes| parse_u16(bytes).ok());
    number.ok_or_else(|| io::Error::other("the kernel gives the family no number"))
}
