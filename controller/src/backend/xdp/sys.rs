//! The bpf(2) calls that aya does not offer: maps of any value size, freezing, loading over ready-made maps, test runs.
//!
//! Promises: every function is safe to call; buffers are checked against what the kernel reads or writes. Descriptors are
//! owned and closed on exec. Errors are the kernel's, as `io::Error`.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_map_info, bpf_map_type, bpf_prog_info, bpf_prog_type,
};

mod batch;
mod links;
mod mapping;

pub use batch::{Elements, map_elements};
pub use links::{LinkInfo, XdpPath, link_create, link_detach, link_info, link_update, tcx_programs};
pub use mapping::Mapping;

/// How often a program is loaded again where a signal ended the verifier's work (`EAGAIN`; `bpf_check` since Linux 5.0).
const LOAD_TRIES: usize = 5;

/// What a map is made of; its keys have four bytes, but a ring buffer has none, nor values.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec<'a> {
    /// At most 15 letters, digits, `_` or `.`.
    pub name: &'a str,
    pub kind: bpf_map_type,
    /// Bytes of one value.
    pub value_size: u32,
    pub entries: u32,
    /// `BPF_F_*` of map creation.
    pub flags: u32,
}

/// A program to be verified.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSpec<'a> {
    /// At most 15 letters, digits, `_` or `.`.
    pub name: &'a str,
    pub instructions: &'a [bpf_insn],
    pub license: &'a CStr,
    /// `BPF_F_*` of program loading.
    pub flags: u32,
}

/// What the kernel says about a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapInfo {
    pub id: u32,
    pub name: String,
    /// `BPF_MAP_TYPE_*`.
    pub kind: u32,
    /// Bytes of one key.
    pub key_size: u32,
    /// Bytes of one value.
    pub value_size: u32,
    pub entries: u32,
}

/// What the kernel says about a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    pub id: u32,
    pub name: String,
    /// Hash of the instructions; the same for every generation of one version of perimeter.
    pub tag: [u8; 8],
    /// Instructions that the verifier walked; 0 before Linux 5.16.
    pub verified_instructions: u32,
    /// Bytes of machine code; 0 where the kernel interprets the program.
    pub compiled_bytes: u32,
    /// When it was loaded, since boot.
    pub loaded: Duration,
    /// Ids of the maps that it uses.
    pub maps: Vec<u32>,
}

/// The outcome of a test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// Return value of the last repetition.
    pub value: u32,
    /// Mean time of one repetition, in whole nanoseconds.
    pub mean: Duration,
}

/// Creates a map.
pub fn map_create(spec: MapSpec<'_>) -> io::Result<OwnedFd> {
    let mut attr = no_attributes();
    attr.__bindgen_anon_1.map_type = spec.kind as u32;
    let is_ring = spec.kind == bpf_map_type::BPF_MAP_TYPE_RINGBUF;
    attr.__bindgen_anon_1.key_size = if is_ring { 0 } else { 4 };
    attr.__bindgen_anon_1.value_size = spec.value_size;
    attr.__bindgen_anon_1.max_entries = spec.entries;
    attr.__bindgen_anon_1.map_flags = spec.flags;
    attr.__bindgen_anon_1.map_name = object_name(spec.name);
    // SAFETY: the attributes hold no pointer.
    unsafe { call_for_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }
}

/// Writes one element of a map that is not per-CPU. `value` must have exactly the map's value size (`InvalidInput`).
pub fn map_update(map: BorrowedFd<'_>, key: u32, value: &[u8]) -> io::Result<()> {
    exact_size(map, value.len())?;
    let mut attr = no_attributes();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = address(&key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_ptr() as u64;
    // SAFETY: the kernel reads four bytes of `key` and the map's value size of `value`, which is its length.
    unsafe { call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
}

/// Reads one element of a map that is not per-CPU. `value` must have exactly the map's value size (`InvalidInput`).
pub fn map_lookup(map: BorrowedFd<'_>, key: u32, value: &mut [u8]) -> io::Result<()> {
    exact_size(map, value.len())?;
    let mut attr = no_attributes();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = address(&key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    // SAFETY: the kernel reads four bytes of `key` and writes the map's value size to `value`, which is its length.
    unsafe { call(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) }.map(drop)
}

/// Makes a map unchangeable from user space, for ever.
pub fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = no_attributes();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    // SAFETY: the attributes hold no pointer.
    unsafe { call(bpf_cmd::BPF_MAP_FREEZE, &mut attr) }.map(drop)
}

/// Has an XDP program verified and compiled. `log` takes the verifier's words, ended by a zero byte; without one the
/// verifier is silent, and faster. `ENOSPC`: the log is too short.
pub fn program_load(spec: ProgramSpec<'_>, log: Option<&mut [u8]>) -> io::Result<OwnedFd> {
    let mut attr = no_attributes();
    attr.__bindgen_anon_3.prog_type = bpf_prog_type::BPF_PROG_TYPE_XDP as u32;
    attr.__bindgen_anon_3.expected_attach_type = bpf_attach_type::BPF_XDP as u32;
    attr.__bindgen_anon_3.prog_flags = spec.flags;
    attr.__bindgen_anon_3.prog_name = object_name(spec.name);
    attr.__bindgen_anon_3.license = spec.license.as_ptr() as u64;
    attr.__bindgen_anon_3.insns = spec.instructions.as_ptr() as u64;
    attr.__bindgen_anon_3.insn_cnt = length(spec.instructions.len())?;
    if let Some(log) = log {
        attr.__bindgen_anon_3.log_level = 1;
        attr.__bindgen_anon_3.log_buf = log.as_mut_ptr() as u64;
        attr.__bindgen_anon_3.log_size = length(log.len())?;
    }
    let mut tries = 0;
    loop {
        // SAFETY: instructions and log are given with their lengths, the license ends with a zero byte; all outlive the
        // call.
        match unsafe { call_for_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) } {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries < LOAD_TRIES => tries += 1,
            other => return other,
        }
    }
}

/// Runs a program `repeat` times on one frame. The kernel copies the frame once; nothing of it comes back.
pub fn program_test_run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<TestRun> {
    let mut attr = no_attributes();
    attr.test.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.test.data_in = frame.as_ptr() as u64;
    attr.test.data_size_in = length(frame.len())?;
    attr.test.repeat = repeat;
    // SAFETY: the frame is given with its length and outlives the call; there is no output buffer.
    unsafe { call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
    // SAFETY: the kernel has filled in this member; any bits are valid numbers.
    let outcome = unsafe { attr.test };
    Ok(TestRun { value: outcome.retval, mean: Duration::from_nanos(outcome.duration.into()) })
}

/// Runs a program `repeat` times on one frame, and lets the network stack of the caller's namespace have those that it
/// passes, as if its loopback device had received them (Linux 5.18). Measures what is behind XDP.
pub fn program_live_run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> io::Result<()> {
    /// `BPF_F_TEST_XDP_LIVE_FRAMES`.
    const LIVE_FRAMES: u32 = 1 << 1;
    let mut attr = no_attributes();
    attr.test.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.test.data_in = frame.as_ptr() as u64;
    attr.test.data_size_in = length(frame.len())?;
    attr.test.repeat = repeat;
    attr.test.flags = LIVE_FRAMES;
    // SAFETY: the frame is given with its length and outlives the call; there is no output buffer.
    unsafe { call(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) }?;
    Ok(())
}

/// Has a program hold a map for as long as it lives, whether it uses it or not (Linux 5.10).
pub fn program_bind_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = no_attributes();
    attr.prog_bind_map.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.prog_bind_map.map_fd = map.as_raw_fd().cast_unsigned();
    // SAFETY: the attributes hold no pointer.
    unsafe { call(bpf_cmd::BPF_PROG_BIND_MAP, &mut attr) }.map(drop)
}

/// Opens a program by its id; needs CAP_SYS_ADMIN. `NotFound` where there is none.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = no_attributes();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    // SAFETY: the attributes hold no pointer.
    unsafe { call_for_fd(bpf_cmd::BPF_PROG_GET_FD_BY_ID, &mut attr) }
}

/// Opens a map by its id; needs CAP_SYS_ADMIN. `NotFound` where there is none.
pub fn map_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = no_attributes();
    attr.__bindgen_anon_6.__bindgen_anon_1.map_id = id;
    // SAFETY: the attributes hold no pointer.
    unsafe { call_for_fd(bpf_cmd::BPF_MAP_GET_FD_BY_ID, &mut attr) }
}

/// What the kernel says about a map.
pub fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    // SAFETY: a structure of integers, for which zero is a value.
    let mut info: bpf_map_info = unsafe { mem::zeroed() };
    // SAFETY: the kernel fills in plain integers of `bpf_map_info` where `map` is a map, and fails where it is not, since
    // no pointer in `info` is set.
    unsafe { object_info(map, &mut info) }?;
    Ok(MapInfo {
        id: info.id,
        name: name_of(&info.name),
        kind: info.type_,
        key_size: info.key_size,
        value_size: info.value_size,
        entries: info.max_entries,
    })
}

/// What the kernel says about a program.
pub fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    // Far more maps than a program of ours has; of a foreign program the first are enough.
    let mut maps = vec![0u32; 64];
    // SAFETY: a structure of integers, for which zero is a value.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    info.nr_map_ids = length(maps.len())?;
    info.map_ids = maps.as_mut_ptr() as u64;
    // SAFETY: the only pointer set in `info` is `map_ids`, with its length; the kernel writes no more than that.
    unsafe { object_info(program, &mut info) }?;
    maps.truncate(info.nr_map_ids as usize);
    Ok(ProgramInfo {
        id: info.id,
        name: name_of(&info.name),
        tag: info.tag,
        verified_instructions: info.verified_insns,
        compiled_bytes: info.jited_prog_len,
        loaded: Duration::from_nanos(info.load_time),
        maps,
    })
}

/// Gives an object a name in a bpffs, which keeps it alive. `AlreadyExists` where the name is taken.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = no_attributes();
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    // SAFETY: the path ends with a zero byte and outlives the call.
    unsafe { call(bpf_cmd::BPF_OBJ_PIN, &mut attr) }.map(drop)
}

/// Opens a pinned object.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = no_attributes();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    // SAFETY: the path ends with a zero byte and outlives the call.
    unsafe { call_for_fd(bpf_cmd::BPF_OBJ_GET, &mut attr) }
}

/// Refuses a buffer that is not of the map's value size.
fn exact_size(map: BorrowedFd<'_>, len: usize) -> io::Result<()> {
    let info = map_info(map)?;
    if info.kind == bpf_map_type::BPF_MAP_TYPE_ARRAY as u32 && info.value_size as usize == len {
        return Ok(());
    }
    let (name, size) = (info.name, info.value_size);
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("map {name} is no array of values of {len} bytes (values of {size} bytes)"),
    ))
}

/// Fills in `info` for `object`.
///
/// # Safety
/// `T` is the info structure of the object's kind, made of integers; each pointer set in it is valid for its length.
unsafe fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = no_attributes();
    attr.info.bpf_fd = object.as_raw_fd().cast_unsigned();
    attr.info.info = std::ptr::from_mut(info) as u64;
    attr.info.info_len = length(size_of::<T>())?;
    // SAFETY: the kernel writes at most `info_len` bytes to `info`; the caller answers for the pointers in it.
    unsafe { call(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr) }.map(drop)
}

/// bpf(2); the result is what the call returns where it does not fail.
///
/// # Safety
/// Every pointer in `attr` that `cmd` uses is valid for the length that goes with it.
unsafe fn call(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attr` is a whole `bpf_attr`; the caller answers for the pointers in it.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, cmd as libc::c_int, &raw mut *attr, size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// bpf(2) with a command that returns a new descriptor.
///
/// # Safety
/// As [`call`]; and `cmd` returns a descriptor.
unsafe fn call_for_fd(cmd: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call(cmd, attr) }?;
    // SAFETY: the kernel has just opened it for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attributes of which none is set.
fn no_attributes() -> bpf_attr {
    // SAFETY: a union of structures of integers, for which zero is a value.
    unsafe { mem::zeroed() }
}

fn address(key: &u32) -> u64 {
    std::ptr::from_ref(key) as u64
}

/// A length as the kernel takes it.
fn length(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// A name as the kernel takes it: cut to 15 bytes.
fn object_name(name: &str) -> [c_char; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from as c_char;
    }
    bytes
}

fn name_of(bytes: &[c_char; 16]) -> String {
    bytes.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte as u8)).collect()
}
