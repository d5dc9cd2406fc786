//! A tap device: what is written to it is received by the namespace, before the write returns.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use libc::{c_char, c_short};

/// A tap device, up.
pub(super) struct Tap {
    device: File,
}

impl Tap {
    /// A device of this name in the namespace of this thread.
    pub(super) fn new(name: &str) -> io::Result<Tap> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        let mut request = request(name);
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as c_short;
        // SAFETY: the request is a whole `ifreq` that outlives the call.
        checked(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
        // SAFETY: takes no pointer.
        let socket =
            checked(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as c_short;
        // SAFETY: as above; the socket is open.
        let up = checked(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw mut request) });
        // SAFETY: opened above, and nobody else's.
        unsafe { libc::close(socket) };
        up?;
        Ok(Tap { device })
    }

    /// Lets the device receive a frame.
    pub(super) fn receive(&self, frame: &[u8]) -> io::Result<()> {
        match (&self.device).write(frame)? {
            written if written == frame.len() => Ok(()),
            _ => Err(io::Error::other("the tap device took a part of a frame")),
        }
    }
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: a structure of integers and unions of them, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as c_char;
    }
    request
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
