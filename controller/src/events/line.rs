//! The way from the reader of the ring to one who follows: lines of JSON over a socket.
//!
//! Promises: who gives never waits for who takes. What the queue of a follower has no room for is counted, and told where it
//! is missing in the row, so that every event is either handed on or known to be missed. An empty line is a sign of life.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counters::Event;

/// Bytes that a follower may be behind.
const BEHIND: usize = 4 << 20;

/// How long a giver that ends waits for a follower to take the rest.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a follower says that wants to read the ring itself.
const CLAIM: u8 = b'!';

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// So many events had no room here.
    Missed {
        missed: u64,
    },
    Event(Event),
}

/// Events as lines.
pub(super) fn lines(events: &[Event]) -> Vec<Vec<u8>> {
    events.iter().filter_map(line).collect()
}

fn line<T: Serialize>(content: &T) -> Option<Vec<u8>> {
    // Plain data: writing it to memory does not fail.
    let mut line = serde_json::to_vec(content).ok()?;
    line.push(b'\n');
    Some(line)
}

/// The end of who gives.
pub(super) struct Giver {
    socket: UnixStream,
    /// Queued, and not taken yet.
    bytes: Vec<u8>,
    /// Events that were not queued since the last one that was.
    missed: u64,
}

/// What a follower wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    ToFollow,
    /// To read the ring itself.
    ToRead,
    Gone,
}

impl Giver {
    pub(super) fn new(socket: UnixStream) -> io::Result<Giver> {
        socket.set_nonblocking(true)?;
        Ok(Giver { socket, bytes: Vec::new(), missed: 0 })
    }

    /// Queues lines as far as there is room, and hands on what is taken; false where nobody takes any more.
    pub(super) fn give(&mut self, lines: &[Vec<u8>]) -> bool {
        if !self.hand_on() {
            return false;
        }
        // A gap ends once half of the queue is free: a gap is told once, not for every other event.
        if self.missed > 0 && self.bytes.len() <= BEHIND / 2 {
            self.tell_gap();
        }
        for line in lines {
            if self.missed == 0 && self.bytes.len() + line.len() <= BEHIND {
                self.bytes.extend_from_slice(line);
            } else {
                self.missed += 1;
            }
        }
        self.hand_on()
    }

    /// A sign of life, where there is nothing else to say.
    pub(super) fn beat(&mut self) -> bool {
        if self.is_even() {
            self.bytes.push(b'\n');
        }
        self.give(&[])
    }

    /// Whether everything was taken.
    pub(super) fn is_even(&self) -> bool {
        self.bytes.is_empty() && self.missed == 0
    }

    /// What the follower wants by now.
    pub(super) fn wish(&mut self) -> Wish {
        let mut said = [0; 16];
        match self.socket.read(&mut said) {
            Ok(0) => Wish::Gone,
            Ok(length) if said[..length].contains(&CLAIM) => Wish::ToRead,
            Ok(_) => Wish::ToFollow,
            Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Wish::ToFollow
            }
            Err(_) => Wish::Gone,
        }
    }

    /// Hands on the rest; who does not take it by then has lost it.
    pub(super) fn part(mut self) {
        self.tell_gap();
        let ready = self.socket.set_nonblocking(false).is_ok();
        if ready && self.socket.set_write_timeout(Some(FAREWELL)).is_ok() {
            // There is nobody left to be told of a failure.
            let _ = self.socket.write_all(&self.bytes);
        }
    }

    fn tell_gap(&mut self) {
        if self.missed > 0 {
            self.bytes.extend(line(&Line::Missed { missed: self.missed }).unwrap_or_default());
            self.missed = 0;
        }
    }

    fn hand_on(&mut self) -> bool {
        while !self.bytes.is_empty() {
            match self.socket.write(&self.bytes) {
                Ok(0) => return false,
                Ok(written) => drop(self.bytes.drain(..written)),
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => break,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

impl AsFd for Giver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The end of who takes.
pub(super) struct Taker {
    socket: UnixStream,
    /// The beginning of a line.
    bytes: Vec<u8>,
    heard: Instant,
}

/// What was taken at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) events: Vec<Event>,
    /// Events that had no room in the queue.
    pub(super) missed: u64,
}

impl Taker {
    pub(super) fn new(socket: UnixStream) -> Taker {
        Taker { socket, bytes: Vec::new(), heard: Instant::now() }
    }

    /// Asks for the ring itself.
    pub(super) fn claim(&mut self) -> io::Result<()> {
        self.socket.write_all(&[CLAIM])
    }

    /// How long the other end has given no sign of life.
    pub(super) fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// What comes within `patience`; `None` at the end.
    pub(super) fn next(&mut self, patience: Duration) -> Option<Taken> {
        self.socket.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).ok()?;
        let mut chunk = [0; 16 << 10];
        match self.socket.read(&mut chunk) {
            Ok(0) => return None,
            Ok(read) => {
                self.heard = Instant::now();
                self.bytes.extend_from_slice(&chunk[..read]);
            }
            Err(cause) => {
                let quiet = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
                return quiet.contains(&cause.kind()).then(Taken::default);
            }
        }
        let whole = self.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.bytes.drain(..whole).collect();
        let mut taken = Taken::default();
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line).ok()? {
                Line::Event(event) => taken.events.push(event),
                Line::Missed { missed } => taken.missed += missed,
            }
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    const SOON: Duration = Duration::from_millis(100);

    fn pair() -> (Giver, Taker) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Giver::new(ours).unwrap(), Taker::new(theirs))
    }

    #[test]
    fn events_come_whole_and_signs_of_life_between_them() {
        let (mut giver, mut taker) = pair();
        assert!(giver.give(&lines(&[event(), event()])) && giver.beat());
        let mut events = Vec::new();
        while events.len() < 2 {
            events.extend(taker.next(SOON).unwrap().events);
        }
        assert_eq!(events, [event(), event()]);
        assert_eq!(taker.next(Duration::from_millis(1)), Some(Taken::default()));
        drop(giver);
        while taker.next(SOON).is_some() {}
    }

    /// Goal: no event vanishes unknown. Method: give three times what the queue holds, then take everything.
    #[test]
    fn every_event_is_handed_on_or_counted_as_missed() {
        let (mut giver, mut taker) = pair();
        let one = lines(&[event()]);
        let sent = 3 * BEHIND / one[0].len();
        for _ in 0..sent {
            assert!(giver.give(&one), "who stalls is not cut off");
        }
        assert!(giver.missed > 0 && giver.bytes.len() <= BEHIND);
        let (mut shown, mut missed) = (0, 0);
        while !giver.is_even() {
            let taken = taker.next(SOON).unwrap();
            (shown, missed) = (shown + taken.events.len(), missed + taken.missed);
            assert!(giver.beat());
        }
        assert!(giver.give(&one));
        for _ in 0..100 {
            assert!(giver.beat());
            let taken = taker.next(Duration::from_millis(1)).unwrap();
            (shown, missed) = (shown + taken.events.len(), missed + taken.missed);
        }
        assert!(missed > 0 && shown > 0);
        assert_eq!(shown as u64 + missed, sent as u64 + 1);
    }

    #[test]
    fn what_a_follower_wants_is_heard() {
        let (mut giver, mut taker) = pair();
        assert_eq!(giver.wish(), Wish::ToFollow);
        taker.claim().unwrap();
        assert_eq!(giver.wish(), Wish::ToRead);
        giver.give(&lines(&[event()]));
        giver.part();
        assert_eq!(taker.next(SOON).unwrap().events, [event()]);
        assert_eq!(taker.next(SOON), None);
        let (mut giver, taker) = pair();
        drop(taker);
        assert_eq!(giver.wish(), Wish::Gone);
    }
}
