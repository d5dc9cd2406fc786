//! Questions over netlink, of any family, and all of the kernel's answer.

use std::convert::Infallible;
use std::io;

use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use crate::backend::uninterrupted::{disturbed, undisturbed, uninterrupted};

/// What configures nfnetlink_log (`NFULNL_MSG_CONFIG`), and its attribute with a command (`NFULA_CFG_CMD`).
pub(super) const LOG_CONFIGURE: u16 = 4 << 8 | 1;
pub(super) const LOG_COMMAND: u16 = 1;

/// Attributes in their order: number and value.
pub(super) type Attributes = Vec<(u16, Vec<u8>)>;

/// A message of a family that no crate wraps here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) kind: u16,
    /// What follows the netlink header: the family's own header of four bytes, then attributes.
    pub(super) bytes: Vec<u8>,
}

impl Raw {
    pub(super) fn new(kind: u16, family_header: [u8; 4], attributes: &[DefaultNla]) -> Raw {
        let mut bytes = vec![0; family_header.len() + attributes.buffer_len()];
        let (header, rest) = bytes.split_at_mut(family_header.len());
        header.copy_from_slice(&family_header);
        attributes.emit(rest);
        Raw { kind, bytes }
    }

    /// The attributes after the family's header.
    pub(super) fn attributes(&self) -> Attributes {
        attributes(self.bytes.get(4..).unwrap_or_default())
    }
}

/// The attributes in `bytes`; those behind the first damaged one are not there.
pub(super) fn attributes(bytes: &[u8]) -> Attributes {
    NlasIterator::new(bytes).map_while(Result::ok).map(|one| (one.kind(), one.value().to_vec())).collect()
}

/// The value of the first attribute with this number.
pub(super) fn value(attributes: &[(u16, Vec<u8>)], kind: u16) -> Option<&[u8]> {
    attributes.iter().find(|one| one.0 == kind).map(|one| one.1.as_slice())
}

/// Text that ends with a zero byte, or with the attribute.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

impl NetlinkSerializable for Raw {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.bytes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.bytes);
    }
}

impl NetlinkDeserializable for Raw {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Raw, Infallible> {
        Ok(Raw { kind: header.message_type, bytes: payload.to_vec() })
    }
}

/// Everything that the kernel lists; what changes meanwhile is listed again.
pub(super) fn dump<M>(protocol: isize, question: M) -> io::Result<Vec<M>>
where
    M: NetlinkSerializable + NetlinkDeserializable,
{
    let question = packed(question, NLM_F_REQUEST | NLM_F_DUMP);
    undisturbed(|| {
        // A socket of its own each time: what is left of a list that was given up is not read.
        let socket = open(protocol)?;
        uninterrupted(|| socket.send(&question, 0))?;
        let mut found = Vec::new();
        while !receive(&socket, &mut found)? {}
        Ok(found)
    })
}

/// The one answer to a question.
pub(super) fn ask<M>(protocol: isize, question: M) -> io::Result<M>
where
    M: NetlinkSerializable + NetlinkDeserializable,
{
    let socket = open(protocol)?;
    let question = packed(question, NLM_F_REQUEST);
    uninterrupted(|| socket.send(&question, 0))?;
    let mut found = Vec::new();
    receive(&socket, &mut found)?;
    found.pop().ok_or_else(|| io::Error::other("the kernel answered with nothing"))
}

/// Sends messages as one, and waits for the kernel's word on the one that asked for it.
pub(super) fn acknowledged(protocol: isize, messages: Vec<(Raw, u16)>) -> io::Result<()> {
    let socket = open(protocol)?;
    let bytes: Vec<u8> = messages.into_iter().flat_map(|(message, flags)| packed(message, flags)).collect();
    uninterrupted(|| socket.send(&bytes, 0))?;
    receive::<Raw>(&socket, &mut Vec::new()).map(drop)
}

/// Asks for nfnetlink_log, which a kernel that has it as a module loads then. That no family is to log there changes nothing.
///
/// # Errors
/// The kernel has none, or this user may not ask.
pub(super) fn ask_for_log() -> io::Result<()> {
    const UNBIND_FAMILY: u8 = 4;
    let command = DefaultNla::new(LOG_COMMAND, vec![UNBIND_FAMILY]);
    let message = Raw::new(LOG_CONFIGURE, [0; 4], &[command]);
    acknowledged(NETLINK_NETFILTER, vec![(message, NLM_F_REQUEST | NLM_F_ACK)])
}

fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// A message as it is sent.
pub(super) fn packed<M: NetlinkSerializable>(message: M, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Reads one datagram; true after the last message of the answer.
fn receive<M>(socket: &Socket, found: &mut Vec<M>) -> io::Result<bool>
where
    M: NetlinkDeserializable,
{
    let (bytes, _) = uninterrupted(|| socket.recv_from_full())?;
    take(&bytes, found)
}

/// Takes one datagram apart; true after the last message of the answer.
fn take<M>(mut rest: &[u8], found: &mut Vec<M>) -> io::Result<bool>
where
    M: NetlinkDeserializable,
{
    while !rest.is_empty() {
        let message = NetlinkMessage::<M>::deserialize(rest).map_err(io::Error::other)?;
        // On any message, the last included.
        if message.header.flags & NLM_F_DUMP_INTR != 0 {
            return Err(disturbed());
        }
        match message.payload {
            NetlinkPayload::InnerMessage(one) => found.push(one),
            NetlinkPayload::Done(done) if done.code < 0 => {
                return Err(io::Error::from_raw_os_error(-done.code));
            }
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(true),
            _ => return Err(io::Error::other("the kernel's answer was cut off")),
        }
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::DoneMessage;

    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_written() {
        let written = [DefaultNla::new(2, b"netdev\0".to_vec()), DefaultNla::new(1, vec![7, 0])];
        let message = Raw::new(16, [3, 1, 0, 0], &written);
        let read = message.attributes();
        assert_eq!(value(&read, 2).map(text).as_deref(), Some("netdev"));
        assert_eq!(value(&read, 1), Some(&[7, 0][..]));
        assert_eq!(value(&read, 9), None);
        assert_eq!(attributes(&[9, 0, 1]), []);
    }
    /// Goal: no list that a change cut through is taken for whole. Method: the kernel's flag on a message, and on the last.
    #[test]
    fn a_list_that_was_disturbed_is_none() {
        let one = |flags| packed(Raw::new(16, [0; 4], &[]), flags);
        let end = |flags| {
            let mut header = NetlinkHeader::default();
            header.flags = flags;
            let mut done = DoneMessage::default();
            done.code = 0;
            let mut message = NetlinkMessage::<Raw>::new(header, NetlinkPayload::Done(done));
            message.finalize();
            let mut bytes = vec![0; message.buffer_len()];
            message.serialize(&mut bytes);
            bytes
        };
        let listed = |flags: [u16; 2]| {
            let mut found = Vec::<Raw>::new();
            let ended = take(&[one(flags[0]), end(flags[1])].concat(), &mut found);
            ended.map(|ended| (ended, found.len())).map_err(|error| error.kind())
        };
        assert_eq!(listed([0, 0]), Ok((true, 1)));
        for flags in [[NLM_F_DUMP_INTR, 0], [0, NLM_F_DUMP_INTR]] {
            assert_eq!(listed(flags), Err(io::ErrorKind::Interrupted));
        }
    }
}
