//! What the agent tells while somebody changes things: what held before.
//!
//! Promises: what a change leaves half done is told to nobody; what is wrong for longer than [`LONGEST`] is told, whoever is
//! at work. Where nothing was told yet there is nothing to keep to, and a reading is told as it is.

use std::sync::Arc;
use std::time::Instant;

use crate::agent::Answer;
use crate::state::{LONGEST, Stir};
use crate::telemetry::Snapshot;

/// What was told last, and since when what is read is in doubt.
#[derive(Default)]
pub(super) struct Steady {
    told: Option<Answer<Arc<Snapshot>>>,
    doubt: Option<Instant>,
}

impl Steady {
    /// What is to be told after a reading.
    pub(super) fn take(&mut self, (read, stir): (anyhow::Result<Snapshot>, Stir)) -> Answer<Arc<Snapshot>> {
        self.doubt = (stir != Stir::Still).then(|| self.doubt.unwrap_or_else(Instant::now));
        let is_short = self.doubt.is_some_and(|since| since.elapsed() < LONGEST);
        if let Some(told) = self.told.as_ref().filter(|_| is_short) {
            return told.clone();
        }
        let read = read.map(Arc::new).map_err(|error| error.to_string());
        self.told = Some(read.clone());
        read
    }

    /// Whether the last reading is in doubt, so that another should come soon.
    pub(super) fn doubts(&self) -> bool {
        self.doubt.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::snapshot;

    fn wrong() -> anyhow::Result<Snapshot> {
        let mut wrong = snapshot();
        wrong.status.in_sync = false;
        Ok(wrong)
    }

    fn is_in_sync(answer: &Answer<Arc<Snapshot>>) -> bool {
        answer.as_ref().is_ok_and(|snapshot| snapshot.status.in_sync)
    }

    #[test]
    fn what_a_change_leaves_half_done_is_not_told_but_for_long() {
        let mut steady = Steady::default();
        assert!(!is_in_sync(&steady.take((wrong(), Stir::Over))), "there is nothing to keep to");
        assert!(is_in_sync(&steady.take((Ok(snapshot()), Stir::Still))) && !steady.doubts());
        for _ in 0..3 {
            assert!(is_in_sync(&steady.take((wrong(), Stir::Over))) && steady.doubts());
            assert!(is_in_sync(&steady.take((Err(anyhow::anyhow!("a pin is gone")), Stir::Over))));
        }
        steady.doubt = Instant::now().checked_sub(LONGEST);
        assert!(!is_in_sync(&steady.take((wrong(), Stir::Over))), "a change takes no longer");
        assert!(is_in_sync(&steady.take((Ok(snapshot()), Stir::Still))));
        assert!(!is_in_sync(&steady.take((wrong(), Stir::Still))), "nobody is at work");
    }
}
