//! Verdicts over time, in few buckets however long it took.
//!
//! Promises: frames may come in any order; memory is bounded; a bucket begins at a multiple of its width, so that the same
//! frames give the same buckets whatever their order.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// The most buckets of a timeline.
const MOST: i128 = 60;

/// Nanoseconds of a millisecond.
const MILLISECOND: i128 = 1_000_000;

/// Widths in milliseconds, each a multiple of the one before: 1 ms to a day. Beyond, each is twice the one before.
const WIDTHS: [i128; 14] = [
    1, 10, 100, 1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000, 21_600_000,
    86_400_000,
];

/// Verdicts over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Width of a bucket.
    pub width_ms: u64,
    /// Without a gap from the first frame to the last; those without a frame are zero.
    pub buckets: Vec<Bucket>,
    /// Frames whose time the capture does not tell.
    pub untimed: u64,
}

/// The frames from one instant on, for the width of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub from: Timestamp,
    pub passed: u64,
    pub dropped: u64,
}

/// A timeline that grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Growing {
    /// Position in [`WIDTHS`] and beyond.
    width: usize,
    /// Passed and dropped, by the number of the bucket since 1970.
    buckets: BTreeMap<i128, [u64; 2]>,
    untimed: u64,
}

impl Growing {
    /// Counts one frame.
    pub(super) fn count(&mut self, time: Option<Timestamp>, is_pass: bool) {
        let Some(time) = time else {
            self.untimed += 1;
            return;
        };
        let at = time.as_nanosecond().div_euclid(nanoseconds(self.width));
        self.buckets.entry(at).or_default()[usize::from(!is_pass)] += 1;
        while self.span().is_some_and(|(first, last)| last - first >= MOST) {
            self.widen();
        }
    }

    /// Numbers of the first and of the last bucket.
    fn span(&self) -> Option<(i128, i128)> {
        Some((*self.buckets.first_key_value()?.0, *self.buckets.last_key_value()?.0))
    }

    fn widen(&mut self) {
        let factor = nanoseconds(self.width + 1) / nanoseconds(self.width);
        self.width += 1;
        for (at, [passed, dropped]) in std::mem::take(&mut self.buckets) {
            let sums = self.buckets.entry(at.div_euclid(factor)).or_default();
            sums[0] += passed;
            sums[1] += dropped;
        }
    }

    /// The timeline of what was counted.
    pub(super) fn finish(self) -> Timeline {
        let width = nanoseconds(self.width);
        let numbers = self.span().map_or(0..0, |(first, last)| first..last + 1);
        let bucket = |at: i128| {
            let [passed, dropped] = self.buckets.get(&at).copied().unwrap_or_default();
            // The first bucket may begin before the first instant that there is.
            let from = Timestamp::from_nanosecond(at * width).unwrap_or(Timestamp::MIN);
            Bucket { from, passed, dropped }
        };
        Timeline {
            width_ms: (width / MILLISECOND) as u64,
            buckets: numbers.map(bucket).collect(),
            untimed: self.untimed,
        }
    }
}

fn nanoseconds(width: usize) -> i128 {
    let last = WIDTHS.len() - 1;
    (WIDTHS[width.min(last)] << width.saturating_sub(last)) * MILLISECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(milliseconds: &[i64]) -> Timeline {
        let mut growing = Growing::default();
        for at in milliseconds {
            growing.count(Timestamp::from_millisecond(*at).ok(), at % 2 == 0);
        }
        growing.finish()
    }

    #[test]
    fn buckets_have_no_gaps_and_widen_until_they_are_few() {
        let short = timeline(&[1_000, 1_001, 1_001, 1_004]);
        let counts: Vec<_> = short.buckets.iter().map(|one| (one.passed, one.dropped)).collect();
        assert_eq!((short.width_ms, counts), (1, vec![(1, 0), (0, 2), (0, 0), (0, 0), (1, 0)]));
        let long = timeline(&[0, 59, 60, 4_000]);
        assert_eq!((long.width_ms, long.buckets.len()), (100, 41));
    }

    #[test]
    fn the_order_of_frames_does_not_matter_and_any_times_will_do() {
        let far = [0, 253_000_000_000_000, -62_000_000_000_000, 7];
        let [one, other] =
            [timeline(&far), timeline(&far.map(|at| at).iter().rev().copied().collect::<Vec<_>>())];
        assert_eq!(one, other);
        assert!(one.buckets.len() <= MOST as usize);
        assert_eq!(one.buckets.iter().map(|one| one.passed + one.dropped).sum::<u64>(), 4);
    }

    #[test]
    fn a_frame_without_a_time_is_told_apart() {
        let mut growing = Growing::default();
        growing.count(None, true);
        assert_eq!(growing.finish(), Timeline { width_ms: 1, untimed: 1, ..Timeline::default() });
    }

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        assert!((1..20).all(|width| nanoseconds(width) % nanoseconds(width - 1) == 0));
    }
}
