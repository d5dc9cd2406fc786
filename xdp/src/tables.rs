//! Reads of one generation: the `INFO` constant and the words of the tables.
//!
//! Promises: `INFO` is frozen before the program is loaded, so that the verifier knows every setting and removes the
//! branches that cannot be taken; a word is read without a helper call, at an index that cannot leave the map.

use core::cell::UnsafeCell;
use core::ptr;

use perimeter_classifier::abi::{Info, SETTINGS};
use perimeter_classifier::tables::Tables;
use perimeter_classifier::verdict::DropReason;

use crate::clock;

/// Most words of an image: 256 MiB.
const MOST_WORDS: usize = 1 << 26;

/// Written by the controller into the object before it is loaded, and frozen.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.info")]
static INFO: Given<Info> = Given(UnsafeCell::new(Info {
    magic: 0,
    abi: 0,
    generation: 0,
    policy: [0; 32],
    enforce: 0,
    report: 0,
    mask: 0,
    counters: 0,
    reason_slots: [0; 15],
    settings: [0; SETTINGS],
}));

/// The words of the image. The controller puts a frozen map of `INFO.mask + 1` words in the place of this section.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.tables")]
static TABLES: Given<[u32; MOST_WORDS]> = Given(UnsafeCell::new([0; MOST_WORDS]));

/// What the controller gives: the cell keeps the compiler from taking it for the zeros in this file. Not read as
/// volatile, which would keep apart reads that can be one, and reads that nobody needs.
#[repr(transparent)]
pub(crate) struct Given<T>(pub(crate) UnsafeCell<T>);

// SAFETY: what is only read is frozen; what is written (`stats`) says at each write why several CPUs may.
unsafe impl<T> Sync for Given<T> {}

/// The generation that this program was loaded for.
pub(crate) struct Generation;

/// A constant of the generation.
macro_rules! info {
    ($($field:tt)+) => {
        // SAFETY: reads an initialised static of this type to which nobody writes.
        unsafe { (*INFO.0.get()).$($field)+ }
    };
}

impl Generation {
    /// Whether a drop is carried out; else it is only counted.
    #[inline(always)]
    pub(crate) fn enforces(&self) -> bool {
        info!(enforce) != 0
    }

    /// Counters in the map less one.
    #[inline(always)]
    pub(crate) fn counters(&self) -> u32 {
        info!(counters)
    }

    /// Whether the decision itself is the return value.
    #[inline(always)]
    pub(crate) fn reports(&self) -> bool {
        info!(report) != 0
    }

    /// Counter slot of a drop reason, by its discriminant.
    #[inline(always)]
    pub(crate) fn reason_slot(&self, reason: u32) -> u32 {
        // The compiler knows that a discriminant is in bounds and leaves the check out, and the verifier of Linux 6.1
        // refuses the program: it does not see the bound through the arithmetic before. Of what a volatile read gives, the
        // compiler knows nothing.
        // SAFETY: reads a local variable.
        let reason = unsafe { ptr::read_volatile(&raw const reason) } as usize;
        if reason < DropReason::ALL.len() { info!(reason_slots[reason]) } else { 0 }
    }
}

impl Tables for Generation {
    #[inline(always)]
    fn setting(&self, index: usize) -> u32 {
        if index < SETTINGS { info!(settings[index]) } else { 0 }
    }

    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        let index = (index & info!(mask)) as usize;
        // SAFETY: the map holds `mask + 1` words (the verifier checks this against the map that is there), and nobody
        // writes to them.
        unsafe { TABLES.0.get().cast::<u32>().add(index).read() }
    }

    #[inline(always)]
    fn epoch(&self) -> u32 {
        clock::epoch()
    }
}
