//! Sets, maps and their elements as messages.
//!
//! Promises: an element list fits into one attribute of 64 KiB. Exact keys are hashed, intervals of several parts are
//! the kernel's pipapo; both are told their size, so that the kernel takes the layout without a resize.

use nftnl::nftnl_sys::{self as sys, libc};

use super::expressions::code;
use super::numbers::{COUNTER_OBJECT, SET_CONCATENATION, SET_OBJECTS};
use super::objects::{Set, SetElement};
use crate::backend::nft::ir::{self, Element, Header, Maps, Part, To};

/// nft's numbers of the types of keys, which the kernel stores for those who list them.
fn type_number(part: &Part) -> u32 {
    match part {
        Part::Raw { .. } | Part::Length => 4,
        Part::Ip4 => 7,
        Part::Ip6 => 8,
        Part::EtherType => 10,
        Part::Protocol => 12,
        Part::Service => 13,
        Part::IcmpType => 14,
        Part::Icmp6Type => 29,
        Part::IcmpCode => 32,
        Part::Icmp6Code => 33,
    }
}

/// Bits of one type number in that of a concatenation.
const TYPE_BITS: u32 = 6;
/// The verdict as a type of data.
const VERDICT_TYPE: u32 = 0xffff_ff00;
const REGISTER: usize = 4;
/// Bytes of elements in one message; an attribute holds 65,535, and what wraps them takes a little.
const CHUNK: usize = 60_000;

/// The set itself, without elements.
pub(super) fn definition(table: &str, set: &ir::Set, id: u32) -> Set {
    let made = named(table, set, id);
    let concatenated = set.key.len() > 1;
    let mut flags = 0;
    if set.interval {
        flags |= libc::NFT_SET_INTERVAL as u32 | SET_CONCATENATION;
    }
    match set.map {
        Some(Maps::Verdicts) => {
            flags |= libc::NFT_SET_MAP as u32;
            made.number(sys::NFTNL_SET_DATA_TYPE, VERDICT_TYPE);
            made.number(sys::NFTNL_SET_DATA_LEN, 0);
        }
        Some(Maps::Counters) => {
            flags |= SET_OBJECTS;
            made.number(sys::NFTNL_SET_OBJ_TYPE, COUNTER_OBJECT);
        }
        None => {}
    }
    made.number(sys::NFTNL_SET_FLAGS, flags);
    let kind = set.key.iter().fold(0, |sum, part| sum << TYPE_BITS | type_number(part));
    made.number(sys::NFTNL_SET_KEY_TYPE, kind);
    let length: usize = if concatenated { set.key.iter().map(padded).sum() } else { set.key[0].length() };
    made.number(sys::NFTNL_SET_KEY_LEN, length as u32);
    if set.interval {
        let lengths: Vec<u8> = set.key.iter().map(|part| part.length() as u8).collect();
        made.bytes(sys::NFTNL_SET_DESC_CONCAT, &lengths);
    } else if let Some(size) = set.size() {
        made.number(sys::NFTNL_SET_DESC_SIZE, size as u32);
    }
    made.bytes(sys::NFTNL_SET_USERDATA, &userdata(set));
    made
}

fn named(table: &str, set: &ir::Set, id: u32) -> Set {
    let made = Set::new();
    made.text(sys::NFTNL_SET_TABLE, table);
    made.text(sys::NFTNL_SET_NAME, &set.name);
    made.number(sys::NFTNL_SET_FAMILY, libc::NFPROTO_NETDEV as u32);
    made.number(sys::NFTNL_SET_ID, id);
    made
}

/// The elements, as many messages as they need.
pub(super) fn elements(table: &str, set: &ir::Set, id: u32) -> impl Iterator<Item = Set> {
    let key: usize = set.key.iter().map(padded).sum();
    // Two keys, the name of a chain or a counter and eight attribute headers.
    let longest = set.elements.iter().filter_map(|element| element.to.as_ref()).map(|to| match to {
        To::Verdict(verdict) => code(verdict).1.map_or(0, str::len),
        To::Counter(name) => name.len(),
    });
    let each = 2 * key + longest.max().unwrap_or(0) + 64;
    let at_once = (CHUNK / each).max(1);
    set.elements.chunks(at_once).map(move |chunk| {
        let made = named(table, set, id);
        for one in chunk {
            made.add(element(set, one));
        }
        made
    })
}

fn element(set: &ir::Set, from: &Element) -> SetElement {
    let made = SetElement::new();
    let end = |at: fn(&(u128, u128)) -> u128| -> Vec<u8> {
        let parts = set.key.iter().zip(&from.key);
        let mut bytes = Vec::new();
        for (part, span) in parts {
            let number = at(span).to_be_bytes();
            bytes.extend_from_slice(&number[number.len() - part.length()..]);
            if set.key.len() > 1 {
                bytes.resize(bytes.len().next_multiple_of(REGISTER), 0);
            }
        }
        bytes
    };
    made.bytes(sys::NFTNL_SET_ELEM_KEY, &end(|span| span.0));
    if set.interval {
        made.bytes(sys::NFTNL_SET_ELEM_KEY_END, &end(|span| span.1));
    }
    match &from.to {
        Some(To::Verdict(verdict)) => {
            let (number, chain) = code(verdict);
            made.number(sys::NFTNL_SET_ELEM_VERDICT, number as u32);
            if let Some(chain) = chain {
                made.text(sys::NFTNL_SET_ELEM_CHAIN, chain);
            }
        }
        Some(To::Counter(name)) => made.text(sys::NFTNL_SET_ELEM_OBJREF, name),
        None => {}
    }
    made
}

fn padded(part: &Part) -> usize {
    part.length().next_multiple_of(REGISTER)
}

/// What nft keeps beside a set to list it as it was written: the byte order and, for numbers without a type, the field.
fn userdata(set: &ir::Set) -> Vec<u8> {
    const BYTE_ORDER: u8 = 0;
    const BIG_ENDIAN: u32 = 2;
    const KEY_TYPEOF: u8 = 3;
    const DATA_BYTE_ORDER: u8 = 1;
    const DATA_TYPEOF: u8 = 4;
    const DATA_INTERVAL: u8 = 6;
    const VERDICT: u32 = 1;
    const EXPRESSION: u8 = 0;
    const DATA: u8 = 1;
    const CONCATENATION: u32 = 13;
    let raw = set.key.iter().all(|part| matches!(part, Part::Raw { .. } | Part::Length));
    let concatenated = set.key.len() > 1;
    let mut bytes = number(BYTE_ORDER, if concatenated { 0 } else { BIG_ENDIAN });
    let verdicts = set.map == Some(Maps::Verdicts);
    if verdicts {
        bytes.extend(number(DATA_BYTE_ORDER, 0));
    }
    if raw && concatenated {
        let parts =
            (0..).zip(&set.key).flat_map(|(at, part)| nest(at, &typeof_raw(part))).collect::<Vec<u8>>();
        let inner = [number(EXPRESSION, CONCATENATION), nest(DATA, &parts)].concat();
        bytes.extend(nest(KEY_TYPEOF, &inner));
    } else if raw {
        bytes.extend(nest(KEY_TYPEOF, &typeof_raw(&set.key[0])));
    }
    if verdicts {
        bytes.extend(nest(DATA_TYPEOF, &[number(EXPRESSION, VERDICT), nest(DATA, &[])].concat()));
        bytes.extend(number(DATA_INTERVAL, 0));
    }
    bytes
}

/// `typeof @nh,96,32`, as nft stores it.
fn typeof_raw(part: &Part) -> Vec<u8> {
    const PAYLOAD: u32 = 7;
    const META: u32 = 9;
    let Part::Raw { header, offset, length } = part else {
        // The length of the packet, the first key of `meta`.
        return [number(0, META), nest(1, &number(0, 0))].concat();
    };
    let base = match header {
        Header::Link => 1,
        Header::Network => 2,
        Header::Transport => 3,
    };
    let place =
        [number(0, 0), number(1, 0), number(2, base), number(3, offset * 8), number(4, length * 8)].concat();
    [number(0, PAYLOAD), nest(1, &place)].concat()
}

fn number(kind: u8, number: u32) -> Vec<u8> {
    nest(kind, &number.to_ne_bytes())
}

/// Type, length, bytes.
fn nest(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind, bytes.len() as u8], bytes].concat()
}
