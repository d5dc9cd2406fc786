//! The maps of a program: the words of the image, constants, counters.
//!
//! Promises: maps that the program only reads are filled and frozen here, and the program cannot write to them. A counters
//! map that is too small or of another layout is refused, not used.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya_obj::generated::{BPF_F_RDONLY_PROG, bpf_map_type};
use perimeter_classifier::abi::{Counter, name};
use thiserror::Error;

use super::sys::{self, MapSpec};
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
        "the counters map has {entries} slots of {value_size} bytes, {wanted} of {} are needed: it belongs to another \
         version of perimeter; `perimeter detach` removes it",
        size_of::<Counter>()
    )]
    Counters { entries: u32, value_size: u32, wanted: u32 },
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

/// The counters map: one [`Counter`] a slot and CPU. It outlives programs and generations where it is pinned.
#[derive(Debug)]
pub struct Counters(OwnedFd);

impl Counters {
    /// A new map with `slots` slots, all zero, that lives as long as it is held, pinned or used by a program.
    pub fn create(slots: u32) -> Result<Self, MapError> {
        per_cpu(name::COUNTERS, size_of::<Counter>() as u32, slots).map(Counters)
    }

    /// Takes a map that was opened elsewhere (a pin), if it is a counters map of at least `slots` slots.
    pub fn from_fd(fd: OwnedFd, slots: u32) -> Result<Self, MapError> {
        let wanted = slots as usize * size_of::<Counter>();
        let failed = |source| failure("opening", name::COUNTERS, wanted, source);
        let info = sys::map_info(fd.as_fd()).map_err(failed)?;
        let fits = info.kind == bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY as u32
            && info.value_size as usize == size_of::<Counter>()
            && info.entries >= slots;
        if !fits {
            let (entries, value_size) = (info.entries, info.value_size);
            return Err(MapError::Counters { entries, value_size, wanted: slots });
        }
        Ok(Counters(fd))
    }
}

impl AsFd for Counters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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
