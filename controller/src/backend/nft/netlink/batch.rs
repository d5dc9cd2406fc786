//! One batch: everything that one transaction does to a table.
//!
//! Promises: the kernel does all of it or nothing. Nothing but the named table is named in it.

use std::ffi::c_void;

use nftnl::nftnl_sys::{self as sys, libc};
use nftnl::{FinalizedBatch, MsgType, NlMsg, nft_nlmsg_maxsize};

use super::numbers::{self, COUNTER_OBJECT};
use super::objects::{Chain, Object, Rule, Set, Table, header};
use super::{expressions, sets};
use crate::backend::nft::ir::{self, BASE, PRIORITY};
use crate::backend::nft::read;

/// A step of a transaction.
#[derive(Debug)]
pub(in crate::backend::nft) enum Step<'a> {
    /// Makes the table where it is not there, and wakes one that was told to sleep.
    Table,
    DeleteTable,
    /// Makes the counter where it is not there; one that is keeps its counts.
    Counter(&'a ir::Counter),
    Chain(&'a str),
    /// Makes the base chain, or gives it this policy.
    Base(&'a ir::Base),
    /// Gives the base chain another policy: true lets through what falls out of it.
    Policy(bool),
    /// Adds a rule as the kernel told it.
    Raw(&'a str, &'a read::Rule),
    /// Adds a rule at the end of a chain.
    Rule(&'a str, &'a ir::Rule),
    /// Removes the rules of a chain.
    Flush(&'a str),
    /// A set and its elements. The number is unique in the batch.
    Set(&'a ir::Set, u32),
    DeleteSet(&'a str),
    DeleteChain(&'a str),
}

/// The transaction of `steps` on one table, as bytes to send.
pub(in crate::backend::nft) fn build(table: &str, steps: &[Step<'_>]) -> FinalizedBatch {
    let mut batch = nftnl::Batch::with_page_size(room(steps));
    for step in steps {
        match step {
            Step::Set(set, id) => {
                let made = sets::definition(table, set, *id);
                add(&mut batch, libc::NFT_MSG_NEWSET, CREATE, |header| {
                    // SAFETY: header and set are live.
                    unsafe { sys::nftnl_set_nlmsg_build_payload(header, made.as_ptr()) }
                });
                for chunk in sets::elements(table, set, *id) {
                    add(&mut batch, libc::NFT_MSG_NEWSETELEM, CREATE, |header| {
                        // SAFETY: header and set are live; the elements fit into one message.
                        unsafe { sys::nftnl_set_elems_nlmsg_build_payload(header, chunk.as_ptr()) }
                    });
                }
            }
            Step::Table | Step::DeleteTable => add_table(&mut batch, table, step),
            Step::Counter(counter) => add_counter(&mut batch, table, counter),
            Step::Rule(chain, rule) => add_rule(&mut batch, table, chain, Some(rule)),
            Step::Flush(chain) => add_rule(&mut batch, table, chain, None),
            Step::Policy(accept) => add_policy(&mut batch, table, *accept),
            Step::Raw(chain, rule) => add_raw(&mut batch, table, chain, rule),
            Step::Chain(chain) => add_chain(&mut batch, table, chain, None, libc::NFT_MSG_NEWCHAIN),
            Step::Base(base) => add_chain(&mut batch, table, BASE, Some(base), libc::NFT_MSG_NEWCHAIN),
            Step::DeleteChain(chain) => add_chain(&mut batch, table, chain, None, libc::NFT_MSG_DELCHAIN),
            Step::DeleteSet(set) => delete_set(&mut batch, table, set),
        }
    }
    batch.finalize()
}

const CREATE: i32 = libc::NLM_F_CREATE;
const APPEND: i32 = libc::NLM_F_CREATE | libc::NLM_F_APPEND;

/// Room for the whole batch in one page: libnftnl sends each page as a batch of its own.
fn room(steps: &[Step<'_>]) -> u32 {
    let of = |step: &Step<'_>| match step {
        Step::Set(set, _) => 4096 + set.elements.len() * 320,
        Step::Rule(..) => 4096,
        _ => 512,
    };
    let bytes: usize = steps.iter().map(of).sum();
    u32::try_from(bytes).unwrap_or(u32::MAX).min(1 << 30) + nft_nlmsg_maxsize()
}

/// A message whose payload `build` writes after the header.
struct Message<F> {
    kind: i32,
    flags: i32,
    build: F,
}

// SAFETY: what is written is a header and one object of a few hundred bytes, or elements cut to fit (`sets::elements`).
unsafe impl<F: Fn(*mut libc::nlmsghdr)> NlMsg for Message<F> {
    unsafe fn write(&self, buffer: *mut c_void, sequence: u32, _: MsgType) {
        // SAFETY: the caller vouches for the room in the buffer.
        (self.build)(unsafe { header(buffer, self.kind as u16, self.flags as u16, sequence) });
    }
}

fn add(batch: &mut nftnl::Batch, kind: i32, flags: i32, build: impl Fn(*mut libc::nlmsghdr)) {
    batch.add(&Message { kind, flags, build }, MsgType::Add);
}

fn add_table(batch: &mut nftnl::Batch, name: &str, step: &Step<'_>) {
    let made = Table::new();
    made.text(sys::NFTNL_TABLE_NAME, name);
    let (kind, flags) = match step {
        Step::DeleteTable => (libc::NFT_MSG_DELTABLE, 0),
        _ => {
            // Without flags in the message, a table that stands keeps those it has.
            made.number(sys::NFTNL_TABLE_FLAGS, 0);
            (libc::NFT_MSG_NEWTABLE, CREATE)
        }
    };
    add(batch, kind, flags, |header| {
        // SAFETY: header and table are live.
        unsafe { sys::nftnl_table_nlmsg_build_payload(header, made.as_ptr()) }
    });
}

fn add_counter(batch: &mut nftnl::Batch, table: &str, counter: &ir::Counter) {
    let made = Object::new();
    made.text(sys::NFTNL_OBJ_TABLE, table);
    made.text(sys::NFTNL_OBJ_NAME, &counter.name);
    made.number(sys::NFTNL_OBJ_TYPE, COUNTER_OBJECT);
    add(batch, libc::NFT_MSG_NEWOBJ, CREATE, |header| {
        // SAFETY: header and object are live.
        unsafe { sys::nftnl_obj_nlmsg_build_payload(header, made.as_ptr()) }
    });
}

fn add_chain(batch: &mut nftnl::Batch, table: &str, name: &str, base: Option<&ir::Base>, kind: i32) {
    let made = Chain::new();
    made.text(sys::NFTNL_CHAIN_TABLE, table);
    made.text(sys::NFTNL_CHAIN_NAME, name);
    if let Some(base) = base {
        made.text(sys::NFTNL_CHAIN_TYPE, "filter");
        made.text(sys::NFTNL_CHAIN_DEV, &base.device);
        made.number(sys::NFTNL_CHAIN_HOOKNUM, libc::NF_NETDEV_INGRESS as u32);
        made.signed(sys::NFTNL_CHAIN_PRIO, PRIORITY);
        let policy = if base.accept { libc::NF_ACCEPT } else { libc::NF_DROP };
        made.number(sys::NFTNL_CHAIN_POLICY, policy as u32);
    }
    let flags = if kind == libc::NFT_MSG_NEWCHAIN { CREATE } else { 0 };
    add(batch, kind, flags, |header| {
        // SAFETY: header and chain are live.
        unsafe { sys::nftnl_chain_nlmsg_build_payload(header, made.as_ptr()) }
    });
}

fn add_policy(batch: &mut nftnl::Batch, table: &str, accept: bool) {
    let made = Chain::new();
    made.text(sys::NFTNL_CHAIN_TABLE, table);
    made.text(sys::NFTNL_CHAIN_NAME, BASE);
    made.number(sys::NFTNL_CHAIN_POLICY, (if accept { libc::NF_ACCEPT } else { libc::NF_DROP }) as u32);
    add(batch, libc::NFT_MSG_NEWCHAIN, CREATE, |header| {
        // SAFETY: header and chain are live.
        unsafe { sys::nftnl_chain_nlmsg_build_payload(header, made.as_ptr()) }
    });
}

/// A rule of bytes that the kernel gave: what it says, it also takes.
fn add_raw(batch: &mut nftnl::Batch, table: &str, chain: &str, rule: &read::Rule) {
    let made = Rule::new();
    made.text(sys::NFTNL_RULE_TABLE, table);
    made.text(sys::NFTNL_RULE_CHAIN, chain);
    if !rule.userdata.is_empty() {
        made.bytes(sys::NFTNL_RULE_USERDATA, &rule.userdata);
    }
    add(batch, libc::NFT_MSG_NEWRULE, APPEND, |header| {
        // SAFETY: header and rule are live.
        unsafe { sys::nftnl_rule_nlmsg_build_payload(header, made.as_ptr()) };
        let kind = numbers::RULE_EXPRESSIONS as u16 | NESTED;
        // SAFETY: the kernel gave the bytes in one message; so they fit into one, after what was put there.
        unsafe { append(header, kind, &rule.expressions) };
    });
}

/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;

/// Puts an attribute at the end of a message.
///
/// # Safety
/// The message lies in a buffer with room for the attribute.
unsafe fn append(header: *mut libc::nlmsghdr, kind: u16, value: &[u8]) {
    // SAFETY: the caller vouches for the header.
    let start = unsafe { (*header).nlmsg_len }.next_multiple_of(4);
    let length = 4 + value.len();
    // SAFETY: the caller vouches for the room; the attribute begins where the message has ended.
    unsafe {
        let at = header.cast::<u8>().add(start as usize);
        at.cast::<u16>().write(length as u16);
        at.add(2).cast::<u16>().write(kind);
        at.add(4).copy_from_nonoverlapping(value.as_ptr(), value.len());
        (*header).nlmsg_len = (start as usize + length.next_multiple_of(4)) as u32;
    }
}

/// A rule at the end of a chain; without one, all rules of the chain go.
fn add_rule(batch: &mut nftnl::Batch, table: &str, chain: &str, rule: Option<&ir::Rule>) {
    let made = Rule::new();
    made.text(sys::NFTNL_RULE_TABLE, table);
    made.text(sys::NFTNL_RULE_CHAIN, chain);
    let (kind, flags) = match rule {
        Some(rule) => {
            fill(&made, rule);
            (libc::NFT_MSG_NEWRULE, APPEND)
        }
        None => (libc::NFT_MSG_DELRULE, 0),
    };
    add(batch, kind, flags, |header| {
        // SAFETY: header and rule are live.
        unsafe { sys::nftnl_rule_nlmsg_build_payload(header, made.as_ptr()) }
    });
}

fn fill(made: &Rule, rule: &ir::Rule) {
    for statement in &rule.statements {
        expressions::add(made, statement);
    }
    if let Some(comment) = &rule.comment {
        // Type, length, text with its zero byte.
        let text = [comment.as_bytes(), &[0]].concat();
        made.bytes(sys::NFTNL_RULE_USERDATA, &[&[0, text.len() as u8], text.as_slice()].concat());
    }
}

fn delete_set(batch: &mut nftnl::Batch, table: &str, name: &str) {
    let made = Set::new();
    made.text(sys::NFTNL_SET_TABLE, table);
    made.text(sys::NFTNL_SET_NAME, name);
    add(batch, libc::NFT_MSG_DELSET, 0, |header| {
        // SAFETY: header and set are live.
        unsafe { sys::nftnl_set_nlmsg_build_payload(header, made.as_ptr()) }
    });
}
