//! Who reads the ring: a thread of its own, so that nobody's output holds it up.
//!
//! Promises: as long as it lives the ring is read, whatever becomes of those who are told: they are given a queue each (see
//! [`super::line`]), the one who started it too. It gives way to a follower that claims the ring, once what it has read is
//! handed on. Its socket is open to its own user from the first moment.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::line::{Giver, Taken, Taker, Wish, lines};
use super::stream::{BREATH, Place, StreamError, file};
use super::tally::Tally;
use crate::backend::sources::{Read, Sources};

/// How often what was read is handed on, where the ring was given away before all of it was taken.
const REST: Duration = Duration::from_millis(50);

/// Why the thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody listens to it any more, or the ring is no longer the one that programs write to.
    Over,
    /// Somebody else is to read the ring.
    GaveWay,
}

/// The thread, and what it tells to who has started it.
pub(super) struct Owner {
    /// `None` once it is to end.
    taker: Option<Taker>,
    thread: Option<JoinHandle<Result<End, StreamError>>>,
}

impl Owner {
    /// Begins to read. `lock` is held by this process, and let go at the end.
    pub(super) fn start(
        place: &Place,
        sources: Sources,
        lock: File,
        socket: &Path,
    ) -> Result<Owner, StreamError> {
        let tally = Tally::open(place)?;
        sign(&lock).map_err(file("write", socket))?;
        let listener = listen(socket).map_err(file("listen on", socket))?;
        let (ours, theirs) = UnixStream::pair().map_err(file("serve", socket))?;
        let own = Giver::new(ours).map_err(file("serve", socket))?;
        let work = Work { sources, tally, lock, listener, givers: vec![own] };
        let thread = thread::Builder::new().name("ring".to_owned()).spawn(move || work.run());
        let thread = thread.map_err(file("serve", socket))?;
        Ok(Owner { taker: Some(Taker::new(theirs)), thread: Some(thread) })
    }

    /// The next events; `None` at the end.
    pub(super) fn next(&mut self, patience: Duration) -> Option<Taken> {
        self.taker.as_mut()?.next(patience)
    }

    /// Why it ended; waits for that.
    pub(super) fn end(mut self) -> Result<End, StreamError> {
        self.join()
    }

    fn join(&mut self) -> Result<End, StreamError> {
        self.taker = None;
        let Some(thread) = self.thread.take() else { return Ok(End::Over) };
        thread.join().unwrap_or(Ok(End::Over))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Who drops it no longer wants to know.
        let _ = self.join();
    }
}

/// Writes down who holds the lock, for those who wonder why nothing comes.
fn sign(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    write!(lock, "{}", std::process::id())
}

/// A socket in the place of what another owner may have left. It is made in a folder that is open to its user only, and
/// moved when nobody else can connect to it.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    let folder = socket.with_extension("new");
    let made = folder.join("s");
    match fs::remove_dir_all(&folder) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&folder)?;
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    fs::rename(&made, socket)?;
    fs::remove_dir(&folder)?;
    Ok(listener)
}

/// What the thread has.
struct Work {
    sources: Sources,
    tally: Tally,
    lock: File,
    listener: UnixListener,
    /// The first is for who has started the thread.
    givers: Vec<Giver>,
}

impl Work {
    fn run(mut self) -> Result<End, StreamError> {
        let mut told = Instant::now();
        loop {
            self.sources.wait(&[self.listener.as_fd(), self.givers[0].as_fd()], BREATH)?;
            let is_due = told.elapsed() >= BREATH;
            if is_due && !self.sources.renew()? {
                return Ok(self.part(End::Over));
            }
            while let Ok((socket, _)) = self.listener.accept() {
                self.givers.extend(Giver::new(socket).ok());
            }
            let wishes: Vec<Wish> = self.givers.iter_mut().map(Giver::wish).collect();
            let Read { events, logged, lost } = self.sources.read()?;
            self.tally.add(logged, lost);
            let events = lines(&events);
            if is_due {
                told = Instant::now();
                self.keep();
            }
            let mut wish = wishes.iter();
            self.givers.retain_mut(|giver| {
                let gone = wish.next() == Some(&Wish::Gone);
                !gone && giver.give(&events) && (!is_due || giver.beat())
            });
            if wishes[0] == Wish::Gone {
                return Ok(self.part(End::Over));
            }
            if wishes.contains(&Wish::ToRead) {
                return Ok(self.give_way());
            }
        }
    }

    /// Writes down how much was read. A disk that is full takes nothing away from those who are told.
    fn keep(&mut self) {
        let _ = self.tally.keep();
    }

    /// The end: what was read is handed on to those who take it.
    fn part(mut self, end: End) -> End {
        self.keep();
        self.givers.into_iter().for_each(Giver::part);
        end
    }

    /// Lets go of the ring first, and then hands on what was read, however long that takes: to who has started the thread, and
    /// by a thread of their own to the others, so that one of them who stalls holds nobody up.
    fn give_way(mut self) -> End {
        self.keep();
        let Work { sources, lock, listener, mut givers, .. } = self;
        drop((sources, lock, listener));
        let others = givers.split_off(1);
        // Where no thread is to be had they are told nothing more, as if this process had ended.
        let _ = thread::Builder::new().name("rest".to_owned()).spawn(move || hand_on(others));
        hand_on(givers);
        End::GaveWay
    }
}

/// Hands on what was read until everybody has it, or is gone.
fn hand_on(mut givers: Vec<Giver>) {
    while !givers.is_empty() {
        givers.retain_mut(|giver| giver.give(&[]) && !giver.is_even() && giver.wish() != Wish::Gone);
        if !givers.is_empty() {
            thread::sleep(REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Goal: nobody else can connect at any moment. Method: look at the socket all the time while it is made again and again.
    #[test]
    fn a_socket_is_never_open_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, done) = (dir.path().join("events-7.socket"), AtomicBool::new(false));
        let widest = thread::scope(|scope| {
            let eyes = scope.spawn(|| {
                let mut widest = 0;
                while !done.load(Ordering::Relaxed) {
                    widest |= fs::metadata(&socket).map_or(0, |found| found.permissions().mode());
                }
                widest & 0o777
            });
            for _ in 0..200 {
                fs::create_dir_all(socket.with_extension("new")).unwrap();
                let _listener = listen(&socket).unwrap();
                assert!(UnixStream::connect(&socket).is_ok());
            }
            done.store(true, Ordering::Relaxed);
            eyes.join().unwrap()
        });
        assert_eq!((widest, fs::read_dir(dir.path()).unwrap().count()), (0o600, 1));
    }
}
