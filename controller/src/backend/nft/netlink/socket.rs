//! Talking to nf_tables.
//!
//! Promises: a batch is sent in one piece; what the kernel reports of it is read before this returns, and where reports
//! were lost ([`Sent::Unknown`]) that is said: the caller looks at the tables instead of guessing.

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{Socket, SocketAddr};
use nftnl::FinalizedBatch;
use nftnl::nftnl_sys::libc;

use crate::backend::uninterrupted::uninterrupted;

const NETFILTER: isize = 12;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Bytes of nfgenmsg.
const GENERIC: usize = 4;
const HEADER: usize = 16;
const SUBSYSTEM: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
/// Room for what the kernel has to report of one batch, or for a dump that we read at once.
const RECEIVE: usize = 8 << 20;
/// What the kernel's accounting adds to the bytes of a batch.
const OVERHEAD: usize = 1 << 20;

/// What became of a batch.
#[derive(Debug)]
pub(in crate::backend::nft) enum Sent {
    /// The kernel reported no error.
    Done,
    /// Nothing was changed.
    Refused(io::Error),
    /// Reports were lost: done or not, only the tables tell.
    Unknown(io::Error),
}

/// The attributes of one message of a dump.
#[derive(Debug)]
pub(in crate::backend::nft) struct Reply {
    pub(in crate::backend::nft) attributes: Vec<u8>,
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // Refused without CAP_NET_ADMIN, and so will be whatever needs it.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE);
    Ok(socket)
}

/// Sends a batch and reads what the kernel says of it.
pub(in crate::backend::nft) fn send(batch: &FinalizedBatch) -> io::Result<Sent> {
    let socket = open()?;
    let mut pages = batch.iter();
    let (Some(page), None) = (pages.next(), pages.next()) else {
        return Err(io::Error::other("the batch does not lie in one piece"));
    };
    rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, page.len() + OVERHEAD)?;
    match socket.send(page, 0) {
        Ok(_) => {}
        // Too large, or no rights: the kernel has not seen it.
        Err(error) => return Ok(Sent::Refused(error)),
    }
    // The kernel has worked through the batch before `send` returns: what it has to say is there.
    loop {
        let mut buffer = Vec::with_capacity(1 << 16);
        match uninterrupted(|| socket.recv(&mut buffer, libc::MSG_DONTWAIT)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Sent::Done),
            Err(error) => return Ok(Sent::Unknown(error)),
        }
        if let Some(error) = messages(&buffer).find_map(|message| failure(&message)) {
            return Ok(Sent::Refused(error));
        }
    }
}

/// Asks for everything of one kind; `attributes` are those of the request.
pub(in crate::backend::nft) fn dump(kind: i32, attributes: &[u8]) -> io::Result<Vec<Reply>> {
    let socket = open()?;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    let request = request(kind, flags as u16, attributes);
    uninterrupted(|| socket.send(&request, 0))?;
    let mut replies = Vec::new();
    loop {
        let mut buffer = Vec::with_capacity(1 << 20);
        uninterrupted(|| socket.recv(&mut buffer, 0))?;
        for message in messages(&buffer) {
            if message.message_type() == DONE {
                return Ok(replies);
            }
            if let Some(error) = failure(&message) {
                return Err(error);
            }
            if message.flags() & libc::NLM_F_DUMP_INTR as u16 != 0 {
                return Err(io::Error::new(
                    io::ErrorKind::Interrupted,
                    "the tables changed while they were read",
                ));
            }
            let attributes = message.payload().get(GENERIC..).unwrap_or_default().to_vec();
            replies.push(Reply { attributes });
        }
    }
}

/// Asks for one thing; `None` where it is not there.
pub(in crate::backend::nft) fn get(kind: i32, attributes: &[u8]) -> io::Result<Option<Reply>> {
    let socket = open()?;
    let request = request(kind, libc::NLM_F_REQUEST as u16, attributes);
    uninterrupted(|| socket.send(&request, 0))?;
    let mut buffer = Vec::with_capacity(1 << 16);
    uninterrupted(|| socket.recv(&mut buffer, 0))?;
    match messages(&buffer).find_map(|message| failure(&message)) {
        Some(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Some(error) => Err(error),
        None => Ok(replies(&buffer).into_iter().next().map(|(_, reply)| reply)),
    }
}

/// The messages of a batch, each with its type (without the subsystem).
pub(in crate::backend::nft) fn replies(datagram: &[u8]) -> Vec<(i32, Reply)> {
    let reply = |message: NetlinkBuffer<&[u8]>| {
        let attributes = message.payload().get(GENERIC..).unwrap_or_default().to_vec();
        (i32::from(message.message_type() & 0xff), Reply { attributes })
    };
    messages(datagram).map(reply).collect()
}

/// A request with a header, nfgenmsg for netdev, and attributes.
fn request(kind: i32, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + GENERIC];
    let length = bytes.len() + attributes.len();
    bytes[HEADER] = libc::NFPROTO_NETDEV as u8;
    let mut header = NetlinkBuffer::new(&mut bytes);
    header.set_length(length as u32);
    header.set_message_type(SUBSYSTEM | kind as u16);
    header.set_flags(flags);
    header.set_sequence_number(1);
    bytes.extend_from_slice(attributes);
    bytes
}

/// The messages of one datagram.
pub(in crate::backend::nft) fn messages(datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        let length = (message.length() as usize).next_multiple_of(4).min(rest.len());
        rest = &rest[length..];
        Some(message)
    })
}

/// The error that a message reports.
fn failure(message: &NetlinkBuffer<&[u8]>) -> Option<io::Error> {
    if message.message_type() != ERROR {
        return None;
    }
    let code = i32::from_ne_bytes(message.payload().get(..4)?.try_into().ok()?);
    (code != 0).then(|| io::Error::from_raw_os_error(-code))
}

/// An attribute with a text, for a request.
pub(in crate::backend::nft) fn text(kind: i32, text: &str) -> Vec<u8> {
    let length = 4 + text.len() + 1;
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend_from_slice(&(length as u16).to_ne_bytes());
    bytes.extend_from_slice(&(kind as u16).to_ne_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// An attribute with a number, for a request.
pub(in crate::backend::nft) fn number(kind: i32, number: u32) -> Vec<u8> {
    [&8u16.to_ne_bytes()[..], &(kind as u16).to_ne_bytes(), &number.to_be_bytes()].concat()
}

/// The number of the rules' generation in this network namespace; it rises with every transaction that changes them.
pub(in crate::backend::nft) fn generation() -> io::Result<u32> {
    let socket = open()?;
    let request = request(libc::NFT_MSG_GETGEN, libc::NLM_F_REQUEST as u16, &[]);
    uninterrupted(|| socket.send(&request, 0))?;
    let mut buffer = Vec::with_capacity(1 << 16);
    uninterrupted(|| socket.recv(&mut buffer, 0))?;
    let found = messages(&buffer).find_map(|message| {
        // The first attribute is the number (NFTA_GEN_ID).
        let value = message.payload().get(GENERIC + 4..GENERIC + 8)?;
        Some(u32::from_be_bytes(value.try_into().ok()?))
    });
    found.ok_or_else(|| io::Error::other("the kernel does not say which generation of rules is in force"))
}
