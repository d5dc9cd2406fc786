//! Events as they come, for any number of those who ask.
//!
//! Promises: the ring has one reader, whoever takes the lock first: the agent, or one `perimeter events`. It hands every
//! event on over a local socket to all who come after it; when it ends, one of them takes its place. Who claims the ring, as
//! the agent does, gets it from who reads it. Who does not keep up misses events, and is told how many; the ring is never held
//! up. Lock and socket lie in the state directory.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::line::{Taken, Taker};
use super::owner::{End, Owner};
use crate::backend::BackendError;
use crate::backend::sources::Sources;
use crate::counters::Event;
use crate::state::Namespace;

/// The longest wait in one go: new followers are let in, and the reader's lease is renewed, at least so often.
pub(super) const BREATH: Duration = Duration::from_millis(500);

/// A reader that gives no sign of life for so long reads nothing: it gives one every [`BREATH`].
const SILENCE: Duration = Duration::from_secs(5);

/// Who gave way to another reader leaves it so much time to take the lock.
const COURTESY: Duration = Duration::from_millis(200);

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
    claims: bool,
    missed: u64,
}

enum Source {
    Kernel(Owner),
    Socket(Taker),
}

/// Why events cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Kernel(#[from] BackendError),
    #[error("cannot {what} {path}: {cause}")]
    File { what: &'static str, path: String, cause: io::Error },
    #[error(
        "process {pid} reads the events of this machine and hands nothing on: if it was stopped, `kill -CONT {pid}` lets it go on, `kill -KILL {pid}` lets another one read"
    )]
    Silent { pid: String },
}

impl Stream {
    /// Begins to follow. Nothing need be enforced yet: events come once it is.
    pub fn open(place: Place) -> Result<Stream, StreamError> {
        Stream::connected(place, false)
    }

    /// Begins to follow, and takes the ring from who reads it: this one is to be relied on to read.
    pub fn claim(place: Place) -> Result<Stream, StreamError> {
        Stream::connected(place, true)
    }

    fn connected(place: Place, claims: bool) -> Result<Stream, StreamError> {
        let source = connect(&place, claims)?;
        Ok(Stream { place, source, claims, missed: 0 })
    }

    /// Whether there is something to follow.
    pub fn is_connected(&self) -> bool {
        self.source.is_some()
    }

    /// Events so far that were told by the kernel and are not among those that [`Stream::next`] gave: it was not called in
    /// time.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The next events; none where none came within `patience`, or within half a second.
    pub fn next(&mut self, patience: Duration) -> Result<Vec<Event>, StreamError> {
        let patience = patience.min(BREATH);
        let taken = match &mut self.source {
            Some(Source::Kernel(owner)) => owner.next(patience),
            Some(Source::Socket(follower)) => {
                let taken = follower.next(patience);
                if taken.is_some() && follower.silence() > SILENCE {
                    return Err(StreamError::Silent { pid: reader(&self.place) });
                }
                taken
            }
            None => None,
        };
        if let Some(Taken { events, missed }) = taken {
            self.missed += missed;
            return Ok(events);
        }
        // The lock is let go before it is asked for again.
        if let Some(Source::Kernel(owner)) = self.source.take()
            && owner.end()? == End::GaveWay
        {
            thread::sleep(COURTESY);
        }
        self.source = connect(&self.place, self.claims)?;
        if self.source.is_none() {
            thread::sleep(patience);
        }
        Ok(Vec::new())
    }
}

pub(super) fn path(place: &Place, ending: &str) -> PathBuf {
    place.state_dir.join(format!("events-{}.{ending}", place.namespace.cookie))
}

/// The process that holds the lock, as it says itself.
fn reader(place: &Place) -> String {
    fs::read_to_string(path(place, "lock")).unwrap_or_else(|_| "?".to_owned())
}

/// The ring where nobody reads it, else the socket of who does; `None` where there is neither yet.
fn connect(place: &Place, claims: bool) -> Result<Option<Source>, StreamError> {
    let (lock, socket) = (path(place, "lock"), path(place, "socket"));
    fs::create_dir_all(&place.state_dir).map_err(file("create", &place.state_dir))?;
    let held = File::options().create(true).append(true).open(&lock).map_err(file("open", &lock))?;
    match held.try_lock() {
        Ok(()) => {
            let Some(sources) = Sources::open(&place.bpffs, place.namespace)? else { return Ok(None) };
            Ok(Some(Source::Kernel(Owner::start(place, sources, held, &socket)?)))
        }
        Err(TryLockError::WouldBlock) => {
            // Nobody listens for a moment while one makes way for another.
            let Ok(connected) = UnixStream::connect(&socket) else { return Ok(None) };
            let mut follower = Taker::new(connected);
            if claims && follower.claim().is_err() {
                return Ok(None);
            }
            Ok(Some(Source::Socket(follower)))
        }
        Err(TryLockError::Error(cause)) => Err(file("lock", &lock)(cause)),
    }
}

pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StreamError {
    let path = path.display().to_string();
    move |cause| StreamError::File { what, path, cause }
}
