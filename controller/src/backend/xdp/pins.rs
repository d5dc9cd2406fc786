//! Names in the bpf file system: what outlives the command.
//!
//! Promises: everything of one instance in one network namespace lies in one folder, whose name carries the version of
//! this layout; only root may enter. Layout below `<bpffs>/v1-<namespace cookie>`:
//! `interfaces/<key>/{link, program, next, previous}`, `counter-keys`, a file for each of [`Shared`]; [`super::places`] tells which device a key
//! stands for.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::maps::Shared;
use super::sys;
use crate::backend::BackendError;
use crate::state::Namespace;

/// The folder of one instance in one network namespace.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    root: PathBuf,
}

/// What is pinned for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Link,
    /// The program in force.
    Program,
    /// The program about to be in force.
    Next,
    /// The program that was in force before: it takes its name back where another interface of the same apply fails, and stays,
    /// with its tables, until the next apply of this interface.
    Previous,
}

impl Object {
    const ALL: [Object; 4] = [Object::Link, Object::Program, Object::Next, Object::Previous];

    fn name(self) -> &'static str {
        match self {
            Object::Link => "link",
            Object::Program => "program",
            Object::Next => "next",
            Object::Previous => "previous",
        }
    }
}

impl Pins {
    /// The folder below `bpffs`; nothing is made yet.
    pub(super) fn new(bpffs: &Path, namespace: Namespace) -> Pins {
        Pins { root: bpffs.join(format!("v1-{}", namespace.cookie)) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn shared(&self, shared: Shared) -> PathBuf {
        self.root.join(shared.name())
    }

    pub(super) fn counter_keys(&self) -> PathBuf {
        self.root.join("counter-keys")
    }

    /// The counters of an earlier version, where it has left some.
    pub(super) fn inherited_counters(&self) -> PathBuf {
        self.root.join("counters")
    }

    fn folder(&self, key: &str) -> PathBuf {
        self.root.join("interfaces").join(encode(key))
    }

    pub(super) fn path(&self, key: &str, object: Object) -> PathBuf {
        self.folder(key).join(object.name())
    }

    /// The keys under which something is pinned, in alphabetical order.
    pub(super) fn folders(&self) -> Result<Vec<String>, BackendError> {
        let path = self.root.join("interfaces");
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failed("read", &path, error))?,
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| decode(entry.file_name().to_str()?)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Opens what is pinned; `None` where nothing is.
    pub(super) fn open(&self, key: &str, object: Object) -> Result<Option<OwnedFd>, BackendError> {
        let path = self.path(key, object);
        // A kernel that refuses bpf() would refuse to tell that nothing is there.
        if !path.exists() {
            return Ok(None);
        }
        match sys::open_pin(&path) {
            Ok(fd) => Ok(Some(fd)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", &path, error)),
        }
    }

    /// Pins an object, in the place of what was pinned under this name.
    pub(super) fn pin(&self, key: &str, object: Object, fd: BorrowedFd<'_>) -> Result<(), BackendError> {
        make_folder(&self.folder(key))?;
        put(&self.path(key, object), fd)
    }

    /// Gives what is pinned as `from` the name `to`, in the place of what had it.
    pub(super) fn rename(&self, key: &str, from: Object, to: Object) -> Result<(), BackendError> {
        let (from, to) = (self.path(key, from), self.path(key, to));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|error| failed("rename", &from, error)),
        }
    }

    /// Gives everything that is pinned under a key another one, in the place of what was pinned there.
    pub(super) fn rename_folder(&self, from: &str, to: &str) -> Result<(), BackendError> {
        if from == to {
            return Ok(());
        }
        self.clear(to)?;
        let path = self.folder(from);
        fs::rename(&path, self.folder(to)).map_err(|error| failed("rename", &path, error))
    }

    pub(super) fn unpin(&self, key: &str, object: Object) -> Result<(), BackendError> {
        remove(&self.path(key, object))
    }

    /// Removes everything that is pinned under a key.
    pub(super) fn clear(&self, key: &str) -> Result<(), BackendError> {
        for object in Object::ALL {
            self.unpin(key, object)?;
        }
        remove_folder(&self.folder(key))
    }

    /// Removes what has counted, and what it has counted under.
    pub(super) fn clear_counters(&self) -> Result<(), BackendError> {
        Shared::ALL.into_iter().try_for_each(|shared| remove(&self.shared(shared)))?;
        remove(&self.inherited_counters())?;
        remove(&self.counter_keys())
    }

    /// Removes what is shared, once no interface is left.
    pub(super) fn clear_shared(&self) -> Result<(), BackendError> {
        self.clear_counters()?;
        remove_folder(&self.root.join("interfaces"))?;
        remove_folder(&self.root)
    }

    /// Makes the folder of this instance.
    pub(super) fn make(&self) -> Result<(), BackendError> {
        make_folder(&self.root)
    }
}

/// Pins an object, in the place of what had this path.
pub(super) fn put(path: &Path, fd: BorrowedFd<'_>) -> Result<(), BackendError> {
    remove(path)?;
    sys::pin(fd, path).map_err(|error| failed("pin", path, error))
}

fn failed(what: &str, path: &Path, error: io::Error) -> BackendError {
    BackendError::failed(format!("{what} {}", path.display()), error)
}

fn make_folder(path: &Path) -> Result<(), BackendError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed("create", path, error))
}

fn remove(path: &Path) -> Result<(), BackendError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

fn remove_folder(path: &Path) -> Result<(), BackendError> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// A device name as a file name: bpffs keeps dots for itself (`kernel/bpf/inode.c`), so that everything but letters,
/// digits, `-` and `_` is written as `%` and two hexadecimal digits.
fn encode(interface: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let one = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    interface.bytes().map(one).collect()
}

/// The reverse of [`encode`]; `None` for a name that it never gives.
fn decode(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, plain) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(plain.bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_name_has_a_file_name_without_a_dot() {
        for name in ["wan0", "eth0.100", "br-lan", "wlan%d", "a_b", "eth0:1", "ä"] {
            let encoded = encode(name);
            assert!(!encoded.contains('.'), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
        assert_eq!(encode("eth0.100"), "eth0%2e100");
        assert_eq!(decode("eth0%2"), None);
    }
}
