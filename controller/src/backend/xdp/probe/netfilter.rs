//! What nftables holds in this network namespace, and whether it takes a table of the netdev family.
//!
//! Promises: the table that is asked for is never made. Its batch has no end, which is how `nft --check` has the kernel
//! judge one and take it back (`nfnetlink_rcv_batch`).

use std::io;

use netlink_packet_core::{DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, parse_u32_be};
use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::backend::facts::{Chain, Flowtable, Nftables};
use crate::backend::netlink::{Attributes, Raw, acknowledged, attributes, dump, text, value};

/// `NFNL_SUBSYS_NFTABLES`; the upper half of every message type.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
const GET_FLOWTABLE: u16 = SUBSYSTEM << 8 | 23;
const NETDEV: u8 = 5;
const INET: u8 = 1;
/// `NF_NETDEV_INGRESS` and `NF_INET_INGRESS`, in the family each belongs to.
const INGRESS: [(u8, u32); 2] = [(NETDEV, 0), (INET, 5)];
const TABLE_NAME: u16 = 1;
/// Of chains and flowtables, whose attributes differ in number.
const CHAIN: [u16; 3] = [1, 3, 4];
const FLOWTABLE: [u16; 3] = [1, 2, 3];
const FLOWTABLE_FLAGS: u16 = 7;
const FLOWTABLE_HARDWARE: u32 = 1;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const HOOK_DEVICES: u16 = 4;
/// Of a flowtable's hook.
const FLOWTABLE_DEVICES: u16 = 3;

/// Everything that matters of nftables, where it `can_tell` of frames or not.
pub(super) fn nftables(can_tell: &io::Result<()>) -> io::Result<Nftables> {
    let list = |kind| dump(NETLINK_NETFILTER, Raw::new(kind, [0; 4], &[]));
    let tables = list(GET_TABLE)?;
    // Before Linux 4.16 there are no flowtables, which is as good as an empty list.
    let flowtables = match list(GET_FLOWTABLE) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Vec::new(),
        other => other?,
    };
    Ok(Nftables {
        netdev: netdev().map_err(|error| error.to_string()),
        tells: can_tell.as_ref().map(|_| ()).map_err(ToString::to_string),
        tables: tables.iter().filter_map(table).collect(),
        chains: list(GET_CHAIN)?.iter().filter_map(chain).collect(),
        flowtables: flowtables.iter().filter_map(flowtable).collect(),
    })
}

/// Has the kernel judge a table of the netdev family, without making it.
fn netdev() -> io::Result<()> {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    let begin = Raw::new(BATCH_BEGIN, [0, 0, high, low], &[]);
    let name = [DefaultNla::new(TABLE_NAME, b"perimeter-doctor\0".to_vec())];
    let table = Raw::new(NEW_TABLE, [NETDEV, 0, 0, 0], &name);
    acknowledged(
        NETLINK_NETFILTER,
        vec![(begin, NLM_F_REQUEST), (table, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK)],
    )
}

fn family(message: &Raw) -> Option<(u8, &'static str)> {
    let number = *message.bytes.first()?;
    let name = match number {
        INET => "inet",
        2 => "ip",
        3 => "arp",
        NETDEV => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "other",
    };
    Some((number, name))
}

fn table(message: &Raw) -> Option<String> {
    let name = text(value(&message.attributes(), TABLE_NAME)?);
    Some(format!("{} {name}", family(message)?.1))
}

/// `family table name`, and the attributes of the hook; nothing for what has no hook.
fn hooked(message: &Raw, [table, name, hook]: [u16; 3]) -> Option<(String, Attributes)> {
    let all = message.attributes();
    let (table, name) = (text(value(&all, table)?), text(value(&all, name)?));
    Some((format!("{} {table} {name}", family(message)?.1), attributes(value(&all, hook)?)))
}

/// A base chain on the ingress hook of devices.
fn chain(message: &Raw) -> Option<Chain> {
    let (name, hook) = hooked(message, CHAIN)?;
    let number = parse_u32_be(value(&hook, HOOK_NUMBER)?).ok()?;
    if !INGRESS.contains(&(family(message)?.0, number)) {
        return None;
    }
    let priority = parse_u32_be(value(&hook, HOOK_PRIORITY)?).ok()?.cast_signed();
    let mut devices = devices(&hook, HOOK_DEVICES);
    if let Some(device) = value(&hook, HOOK_DEVICE).map(text).filter(|device| !devices.contains(device)) {
        devices.push(device);
    }
    Some(Chain { name, devices, priority })
}

fn flowtable(message: &Raw) -> Option<Flowtable> {
    let (name, hook) = hooked(message, FLOWTABLE)?;
    let flags = value(&message.attributes(), FLOWTABLE_FLAGS).and_then(|bytes| parse_u32_be(bytes).ok());
    let hardware = flags.unwrap_or(0) & FLOWTABLE_HARDWARE != 0;
    Some(Flowtable { name, devices: devices(&hook, FLOWTABLE_DEVICES), hardware })
}

/// The names in a list of devices.
fn devices(hook: &[(u16, Vec<u8>)], list: u16) -> Vec<String> {
    value(hook, list).map(attributes).unwrap_or_default().iter().map(|one| text(&one.1)).collect()
}
