//! The one place where a frame is counted.
//!
//! Promises: one update of the slot of its rule or reason a frame, and one for each series of accounting that the policy
//! has, in this CPU's own row, without atomics: nothing else runs on this CPU meanwhile. What is not counted costs
//! nothing: its setting is a constant. A row is found once a frame, where a per-CPU map would be asked for every slot.

use core::cell::UnsafeCell;

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_coarse_ns};
use perimeter_classifier::abi::{COUNTER_ROWS, COUNTER_SLOTS, Counter, Mark, setting};
use perimeter_classifier::learned::{Judged, Learned};
use perimeter_classifier::tables::{Tables, rule_slot, size_slot, vlan_slots};
use perimeter_classifier::verdict::Decision;

use crate::tables::{Generation, Given};

/// Shared by every interface and generation. The controller puts the pinned map, which holds as many as
/// [`Info::counters`] says, in the place of this section.
///
/// [`Info::counters`]: perimeter_classifier::abi::Info::counters
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.counters")]
static COUNTERS: Given<[Counter; COUNTER_COUNT]> =
    Given(UnsafeCell::new([Counter { packets: 0, bytes: 0 }; COUNTER_COUNT]));
const COUNTER_COUNT: usize = (COUNTER_ROWS * COUNTER_SLOTS) as usize;

/// When the rule of each slot matched last. The controller puts the pinned map in the place of this section.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.marks")]
static MARKS: Given<[Mark; MARK_COUNT]> = Given(UnsafeCell::new([Mark { tick: 0, time: 0 }; MARK_COUNT]));
const MARK_COUNT: usize = COUNTER_SLOTS as usize;

/// Where a frame was counted, for those who are told of it.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    /// Of its rule or reason.
    pub(crate) slot: u32,
    /// Of its VLAN; 0: none.
    pub(crate) vlan: u32,
    /// A rule with `log: true` matched.
    pub(crate) logged: bool,
}

/// Counts a frame of `len` bytes under its rule, or under its drop reason where no rule decided, and in what accounting
/// there is.
#[inline(always)]
pub(crate) fn count(generation: &Generation, judged: Judged, len: u64) -> Counted {
    let (slot, logged) = match judged.decision {
        Decision::Pass(rule) | Decision::Denied(rule) => {
            let (slot, logged) = rule_slot(generation, rule);
            hit(generation, slot);
            (slot, logged)
        }
        Decision::Drop(reason) => (generation.reason_slot(reason as u32), false),
    };
    let row = Row::of_this_cpu();
    row.add(slot, len);
    let vlan = vlan(generation, row, judged, len);
    if let Some(slot) = size_slot(generation, len as u32) {
        row.add(slot, len);
    }
    rare(generation, row, judged.learned, len);
    Counted { slot, vlan, logged }
}

/// The counters of this CPU, by the number of the first.
#[derive(Clone, Copy)]
struct Row(u32);

impl Row {
    #[inline(always)]
    fn of_this_cpu() -> Row {
        // SAFETY: takes nothing and cannot fail.
        Row(unsafe { bpf_get_smp_processor_id() } * COUNTER_SLOTS)
    }

    /// The counter of a slot. It lies in the map, and only this CPU writes to it, which is not interrupted by this program.
    #[inline(always)]
    fn counter(self, slot: u32) -> *mut Counter {
        // The bound is set where it is needed: Linux 6.1 forgets that of a number which was put aside on the stack.
        let index = (self.0 | slot) & Generation.counters();
        // SAFETY: the map holds what the mask leaves (the verifier checks this against the map that is there).
        unsafe { COUNTERS.0.get().cast::<Counter>().add(index as usize) }
    }

    /// One frame more of `len` bytes.
    #[inline(always)]
    fn add(self, slot: u32, len: u64) {
        let counter = self.counter(slot);
        // SAFETY: see `counter`.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += len;
        }
    }
}

/// Notes that the rule of a slot has matched now. The cell is shared by all CPUs, so that it is written only when the
/// clock has ticked; jiffies are a load, where any clock is a call.
#[inline(always)]
fn hit(generation: &Generation, slot: u32) {
    if generation.setting(setting::LAST_HIT) == 0 {
        return;
    }
    // SAFETY: the index is inside the map. Several CPUs may write one after the other, each a time within the last tick;
    // 64 bits are written whole.
    unsafe {
        let mark = MARKS.0.get().cast::<Mark>().add((slot & (COUNTER_SLOTS - 1)) as usize);
        let now = bpf_jiffies64();
        if (&raw const (*mark).tick).read_volatile() != now {
            (&raw mut (*mark).tick).write_volatile(now);
            (&raw mut (*mark).time).write_volatile(bpf_ktime_get_coarse_ns());
        }
    }
}

/// Counts the frame on its VLAN; the slot.
#[inline(always)]
fn vlan(generation: &Generation, row: Row, judged: Judged, len: u64) -> u32 {
    let Some(slots) = vlan_slots(generation, judged.learned.label) else { return 0 };
    let slot = match judged.decision {
        Decision::Pass(_) => generation.word(slots),
        Decision::Denied(_) | Decision::Drop(_) => generation.word(slots + 1),
    };
    row.add(slot, len);
    if judged.learned.oversize != 0 {
        row.add(generation.word(slots + 2), len);
    }
    slot
}

/// Counts fragments and messages about the MTU of a path.
#[inline(always)]
fn rare(generation: &Generation, row: Row, learned: Learned, len: u64) {
    let fragments = generation.setting(setting::FRAGMENT_SLOTS);
    if fragments != 0 && learned.fragment != 0 {
        row.add(generation.word(fragments + learned.fragment - 1), len);
    }
    let messages = generation.setting(setting::PMTU_SLOTS);
    if messages == 0 || learned.pmtu == 0 {
        return;
    }
    let counter = row.counter(generation.word(messages + learned.pmtu - 1));
    let announced = u64::from(learned.announced);
    // SAFETY: see `counter`.
    unsafe {
        (*counter).packets += 1;
        if announced != 0 && ((*counter).bytes == 0 || announced < (*counter).bytes) {
            (*counter).bytes = announced;
        }
    }
}
