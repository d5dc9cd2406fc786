//! A network namespace with two ends of a wire, for the thread that makes it; it goes with the thread.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

/// The end that is enforced, and the end that sends.
pub(crate) struct Wire {
    pub(crate) device: u32,
    sender: OwnedFd,
}

impl Wire {
    /// Moves this thread into a namespace of its own, with `wan0` and `lan0` tied together.
    pub(crate) fn new(mtu: u32) -> Self {
        // SAFETY: takes no pointer; only this thread is moved.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", io::Error::last_os_error());
        let mtu = mtu.to_string();
        ip(&["link", "add", "wan0", "mtu", &mtu, "type", "veth", "peer", "name", "lan0", "mtu", &mtu]);
        for end in ["wan0", "lan0"] {
            // No neighbour discovery of the kernel's own between the frames of a test.
            let path = format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6");
            assert!(!std::fs::exists(&path).unwrap() || std::fs::write(&path, "1").is_ok(), "{path}");
            ip(&["link", "set", end, "addrgenmode", "none", "up"]);
        }
        Wire { device: index("wan0"), sender: packet_socket(index("lan0")) }
    }

    /// Sends one frame as it is.
    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: the buffer is given with its length and outlives the call.
        let sent = unsafe { libc::send(self.sender.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn index(device: &str) -> u32 {
    let name = std::ffi::CString::new(device).unwrap();
    // SAFETY: the name ends with a zero byte.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "{device}");
    index
}

/// A socket that sends frames on a device.
fn packet_socket(device: u32) -> OwnedFd {
    // SAFETY: takes no pointer. Protocol 0: nothing is received.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: just opened, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a structure of integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = device as i32;
    let length = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: the address is given with its length and outlives the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    assert_eq!(bound, 0, "{}", io::Error::last_os_error());
    socket
}
