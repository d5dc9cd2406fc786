//! Messages of nfnetlink_log (`linux/netfilter/nfnetlink_log.h`), as they come.

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{Socket, SocketAddr};

use crate::backend::nft::read::attribute;
use crate::backend::uninterrupted::uninterrupted;

const NETFILTER: isize = 12;
const SUBSYSTEM: u16 = 4 << 8;
const CONFIGURE: u16 = 1;
const PACKET: u16 = 0;
const COMMAND: u16 = 1;
const MODE: u16 = 2;
const THRESHOLD: u16 = 5;
const PREFIX: i32 = 10;
const BIND: u8 = 1;
const HEADER: usize = 16;
const GENERIC: usize = 4;

/// A group of the log.
pub(super) struct Log {
    socket: Socket,
}

impl Log {
    /// Binds to a group in the namespace of this thread; each message comes at once, without the packet.
    pub(super) fn new(group: u16) -> io::Result<Log> {
        let mut socket = Socket::new(NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let log = Log { socket };
        log.configure(group, COMMAND, &[BIND])?;
        // No bytes of the packet: range, mode, padding.
        log.configure(group, MODE, &[0; 6])?;
        log.configure(group, THRESHOLD, &1u32.to_be_bytes())?;
        Ok(log)
    }

    fn configure(&self, group: u16, kind: u16, value: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0; HEADER];
        bytes.extend([0, 0]);
        bytes.extend(group.to_be_bytes());
        bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let length = bytes.len() as u32;
        let mut header = NetlinkBuffer::new(&mut bytes);
        header.set_length(length);
        header.set_message_type(SUBSYSTEM | CONFIGURE);
        header.set_flags((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16);
        uninterrupted(|| self.socket.send(&bytes, 0))?;
        let (answer, _) = uninterrupted(|| self.socket.recv_from_full())?;
        let code = answer
            .get(HEADER..HEADER + 4)
            .map_or(0, |code| i32::from_ne_bytes([code[0], code[1], code[2], code[3]]));
        if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) }
    }

    /// The prefix of the next message; `None` where there is none.
    pub(super) fn next(&self) -> io::Result<Option<String>> {
        let mut buffer = Vec::with_capacity(1 << 16);
        match uninterrupted(|| self.socket.recv(&mut buffer, libc::MSG_DONTWAIT)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let message = NetlinkBuffer::new_checked(buffer.as_slice()).map_err(io::Error::other)?;
        if message.message_type() != SUBSYSTEM | PACKET {
            return Err(io::Error::other("the log tells something else than a packet"));
        }
        let prefix = attribute(message.payload().get(GENERIC..).unwrap_or_default(), PREFIX);
        let prefix = prefix.ok_or_else(|| io::Error::other("a message of the log has no prefix"))?;
        Ok(Some(String::from_utf8_lossy(&prefix).trim_end_matches('\0').to_owned()))
    }
}
