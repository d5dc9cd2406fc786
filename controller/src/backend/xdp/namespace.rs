//! Where perimeter runs: the network namespace, and whether its bpf file system outlives the shell.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor, statfs};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{AddressFamily, SocketType, socket};

use crate::backend::BackendError;
use crate::backend::facts::Bpffs;
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

/// Where a bpf file system is mounted by custom.
const CUSTOMARY: &str = "/sys/fs/bpf";

/// Whether a place for pins can hold any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Mounted,
    /// It lies below the customary mount point, where nothing is mounted: nothing can be pinned there yet.
    NotMounted,
}

/// Looks at a place for pins. Refuses one that lies elsewhere on no bpf file system, or whose bpf file system this mount
/// namespace hides (`ip netns exec` does).
fn place(path: &Path) -> Result<Place, BackendError> {
    let there = nearest(path);
    let facts = statfs(&there).map_err(|error| failed("look at", &there, error.into()))?;
    if facts.f_type as i64 == BPF_FS_MAGIC {
        return Ok(Place::Mounted);
    }
    if !path.starts_with(CUSTOMARY) {
        return Err(BackendError::NoBpffs { path: path.display().to_string() });
    }
    let mounted = |line: &str| line.split(' ').nth(4) == Some(CUSTOMARY) && line.contains(" - bpf ");
    match mounts_of_init(&there)?.lines().any(mounted) {
        true => Err(BackendError::PrivateBpffs { path: path.display().to_string() }),
        false => Ok(Place::NotMounted),
    }
}

/// Refuses a place that can hold no pins; one where nothing is mounted yet holds none, which is an answer.
pub(super) fn require_readable(path: &Path) -> Result<(), BackendError> {
    place(path).map(drop)
}

/// Makes a place that holds pins for as long as the machine runs: mounts the customary file system where it is missing,
/// and refuses one that only this mount namespace has, since pins would end with it, and enforcement with them.
pub(super) fn require_lasting(path: &Path) -> Result<(), BackendError> {
    let mounted_here = place(path)? == Place::NotMounted;
    if mounted_here {
        mount("bpf", CUSTOMARY, "bpf", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
            .map_err(|error| failed("mount a bpf file system at", Path::new(CUSTOMARY), error.into()))?;
    }
    if is_lasting(path)? {
        return Ok(());
    }
    if mounted_here {
        // The refusal is what matters; what was mounted ends with this namespace anyway.
        let _ = unmount(CUSTOMARY, UnmountFlags::DETACH);
    }
    Err(BackendError::PrivateBpffs { path: nearest(path).display().to_string() })
}

/// Whether the mount that a path lies on is one of process 1, a bpf file system.
fn is_lasting(path: &Path) -> Result<bool, BackendError> {
    let there = nearest(path);
    let device = fs::metadata(&there).map_err(|error| failed("look at", &there, error))?.dev();
    Ok(is_mounted(&mounts_of_init(&there)?, major(device), minor(device)))
}

/// What [`require_lasting`] would meet; nothing is mounted.
pub(super) fn bpffs(path: &Path) -> Result<Bpffs, BackendError> {
    Ok(match place(path) {
        Ok(Place::NotMounted) => Bpffs::NotMounted,
        Ok(Place::Mounted) if is_lasting(path)? => Bpffs::Lasting,
        Ok(Place::Mounted) | Err(BackendError::PrivateBpffs { .. }) => Bpffs::Private,
        Err(BackendError::NoBpffs { .. }) => Bpffs::Other,
        Err(error) => return Err(error),
    })
}

/// The mounts of process 1, whose mount namespace is there as long as the machine runs.
fn mounts_of_init(path: &Path) -> Result<String, BackendError> {
    fs::read_to_string("/proc/1/mountinfo")
        .map_err(|error| failed("compare the mounts of process 1 with", path, error))
}

fn failed(what: &str, path: &Path, error: io::Error) -> BackendError {
    BackendError::failed(format!("{what} {}", path.display()), error)
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
pub(super) fn nearest(path: &Path) -> PathBuf {
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
        let error = place(Path::new("/proc/no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("mount -t bpf bpf /sys/fs/bpf"), "{error}");
    }

    #[test]
    fn the_namespace_has_a_number() {
        assert_ne!(current().unwrap().cookie, 0);
    }
}
