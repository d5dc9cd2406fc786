//! A map's memory, as this process sees it.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The value of an array with one element that was made with `BPF_F_MMAPABLE`; programs write to it meanwhile.
pub struct Mapping {
    start: NonNull<AtomicU64>,
    /// How many numbers of 64 bits there are.
    numbers: usize,
}

impl Mapping {
    /// Maps the first `bytes` of a map, to be read. The kernel refuses a map that is smaller, or not made for it.
    pub fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Mapping> {
        // SAFETY: the kernel chooses a place that nothing else has.
        let start = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, map, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Mapping { start, numbers: bytes / size_of::<u64>() })
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// The number at a position; 0 outside.
    pub fn read(&self, at: usize) -> u64 {
        if at >= self.numbers {
            return 0;
        }
        // SAFETY: inside the mapping, which begins at a page; it is only read here, and whole.
        unsafe { self.start.add(at).as_ref() }.load(Ordering::Relaxed)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped here with this length, and no reference into it is given away. What can fail is a wrong
        // argument.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.numbers * size_of::<u64>()) };
    }
}
