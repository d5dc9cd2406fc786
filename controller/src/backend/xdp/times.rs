//! The kernel's clock and the wall clock.
//!
//! Promises: times of the kernel become times of day as both clocks stand now; what was noted before the machine slept is
//! told too late by as long as it slept.

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The time at which CLOCK_MONOTONIC was 0.
pub(super) fn origin() -> Timestamp {
    let now = Timestamp::now();
    let since = SignedDuration::from_nanos(monotonic().cast_signed());
    now.checked_sub(since).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A time of the kernel's, in nanoseconds since `origin`.
pub(super) fn at(origin: Timestamp, nanoseconds: u64) -> Timestamp {
    let since = SignedDuration::from_nanos(nanoseconds.cast_signed());
    origin.checked_add(since).unwrap_or(Timestamp::MAX)
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
