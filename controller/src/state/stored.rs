//! Stored generations: reading one back whole, and letting old ones go.
//!
//! Promises: what is read is what was stored, or an error says what is wrong with it; a generation that has expired is
//! removed only where nothing can need it any more.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use jiff::{SignedDuration, Timestamp};

use super::{Lock, Record, Source, State, StateError, file_error, folder, read_json, ruleset};
use crate::ruleset::Ruleset;

/// How long the policies of past generations are kept. The journal, which says who did what and when, is kept for ever.
pub(super) const KEPT_FOR: SignedDuration = SignedDuration::from_hours(3 * 366 * 24);

/// Whether a generation of that time need not be kept at `now` any more.
pub fn is_past(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) > KEPT_FOR
}

/// One generation, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub record: Record,
    pub ruleset: Ruleset,
    /// The policy's own text first, then the files it names.
    pub sources: Vec<Source>,
}

impl State {
    /// The generation of this number.
    pub fn generation(&self, number: u64) -> Result<Stored, StateError> {
        let place = self.generations().join(folder(number));
        let unknown = || StateError::NoGeneration { number, path: place.display().to_string() };
        let record: Record = read_json(&place.join("record.json"))?.ok_or_else(unknown)?;
        let ruleset = ruleset(&place, record.policy).ok_or_else(unknown)?;
        let text = |path: std::path::PathBuf| match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown()),
            other => other.map_err(file_error("read", &path)),
        };
        let mut sources = vec![(record.policy_file.clone(), text(place.join("policy.yaml"))?)];
        for (at, name) in record.files.iter().enumerate() {
            sources.push((name.clone(), text(place.join("files").join(super::file_name(at + 1, name)))?));
        }
        Ok(Stored { record, ruleset, sources })
    }

    /// Removes generations that are older than three years at `now`, except the `needed` ones and the newest: the oldest
    /// first, and none behind one that is younger, so that the many that stay are not looked at every time.
    pub fn prune(&self, _lock: &Lock, needed: &BTreeSet<u64>, now: Timestamp) -> Result<(), StateError> {
        let numbers = self.numbers()?;
        let past = numbers.iter().skip(1).rev().filter(|number| !needed.contains(number));
        for number in past {
            let place = self.generations().join(folder(*number));
            let Some(record) = read_json::<Record>(&place.join("record.json"))? else { continue };
            if !is_past(record.occasion.at, now) {
                break;
            }
            match fs::remove_dir_all(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(file_error("remove", &place)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
