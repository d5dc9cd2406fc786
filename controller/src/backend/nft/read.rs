//! A table as the kernel has it.
//!
//! Promises: only reads. What changes while it is read is read again.

use std::collections::BTreeMap;
use std::io;

use netlink_packet_core::{NLA_TYPE_MASK, NlaBuffer, NlasIterator};
use nftnl::nftnl_sys::libc;

use super::ir::BASE;
use super::netlink::numbers;
use super::netlink::socket::{Reply, dump, get, number as number_of, text};
use crate::backend::uninterrupted::undisturbed;

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: String,
    /// The device and the policy of the base chain.
    pub(super) hook: Option<Hook>,
}

/// Where the base chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// None once the device is gone; a name with `*` at its end stands for all that begin so.
    pub(super) devices: Vec<String>,
    /// Which hook of a device it is: 0 is that of frames that come in.
    pub(super) number: u32,
    /// Frames that fall through pass.
    pub(super) accept: bool,
    pub(super) priority: i32,
    /// The NIC is to judge instead of the kernel.
    pub(super) offloaded: bool,
}

/// A rule, in the kernel's own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) chain: String,
    pub(super) expressions: Vec<u8>,
    pub(super) userdata: Vec<u8>,
}

/// A named counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) name: String,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// A dump that nothing disturbed; empty where there is no table of that name.
fn listed(kind: i32, attributes: &[u8]) -> io::Result<Vec<Reply>> {
    match undisturbed(|| dump(kind, attributes)) {
        // The kernel says so instead of listing nothing.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        other => other,
    }
}

/// The names of all netdev tables.
pub(super) fn tables() -> io::Result<Vec<String>> {
    Ok(handles()?.into_keys().collect())
}

/// All netdev tables with their handles, each of which one table of a network namespace has had: 0 before Linux 4.17.
pub(super) fn handles() -> io::Result<BTreeMap<String, u64>> {
    let replies = listed(libc::NFT_MSG_GETTABLE, &[])?;
    let table = |reply: &Reply| {
        let handle = wide(&reply.attributes, numbers::TABLE_HANDLE).unwrap_or_default();
        Some((string(&reply.attributes, numbers::TABLE_NAME)?, handle))
    };
    Ok(replies.iter().filter_map(table).collect())
}

/// Whether a table is there and told to sleep: then none of its chains meets a frame.
pub(super) fn is_dormant(table: &str) -> io::Result<bool> {
    let found = get(libc::NFT_MSG_GETTABLE, &text(numbers::TABLE_NAME, table))?;
    let flags = found.and_then(|reply| number(&reply.attributes, numbers::TABLE_FLAGS));
    Ok(flags.is_some_and(|flags| flags & numbers::TABLE_DORMANT != 0))
}

/// The chains of a table.
pub(super) fn chains(table: &str) -> io::Result<Vec<Chain>> {
    let replies = listed(libc::NFT_MSG_GETCHAIN, &text(numbers::CHAIN_TABLE, table))?;
    let ours = replies.iter().filter(|reply| is_of(reply, numbers::CHAIN_TABLE, table));
    Ok(ours
        .filter_map(|reply| {
            let name = string(&reply.attributes, numbers::CHAIN_NAME)?;
            Some(Chain { name, hook: hook(&reply.attributes) })
        })
        .collect())
}

fn hook(chain: &[u8]) -> Option<Hook> {
    let hook = attribute(chain, numbers::CHAIN_HOOK)?;
    let accept = number(chain, numbers::CHAIN_POLICY).is_some_and(|policy| policy == libc::NF_ACCEPT as u32);
    let flags = number(chain, numbers::CHAIN_FLAGS).unwrap_or_default();
    Some(Hook {
        devices: devices(&hook),
        number: number(&hook, numbers::HOOK_NUMBER)?,
        accept,
        priority: number(&hook, numbers::HOOK_PRIORITY)? as i32,
        offloaded: flags & numbers::CHAIN_OFFLOADED != 0,
    })
}

fn devices(hook: &[u8]) -> Vec<String> {
    // Before Linux 5.5 there is no list.
    let Some(list) = attribute(hook, numbers::HOOK_DEVS) else {
        return string(hook, numbers::HOOK_DEV).into_iter().collect();
    };
    let name = |(kind, value): (i32, Vec<u8>)| match kind {
        numbers::DEVICE_NAME => Some(words(&value)?),
        numbers::DEVICE_PREFIX => Some(format!("{}*", words(&value)?)),
        _ => None,
    };
    attributes(&list).into_iter().filter_map(name).collect()
}

/// The rules of a table, in their order, or those of one chain.
pub(super) fn rules(table: &str, chain: Option<&str>) -> io::Result<Vec<Rule>> {
    let mut request = text(numbers::RULE_TABLE, table);
    if let Some(chain) = chain {
        request.extend(text(numbers::RULE_CHAIN, chain));
    }
    let replies = listed(libc::NFT_MSG_GETRULE, &request)?;
    let ours = replies.iter().filter(|reply| is_of(reply, numbers::RULE_TABLE, table));
    Ok(ours
        .filter_map(|reply| {
            Some(Rule {
                chain: string(&reply.attributes, numbers::RULE_CHAIN)?,
                expressions: attribute(&reply.attributes, numbers::RULE_EXPRESSIONS).unwrap_or_default(),
                userdata: attribute(&reply.attributes, numbers::RULE_USERDATA).unwrap_or_default(),
            })
        })
        .filter(|rule| chain.is_none_or(|chain| rule.chain == chain))
        .collect())
}

/// The names of the sets and maps of a table.
pub(super) fn sets(table: &str) -> io::Result<Vec<String>> {
    let replies = listed(libc::NFT_MSG_GETSET, &text(numbers::SET_TABLE, table))?;
    let ours = replies.iter().filter(|reply| is_of(reply, numbers::SET_TABLE, table));
    Ok(ours.filter_map(|reply| string(&reply.attributes, numbers::SET_NAME)).collect())
}

/// The counters of a table.
pub(super) fn counters(table: &str) -> io::Result<Vec<Counter>> {
    let replies = listed(libc::NFT_MSG_GETOBJ, &text(numbers::OBJECT_TABLE, table))?;
    let ours = replies.iter().filter(|reply| {
        is_of(reply, numbers::OBJECT_TABLE, table)
            && number(&reply.attributes, numbers::OBJECT_TYPE) == Some(numbers::COUNTER_OBJECT)
    });
    Ok(ours.filter_map(told).collect())
}

/// One counter of a table; `None` where the table or the counter is not there.
pub(super) fn counter(table: &str, name: &str) -> io::Result<Option<Counter>> {
    let kind = number_of(numbers::OBJECT_TYPE, numbers::COUNTER_OBJECT);
    let which = [text(numbers::OBJECT_TABLE, table), text(numbers::OBJECT_NAME, name), kind].concat();
    Ok(get(libc::NFT_MSG_GETOBJ, &which)?.as_ref().and_then(told))
}

fn told(reply: &Reply) -> Option<Counter> {
    let data = attribute(&reply.attributes, numbers::OBJECT_DATA)?;
    Some(Counter {
        name: string(&reply.attributes, numbers::OBJECT_NAME)?,
        packets: wide(&data, numbers::COUNTER_PACKETS)?,
        bytes: wide(&data, numbers::COUNTER_BYTES)?,
    })
}

/// The comment of a rule.
pub(super) fn comment(rule: &Rule) -> Option<String> {
    // Type, length, text with its zero byte.
    let [0, length, text @ ..] = rule.userdata.as_slice() else { return None };
    let text = text.get(..usize::from(*length).checked_sub(1)?)?;
    String::from_utf8(text.to_vec()).ok()
}

/// The rules of the base chain.
pub(super) fn base_rules(table: &str) -> io::Result<Vec<Rule>> {
    rules(table, Some(BASE))
}

/// The elements of a set, as messages that hold them.
pub(super) fn elements(table: &str, set: &str) -> io::Result<Vec<Reply>> {
    let request = [text(numbers::ELEMENTS_TABLE, table), text(numbers::ELEMENTS_SET, set)];
    listed(libc::NFT_MSG_GETSETELEM, &request.concat())
}

fn is_of(reply: &Reply, kind: i32, table: &str) -> bool {
    string(&reply.attributes, kind).is_some_and(|name| name == table)
}

/// The value of the first attribute of a kind.
pub(super) fn attribute(bytes: &[u8], kind: i32) -> Option<Vec<u8>> {
    NlasIterator::new(bytes)
        .map_while(Result::ok)
        .find(|one: &NlaBuffer<&[u8]>| i32::from(one.kind() & NLA_TYPE_MASK) == kind)
        .map(|one| one.value().to_vec())
}

/// Every attribute: its kind and its value.
pub(super) fn attributes(bytes: &[u8]) -> Vec<(i32, Vec<u8>)> {
    NlasIterator::new(bytes)
        .map_while(Result::ok)
        .map(|one: NlaBuffer<&[u8]>| (i32::from(one.kind() & NLA_TYPE_MASK), one.value().to_vec()))
        .collect()
}

fn string(bytes: &[u8], kind: i32) -> Option<String> {
    words(&attribute(bytes, kind)?)
}

/// Text up to its zero byte.
fn words(value: &[u8]) -> Option<String> {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8(value[..end].to_vec()).ok()
}

fn number(bytes: &[u8], kind: i32) -> Option<u32> {
    Some(u32::from_be_bytes(attribute(bytes, kind)?.try_into().ok()?))
}

fn wide(bytes: &[u8], kind: i32) -> Option<u64> {
    Some(u64::from_be_bytes(attribute(bytes, kind)?.try_into().ok()?))
}
