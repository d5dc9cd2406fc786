//! The clock of a program whose rules expire: what it begins with, and how far it has come.
//!
//! Promises: the program keeps it by itself from then on (see `clock` of `perimeter-xdp`). The clock of a private program
//! stands still: what it judges was taken as of some moment, and time that passes is not to change it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jiff::{SignedDuration, Timestamp};
use perimeter_classifier::abi::{Clock, name};
use rustix::time::{ClockId, clock_gettime};

use super::maps::{self, MapError};
use super::sys;
use crate::ruleset::{Rule, Ruleset};

/// What a clock begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The first frame looks at the time.
    Runs,
    /// Nobody ever does.
    Stands,
}

/// A new clock at the first epoch.
pub(super) fn create(start: Start) -> Result<OwnedFd, MapError> {
    let next = if start == Start::Runs { 0 } else { u64::MAX };
    maps::shared(name::CLOCK, &to_bytes(Clock { next, offset: since_boot(), epoch: 0 }))
}

/// Puts a clock that stands still at an epoch.
pub(super) fn set(clock: BorrowedFd<'_>, epoch: u32) -> io::Result<()> {
    sys::map_update(clock, 0, &to_bytes(Clock { next: u64::MAX, offset: 0, epoch: epoch.into() }))
}

/// How many instants have passed on the clock of a loaded program; `None` where none of its rules expires, or where it was
/// replaced meanwhile.
pub fn epoch(program: u32) -> io::Result<Option<u64>> {
    let program = match sys::program_by_id(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        program => program?,
    };
    for id in sys::program_info(program.as_fd())?.maps {
        let map = sys::map_by_id(id)?;
        if sys::map_info(map.as_fd())?.name == name::CLOCK {
            let mut bytes = [0; size_of::<Clock>()];
            sys::map_lookup(map.as_fd(), 0, &mut bytes)?;
            let [_, _, epoch] = words(bytes);
            return Ok(Some(epoch));
        }
    }
    Ok(None)
}

/// The rules that the kernel no longer matches though their time is not over: the clock was ahead, and has been set back.
pub(super) fn ended_early(
    ruleset: &Ruleset,
    interface: usize,
    program: u32,
    now: Timestamp,
) -> io::Result<Vec<String>> {
    let Some(passed) = epoch(program)? else { return Ok(Vec::new()) };
    let instants = ruleset.instants(interface);
    let Some(until) = usize::try_from(passed).ok().and_then(|passed| instants.get(passed.checked_sub(1)?))
    else {
        return Ok(Vec::new());
    };
    let is_early =
        |rule: &&Rule| rule.end().is_some_and(|end| end <= *until && end.duration_since(now) > MOMENT);
    let here = ruleset.rules.iter().filter(|rule| rule.interfaces.contains(&interface));
    Ok(here.filter(is_early).map(|rule| rule.id.clone()).collect())
}

/// How far two readings of a clock that nobody sets may be apart.
const MOMENT: SignedDuration = SignedDuration::from_secs(2);

/// Nanoseconds that lead from the time since boot to the time now.
fn since_boot() -> u64 {
    let boot = clock_gettime(ClockId::Boottime);
    let boot = i128::from(boot.tv_sec) * 1_000_000_000 + i128::from(boot.tv_nsec);
    (Timestamp::now().as_nanosecond() - boot).clamp(0, i64::MAX.into()) as u64
}

fn to_bytes(clock: Clock) -> [u8; size_of::<Clock>()] {
    let mut bytes = [0; size_of::<Clock>()];
    for (slot, word) in bytes.as_chunks_mut().0.iter_mut().zip([clock.next, clock.offset, clock.epoch]) {
        *slot = word.to_ne_bytes();
    }
    bytes
}

fn words(bytes: [u8; size_of::<Clock>()]) -> [u64; 3] {
    let words = bytes.as_chunks().0;
    std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_survives_the_way_there_and_back() {
        let clock = Clock { next: 1 << 40, offset: 2 << 41, epoch: 3 };
        assert_eq!(words(to_bytes(clock)), [1 << 40, 2 << 41, 3]);
    }
}
