//! Many elements of a map in one call.
//!
//! Promises: buffers are of the size that the kernel says it fills; nothing is told of elements that it has not filled.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya_obj::generated::{bpf_cmd, bpf_map_type};

use super::{call, map_info, no_attributes};

/// Elements of a map, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    keys: Vec<u8>,
    values: Vec<u8>,
    key_size: usize,
    value_size: usize,
}

impl Elements {
    /// Keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.keys.chunks_exact(self.key_size.max(1)).zip(self.values.chunks_exact(self.value_size.max(1)))
    }
}

/// The elements of a hash, at most `most` of them (Linux 5.6).
///
/// # Errors
/// `Unsupported` for a map of another kind; what the kernel says.
pub fn map_elements(map: BorrowedFd<'_>, most: u32) -> io::Result<Elements> {
    let info = map_info(map)?;
    if info.kind != bpf_map_type::BPF_MAP_TYPE_HASH as u32 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let value_size = info.value_size as usize;
    let (key_size, count) = (info.key_size as usize, most.min(info.entries));
    let mut keys = vec![0; key_size * count as usize];
    let mut values = vec![0; value_size * count as usize];
    // Where to go on: the number of a bucket.
    let mut next = 0u32;
    let mut attr = no_attributes();
    attr.batch.out_batch = (&raw mut next) as u64;
    attr.batch.keys = keys.as_mut_ptr() as u64;
    attr.batch.values = values.as_mut_ptr() as u64;
    attr.batch.count = count;
    attr.batch.map_fd = map.as_raw_fd().cast_unsigned();
    // SAFETY: the kernel writes at most `count` keys and values of the sizes that it told itself, for which there is room,
    // and four bytes to `next`.
    let result = unsafe { call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) };
    match result {
        // The end of the map was met.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // SAFETY: the kernel has written how many elements it has filled in.
    let filled = unsafe { attr.batch.count }.min(count) as usize;
    keys.truncate(key_size * filled);
    values.truncate(value_size * filled);
    Ok(Elements { keys, values, key_size, value_size })
}
