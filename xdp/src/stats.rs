//! The one place where a frame is counted.
//!
//! Promises: one update of one per-CPU slot a frame, without atomics: nothing else runs on this CPU meanwhile.

use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use perimeter_classifier::abi::{COUNTER_SLOTS, Counter};
use perimeter_classifier::tables::rule_slot;
use perimeter_classifier::verdict::Decision;

use crate::tables::Generation;

/// Shared by every interface and generation: the controller gives the pinned map.
#[map]
static COUNTERS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(COUNTER_SLOTS, 0);

/// Counts a frame of `len` bytes under its rule, or under its drop reason where no rule decided.
#[inline(always)]
pub(crate) fn count(generation: &Generation, decision: Decision, len: u32) {
    let slot = match decision {
        Decision::Pass(rule) | Decision::Denied(rule) => rule_slot(generation, rule),
        Decision::Drop(reason) => generation.reason_slot(reason as u32),
    };
    let Some(counter) = COUNTERS.get_ptr_mut(slot) else { return };
    // SAFETY: the pointer is to this CPU's copy of a slot, and this program is not interrupted by itself.
    let counter = unsafe { &mut *counter };
    counter.packets += 1;
    counter.bytes += u64::from(len);
}
