//! Telling of single frames: those that are dropped, and those that a rule with `log: true` matches.
//!
//! Promises: off the way of a frame of which nothing is told; at most [`EVENT_BURST`] events of a kind in
//! [`EVENT_INTERVAL`] on a CPU, and as many more that were saved up, the last of them after nobody reads any more; a full ring costs a
//! counter, never a frame. Each event that is not told is counted under the reason why.

use core::ptr;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use aya_ebpf::helpers::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use perimeter_classifier::abi::{
    EVENT_BURST, EVENT_BYTES, EVENT_INTERVAL, EVENT_RING, EventKind, EventRecord, Gate,
};

const _: () = assert!(EVENT_BYTES.is_power_of_two(), "`write` masks with it");

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(EVENT_RING, 0);

#[map]
static GATES: PerCpuArray<Gate> = PerCpuArray::with_max_entries(EventKind::COUNT, 0);

#[map]
static READER: Array<u64> = Array::with_max_entries(1, 0);

/// Tells of a frame that was counted in `slot`, and on its VLAN in `vlan`; `kind` is the number of an [`EventKind`].
#[inline(never)]
pub(crate) fn tell(ctx: *mut xdp_md, kind: u32, slot: u32, vlan: u32) {
    let Some(gate) = GATES.get_ptr_mut(kind) else { return };
    // SAFETY: the pointer is to this CPU's copy of an element, and this program is not interrupted by itself.
    let gate = unsafe { &mut *gate };
    if gate.tokens == 0 && !refill(gate) {
        return;
    }
    gate.tokens -= 1;
    if write(ctx, slot, vlan) {
        gate.emitted += 1;
    } else {
        gate.lost += 1;
    }
}

/// Whether there are tokens again; counts the event that is not made where there are none.
#[inline(always)]
fn refill(gate: &mut Gate) -> bool {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    if now >= gate.next {
        gate.next = now + EVENT_INTERVAL;
        gate.heard = u64::from(READER.get(0).is_some_and(|until| *until > now));
        if gate.heard != 0 {
            gate.tokens = EVENT_BURST;
            return true;
        }
    }
    if gate.heard != 0 {
        gate.suppressed += 1;
    } else {
        gate.unheard += 1;
    }
    false
}

/// Writes one event straight into the ring; false where there is no room.
#[inline(always)]
fn write(ctx: *mut xdp_md, slot: u32, vlan: u32) -> bool {
    let Some(mut entry) = EVENTS.reserve::<EventRecord>(0) else { return false };
    let record = entry.as_mut_ptr();
    // SAFETY: `ctx` is the context that the kernel passed to this program.
    let length = unsafe { bpf_xdp_get_buff_len(ctx) } as u32;
    let captured = if length < EVENT_BYTES as u32 { length } else { EVENT_BYTES as u32 };
    // SAFETY: reads a local variable. The verifier of Linux 6.1 does not see that no frame is empty, and refuses a length
    // that may be 0; of what a volatile read gives, the compiler knows nothing, and leaves the arithmetic in that shows it.
    let bytes =
        ((unsafe { ptr::read_volatile(&raw const captured) }.wrapping_sub(1)) & (EVENT_BYTES as u32 - 1)) + 1;
    // SAFETY: the entry has room for a record, of which every field but the end of `bytes` is written here. Of a frame that
    // is shorter than `bytes` nothing is copied.
    let copied = unsafe {
        (*record).time = bpf_ktime_get_ns();
        (*record).length = length;
        (*record).slot = slot;
        (*record).vlan = vlan;
        bpf_xdp_load_bytes(ctx, 0, (&raw mut (*record).bytes).cast(), bytes)
    };
    // SAFETY: as above.
    unsafe { (*record).captured = if copied == 0 { captured } else { 0 } };
    entry.submit(0);
    true
}
