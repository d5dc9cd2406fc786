//! Where perimeter runs: the network namespace, and whether its bpf file system outlives the shell.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor, statfs};
use rustix::net::{AddressFamily, SocketType, socket};

use crate::backend::BackendError;
use crate::state::Namespace;

/// `BPF_FS_MAGIC` of `linux/magic.h`.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// The network namespace of this process (SO_NETNS_COOKIE, Linux 5.14).
pub fn current() -> Result<Namespace, BackendError> {
    let cookie = || {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
        // SAFETY: the kernel writes at most `length` bytes, the size of `cookie`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NETNS_COOKIE,
                (&raw mut cookie).cast(),
                &raw mut length,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(cookie) }
    };
    let cookie =
        cookie().map_err(|error| BackendError::failed("tell the network namespace (Linux 5.14)", error))?;
    Ok(Namespace { cookie })
}

/// Refuses a place for pins that is on no bpf file system.
pub(super) fn require_bpffs(path: &Path) -> Result<PathBuf, BackendError> {
    let there = nearest(path);
    let facts = statfs(&there)
        .map_err(|error| BackendError::failed(format!("look at {}", there.display()), error))?;
    match facts.f_type as i64 == BPF_FS_MAGIC {
        true => Ok(there),
        false => Err(BackendError::NoBpffs { path: path.display().to_string() }),
    }
}

/// Refuses a bpf file system that only this mount namespace has: pins would end with it, and enforcement with them.
pub(super) fn require_lasting(path: &Path) -> Result<(), BackendError> {
    let there = require_bpffs(path)?;
    let failed = |what: &str| {
        let what = format!("{what} {}", there.display());
        move |error: io::Error| BackendError::failed(what, error)
    };
    let device = fs::metadata(&there).map_err(failed("look at"))?.dev();
    let mounts =
        fs::read_to_string("/proc/1/mountinfo").map_err(failed("compare the mounts of process 1 with"))?;
    match is_mounted(&mounts, major(device), minor(device)) {
        true => Ok(()),
        false => Err(BackendError::PrivateBpffs { path: there.display().to_string() }),
    }
}

/// Whether a mountinfo (proc_pid_mountinfo(5)) has a bpf file system of this device number.
fn is_mounted(mounts: &str, major: u32, minor: u32) -> bool {
    let number = format!("{major}:{minor}");
    mounts.lines().any(|line| {
        let (mount, rest) = line.split_once(" - ").unwrap_or((line, ""));
        mount.split(' ').nth(2) == Some(&number) && rest.starts_with("bpf ")
    })
}

/// The path itself, or the closest folder above it that exists.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_number_and_kind() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                      36 23 0:31 / /sys/fs/bpf rw,relatime shared:9 - bpf bpf rw,mode=700\n";
        assert!(is_mounted(mounts, 0, 31));
        assert!(!is_mounted(mounts, 0, 21), "a proc file system is no bpffs");
        assert!(!is_mounted(mounts, 0, 32));
    }

    #[test]
    fn a_place_on_another_file_system_is_refused() {
        let error = require_bpffs(Path::new("/proc/no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("mount -t bpf bpf /sys/fs/bpf"), "{error}");
    }

    #[test]
    fn the_namespace_has_a_number() {
        assert_ne!(current().unwrap().cookie, 0);
    }
}
