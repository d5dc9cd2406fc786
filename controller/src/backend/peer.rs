//! The other end of a veth pair, which may be in another network namespace.
//!
//! Promises: the device that answers is the other end itself, found by the kernel's numbers, never by a name. Refuses where
//! nothing names that namespace here: what is not seen is not guessed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::device::{self, Device};

/// The other end, and the way to it.
pub(super) struct Peer {
    pub(super) name: String,
    /// Its network namespace, and the path that names it, where that is not this one.
    namespace: Option<(File, PathBuf)>,
}

impl Peer {
    /// The other end of `device`; `None` where that is no veth device.
    pub(super) fn of(device: &Device) -> io::Result<Option<Peer>> {
        let Some(peer) = device.veth_peer else { return Ok(None) };
        let namespace = peer.namespace.map(open_namespace).transpose()?;
        let entered = namespace.as_ref().map(|(file, _)| file);
        let found = within(entered, || device::by_index(peer.index))?;
        let found = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is gone"))?;
        Ok(Some(Peer { name: found.name, namespace }))
    }

    /// Does something where the other end goes by its name.
    pub(super) fn within<T: Send>(&self, what: impl FnOnce(&str) -> io::Result<T> + Send) -> io::Result<T> {
        within(self.namespace.as_ref().map(|(file, _)| file), || what(&self.name))
    }

    /// A command as it is to be typed here for the other end to have it.
    pub(super) fn command(&self, command: &str) -> String {
        self.namespace.as_ref().map_or(command.to_owned(), |(_, path)| format!("{} {command}", enter(path)))
    }
}

/// The words that have the command after them run in a network namespace.
fn enter(path: &Path) -> String {
    let process = path.strip_prefix("/proc").ok().and_then(|rest| rest.iter().next());
    match process {
        Some(number) => format!("nsenter -t {} -n", number.display()),
        None => format!("nsenter --net={}", path.display()),
    }
}

/// Does something in a network namespace, on a thread of its own: this one stays where it is.
fn within<T: Send>(namespace: Option<&File>, what: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let Some(namespace) = namespace else { return what() };
    let inside = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        what()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, inside)?;
        let failed = |_| Err(io::Error::other("the thread that entered its network namespace failed"));
        thread.join().unwrap_or_else(failed)
    })
}

/// Opens the namespace that has this number here; and by which path.
fn open_namespace(number: i32) -> io::Result<(File, PathBuf)> {
    let mut seen = BTreeSet::new();
    for path in handles() {
        // A process may have ended by now.
        let Ok(file) = File::open(&path) else { continue };
        let Ok(facts) = file.metadata() else { continue };
        if seen.insert((facts.dev(), facts.ino()))
            && device::namespace_number(file.as_fd()).ok() == Some(Some(number))
        {
            return Ok((file, path));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "it is in a network namespace that has no name in /run/netns and no process here",
    ))
}

/// Where network namespaces can be entered: by the names of `ip netns` and of Docker, and by processes.
fn handles() -> Vec<PathBuf> {
    let list = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let number = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let processes = list("/proc").into_iter().filter(number).map(|process| process.join(Path::new("ns/net")));
    list("/run/netns").into_iter().chain(list("/run/docker/netns")).chain(processes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_entered_by_its_name_or_by_a_process_in_it() {
        assert_eq!(enter(Path::new("/run/netns/lan")), "nsenter --net=/run/netns/lan");
        assert_eq!(enter(Path::new("/run/docker/netns/1-ab")), "nsenter --net=/run/docker/netns/1-ab");
        assert_eq!(enter(Path::new("/proc/42/ns/net")), "nsenter -t 42 -n");
    }
}
