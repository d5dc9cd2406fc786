//! How many events of nftables were read, and how many were lost on their way, over all readers there were.
//!
//! XDP counts that in the kernel; nfnetlink_log tells only its reader. Promises: numbers never fall while the tables stand,
//! and begin anew once one of them is gone, whatever stands there by then; of a reader that is killed the last half second is missing. What the kernel has
//! made and nobody has read was unheard.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::stream::{Place, path};
use crate::backend::BackendError;
use crate::backend::nft::events::{made, standing};
use crate::backend::xdp::events::totals as of_xdp;
use crate::counters::EventTotals;

/// The tables that sums belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tables {
    boot: String,
    /// The handle of each.
    handles: BTreeMap<String, u64>,
}

impl Tables {
    /// Those that stand now.
    fn now(bpffs: &Path) -> Result<Tables, BackendError> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Tables { boot, handles: standing(bpffs)? })
    }

    /// Whether all of them still stand.
    fn are_among(&self, now: &Tables) -> bool {
        let stands = |(table, handle)| now.handles.get(table) == Some(handle);
        self.boot == now.boot && self.handles.iter().all(stands)
    }
}

/// The sums of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    read: u64,
    lost: u64,
    tables: Tables,
}

impl Sums {
    /// Those that were written, if any.
    fn written(path: &Path) -> Sums {
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// None where they cannot be of the tables that stand now, or of such that have made so many.
    fn of(self, tables: Tables, made: u64) -> Sums {
        if self.tables.are_among(&tables) && self.read.saturating_add(self.lost) <= made {
            Sums { tables, ..self }
        } else {
            Sums { tables, ..Sums::default() }
        }
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
        let sums = written.clone().of(Tables::now(&place.bpffs)?, made(&place.bpffs)?.0);
        let is_new = sums != written;
        Ok(Tally { bpffs: place.bpffs.clone(), path, sums, is_new })
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
        if let (Ok(tables), Ok((made, _))) = (Tables::now(&self.bpffs), made(&self.bpffs)) {
            self.sums = std::mem::take(&mut self.sums).of(tables, made);
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
    let tables = Tables::now(&place.bpffs)?;
    let (made, suppressed) = made(&place.bpffs)?;
    let Sums { read, lost, .. } = sums.of(tables, made);
    totals.emitted += read;
    totals.lost += lost;
    totals.suppressed += suppressed;
    totals.unheard += made - read - lost;
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(boot: &str, handles: &[(&str, u64)]) -> Tables {
        let handles = handles.iter().map(|&(table, handle)| (table.to_owned(), handle)).collect();
        Tables { boot: boot.to_owned(), handles }
    }

    #[test]
    fn sums_go_on_and_end_with_their_tables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events-7.told");
        let first = tables("today", &[("wan0", 1)]);
        let sums = Sums::written(&path).of(first.clone(), 0);
        let mut tally = Tally { bpffs: dir.path().into(), path: path.clone(), sums, is_new: false };
        tally.keep().unwrap();
        assert!(!path.exists(), "nothing was read");
        tally.add(7, 2);
        tally.write().unwrap();
        let of = |tables: Tables, made| {
            let sums = Sums::written(&path).of(tables, made);
            (sums.read, sums.lost)
        };
        let more = tables("today", &[("wan0", 1), ("wan1", 2)]);
        assert_eq!([of(first.clone(), 9), of(more, 9)], [(7, 2); 2]);
        let made_anew = tables("today", &[("wan0", 3)]);
        let after_a_boot = tables("tomorrow", &[("wan0", 1)]);
        let gone = tables("today", &[]);
        for other in [made_anew, after_a_boot, gone] {
            assert_eq!(of(other.clone(), 99), (0, 0), "{other:?}");
        }
        assert_eq!(of(first.clone(), 8), (0, 0), "they have made fewer");
        fs::write(&path, "cut of").unwrap();
        assert_eq!(of(first, 9), (0, 0));
    }
}
