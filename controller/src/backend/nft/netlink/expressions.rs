//! Statements as the kernel's expressions.
//!
//! Promises: only expressions that Linux 6.1 has; every load goes to registers from the first on, and nothing is kept in
//! a register from one statement to the next.

use nftnl::nftnl_sys::{self as sys, libc};

use super::numbers::{COUNTER_OBJECT, META_TIME};
use super::objects::{Expression, Rule};
use crate::backend::nft::ir::{Field, Header, Raw, Relation, Statement, Verdict};

/// The first of the sixteen registers of four bytes.
const FIRST: u32 = libc::NFT_REG32_00 as u32;
const VERDICT: u32 = libc::NFT_REG_VERDICT as u32;
const REGISTER: usize = 4;
/// Of a limit: its unit in seconds, what it counts, and that what is beyond it goes on (`NFT_LIMIT_F_INV`).
const SECOND: u64 = 1;
const PACKETS: u32 = 0;
const OVER: u32 = 1;

/// Adds the expressions of a statement to a rule.
pub(super) fn add(rule: &Rule, statement: &Statement) {
    match statement {
        Statement::Compare { field, relation, value } => compare(rule, field, *relation, value),
        Statement::Member { fields, set, inside } => {
            load_all(rule, fields);
            let flags = if *inside { 0 } else { libc::NFT_LOOKUP_F_INV as u32 };
            rule.add(lookup(set).number(sys::NFTNL_EXPR_LOOKUP_FLAGS, flags));
        }
        Statement::Dispatch { fields, map } => {
            load_all(rule, fields);
            rule.add(lookup(map).number(sys::NFTNL_EXPR_LOOKUP_DREG, VERDICT));
        }
        Statement::Outside { field, low, high } => {
            load(rule, field, FIRST);
            rule.add(
                Expression::new(c"range")
                    .number(sys::NFTNL_EXPR_RANGE_SREG, FIRST)
                    .number(sys::NFTNL_EXPR_RANGE_OP, libc::NFT_RANGE_NEQ as u32)
                    .bytes(sys::NFTNL_EXPR_RANGE_FROM_DATA, low)
                    .bytes(sys::NFTNL_EXPR_RANGE_TO_DATA, high),
            );
        }
        Statement::CountBy { fields, map } => {
            load_all(rule, fields);
            rule.add(
                Expression::new(c"objref")
                    .number(sys::NFTNL_EXPR_OBJREF_SET_SREG, FIRST)
                    .text(sys::NFTNL_EXPR_OBJREF_SET_NAME, map),
            );
        }
        Statement::Count(name) => rule.add(
            Expression::new(c"objref")
                .number(sys::NFTNL_EXPR_OBJREF_IMM_TYPE, COUNTER_OBJECT)
                .text(sys::NFTNL_EXPR_OBJREF_IMM_NAME, name),
        ),
        Statement::Beyond { rate, burst } => rule.add(
            Expression::new(c"limit")
                .wide(sys::NFTNL_EXPR_LIMIT_RATE, u64::from(*rate))
                .wide(sys::NFTNL_EXPR_LIMIT_UNIT, SECOND)
                .number(sys::NFTNL_EXPR_LIMIT_BURST, *burst)
                .number(sys::NFTNL_EXPR_LIMIT_TYPE, PACKETS)
                .number(sys::NFTNL_EXPR_LIMIT_FLAGS, OVER),
        ),
        Statement::Log { group, prefix } => rule.add(
            Expression::new(c"log")
                .short(sys::NFTNL_EXPR_LOG_GROUP, *group)
                .text(sys::NFTNL_EXPR_LOG_PREFIX, prefix),
        ),
        Statement::Verdict(verdict) => rule.add(immediate(verdict)),
    }
}

fn compare(rule: &Rule, field: &Field, relation: Relation, value: &[u8]) {
    load(rule, field, FIRST);
    // The kernel compares bytes; what it counts itself has to be turned round before it is less or more.
    let ordered = matches!(relation, Relation::Below | Relation::Above);
    let mut value = value.to_vec();
    match field {
        Field::Length | Field::LengthBits(_) if ordered => rule.add(network_order(FIRST, 4)),
        Field::Time => rule.add(network_order(FIRST, 8)),
        Field::Length | Field::LengthBits(_) if cfg!(target_endian = "little") => value.reverse(),
        _ => {}
    }
    let operation = match relation {
        Relation::Equal => libc::NFT_CMP_EQ,
        Relation::Differs => libc::NFT_CMP_NEQ,
        Relation::Below => libc::NFT_CMP_LT,
        Relation::Above => libc::NFT_CMP_GT,
    };
    rule.add(
        Expression::new(c"cmp")
            .number(sys::NFTNL_EXPR_CMP_SREG, FIRST)
            .number(sys::NFTNL_EXPR_CMP_OP, operation as u32)
            .bytes(sys::NFTNL_EXPR_CMP_DATA, &value),
    );
}

/// Turns a number of so many bytes round.
fn network_order(register: u32, bytes: u32) -> Expression {
    Expression::new(c"byteorder")
        .number(sys::NFTNL_EXPR_BYTEORDER_SREG, register)
        .number(sys::NFTNL_EXPR_BYTEORDER_DREG, register)
        .number(sys::NFTNL_EXPR_BYTEORDER_OP, libc::NFT_BYTEORDER_HTON as u32)
        .number(sys::NFTNL_EXPR_BYTEORDER_LEN, bytes)
        .number(sys::NFTNL_EXPR_BYTEORDER_SIZE, bytes)
}

fn lookup(set: &str) -> Expression {
    Expression::new(c"lookup")
        .number(sys::NFTNL_EXPR_LOOKUP_SREG, FIRST)
        .text(sys::NFTNL_EXPR_LOOKUP_SET, set)
}

fn immediate(verdict: &Verdict) -> Expression {
    let (code, chain) = code(verdict);
    let expression = Expression::new(c"immediate")
        .number(sys::NFTNL_EXPR_IMM_DREG, VERDICT)
        .number(sys::NFTNL_EXPR_IMM_VERDICT, code as u32);
    match chain {
        Some(chain) => expression.text(sys::NFTNL_EXPR_IMM_CHAIN, chain),
        None => expression,
    }
}

/// The kernel's number of a verdict, and the chain it names.
pub(super) fn code(verdict: &Verdict) -> (i32, Option<&str>) {
    match verdict {
        Verdict::Accept => (libc::NF_ACCEPT, None),
        Verdict::Drop => (libc::NF_DROP, None),
        Verdict::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
        Verdict::Jump(chain) => (libc::NFT_JUMP, Some(chain)),
        Verdict::Return => (libc::NFT_RETURN, None),
    }
}

/// Loads the parts of a key one after the other, each on whole registers.
fn load_all(rule: &Rule, fields: &[Field]) {
    let mut register = FIRST;
    for field in fields {
        load(rule, field, register);
        if matches!(field, Field::Length | Field::LengthBits(_)) {
            rule.add(network_order(register, 4));
        }
        register += length(field).div_ceil(REGISTER) as u32;
    }
}

fn load(rule: &Rule, field: &Field, register: u32) {
    let meta = |key: i32| {
        Expression::new(c"meta")
            .number(sys::NFTNL_EXPR_META_KEY, key as u32)
            .number(sys::NFTNL_EXPR_META_DREG, register)
    };
    match field {
        Field::Protocol => rule.add(meta(libc::NFT_META_PROTOCOL)),
        Field::L4Protocol => rule.add(meta(libc::NFT_META_L4PROTO)),
        Field::Length => rule.add(meta(libc::NFT_META_LEN)),
        Field::Time => rule.add(meta(META_TIME)),
        Field::LengthBits(mask) => {
            rule.add(meta(libc::NFT_META_LEN));
            rule.add(masked(&mask.to_ne_bytes(), register));
        }
        other => {
            let raw = place(other);
            rule.add(payload(&raw, register));
            if let Some(mask) = &raw.mask {
                rule.add(masked(mask, register));
            }
        }
    }
}

fn payload(raw: &Raw, register: u32) -> Expression {
    let base = match raw.header {
        Header::Link => libc::NFT_PAYLOAD_LL_HEADER,
        Header::Network => libc::NFT_PAYLOAD_NETWORK_HEADER,
        Header::Transport => libc::NFT_PAYLOAD_TRANSPORT_HEADER,
    };
    Expression::new(c"payload")
        .number(sys::NFTNL_EXPR_PAYLOAD_DREG, register)
        .number(sys::NFTNL_EXPR_PAYLOAD_BASE, base as u32)
        .number(sys::NFTNL_EXPR_PAYLOAD_OFFSET, raw.offset)
        .number(sys::NFTNL_EXPR_PAYLOAD_LEN, raw.length)
}

fn masked(mask: &[u8], register: u32) -> Expression {
    Expression::new(c"bitwise")
        .number(sys::NFTNL_EXPR_BITWISE_SREG, register)
        .number(sys::NFTNL_EXPR_BITWISE_DREG, register)
        .number(sys::NFTNL_EXPR_BITWISE_LEN, mask.len() as u32)
        .bytes(sys::NFTNL_EXPR_BITWISE_MASK, mask)
        .bytes(sys::NFTNL_EXPR_BITWISE_XOR, &vec![0; mask.len()])
}

/// In bytes.
fn length(field: &Field) -> usize {
    match field {
        Field::Protocol => 2,
        Field::L4Protocol => 1,
        Field::Length | Field::LengthBits(_) => 4,
        Field::Time => 8,
        other => place(other).length as usize,
    }
}

/// Where a field with a name lies.
fn place(field: &Field) -> Raw {
    let (header, offset, length) = match field {
        Field::Ip4Source => (Header::Network, 12, 4),
        Field::Ip4Destination => (Header::Network, 16, 4),
        Field::Ip4Protocol => (Header::Network, 9, 1),
        Field::Ip6Next => (Header::Network, 6, 1),
        Field::Ip6Source => (Header::Network, 8, 16),
        Field::Ip6Destination => (Header::Network, 24, 16),
        Field::SourcePort => (Header::Transport, 0, 2),
        Field::DestinationPort => (Header::Transport, 2, 2),
        Field::IcmpType | Field::Icmp6Type => (Header::Transport, 0, 1),
        Field::IcmpCode | Field::Icmp6Code => (Header::Transport, 1, 1),
        Field::Raw(raw) => return raw.clone(),
        Field::Prefix(of, rest) => {
            let raw = place(of);
            let mask = u128::MAX.checked_shl(*rest).unwrap_or(0).to_be_bytes();
            return Raw { mask: Some(mask[mask.len() - raw.length as usize..].to_vec()), ..raw };
        }
        Field::Protocol | Field::L4Protocol | Field::Length | Field::LengthBits(_) | Field::Time => {
            (Header::Link, 0, 0)
        }
    };
    Raw { header, offset, length, mask: None }
}
