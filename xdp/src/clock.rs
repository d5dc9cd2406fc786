//! The clock of a generation whose rules expire.
//!
//! Promises: a policy without expiring rules pays nothing, any other one a comparison of ticks a frame (`bpf_jiffies64`,
//! one load once the kernel has compiled it, Linux 5.6); the time itself is read every hundred ticks, a second at most, so
//! that a clock that is set is followed. The epoch only rises: a clock that is set back revives no rule.
//!
//! UTC is told by no helper. `CLOCK_TAI` (Linux 6.1) is, and is ahead of UTC by 37 seconds or, where nobody has told the
//! kernel so, by none. 37 are taken away either way: a rule ends when its last day is over, never before, and less than a
//! minute late. Early would be an outage where it allows and a breach where it denies; late is what the policy language
//! allows for. Where there is no `CLOCK_TAI`, the time since boot is added to what the time was when the generation was
//! loaded, and a clock that is set is not followed.

use core::cell::UnsafeCell;
use core::ptr;

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_boot_ns, bpf_ktime_get_tai_ns};
use perimeter_classifier::abi::{Clock, setting};
use perimeter_classifier::tables::Tables;

use crate::tables::Generation;

/// Ticks from one look at the time to the next: 0.1 to 1 second (`CONFIG_HZ`).
const TICKS: u64 = 100;

/// Nanoseconds by which TAI is ahead of UTC, since 2017.
const AHEAD: u64 = 37_000_000_000;

/// Shared by all CPUs. The controller gives the map and its first content.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.clock")]
static CLOCK: Shared = Shared(UnsafeCell::new(Clock { next: 0, offset: 0, epoch: 0 }));

#[repr(transparent)]
struct Shared(UnsafeCell<Clock>);

// SAFETY: each field is read and written as a whole; see `look` for what CPUs do to each other.
unsafe impl Sync for Shared {}

/// Reads or writes a field as a whole: `field!(epoch)`, `field!(epoch = 7)`.
macro_rules! field {
    ($name:ident) => {
        // SAFETY: a field of an initialised static; aligned, so that it is read at once whoever writes.
        unsafe { ptr::read_volatile(&raw const (*CLOCK.0.get()).$name) }
    };
    ($name:ident = $value:expr) => {
        // SAFETY: a field of an initialised static; aligned, so that it is written at once.
        unsafe { ptr::write_volatile(&raw mut (*CLOCK.0.get()).$name, $value) }
    };
}

/// Looks at the time where rules expire and a look is due. Before a frame is judged.
#[inline(always)]
pub(crate) fn keep(generation: &Generation) {
    if generation.setting(setting::EPOCHS) != 0 && ticks() >= field!(next) {
        look(generation);
    }
}

/// How many instants have passed.
#[inline(always)]
pub(crate) fn epoch() -> u32 {
    field!(epoch) as u32
}

/// Brings the epoch up to the time. CPUs may do so at once: what they find differs only while an instant passes, and only
/// more is ever written over less that was read. Where two instants pass at once, the slower of two CPUs may write the first
/// over the second; the next look puts that right, a second later at most.
#[inline(never)]
fn look(generation: &Generation) {
    let before = field!(epoch);
    let passed = passed(generation, now(generation)).into();
    if passed > before {
        field!(epoch = passed);
    }
    field!(next = ticks() + TICKS);
}

/// How many instants are not after `now`: a binary search, written out since a loop would be a back edge to older verifiers.
#[inline(always)]
fn passed(generation: &Generation, now: u64) -> u32 {
    let instants = generation.setting(setting::INSTANTS);
    // Nothing, but the verifier does not know: of a number it knows it would follow every way to every other.
    let mut passed = (now >> 63) as u32;
    macro_rules! halve {
        ($($bit:literal)*) => {$(
            if generation.setting(setting::INSTANT_BITS) > $bit {
                let probe = passed + (1 << $bit);
                let at = instants + (probe - 1) * 2;
                let instant = u64::from(generation.word(at)) << 32 | u64::from(generation.word(at + 1));
                if instant <= now {
                    passed = probe;
                }
            }
        )*};
    }
    halve!(15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0);
    passed
}

/// Nanoseconds of UTC since 1970, or up to 37 seconds less.
#[inline(always)]
fn now(generation: &Generation) -> u64 {
    if generation.setting(setting::BOOT_CLOCK) == 0 {
        // SAFETY: the helper has no arguments.
        return unsafe { bpf_ktime_get_tai_ns() }.saturating_sub(AHEAD);
    }
    // SAFETY: the helper has no arguments.
    let boot = unsafe { bpf_ktime_get_boot_ns() };
    boot + field!(offset)
}

#[inline(always)]
fn ticks() -> u64 {
    // SAFETY: the helper has no arguments.
    unsafe { bpf_jiffies64() }
}
