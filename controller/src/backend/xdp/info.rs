//! The info record: the constants of a generation, written into the program and read back from the kernel.
//!
//! Promises: what is read is what the attached program was verified with, since the record is frozen. A record of another
//! version of perimeter is an error, never a guess.

use std::io;
use std::os::fd::AsFd;

use perimeter_classifier::abi::{ABI_VERSION, Info, MAGIC, SETTINGS, name};
use thiserror::Error;

use super::sys;

/// Why the record of a program cannot be told.
#[derive(Debug, Error)]
pub enum InfoError {
    #[error("reading the record of program {program}: {source}")]
    Kernel { program: u32, source: io::Error },
    #[error(
        "program {program} was loaded by another version of perimeter (ABI {found}, this one has {ABI_VERSION})"
    )]
    Version { program: u32, found: u32 },
}

/// The record of a loaded program; `None` where there is no such program or it is not perimeter's. Needs CAP_SYS_ADMIN.
pub fn read_info(program: u32) -> Result<Option<Info>, InfoError> {
    let kernel = |source| InfoError::Kernel { program, source };
    let Some(record) = read_record(program).map_err(kernel)? else { return Ok(None) };
    let mut words = Words(&record);
    if words.next_u32() != Some(MAGIC) {
        return Ok(None);
    }
    match words.next_u32() {
        Some(ABI_VERSION) => Ok(from_bytes(&record)),
        found => Err(InfoError::Version { program, found: found.unwrap_or(0) }),
    }
}

/// The bytes of the map that holds the record, if the program has one.
fn read_record(program: u32) -> io::Result<Option<Vec<u8>>> {
    let program = match sys::program_by_id(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    for id in sys::program_info(program.as_fd())?.maps {
        let map = sys::map_by_id(id)?;
        let info = sys::map_info(map.as_fd())?;
        if info.name == name::INFO {
            let mut record = vec![0; info.value_size as usize];
            sys::map_lookup(map.as_fd(), 0, &mut record)?;
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The record as it lies in memory, in the byte order of the machine.
pub fn to_bytes(info: &Info) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<Info>());
    bytes.extend(info.magic.to_ne_bytes());
    bytes.extend(info.abi.to_ne_bytes());
    bytes.extend(info.generation.to_ne_bytes());
    bytes.extend(info.policy);
    let rest = [info.enforce, info.report, info.mask, info.counters];
    for word in rest.iter().chain(&info.reason_slots).chain(&info.settings) {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

/// The reverse of [`to_bytes`]; `None` where the length is another.
pub fn from_bytes(bytes: &[u8]) -> Option<Info> {
    if bytes.len() != size_of::<Info>() {
        return None;
    }
    let mut words = Words(bytes);
    let mut info = Info {
        magic: words.next_u32()?,
        abi: words.next_u32()?,
        generation: u64::from_ne_bytes(words.next()?),
        policy: words.next()?,
        enforce: words.next_u32()?,
        report: words.next_u32()?,
        mask: words.next_u32()?,
        counters: words.next_u32()?,
        reason_slots: [0; 15],
        settings: [0; SETTINGS],
    };
    for word in info.reason_slots.iter_mut().chain(&mut info.settings) {
        *word = words.next_u32()?;
    }
    Some(info)
}

/// What is left to read of a record.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn next_u32(&mut self) -> Option<u32> {
        self.next().map(u32::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_survives_the_way_there_and_back() {
        let info = Info {
            magic: MAGIC,
            abi: ABI_VERSION,
            generation: 7 << 40,
            policy: std::array::from_fn(|at| at as u8),
            enforce: 1,
            report: 0,
            mask: 0xffff,
            counters: 0x7ffff,
            reason_slots: std::array::from_fn(|at| 100 + at as u32),
            settings: std::array::from_fn(|at| 1000 + at as u32),
        };
        let bytes = to_bytes(&info);
        assert_eq!(bytes.len(), size_of::<Info>());
        assert_eq!(from_bytes(&bytes), Some(info));
        assert_eq!(from_bytes(&bytes[1..]), None);
    }
}
