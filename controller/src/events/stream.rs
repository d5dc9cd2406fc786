//! Events as they come, for any number of those who ask.
//!
//! Promises: the ring has one reader, whoever takes the lock first: the agent, or one `perimeter events`. It hands every
//! event on, as a line of JSON over a local socket, to all who come after it; when it ends, one of them takes its place. A
//! follower that does not keep up is cut off, and never holds the ring up. Lock and socket lie in the state directory.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::backend::BackendError;
use crate::backend::xdp::events::Ring;
use crate::counters::Event;
use crate::state::Namespace;

/// Bytes that a follower may be behind.
const BEHIND: usize = 4 << 20;

/// The longest wait in one go: new followers are let in, and the reader's lease is renewed, at least so often.
const BREATH: Duration = Duration::from_millis(500);

/// Where an instance keeps its things.
#[derive(Clone, Debug)]
pub struct Place {
    pub bpffs: PathBuf,
    pub state_dir: PathBuf,
    pub namespace: Namespace,
}

/// Events of one instance.
pub struct Stream {
    place: Place,
    source: Option<Source>,
}

enum Source {
    Ring(Box<Owner>),
    Socket(Follower),
}

/// Why events cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Ring(#[from] BackendError),
    #[error("cannot {what} {path}: {cause}")]
    File { what: &'static str, path: String, cause: io::Error },
}

impl Stream {
    /// Begins to follow. Nothing need be enforced yet: events come once it is.
    pub fn open(place: Place) -> Result<Stream, StreamError> {
        let source = connect(&place)?;
        Ok(Stream { place, source })
    }

    /// Whether there is something to follow.
    pub fn is_connected(&self) -> bool {
        self.source.is_some()
    }

    /// Tells the program that its reader is still there, though it does not read for a while.
    pub fn listen(&self) -> Result<(), StreamError> {
        match &self.source {
            Some(Source::Ring(owner)) => Ok(owner.ring.listen()?),
            _ => Ok(()),
        }
    }

    /// The next events; none where none came within `patience`, or within half a second. To be called again at once: while
    /// it is not, nobody reads.
    pub fn next(&mut self, patience: Duration) -> Result<Vec<Event>, StreamError> {
        let patience = patience.min(BREATH);
        let events = match &mut self.source {
            Some(Source::Ring(owner)) if owner.ring.is_current() => return owner.next(patience),
            Some(Source::Socket(follower)) => follower.next(patience),
            _ => None,
        };
        if let Some(events) = events {
            return Ok(events);
        }
        // The lock is let go before it is asked for again.
        self.source = None;
        self.source = connect(&self.place)?;
        if self.source.is_none() {
            thread::sleep(patience);
        }
        Ok(Vec::new())
    }
}

/// The ring where nobody reads it, else the socket of who does; `None` where there is neither yet.
fn connect(place: &Place) -> Result<Option<Source>, StreamError> {
    let path = |ending: &str| place.state_dir.join(format!("events-{}.{ending}", place.namespace.cookie));
    let (lock, socket) = (path("lock"), path("socket"));
    fs::create_dir_all(&place.state_dir).map_err(file("create", &place.state_dir))?;
    let held = File::options().create(true).append(true).open(&lock).map_err(file("open", &lock))?;
    match held.try_lock() {
        Ok(()) => {
            let Some(ring) = Ring::open(&place.bpffs, place.namespace)? else { return Ok(None) };
            Ok(Some(Source::Ring(Box::new(Owner::new(ring, held, &socket)?))))
        }
        Err(TryLockError::WouldBlock) => Ok(Follower::new(&socket).map(Source::Socket)),
        Err(TryLockError::Error(cause)) => Err(file("lock", &lock)(cause)),
    }
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StreamError {
    let path = path.display().to_string();
    move |cause| StreamError::File { what, path, cause }
}

/// Who reads the ring.
struct Owner {
    ring: Ring,
    _lock: File,
    listener: UnixListener,
    followers: Vec<Behind>,
}

/// A follower, and what it has not taken yet.
struct Behind {
    socket: UnixStream,
    bytes: Vec<u8>,
}

impl Owner {
    /// Opens the socket, in the place of what another owner may have left.
    fn new(ring: Ring, lock: File, socket: &Path) -> Result<Owner, StreamError> {
        match fs::remove_file(socket) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(file("remove", socket)(cause)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(file("listen on", socket))?;
        fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(file("protect", socket))?;
        listener.set_nonblocking(true).map_err(file("listen on", socket))?;
        Ok(Owner { ring, _lock: lock, listener, followers: Vec::new() })
    }

    fn next(&mut self, patience: Duration) -> Result<Vec<Event>, StreamError> {
        while let Ok((socket, _)) = self.listener.accept() {
            if socket.set_nonblocking(true).is_ok() {
                self.followers.push(Behind { socket, bytes: Vec::new() });
            }
        }
        let events = self.ring.read(patience)?;
        let mut lines = Vec::new();
        for event in &events {
            // An event is plain data: writing it to memory does not fail.
            if serde_json::to_writer(&mut lines, event).is_ok() {
                lines.push(b'\n');
            }
        }
        self.followers.retain_mut(|follower| follower.take(&lines));
        Ok(events)
    }
}

impl Behind {
    /// Hands on what there is; false where the follower is gone, or too far behind.
    fn take(&mut self, lines: &[u8]) -> bool {
        self.bytes.extend_from_slice(lines);
        while !self.bytes.is_empty() {
            match self.socket.write(&self.bytes) {
                Ok(0) => return false,
                Ok(written) => drop(self.bytes.drain(..written)),
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => break,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.bytes.len() <= BEHIND
    }
}

/// Who is told by the owner.
struct Follower {
    socket: UnixStream,
    bytes: Vec<u8>,
}

impl Follower {
    /// `None` where nobody listens.
    fn new(socket: &Path) -> Option<Follower> {
        Some(Follower { socket: UnixStream::connect(socket).ok()?, bytes: Vec::new() })
    }

    /// `None` at the end.
    fn next(&mut self, patience: Duration) -> Option<Vec<Event>> {
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).ok()?;
        let mut chunk = [0; 16 << 10];
        match self.socket.read(&mut chunk) {
            Ok(0) => return None,
            Ok(read) => self.bytes.extend_from_slice(&chunk[..read]),
            Err(cause)
                if matches!(
                    cause.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => return None,
        }
        let whole = self.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.bytes.drain(..whole).collect();
        lines
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    #[test]
    fn a_follower_gets_every_event_whole_and_is_cut_off_when_it_does_not_read() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut owner, mut follower) =
            (Behind { socket: ours, bytes: Vec::new() }, Follower { socket: theirs, bytes: Vec::new() });
        let line = [serde_json::to_vec(&event()).unwrap(), b"\n".to_vec()].concat();
        assert!(owner.take(&line[..20]));
        assert_eq!(follower.next(Duration::from_millis(1)), Some(Vec::new()));
        assert!(owner.take(&[&line[20..], &line].concat()));
        assert_eq!(follower.next(Duration::from_millis(100)), Some(vec![event(), event()]));
        let many = line.repeat((2 * BEHIND) / line.len());
        assert!(!owner.take(&many), "it is further behind than it may be");
        drop(owner);
        while follower.next(Duration::from_millis(100)).is_some() {}
    }
}
