//! What a driver says of its XDP, without trying it: the `netdev` family of generic netlink (Linux 6.3,
//! `linux/netdev.h`).
//!
//! Promises: nothing is changed, no device notices. Where the kernel does not know the question, there is no answer.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// The family that knows the numbers of the others (`linux/genetlink.h`).
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
/// The driver takes XDP programs.
const NETDEV_XDP_ACT_BASIC: u64 = 1;

/// Bytes of `nlmsghdr` and `genlmsghdr`.
const HEADERS: usize = 16 + 4;

/// Whether the driver of a device takes XDP programs; `None` where the kernel cannot tell.
pub(super) fn takes_xdp(index: u32) -> Option<bool> {
    let answer = ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, b"netdev\0").ok()?;
    let family = u16::from_ne_bytes(attribute(&answer, CTRL_ATTR_FAMILY_ID)?.try_into().ok()?);
    let answer = ask(family, NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, &index.to_ne_bytes()).ok()?;
    let features = u64::from_ne_bytes(attribute(&answer, NETDEV_A_DEV_XDP_FEATURES)?.try_into().ok()?);
    Some(features & NETDEV_XDP_ACT_BASIC != 0)
}

/// One question with one attribute; the attributes of the answer.
fn ask(family: u16, command: u8, kind: u16, value: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&question(family, command, kind, value), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let is_error = answer.get(4..6) == Some(&NLMSG_ERROR.to_ne_bytes());
    match answer.get(HEADERS..) {
        Some(attributes) if !is_error => Ok(attributes.to_vec()),
        _ => Err(io::Error::other("the kernel does not answer this")),
    }
}

fn question(family: u16, command: u8, kind: u16, value: &[u8]) -> Vec<u8> {
    let padded = value.len().next_multiple_of(4);
    let mut bytes = Vec::with_capacity(HEADERS + 4 + padded);
    bytes.extend(((HEADERS + 4 + padded) as u32).to_ne_bytes());
    bytes.extend(family.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port: one question, one answer.
    bytes.extend([0; 8]);
    bytes.extend([command, 1, 0, 0]);
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(HEADERS + 4 + padded, 0);
    bytes
}

/// The value of the first attribute of this kind.
fn attribute(mut bytes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let (head, _) = bytes.split_at_checked(4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let value = bytes.get(4..length)?;
        if u16::from_ne_bytes([head[2], head[3]]) == kind {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_takes_no_xdp_and_no_device_gives_no_answer() {
        // A kernel before 6.3 knows no answer.
        assert_ne!(takes_xdp(1), Some(true));
        assert_eq!(takes_xdp(u32::MAX), None);
    }

    #[test]
    fn attributes_are_found_and_torn_ones_are_not() {
        let bytes = question(20, 1, 7, b"ab");
        assert_eq!(bytes.len() as u32, u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        assert_eq!(attribute(&bytes[HEADERS..], 7), Some(&b"ab"[..]));
        assert_eq!(attribute(&bytes[HEADERS..], 8), None);
        for cut in 0..6 {
            assert_eq!(attribute(&bytes[HEADERS..HEADERS + cut], 7), None);
        }
        assert_eq!(attribute(&[0; 8], 0), None, "a length of nothing ends the search");
    }
}
