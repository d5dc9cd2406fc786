//! Looks again at what a change under way may have left half done.
//!
//! Promises: what is as it should be, or is not while nobody changes anything, is told at once; nobody who changes things is
//! refused or held up because of this.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::state::{State, Stir, Writer};

/// How long a change is waited for, and how often it is looked again at least.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 3;
/// How long after one another.
const PAUSE: Duration = Duration::from_millis(50);

/// One look, and whether a change is to blame where that finds something wrong.
pub(super) fn once<T>(
    state: &State,
    look: impl FnOnce() -> anyhow::Result<T>,
    is_right: impl Fn(&T) -> bool,
) -> (anyhow::Result<T>, Stir) {
    let before = state.moment();
    let seen = look();
    let stir = if seen.as_ref().is_ok_and(is_right) { Stir::Still } else { state.stir(before) };
    (seen, stir)
}

/// What a look finds that no change is to blame for, or that stands after some patience; then with who is at work, where
/// somebody is.
pub(super) fn settled<T>(
    state: &State,
    mut look: impl FnMut() -> anyhow::Result<T>,
    is_right: impl Fn(&T) -> bool,
) -> (anyhow::Result<T>, Option<Writer>) {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let (seen, stir) = once(state, &mut look, &is_right);
        tries += 1;
        if stir == Stir::Still || (tries >= TRIES && begun.elapsed() > PATIENCE) {
            let writer = match stir {
                Stir::UnderWay(writer) => Some(writer),
                Stir::Over => None,
                // One that hangs is no excuse, and worth to be named all the same.
                Stir::Still => state.writer().filter(|writer| writer.hangs(Timestamp::now())),
            };
            return (seen, writer);
        }
        thread::sleep(PAUSE);
    }
}
