//! Who is at work: the process that has the right to change things, as the kernel tells it, and whether what was read
//! meanwhile may be half of a change.
//!
//! Promises: asks without taking the lock, so that no command is refused because somebody looked; a process that has ended is
//! at work no more; one that hangs is waited for [`LONGEST`] and no longer.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::State;

/// How long a change may take before what is found meanwhile is told all the same: its process may hang.
pub const LONGEST: Duration = Duration::from_secs(10);

/// The process that has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Writer {
    pub pid: u32,
    /// When it took the lock.
    pub since: Timestamp,
}

/// What is compared with a later moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    is_changing: bool,
    journal: u64,
}

/// Whether something was changed while something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stir {
    /// No, or by a process that seems to hang: what was read counts.
    Still,
    /// Yes, and the change is over.
    Over,
    /// A change is under way.
    UnderWay(Writer),
}

impl Writer {
    /// Whether it is at work for so long that it seems to hang; so it seems too where the clock was set back.
    pub fn hangs(&self, now: Timestamp) -> bool {
        let age = Duration::try_from(now.duration_since(self.since));
        age.map_or(true, |age| age > LONGEST)
    }
}

impl State {
    /// The process that has the lock now.
    pub fn writer(&self) -> Option<Writer> {
        let lock = fs::metadata(self.dir.join("lock")).ok()?;
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let pid = holders(&locks, lock.ino()).find(|pid| has_open(*pid, &lock))?;
        let since = Timestamp::try_from(lock.modified().ok()?).ok()?;
        Some(Writer { pid, since })
    }

    /// Now, before something is read.
    pub fn moment(&self) -> Moment {
        Moment { is_changing: self.writer().is_some(), journal: self.journal_length() }
    }

    /// Whether something was changed between `before` and now.
    pub fn stir(&self, before: Moment) -> Stir {
        match self.writer() {
            Some(writer) if writer.hangs(Timestamp::now()) => Stir::Still,
            Some(writer) => Stir::UnderWay(writer),
            None if before.is_changing || before.journal != self.journal_length() => Stir::Over,
            None => Stir::Still,
        }
    }
}

/// The processes that hold an exclusive flock(2) on a file of this number, of whatever file system, as /proc/locks tells
/// them. The device in there is not always the one that stat(2) gives: on btrfs it is that of the whole file system.
fn holders(locks: &str, inode: u64) -> impl Iterator<Item = u32> {
    locks.lines().filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words[..] else { return None };
        let is_it = place.rsplit(':').next()?.parse() == Ok(inode);
        is_it.then(|| pid.parse().ok()).flatten()
    })
}

/// Whether a process has this very file open.
fn has_open(pid: u32, file: &Metadata) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_it = |one: Metadata| (one.dev(), one.ino()) == (file.dev(), file.ino());
    open.flatten().any(|one| fs::metadata(one.path()).is_ok_and(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_holds_an_exclusive_lock_on_the_file_is_at_work() {
        let locks = "1: FLOCK  ADVISORY  WRITE 11 fe:00:77 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 12 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  READ 13 fe:00:77 0 EOF\n3: POSIX  ADVISORY  WRITE 14 fe:00:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 15 fe:00:78 0 EOF\n5: OFDLCK ADVISORY  WRITE -1 fe:00:77 0 EOF\n\
                     6: FLOCK  ADVISORY  WRITE 16 00:2a:77 0 EOF\n";
        assert_eq!(holders(locks, 77).collect::<Vec<_>>(), [11, 16]);
    }

    #[test]
    fn a_change_is_under_way_while_the_lock_is_held_and_nobody_is_refused_for_asking() {
        let place = tempfile::tempdir().unwrap();
        let state = State::new(place.path());
        let before = state.moment();
        assert_eq!((state.writer(), state.stir(before)), (None, Stir::Still));
        let lock = state.lock().unwrap();
        let writer = state.writer().unwrap();
        assert_eq!((writer.pid, state.stir(before)), (std::process::id(), Stir::UnderWay(writer)));
        let during = state.moment();
        drop(lock);
        assert_eq!((state.writer(), state.stir(during), state.stir(before)), (None, Stir::Over, Stir::Still));
    }

    #[test]
    fn who_is_at_work_for_long_or_since_the_future_hangs() {
        let since = Timestamp::UNIX_EPOCH;
        let writer = Writer { pid: 1, since };
        let after = |seconds| since + jiff::SignedDuration::from_secs(seconds);
        assert_eq!([-1, 0, 10, 11].map(|seconds| writer.hangs(after(seconds))), [true, false, false, true]);
    }
}
