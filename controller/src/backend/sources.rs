//! Where events come from: the ring that XDP programs write to, and the log of nftables where that judges alone.
//!
//! Promises: what comes to be, or ends, while it is read is noticed by the next [`Sources::renew`]. A log that cannot be had
//! (another program listens to its group) ends nothing where there is a ring, which is read all the same: what nftables tells
//! meanwhile counts as unheard. Of those who read the same instance only one may be at work (`crate::events`).

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::BackendError;
use super::nft::events::{self as log, Frames};
use super::xdp::events::Ring;
use crate::counters::Event;
use crate::state::Namespace;

/// What there is to read of one instance in one network namespace: at least one of both.
pub struct Sources {
    bpffs: PathBuf,
    namespace: Namespace,
    ring: Option<Ring>,
    log: Option<Frames>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    pub events: Vec<Event>,
    /// How many of them nftables has told, and how many more it could not hand over. What XDP tells and loses its program
    /// counts itself.
    pub logged: u64,
    pub lost: u64,
}

impl Sources {
    /// Begins to listen; `None` where nothing has ever been enforced, or is no more.
    pub fn open(bpffs: &Path, namespace: Namespace) -> Result<Option<Sources>, BackendError> {
        let ring = Ring::open(bpffs, namespace)?;
        ring.iter().try_for_each(Ring::listen)?;
        let log = beside(ring.as_ref(), Frames::open(bpffs))?;
        let is_there = ring.is_some() || log.is_some();
        Ok(is_there.then(|| Sources { bpffs: bpffs.to_owned(), namespace, ring, log }))
    }

    /// Lets go of what has ended and takes up what has begun; false where nothing is left.
    pub fn renew(&mut self) -> Result<bool, BackendError> {
        if !self.ring.as_ref().is_some_and(Ring::is_current) {
            self.ring = Ring::open(&self.bpffs, self.namespace)?;
        }
        let log = match self.log.take() {
            Some(log) => log::is_told(&self.bpffs).map(|is_told| is_told.then_some(log)),
            None => Frames::open(&self.bpffs),
        };
        self.log = beside(self.ring.as_ref(), log)?;
        Ok(self.ring.is_some() || self.log.is_some())
    }

    /// Waits until there is something to read here or from one of `others`, but no longer than `patience`.
    pub fn wait(&self, others: &[BorrowedFd<'_>], patience: Duration) -> Result<(), BackendError> {
        let failed =
            |error: Box<dyn std::error::Error + Send + Sync>| BackendError::failed("wait for events", error);
        let own = self.ring.iter().map(AsFd::as_fd).chain(self.log.iter().map(AsFd::as_fd));
        let all: Vec<BorrowedFd<'_>> = own.chain(others.iter().copied()).collect();
        let mut fds: Vec<PollFd<'_>> = all.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let wait = Timespec::try_from(patience).map_err(|error| failed(error.into()))?;
        match poll(&mut fds, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Everything that is there now.
    pub fn read(&mut self) -> Result<Read, BackendError> {
        let mut read = Read::default();
        if let Some(ring) = &mut self.ring {
            read.events = ring.read(Duration::ZERO)?;
        }
        if let Some(log) = &mut self.log {
            // Without a log there is nothing to add; the next renewal asks for it again.
            match beside(self.ring.as_ref(), log.read().map(Some))? {
                Some(told) => {
                    (read.logged, read.lost) = (told.events.len() as u64, told.lost);
                    read.events.extend(told.events);
                }
                None => self.log = None,
            }
        }
        Ok(read)
    }
}

/// What there is of the log: its failure is nothing beside a ring, and else the end.
fn beside<T>(ring: Option<&Ring>, log: Result<Option<T>, BackendError>) -> Result<Option<T>, BackendError> {
    log.or_else(|error| if ring.is_some() { Ok(None) } else { Err(error) })
}
