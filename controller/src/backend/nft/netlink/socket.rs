//! Talking to nf_tables.
//!
//! Promises: a batch is sent in one piece; what the kernel reports of it is read before this returns, and where reports
//! were lost ([`Sent::Unknown`]) that is said: the caller looks at the tables instead of guessing.

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{Socket, SocketAddr};
use nftnl::FinalizedBatch;
use nftnl::nftnl_sys::libc;

use crate::backend::uninterrupted::{disturbed, uninterrupted};

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

/// The bytes of a batch, which lie in one piece.
pub(in crate::backend::nft) fn page(batch: &FinalizedBatch) -> io::Result<&[u8]> {
    let mut pages = batch.iter();
    let (Some(page), None) = (pages.next(), pages.next()) else {
        return Err(io::Error::other("the batch does not lie in one piece"));
    };
    Ok(page)
}

/// The same without the end, which has the kernel judge it and take it back (`nfnetlink_rcv_batch`).
pub(in crate::backend::nft) fn endless(page: &[u8]) -> &[u8] {
    &page[..page.len().saturating_sub(HEADER + GENERIC)]
}

/// Sends a batch and reads what the kernel says of it.
pub(in crate::backend::nft) fn send(page: &[u8]) -> io::Result<Sent> {
    let socket = open()?;
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
        if take(&buffer, &mut replies)? {
            return Ok(replies);
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

/// Takes the replies out of one datagram of a dump; true after the last.
///
/// Any message may carry `NLM_F_DUMP_INTR`, and the last alone does where the change took away all that was still to be
/// listed (`netlink_dump_done`). The last may also tell why the kernel did not get to the end.
fn take(datagram: &[u8], replies: &mut Vec<Reply>) -> io::Result<bool> {
    for message in messages(datagram) {
        if message.flags() & libc::NLM_F_DUMP_INTR as u16 != 0 {
            return Err(disturbed());
        }
        if let Some(error) = failure(&message) {
            return Err(error);
        }
        if message.message_type() == DONE {
            return Ok(true);
        }
        replies.push(reply(&message));
    }
    Ok(false)
}

/// The messages of a batch, each with its type (without the subsystem).
pub(in crate::backend::nft) fn replies(datagram: &[u8]) -> Vec<(i32, Reply)> {
    messages(datagram).map(|message| (i32::from(message.message_type() & 0xff), reply(&message))).collect()
}

fn reply(message: &NetlinkBuffer<&[u8]>) -> Reply {
    Reply { attributes: message.payload().get(GENERIC..).unwrap_or_default().to_vec() }
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

/// The error that a message reports: one of its own kind, or the last of a dump.
fn failure(message: &NetlinkBuffer<&[u8]>) -> Option<io::Error> {
    if ![ERROR, DONE].contains(&message.message_type()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: u16 = SUBSYSTEM | libc::NFT_MSG_NEWRULE as u16;

    fn message(kind: u16, flags: i32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        let mut header = NetlinkBuffer::new(&mut bytes);
        header.set_length((HEADER + payload.len()) as u32);
        header.set_message_type(kind);
        header.set_flags((libc::NLM_F_MULTI | flags) as u16);
        [&bytes, payload].concat()
    }

    fn done(flags: i32, code: i32) -> Vec<u8> {
        message(DONE, flags, &code.to_ne_bytes())
    }

    fn rule(flags: i32) -> Vec<u8> {
        message(RULE, flags, &[5, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 1])
    }

    /// How many replies a dump of these datagrams has; the kind of error, and its number, where it fails.
    fn dumped(datagrams: &[Vec<Vec<u8>>]) -> Result<usize, (io::ErrorKind, Option<i32>)> {
        let mut replies = Vec::new();
        for datagram in datagrams {
            match take(&datagram.concat(), &mut replies) {
                Ok(true) => return Ok(replies.len()),
                Ok(false) => {}
                Err(error) => return Err((error.kind(), error.raw_os_error())),
            }
        }
        panic!("it has no end");
    }

    /// Goal: no list that a change cut through is taken for whole. Method: the kernel's flag on each message there is, the
    /// last included, which alone has it where the rest of the list was taken away.
    #[test]
    fn a_dump_that_was_disturbed_is_none_whichever_message_says_so() {
        assert_eq!(dumped(&[vec![rule(0), rule(0)], vec![done(0, 0)]]), Ok(2));
        let disturbed = Err((io::ErrorKind::Interrupted, None));
        let flag = libc::NLM_F_DUMP_INTR;
        assert_eq!(dumped(&[vec![rule(0), rule(flag)], vec![done(0, 0)]]), disturbed);
        assert_eq!(dumped(&[vec![rule(0)], vec![done(flag, 0)]]), disturbed);
        assert_eq!(dumped(&[vec![done(flag, 0)]]), disturbed);
        // The set went away halfway: asked again, the kernel says what is there now.
        assert_eq!(dumped(&[vec![rule(0)], vec![done(flag, -libc::ENOENT)]]), disturbed);
    }

    #[test]
    fn a_dump_that_did_not_get_to_its_end_fails() {
        let refused = |number| Err((io::Error::from_raw_os_error(number).kind(), Some(number)));
        assert_eq!(dumped(&[vec![rule(0)], vec![done(0, -libc::ENOMEM)]]), refused(libc::ENOMEM));
        let error = message(ERROR, 0, &(-libc::EPERM).to_ne_bytes());
        assert_eq!(dumped(&[vec![error]]), refused(libc::EPERM));
    }
}
