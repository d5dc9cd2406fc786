//! The BPF object: embedded at build time, bound to one generation's maps when it is loaded.
//!
//! Promises: linking makes and freezes the maps that the object describes and takes tables, clock and counters as they are
//! given; the result is instructions that refer to those maps, with nothing loaded yet.

use std::collections::HashMap;
use std::ffi::CString;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_insn;
use aya_obj::relocation::EbpfRelocationError;
use aya_obj::{EbpfSectionKind, Map, Object, ParseError};
use perimeter_classifier::abi::{Info, name};
use thiserror::Error;

use super::fold::{Record, specialise};
use super::info;
use super::maps::{self, Counters, MapError};

/// The object that `build.rs` built; empty under `AYA_BUILD_SKIP`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/perimeter-xdp"));

/// Why the object cannot be linked.
#[derive(Debug, Error)]
pub enum ObjectError {
    #[error("this perimeter was built without its XDP program (AYA_BUILD_SKIP): build it again without that")]
    Skipped,
    #[error("the embedded XDP object does not parse: {0}")]
    Parse(#[from] ParseError),
    #[error("the embedded XDP object does not link: {0}")]
    Relocation(#[from] EbpfRelocationError),
    #[error("the embedded XDP object has no program {}", name::PROGRAM)]
    NoProgram,
    #[error(transparent)]
    Map(#[from] MapError),
}

/// A program that refers to its maps, ready to be verified.
pub(super) struct Linked {
    pub(super) instructions: Vec<bpf_insn>,
    pub(super) license: CString,
    /// The maps that linking made: the instructions name them by descriptor, so they stay open until the program is loaded.
    _maps: Vec<OwnedFd>,
}

/// Binds the object to one generation.
pub(super) fn link(
    info: &Info,
    (tables, clock): (BorrowedFd<'_>, BorrowedFd<'_>),
    counters: &Counters,
) -> Result<Linked, ObjectError> {
    if OBJECT.is_empty() {
        return Err(ObjectError::Skipped);
    }
    let mut object = Object::parse(OBJECT)?;
    let record = info::to_bytes(info);
    object.patch_map_data(HashMap::from([(name::INFO, (record.as_slice(), true))]))?;

    let described = mem::take(&mut object.maps);
    let made = make_maps(&described)?;
    let descriptor = |name: &str, map: &Map| match (name, map.section_kind()) {
        (name::COUNTERS, _) => counters.as_fd().as_raw_fd(),
        (CLOCK_SECTION, _) => clock.as_raw_fd(),
        (_, EbpfSectionKind::Bss) => tables.as_raw_fd(),
        _ => made[name].as_raw_fd(),
    };
    let text = object.functions.keys().map(|(section, _)| *section).collect();
    let bound = described.iter().map(|(name, map)| (name.as_str(), descriptor(name, map), map));
    object.relocate_maps(bound, &text)?;
    object.relocate_calls(&text)?;

    let program = object.programs.get(name::PROGRAM).ok_or(ObjectError::NoProgram)?;
    let function = object.functions.get(&program.function_key()).ok_or(ObjectError::NoProgram)?;
    let mut instructions = function.instructions.clone();
    if let Some(map) = made.get(INFO_SECTION) {
        instructions = specialise(instructions, Record { map: map.as_raw_fd(), bytes: &record });
    }
    Ok(Linked { instructions, license: program.license.clone(), _maps: made.into_values().collect() })
}

/// The maps that a program has for itself: constants, frozen, and scratch memory. Counters, tables and clock are given.
fn make_maps(described: &HashMap<String, Map>) -> Result<HashMap<&str, OwnedFd>, MapError> {
    let mut made = HashMap::new();
    for (name, map) in described {
        let fd = match (name.as_str(), map.section_kind()) {
            (name::COUNTERS | CLOCK_SECTION, _) | (_, EbpfSectionKind::Bss) => continue,
            (INFO_SECTION, _) => maps::frozen(name::INFO, map.data())?,
            (_, EbpfSectionKind::Rodata) => maps::frozen("RODATA", map.data())?,
            (name, _) => maps::per_cpu(name, map.value_size(), map.max_entries())?,
        };
        made.insert(name.as_str(), fd);
    }
    Ok(made)
}

/// The section of the [`Info`] constant.
const INFO_SECTION: &str = ".rodata.info";

/// The section of the [`Clock`](perimeter_classifier::abi::Clock).
const CLOCK_SECTION: &str = ".data.clock";
