//! What the CPUs have counted, read where it lies: no call and no copy for each counter.
//!
//! Promises: a number is read whole; packets and bytes of a counter are read one after the other, while programs go on
//! counting. A slot outside the map has counted nothing.

use std::io;
use std::os::fd::BorrowedFd;

use perimeter_classifier::abi::{COUNTER_SLOTS, Counter};

use super::sys::{self, Mapping};

/// Bytes of the counters of one CPU.
pub const ROW_BYTES: usize = COUNTER_SLOTS as usize * size_of::<Counter>();

/// 64-bit numbers in a [`Counter`].
const NUMBERS: usize = size_of::<Counter>() / size_of::<u64>();

/// The counters of all CPUs.
pub struct Tallies {
    memory: Mapping,
}

impl Tallies {
    /// Those of a map of counters.
    pub fn open(map: BorrowedFd<'_>) -> io::Result<Tallies> {
        let bytes = sys::map_info(map)?.value_size as usize;
        Ok(Tallies { memory: Mapping::new(map, bytes)? })
    }

    /// Packets and bytes of a slot, for each row.
    pub fn of(&self, slot: u32) -> impl Iterator<Item = [u64; NUMBERS]> {
        let row = COUNTER_SLOTS as usize * NUMBERS;
        let rows = if slot < COUNTER_SLOTS { self.memory.numbers() / row } else { 0 };
        let at = slot as usize * NUMBERS;
        (0..rows).map(move |index| [0, 1].map(|number| self.memory.read(index * row + at + number)))
    }
}
