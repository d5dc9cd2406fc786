//! Messages of nfnetlink_log (`linux/netfilter/nfnetlink_log.h`), as they come.
//!
//! Promises: a group has one listener; what the kernel had to say and no room for is a gap in the numbers of the messages,
//! if it was asked to number them. A listener that is slow costs messages, never a frame.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_ACK, NLM_F_REQUEST, NetlinkBuffer};
use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt;

use super::netlink::socket::messages;
use super::read::{attribute, attributes};
use crate::backend::netlink::{LOG_COMMAND, LOG_CONFIGURE, Raw, packed};
use crate::backend::uninterrupted::uninterrupted;

const NETFILTER: isize = 12;
const SUBSYSTEM: u16 = 4 << 8;
const PACKET: u16 = 0;
const ERROR: u16 = 2;
const GENERIC: usize = 4;
const ETHERNET: usize = 14;

/// What is configured (`NFULA_CFG_*`).
const MODE: u16 = 2;
const PATIENCE: u16 = 4;
const THRESHOLD: u16 = 5;
const FLAGS: u16 = 6;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const NUMBERED: u16 = 1;

/// What a message holds (`NFULA_*`).
const TIME: i32 = 3;
const DEVICE: i32 = 4;
const PAYLOAD: i32 = 9;
const PREFIX: i32 = 10;
const NUMBER: i32 = 12;
const LINK: i32 = 16;
const VLAN: i32 = 20;
const VLAN_PROTOCOL: i32 = 1;
const VLAN_TCI: i32 = 2;

/// Messages that the kernel collects before it hands them on, unless a tenth of a second passes.
const TOGETHER: u32 = 32;
const TENTH: u32 = 10;
/// Room for messages that are not read yet: some thousands.
const RECEIVE: usize = 8 << 20;

/// Bytes of the largest datagram: one frame, or some that are smaller.
const LARGEST: usize = 1 << 17;

/// A group of the log.
pub(super) struct Log {
    socket: Socket,
    waiting: VecDeque<Told>,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) prefix: String,
    /// The index of the device that has received the frame.
    pub(super) device: u32,
    /// The frame as it was on the wire; nothing where it was not asked for.
    pub(super) frame: Vec<u8>,
    /// Seconds and microseconds since 1970, if the frame has a time.
    pub(super) time: Option<(u64, u64)>,
    /// One more than the message before.
    pub(super) number: Option<u32>,
}

impl Log {
    /// Binds to a group in the namespace of this thread; each message comes at once, without the frame.
    pub(super) fn prompt(group: u16) -> io::Result<Log> {
        let mut log = Log::bind(group)?;
        // No bytes of the packet: range, mode, padding.
        log.configure(group, MODE, &[0; 6])?;
        log.configure(group, THRESHOLD, &1u32.to_be_bytes())?;
        Ok(log)
    }

    /// The same for messages with a number and the whole frame, some at a time.
    pub(super) fn whole(group: u16) -> io::Result<Log> {
        let mut log = Log::bind(group)?;
        log.configure(group, FLAGS, &NUMBERED.to_be_bytes())?;
        log.configure(group, MODE, &[&u32::from(u16::MAX).to_be_bytes()[..], &[COPY_PACKET, 0]].concat())?;
        log.configure(group, PATIENCE, &TENTH.to_be_bytes())?;
        log.configure(group, THRESHOLD, &TOGETHER.to_be_bytes())?;
        Ok(log)
    }

    fn bind(group: u16) -> io::Result<Log> {
        let mut socket = Socket::new(NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Root of a user namespace gets what everybody gets.
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE)?;
        }
        let mut log = Log { socket, waiting: VecDeque::new() };
        log.configure(group, LOG_COMMAND, &[BIND])?;
        Ok(log)
    }

    fn configure(&mut self, group: u16, kind: u16, value: &[u8]) -> io::Result<()> {
        let [high, low] = group.to_be_bytes();
        let message = Raw::new(LOG_CONFIGURE, [0, 0, high, low], &[DefaultNla::new(kind, value.to_vec())]);
        let bytes = packed(message, NLM_F_REQUEST | NLM_F_ACK);
        uninterrupted(|| self.socket.send(&bytes, 0))?;
        loop {
            let (answer, _) = uninterrupted(|| self.socket.recv_from_full())?;
            // The group may tell of frames before everything is configured.
            self.waiting.extend(messages(&answer).filter_map(|message| told(&message)));
            let Some(report) = messages(&answer).find(|message| message.message_type() == ERROR) else {
                continue;
            };
            let code =
                report.payload().get(..4).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
            return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
        }
    }

    /// The next message; `None` where there is none.
    pub(super) fn next(&mut self) -> io::Result<Option<Told>> {
        while self.waiting.is_empty() {
            let mut buffer = Vec::with_capacity(LARGEST);
            match uninterrupted(|| self.socket.recv(&mut buffer, libc::MSG_DONTWAIT)) {
                Ok(_) => self.waiting.extend(messages(&buffer).filter_map(|message| told(&message))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // There was no room: the numbers tell how many are missing.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.waiting.pop_front())
    }
}

impl AsFd for Log {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message about a packet; `None` for another one.
fn told(message: &NetlinkBuffer<&[u8]>) -> Option<Told> {
    if message.message_type() != SUBSYSTEM | PACKET {
        return None;
    }
    let mut told = Told::default();
    let (mut link, mut tag, mut payload) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, value) in attributes(message.payload().get(GENERIC..)?) {
        match kind {
            PREFIX => told.prefix = String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned(),
            DEVICE => told.device = number(&value)?,
            NUMBER => told.number = number(&value),
            TIME => told.time = Some((wide(value.get(..8)?)?, wide(value.get(8..)?)?)),
            LINK => link = value,
            // The kernel took it off before the hook.
            VLAN => tag = [attribute(&value, VLAN_PROTOCOL)?, attribute(&value, VLAN_TCI)?].concat(),
            PAYLOAD => payload = value,
            _ => {}
        }
    }
    // Some drivers have headers of their own behind the 14 bytes of Ethernet.
    link.truncate(ETHERNET);
    let (addresses, kind) = link.split_at_checked(12).unwrap_or_default();
    told.frame = [addresses, &tag, kind, &payload].concat();
    Some(told)
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

fn wide(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}
