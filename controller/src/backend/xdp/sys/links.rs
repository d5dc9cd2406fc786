//! Links: what ties a program to a device, and what changes the program between two frames.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_link_info, bpf_link_type};

use super::{call, call_for_fd, length, no_attributes, object_info};

/// Only replace the program that is expected (`linux/bpf.h`).
const BPF_F_REPLACE: u32 = 1 << 2;

/// Which receive path an XDP link takes (`XDP_FLAGS_*` of `linux/if_link.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum XdpPath {
    /// The stack's, after the driver has made a socket buffer.
    Generic = 1 << 1,
    /// The driver's.
    Driver = 1 << 2,
}

/// What the kernel says about an XDP link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    pub id: u32,
    /// Id of the program that it runs.
    pub program: u32,
    /// Index of the device; 0 once the device is gone or the link was detached.
    pub device: u32,
}

/// Attaches a program to a device; the attachment lasts as long as the descriptor, or a pin, is there. Linux 5.9.
/// `EBUSY`: another program is attached; `EOPNOTSUPP` and others: the driver refuses.
pub fn link_create(program: BorrowedFd<'_>, device: u32, path: XdpPath) -> io::Result<OwnedFd> {
    let mut attr = no_attributes();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    attr.link_create.__bindgen_anon_2.target_ifindex = device;
    attr.link_create.attach_type = bpf_attach_type::BPF_XDP as u32;
    attr.link_create.flags = path as u32;
    // SAFETY: the attributes hold no pointer.
    unsafe { call_for_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}

/// Replaces the program of a link between two frames, if the link runs `expected` now (`EPERM` where it does not).
pub fn link_update(
    link: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    expected: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut attr = no_attributes();
    attr.link_update.link_fd = link.as_raw_fd().cast_unsigned();
    attr.link_update.__bindgen_anon_1.new_prog_fd = program.as_raw_fd().cast_unsigned();
    attr.link_update.__bindgen_anon_2.old_prog_fd = expected.as_raw_fd().cast_unsigned();
    attr.link_update.flags = BPF_F_REPLACE;
    // SAFETY: the attributes hold no pointer.
    unsafe { call(bpf_cmd::BPF_LINK_UPDATE, &mut attr) }.map(drop)
}

/// Takes the program off the device at once, whoever else holds the link. Linux 5.9.
pub fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = no_attributes();
    attr.link_detach.link_fd = link.as_raw_fd().cast_unsigned();
    // SAFETY: the attributes hold no pointer.
    unsafe { call(bpf_cmd::BPF_LINK_DETACH, &mut attr) }.map(drop)
}

/// What the kernel says about a link; `InvalidData` where it is not an XDP link.
pub fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    // SAFETY: a structure of integers, for which zero is a value.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    // SAFETY: no pointer in `info` is set.
    unsafe { object_info(link, &mut info) }?;
    if info.type_ != bpf_link_type::BPF_LINK_TYPE_XDP as u32 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no XDP link"));
    }
    // SAFETY: the kernel has filled in the member for XDP links; any bits are a valid number.
    let device = unsafe { info.__bindgen_anon_1.xdp.ifindex };
    Ok(LinkInfo { id: info.id, program: info.prog_id, device })
}

/// Ids of the programs at tc's ingress on a device (tcx): none before Linux 6.6, which has no such hook.
pub fn tcx_programs(device: u32) -> io::Result<Vec<u32>> {
    // The kernel holds at most 64 (BPF_MPROG_MAX).
    let mut programs = vec![0u32; 64];
    let mut attr = no_attributes();
    attr.query.__bindgen_anon_1.target_ifindex = device;
    attr.query.attach_type = bpf_attach_type::BPF_TCX_INGRESS as u32;
    attr.query.prog_ids = programs.as_mut_ptr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = length(programs.len())?;
    // SAFETY: the only pointer is to the list of ids, with its length; the list outlives the call.
    match unsafe { call(bpf_cmd::BPF_PROG_QUERY, &mut attr) } {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
            return Ok(Vec::new());
        }
        other => other?,
    };
    // SAFETY: the kernel has filled in this member; any bits are a number.
    let count = unsafe { attr.query.__bindgen_anon_2.prog_cnt };
    programs.truncate(count as usize);
    Ok(programs)
}
