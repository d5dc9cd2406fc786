//! Reads of one generation: the `INFO` constant and the words of the tables.
//!
//! Promises: `INFO` is frozen before the program is loaded, so that the verifier knows every setting and removes the
//! branches that cannot be taken; a word is read without a helper call, at an index that cannot leave the map.

use core::cell::UnsafeCell;

use perimeter_classifier::abi::{Info, SETTINGS};
use perimeter_classifier::tables::Tables;

/// Most words of an image: 256 MiB.
const MOST_WORDS: usize = 1 << 26;

/// Written by the controller into the object before it is loaded.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.info")]
static INFO: Info = Info {
    magic: 0,
    abi: 0,
    generation: 0,
    policy: [0; 32],
    enforce: 0,
    report: 0,
    mask: 0,
    reason_slots: [0; 15],
    settings: [0; SETTINGS],
};

/// The words of the image. The controller puts a frozen map of `INFO.mask + 1` words in the place of this section.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.tables")]
static TABLES: Words = Words(UnsafeCell::new([0; MOST_WORDS]));

/// Words that another party fills in: the cell keeps the compiler from taking them for the zeros above.
#[repr(transparent)]
struct Words(UnsafeCell<[u32; MOST_WORDS]>);

// SAFETY: the program only reads them, and the map is frozen while it does.
unsafe impl Sync for Words {}

/// The generation that this program was loaded for.
pub(crate) struct Generation;

/// A constant of the generation, which the compiler must not take for the zero of the object file.
macro_rules! info {
    ($field:ident) => {
        // SAFETY: reads an initialised static of this type.
        unsafe { (&raw const INFO.$field).read_volatile() }
    };
    ($field:ident[$index:expr]) => {
        match INFO.$field.get($index) {
            // SAFETY: reads an element of an initialised static of this type.
            Some(word) => unsafe { (&raw const *word).read_volatile() },
            None => 0,
        }
    };
}

impl Generation {
    /// Whether a drop is carried out; else it is only counted.
    #[inline(always)]
    pub(crate) fn enforces(&self) -> bool {
        info!(enforce) != 0
    }

    /// Whether the decision itself is the return value.
    #[inline(always)]
    pub(crate) fn reports(&self) -> bool {
        info!(report) != 0
    }

    /// Counter slot of a drop reason, by its discriminant.
    #[inline(always)]
    pub(crate) fn reason_slot(&self, reason: usize) -> u32 {
        info!(reason_slots[reason])
    }
}

impl Tables for Generation {
    #[inline(always)]
    fn setting(&self, index: usize) -> u32 {
        info!(settings[index])
    }

    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        // The controller narrows this mask to the map that is there.
        let index = (index & (MOST_WORDS as u32 - 1)) as usize;
        // SAFETY: the index stays below the words of the map (the verifier checks this against the map that is there),
        // and nobody writes to them.
        unsafe { TABLES.0.get().cast::<u32>().add(index).read() }
    }
}
