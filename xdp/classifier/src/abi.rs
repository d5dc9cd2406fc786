//! What the kernel program and the controller agree on: map names, records, settings, counter layout.
//!
//! Promises: this is the only place where a map name, a value layout or a setting's position is written. Numbers are in
//! the byte order of the machine. `ABI_VERSION` rises with every change here.

/// Version of everything in this file.
pub const ABI_VERSION: u32 = 1;

/// First word of [`Info`]: "PERI".
pub const MAGIC: u32 = 0x5045_5249;

/// Names of the maps and of the one constant, as the object file spells them.
pub mod name {
    /// The program (`SEC("xdp.frags")`).
    pub const PROGRAM: &str = "perimeter";
    /// One element: the words of a tables image. Filled and frozen before the program is loaded.
    pub const TABLES: &str = "TABLES";
    /// Per-CPU array of [`super::Counter`], pinned, shared by every interface and generation.
    pub const COUNTERS: &str = "COUNTERS";
    /// The [`super::Info`] constant, in a section of its own (`.rodata.info`).
    pub const INFO: &str = "INFO";
}

/// Slots in the counters map. A slot belongs to one (interface, verdict, rule or reason) for ever.
pub const COUNTER_SLOTS: u32 = 65_536;

/// Packets and bytes of one slot on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    pub packets: u64,
    /// Bytes from the destination MAC on, all buffers counted.
    pub bytes: u64,
}

/// Constants of one generation on one interface: what is enforced, and how the tables are laid out. Read by the program
/// (the verifier knows every value and removes the branches that cannot be taken) and by `plan` and `status` (from the
/// kernel, as the record of what is in force).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    pub magic: u32,
    pub abi: u32,
    pub generation: u64,
    /// SHA-256 of the canonical ruleset.
    pub policy: [u8; 32],
    /// 1: drop; 0: shadow mode, count what would be dropped and pass it.
    pub enforce: u32,
    /// 1: return the decision ([`encode`]) instead of an XDP action and count nothing. Never set on an attached program.
    pub report: u32,
    /// Words in the tables map less one; the word count is a power of two.
    pub mask: u32,
    /// Counter slot of each drop reason, by discriminant.
    pub reason_slots: [u32; 15],
    pub settings: [u32; SETTINGS],
}

/// Length of [`Info::settings`].
pub const SETTINGS: usize = 160;

/// Positions in [`Info::settings`].
pub mod setting {
    /// TPID of the outer tag of a stacked pair.
    pub const OUTER_TAG: usize = 0;
    /// 1: `oversize: drop`; 0: `count`.
    pub const OVERSIZE_DROP: usize = 1;
    /// 1: `fragments: stateless`; 0: `drop`.
    pub const FRAGMENTS_STATELESS: usize = 2;
    /// 1: `ip_options: pass`; 0: `drop`.
    pub const IP_OPTIONS_PASS: usize = 3;
    /// 1: some VLAN, or the interface, has `sources`.
    pub const HAS_SOURCES: usize = 4;
    // The rest, from 16 on, is the layout of the tables: see `tables`.
}

use crate::verdict::{Decision, DropReason};

/// A decision as the return value of a program loaded with `report`: bits 0-7 the drop reason's discriminant, or 255
/// for pass; bits 8-31 the rule index plus one, or 0 for none.
pub const fn encode(decision: Decision) -> u32 {
    match decision {
        Decision::Pass(rule) => 255 | (rule + 1) << 8,
        Decision::Denied(rule) => DropReason::Denied as u32 | (rule + 1) << 8,
        Decision::Drop(reason) => reason as u32,
    }
}

/// The reverse of [`encode`]; `None` for a number that it never gives.
pub const fn decode(code: u32) -> Option<Decision> {
    let rule = code >> 8;
    match code & 0xff {
        255 if rule > 0 => Some(Decision::Pass(rule - 1)),
        1 if rule > 0 => Some(Decision::Denied(rule - 1)),
        reason if rule == 0 && (reason as usize) < DropReason::ALL.len() => {
            Some(Decision::Drop(DropReason::ALL[reason as usize]))
        }
        _ => None,
    }
}
