//! The clock of a program whose rules expire: what it begins with, and how far it has come.
//!
//! Promises: the program keeps it by itself from then on (see `clock` of `perimeter-xdp`). The clock of a private program
//! stands still: what it judges was taken as of some moment, and time that passes is not to change it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use jiff::{SignedDuration, Timestamp};
use perimeter_classifier::abi::{Clock, name, setting};
use rustix::time::{ClockId, clock_gettime};

use super::info::read_info;
use super::maps::{self, MapError};
use super::sys;
use crate::counters::grouped;
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
    Ok(read(program)?.map(|clock| clock.epoch))
}

/// How far the clock of this machine was set forward since a program was loaded, as a program sees that can only count from
/// the boot on (see [`setting::BOOT_CLOCK`]); `None` as for [`epoch`].
pub fn set_since(program: u32) -> io::Result<Option<SignedDuration>> {
    Ok(read(program)?.map(|clock| between(clock.offset, since_boot())))
}

/// From one time of the boot to another, in nanoseconds since 1970.
fn between(then: u64, now: u64) -> SignedDuration {
    SignedDuration::from_nanos(now.cast_signed().saturating_sub(then.cast_signed()))
}

/// The clock of a loaded program.
fn read(program: u32) -> io::Result<Option<Clock>> {
    let program = match sys::program_by_id(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        program => program?,
    };
    for id in sys::program_info(program.as_fd())?.maps {
        let map = sys::map_by_id(id)?;
        if sys::map_info(map.as_fd())?.name == name::CLOCK {
            let mut bytes = [0; size_of::<Clock>()];
            sys::map_lookup(map.as_fd(), 0, &mut bytes)?;
            let [next, offset, epoch] = words(bytes);
            return Ok(Some(Clock { next, offset, epoch }));
        }
    }
    Ok(None)
}

/// In which ways the clock of what is in force is not the machine's, in words.
pub(super) fn damage(
    (ruleset, interface): (&Ruleset, usize),
    program: u32,
    now: Timestamp,
) -> io::Result<Vec<String>> {
    let early = ended_early(ruleset, interface, program, now)?;
    let early = (!early.is_empty()).then(|| {
        let rules = early.join(", ");
        format!("the clock was ahead, so that rules have ended before their time: {rules}")
    });
    let counts_from_boot =
        matches!(read_info(program), Ok(Some(info)) if info.settings[setting::BOOT_CLOCK] != 0);
    let set = if counts_from_boot { set_since(program)? } else { None };
    Ok(early.into_iter().chain(set.and_then(not_followed)).collect())
}

/// What it means that a clock was set which the program cannot follow.
fn not_followed(set: SignedDuration) -> Option<String> {
    let (way, when) = if set.is_negative() { ("back", "early") } else { ("forward", "late") };
    (set.abs() > MOMENT).then(|| {
        format!(
            "the clock of this machine was set {way} by {} s since, which Linux before 6.1 does not let a program follow: \
             rules with a last day end that much too {when}",
            grouped(set.unsigned_abs().as_secs())
        )
    })
}

/// The rules that the kernel no longer matches though their time is not over: the clock was ahead, and has been set back.
fn ended_early(ruleset: &Ruleset, interface: usize, program: u32, now: Timestamp) -> io::Result<Vec<String>> {
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

    /// Goal: before Linux 6.1, a wall clock that was wrong at the boot and set right later is found, whichever way it was
    /// wrong. Method: the offset as it was stored, and as it is.
    #[test]
    fn a_clock_that_was_set_since_is_told_with_what_it_does_to_rules() {
        let booted = 1_900_000_000_000_000_000;
        let told = |then: u64| not_followed(between(then, booted));
        assert_eq!(told(booted), None);
        assert_eq!(told(booted - 2_000_000_000), None, "two readings are never of one moment");
        let late = told(0).unwrap();
        assert!(late.contains("set forward by 1,900,000,000 s") && late.ends_with("too late"), "{late}");
        let early = told(booted + 3_600_000_000_000).unwrap();
        assert!(early.contains("set back by 3,600 s") && early.ends_with("too early"), "{early}");
    }
}
