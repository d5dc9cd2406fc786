//! How many events of nftables were read, and how many were lost on their way, over all readers there were.
//!
//! XDP counts that in the kernel; nfnetlink_log tells only its reader. Promises: numbers never fall while the tables stand,
//! and begin anew once one of them is gone; of a reader that is killed the last half second is missing. What the kernel has
//! made and nobody has read was unheard.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::stream::{Place, path};
use crate::backend::BackendError;
use crate::backend::nft::events::made;
use crate::backend::xdp::events::totals as of_xdp;
use crate::counters::EventTotals;

/// The sums of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    read: u64,
    lost: u64,
}

impl Sums {
    /// Those that were written, if any.
    fn written(path: &Path) -> Sums {
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// None where they cannot be of tables that have made so many by now.
    fn of(self, made: u64) -> Sums {
        if self.read.saturating_add(self.lost) <= made { self } else { Sums::default() }
    }
}

/// Who keeps the sums while it reads.
pub(super) struct Tally {
    bpffs: PathBuf,
    path: PathBuf,
    sums: Sums,
    is_new: bool,
}

impl Tally {
    /// Goes on from the reader before.
    pub(super) fn open(place: &Place) -> Result<Tally, BackendError> {
        let path = path(place, "told");
        let written = Sums::written(&path);
        let sums = written.of(made(&place.bpffs)?.0);
        Ok(Tally { bpffs: place.bpffs.clone(), path, sums, is_new: sums != written })
    }

    pub(super) fn add(&mut self, read: u64, lost: u64) {
        self.is_new |= read + lost > 0;
        self.sums.read += read;
        self.sums.lost += lost;
    }

    /// Writes down what is new.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.is_new) {
            return Ok(());
        }
        // What was read had been made: where less is made, a table has gone since.
        if let Ok((made, _)) = made(&self.bpffs) {
            self.sums = self.sums.of(made);
        }
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let written = self.path.with_extension("told.new");
        fs::write(&written, serde_json::to_vec(&self.sums)?)?;
        fs::rename(&written, &self.path)
    }
}

/// What became of all events of an instance so far, whoever judges.
pub fn totals(place: &Place) -> Result<EventTotals, BackendError> {
    let mut totals = of_xdp(&place.bpffs, place.namespace)?;
    // In this order, or more would be read than was made.
    let sums = Sums::written(&path(place, "told"));
    let (made, suppressed) = made(&place.bpffs)?;
    let Sums { read, lost } = sums.of(made);
    totals.emitted += read;
    totals.lost += lost;
    totals.suppressed += suppressed;
    totals.unheard += made - read - lost;
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_on_and_end_with_their_tables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events-7.told");
        let sums = Sums::written(&path);
        let mut tally = Tally { bpffs: dir.path().into(), path: path.clone(), sums, is_new: false };
        tally.keep().unwrap();
        assert!(!path.exists(), "nothing was read");
        tally.add(7, 2);
        tally.write().unwrap();
        assert_eq!(Sums::written(&path).of(9), Sums { read: 7, lost: 2 });
        assert_eq!(Sums::written(&path).of(8), Sums::default(), "they are of tables that are gone");
        fs::write(&path, "cut of").unwrap();
        assert_eq!(Sums::written(&path).of(9), Sums::default());
    }
}
