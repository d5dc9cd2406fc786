//! What is kept of a generation, all of it, as one digest.
//!
//! Promises: no file of its folder can change, come or go without another digest.

use std::fs;
use std::io;
use std::path::Path;

use super::{State, StateError, What, file_error, folder};
use crate::digest::Digest;

/// What the folder of a generation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of every file and its name.
    pub all: Digest,
    /// Of the ruleset, as it stands in its file.
    pub ruleset: Digest,
}

impl State {
    /// What is kept of a generation; `None` where it has no folder.
    ///
    /// # Errors
    /// A file cannot be read, or the ruleset is missing.
    pub fn what_is_kept(&self, number: u64) -> io::Result<Option<Kept>> {
        let place = self.generations().join(folder(number));
        if !place.try_exists()? {
            return Ok(None);
        }
        let ruleset = Digest::of_bytes(&fs::read(place.join("ruleset.json"))?);
        Ok(Some(Kept { all: all(&place)?, ruleset }))
    }
}

impl State {
    /// Whether what is kept of a generation is what was noted when it began; true where nothing was noted.
    ///
    /// # Errors
    /// The journal or a file of the generation cannot be read.
    pub fn is_as_noted(&self, number: u64) -> Result<bool, StateError> {
        let noted = self.journal()?.into_iter().rev().find_map(|event| match event.what {
            What::Begun { generation, kept, .. } if generation == number => Some(kept),
            _ => None,
        });
        let Some(noted) = noted.flatten() else { return Ok(true) };
        let place = self.generations().join(folder(number));
        let found = self.what_is_kept(number).map_err(file_error("read", &place))?;
        Ok(found.is_none_or(|found| found.all == noted))
    }
}

/// The digest of every file in a folder and in `files` below it, by name.
pub(super) fn all(place: &Path) -> io::Result<Digest> {
    let mut found = Vec::new();
    for below in ["", "files"] {
        for entry in fs::read_dir(place.join(below))? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                let digest = Digest::of_bytes(&fs::read(entry.path())?);
                let name = entry.file_name();
                found.push([below.as_bytes(), b"/", name.as_encoded_bytes(), b"\0", &digest.0].concat());
            }
        }
    }
    found.sort_unstable();
    Ok(Digest::of_bytes(&found.concat()))
}
