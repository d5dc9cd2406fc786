//! The maps of a program: the words of the image, constants, and what all programs share: counters and events.
//!
//! Promises: maps that the program only reads are filled and frozen here, and the program cannot write to them. A shared
//! map that is too small or of another layout is refused, not used.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya_obj::generated::{BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, bpf_map_type};
use perimeter_classifier::abi::{COUNTER_ROWS, COUNTER_SLOTS, EVENT_RING, EventKind, Gate, Mark, name};
use thiserror::Error;

use super::sys::{self, MapSpec};
use super::tallies::ROW_BYTES;
use crate::tables::Image;

/// Most words in an image: 256 MiB, the section that the program sets aside.
pub const MOST_WORDS: usize = 1 << 26;

/// Why a map cannot be had.
#[derive(Debug, Error)]
pub enum MapError {
    #[error("an image of {words} words is more than the {MOST_WORDS} (256 MiB) that a program takes")]
    TooLarge { words: usize },
    #[error("{step} map {map} ({bytes} bytes): {source}")]
    Kernel { step: &'static str, map: String, bytes: usize, source: io::Error },
    #[error(
        "the map of {what} has {entries} elements of {value_size} bytes, {wanted} of {wanted_size} are needed: it belongs \
         to another version of perimeter; `perimeter detach` removes it"
    )]
    Layout { what: &'static str, entries: u32, value_size: u32, wanted: u32, wanted_size: u32 },
    #[error(
        "this machine can have {0} CPUs, and programs count on at most {COUNTER_ROWS}; `mode: nft` counts on any number"
    )]
    Cpus(u32),
    #[error("how many CPUs this machine can have is not to be read: {0}")]
    Possible(io::Error),
}

impl MapError {
    /// The kernel's word, or this error's own.
    pub(super) fn cause(self) -> io::Error {
        match self {
            MapError::Kernel { source, .. } => source,
            other => io::Error::other(other),
        }
    }

    /// Whether the kernel refused for want of a capability.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, MapError::Kernel { source, .. } if source.raw_os_error() == Some(libc::EPERM))
    }
}

/// What all programs of an instance write to. It outlives programs and generations where it is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// For each CPU a row of counters.
    Counters,
    /// When the rule of each slot matched last.
    Marks,
    /// The ring of events.
    Events,
    /// The limits of events, and what became of them.
    Gates,
    /// Until when somebody reads events.
    Reader,
}

impl Shared {
    pub const ALL: [Shared; 5] =
        [Shared::Counters, Shared::Marks, Shared::Events, Shared::Gates, Shared::Reader];

    /// The name in the object.
    pub(super) fn section(self) -> &'static str {
        match self {
            Shared::Counters => name::COUNTERS,
            Shared::Marks => name::MARKS,
            Shared::Events => name::EVENTS,
            Shared::Gates => name::GATES,
            Shared::Reader => name::READER,
        }
    }

    /// The name for people, of files and of the map.
    pub(super) fn name(self) -> &'static str {
        match self {
            Shared::Counters => "cpu_counters",
            Shared::Marks => "marks",
            Shared::Events => "events",
            Shared::Gates => "gates",
            Shared::Reader => "reader",
        }
    }

    /// What the map is made of, with `rows` of counters.
    fn spec(self, rows: u32) -> MapSpec<'static> {
        use bpf_map_type::{BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_RINGBUF};
        let (kind, value_size, entries) = match self {
            Shared::Counters => (BPF_MAP_TYPE_ARRAY, ROW_BYTES as u32 * rows, 1),
            Shared::Marks => (BPF_MAP_TYPE_ARRAY, size_of::<Mark>() as u32 * COUNTER_SLOTS, 1),
            Shared::Events => (BPF_MAP_TYPE_RINGBUF, 0, EVENT_RING),
            Shared::Gates => (BPF_MAP_TYPE_PERCPU_ARRAY, size_of::<Gate>() as u32, EventKind::COUNT),
            Shared::Reader => (BPF_MAP_TYPE_ARRAY, 8, 1),
        };
        // Counters are read where they lie.
        let flags = if self == Shared::Counters { BPF_F_MMAPABLE } else { 0 };
        MapSpec { name: self.name(), kind, value_size, entries, flags }
    }

    /// Makes the map alone, with `rows` of counters.
    pub(super) fn make(self, rows: u32) -> Result<OwnedFd, MapError> {
        let spec = self.spec(rows);
        let bytes = spec.value_size.max(1) as usize * spec.entries as usize;
        sys::map_create(spec).map_err(|source| failure("creating", self.name(), bytes, source))
    }

    /// Refuses a map that is not what a program needs.
    pub(super) fn check(self, map: BorrowedFd<'_>) -> Result<(), MapError> {
        let (what, spec) = (self.name(), self.spec(counter_rows()?));
        let info = sys::map_info(map).map_err(|source| failure("opening", what, 0, source))?;
        if info.kind == spec.kind as u32 && info.value_size == spec.value_size && info.entries >= spec.entries
        {
            return Ok(());
        }
        let (wanted, wanted_size) = (spec.entries, spec.value_size);
        Err(MapError::Layout {
            what,
            entries: info.entries,
            value_size: info.value_size,
            wanted,
            wanted_size,
        })
    }
}

/// The shared maps, open, in the order of [`Shared::ALL`].
#[derive(Debug)]
pub struct SharedMaps([OwnedFd; Shared::ALL.len()]);

impl SharedMaps {
    /// New maps, all zero, that live as long as they are held, pinned or used by a program.
    pub fn create() -> Result<Self, MapError> {
        Self::with_rows(counter_rows()?)
    }

    /// The same for a program whose counters nobody reads: all CPUs count in one row.
    pub(super) fn uncounted() -> Result<Self, MapError> {
        Self::with_rows(1)
    }

    fn with_rows(rows: u32) -> Result<Self, MapError> {
        let [counters, marks, events, gates, reader] = Shared::ALL;
        let make = |shared: Shared| shared.make(rows);
        Ok(SharedMaps([make(counters)?, make(marks)?, make(events)?, make(gates)?, make(reader)?]))
    }

    /// Takes maps that were opened elsewhere (pins), in the order of [`Shared::ALL`], if they are what a program needs.
    pub fn from_fds(maps: [OwnedFd; Shared::ALL.len()]) -> Result<Self, MapError> {
        for (shared, map) in Shared::ALL.into_iter().zip(&maps) {
            shared.check(map.as_fd())?;
        }
        Ok(SharedMaps(maps))
    }

    /// One of them.
    pub fn get(&self, shared: Shared) -> BorrowedFd<'_> {
        self.0[shared as usize].as_fd()
    }

    /// How many rows of counters there are.
    pub(super) fn rows(&self) -> Result<u32, MapError> {
        let info = sys::map_info(self.get(Shared::Counters))
            .map_err(|source| failure("opening", Shared::Counters.name(), 0, source))?;
        Ok(info.value_size / ROW_BYTES as u32)
    }

    /// The one that the object calls `section`.
    pub(super) fn of_section(&self, section: &str) -> Option<BorrowedFd<'_>> {
        Shared::ALL.into_iter().find(|shared| shared.section() == section).map(|shared| self.get(shared))
    }
}

/// Rows of counters that every CPU needs which this machine can have, as a power of two.
pub(super) fn counter_rows() -> Result<u32, MapError> {
    rows_for(fs::read_to_string("/sys/devices/system/cpu/possible").map_err(MapError::Possible)?.trim())
}

/// The same for a list such as `0-3,8`: numbers of CPUs may have gaps, and a row goes by the number.
fn rows_for(possible: &str) -> Result<u32, MapError> {
    let last = possible.rsplit(['-', ',']).next().unwrap_or_default();
    let last: u32 = last.parse().map_err(|_| {
        MapError::Possible(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the kernel says {possible:?}"),
        ))
    })?;
    let numbers = last.saturating_add(1);
    match numbers.checked_next_power_of_two() {
        Some(rows) if rows <= COUNTER_ROWS => Ok(rows),
        _ => Err(MapError::Cpus(numbers)),
    }
}

/// A frozen map with the words of an image, filled up with zeros to a power of two, and the mask for indexes into it.
pub(super) fn tables(image: &Image) -> Result<(OwnedFd, u32), MapError> {
    let words = image.words.len();
    if words > MOST_WORDS {
        return Err(MapError::TooLarge { words });
    }
    let padded = words.next_power_of_two();
    let mut bytes = Vec::with_capacity(padded * size_of::<u32>());
    bytes.extend(image.words.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.resize(padded * size_of::<u32>(), 0);
    Ok((frozen(name::TABLES, &bytes)?, (padded - 1) as u32))
}

/// A map of one element that nobody can change.
pub(super) fn frozen(name: &str, bytes: &[u8]) -> Result<OwnedFd, MapError> {
    let failed = |step| move |source| failure(step, name, bytes.len(), source);
    let value_size = bytes.len() as u32;
    let kind = bpf_map_type::BPF_MAP_TYPE_ARRAY;
    let spec = MapSpec { name, kind, value_size, entries: 1, flags: BPF_F_RDONLY_PROG };
    let fd = sys::map_create(spec).map_err(failed("creating"))?;
    sys::map_update(fd.as_fd(), 0, bytes).map_err(failed("filling"))?;
    sys::map_freeze(fd.as_fd()).map_err(failed("freezing"))?;
    Ok(fd)
}

/// A map of one element that the program writes.
pub(super) fn shared(name: &str, bytes: &[u8]) -> Result<OwnedFd, MapError> {
    let failed = |step| move |source| failure(step, name, bytes.len(), source);
    let kind = bpf_map_type::BPF_MAP_TYPE_ARRAY;
    let spec = MapSpec { name, kind, value_size: bytes.len() as u32, entries: 1, flags: 0 };
    let fd = sys::map_create(spec).map_err(failed("creating"))?;
    sys::map_update(fd.as_fd(), 0, bytes).map_err(failed("filling"))?;
    Ok(fd)
}

/// A per-CPU array of a program's own.
pub(super) fn per_cpu(name: &str, value_size: u32, entries: u32) -> Result<OwnedFd, MapError> {
    let kind = bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY;
    let bytes = value_size as usize * entries as usize;
    sys::map_create(MapSpec { name, kind, value_size, entries, flags: 0 })
        .map_err(|source| failure("creating", name, bytes, source))
}

fn failure(step: &'static str, map: &str, bytes: usize, source: io::Error) -> MapError {
    MapError::Kernel { step, map: map.to_owned(), bytes, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_cpu_has_a_row() {
        let rows = |possible| rows_for(possible).ok();
        assert_eq!((rows("0"), rows("0-2"), rows("0-3,8-11")), (Some(1), Some(4), Some(16)));
        assert_eq!((rows("0-511"), rows("0-512"), rows("0-4294967295")), (Some(512), None, None));
        assert_eq!((rows(""), rows("0-x")), (None, None));
    }
}
