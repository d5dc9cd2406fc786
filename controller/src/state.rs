//! What perimeter remembers on disk: each generation's policy, and what was done with it.
//!
//! Promises: one writer at a time; a generation is on disk, synced, before the kernel enforces it, and is never changed
//! afterwards; generation numbers only rise. What is in force is not read from here but from the kernel: this is where
//! the text behind a digest is found.
//!
//! Layout: `lock`, `journal.jsonl`, `.draft` for a moment, `generations/00000008/{record.json, ruleset.json, policy.yaml, files/*}`.

mod contents;
mod files;
mod hold;
mod journal;
mod recent;
mod seal;
mod stored;
mod trial;
mod writer;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, canonical};
use crate::ruleset::Ruleset;

pub use contents::Kept;
pub use files::replace;
pub use hold::Held;
pub use journal::{Enforced, Event, Expected, Guard, What, expected};
pub use seal::{Broken, Sealed};
pub use stored::{Stored, is_past};
pub use trial::{Trial, announced, earlier, kept, on_trial};
pub use writer::{LONGEST, Moment, Stir, Writer};

/// The state directory.
#[derive(Clone, Debug)]
pub struct State {
    dir: PathBuf,
}

/// The right to change the state, and with it the kernel; ends when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The network namespace in which something was done. Cookies are unique until the next boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub cookie: u64,
}

/// Who does something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The login name behind `sudo`, else the user.
    pub by: String,
    /// Number of the login session, as the kernel's audit counts them; none outside a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// The change request that this carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// When and where something is done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    pub at: jiff::Timestamp,
    #[serde(flatten)]
    pub author: Author,
    pub namespace: Namespace,
}

/// One generation, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub generation: u64,
    pub policy: Digest,
    /// The policy file, as it was named, made absolute.
    pub policy_file: String,
    #[serde(flatten)]
    pub occasion: Occasion,
    pub interfaces: Vec<String>,
    /// The files that the policy names, as it writes them.
    #[serde(default)]
    pub files: Vec<String>,
    /// Version of perimeter.
    pub version: String,
}

/// A text that a policy was read from: its path as written, and its content.
pub type Source = (String, Vec<u8>);

/// Why the state directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("another perimeter is at work ({0} is locked); wait for it, or answer its question")]
    Busy(String),
    #[error("cannot {what} {path}: {cause}")]
    File { what: &'static str, path: String, cause: io::Error },
    #[error(
        "generation {number} is not kept whole in {path}; `perimeter history` lists the generations there are"
    )]
    NoGeneration { number: u64, path: String },
    #[error("{path} is damaged: {cause}; move it away to go on without it")]
    Damaged { path: String, cause: serde_json::Error },
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.display().to_string();
    move |cause| StateError::File { what, path, cause }
}

impl State {
    /// The state kept in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> State {
        State { dir: dir.to_owned() }
    }

    /// Takes the right to change things, or says who has it.
    pub fn lock(&self) -> Result<Lock, StateError> {
        fs::create_dir_all(self.generations()).map_err(file_error("create", &self.dir))?;
        let path = self.dir.join("lock");
        let file =
            File::options().create(true).append(true).open(&path).map_err(file_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // What a crash has left: whoever may write next, for whatever, takes it away.
                let _ = fs::remove_dir_all(self.draft());
                // Since when it is held, for whoever waits: an older instant is told sooner, and no harm.
                let _ = file.set_modified(SystemTime::now());
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(StateError::Busy(path.display().to_string())),
            Err(TryLockError::Error(cause)) => Err(file_error("lock", &path)(cause)),
        }
    }

    fn generations(&self) -> PathBuf {
        self.dir.join("generations")
    }

    /// Where a generation is written before it counts.
    fn draft(&self) -> PathBuf {
        self.dir.join(".draft")
    }

    /// The numbers of the stored generations, the newest first.
    fn numbers(&self) -> Result<Vec<u64>, StateError> {
        let path = self.generations();
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(file_error("read", &path))?,
        };
        let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        let mut numbers: Vec<u64> = entries.filter_map(number).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    }

    /// The highest generation number ever stored; 0 where there is none.
    pub fn newest(&self) -> Result<u64, StateError> {
        Ok(self.numbers()?.first().copied().unwrap_or(0))
    }

    /// A policy in force, where its text is kept whole: in the generation of this number, or else in the newest that has it.
    pub fn find(&self, policy: Digest, number: u64) -> Result<Option<(Record, Ruleset)>, StateError> {
        // Which generations there are is asked only where it matters: there may be thousands.
        if let found @ Some(_) = self.find_among(&[number], policy) {
            return Ok(found);
        }
        Ok(self.find_among(&self.numbers()?, policy))
    }

    /// The first of these generations that has a policy, if its ruleset is whole.
    fn find_among(&self, numbers: &[u64], policy: Digest) -> Option<(Record, Ruleset)> {
        for number in numbers {
            let folder = self.generations().join(folder(*number));
            // A damaged record hides itself, and no other.
            let Ok(Some(record)) = read_json::<Record>(&folder.join("record.json")) else { continue };
            if record.policy == policy
                && let Some(ruleset) = ruleset(&folder, policy)
            {
                return Some((record, ruleset));
            }
        }
        None
    }

    /// Stores a generation: whole and synced, or not at all. Gives the digest of all that is kept.
    pub fn store(
        &self,
        _lock: &Lock,
        record: &Record,
        ruleset: &Ruleset,
        sources: &[Source],
    ) -> Result<Digest, StateError> {
        let draft = self.draft();
        let path = self.generations().join(folder(record.generation));
        let stored = write_draft(&draft, record, ruleset, sources)
            .and_then(|()| contents::all(&draft).map_err(file_error("read", &draft)))
            .and_then(|kept| fs::rename(&draft, &path).map_err(file_error("create", &path)).map(|()| kept));
        if stored.is_err() {
            // The error that is reported is the first.
            let _ = fs::remove_dir_all(&draft);
        }
        let kept = stored?;
        sync(&self.generations())?;
        Ok(kept)
    }
}

/// Writes everything of a generation into a folder that does not count yet, synced.
fn write_draft(
    draft: &Path,
    record: &Record,
    ruleset: &Ruleset,
    sources: &[Source],
) -> Result<(), StateError> {
    let files = draft.join("files");
    fs::create_dir_all(&files).map_err(file_error("create", &files))?;
    let json = serde_json::to_vec_pretty(record).expect("a record has only string keys");
    write(&draft.join("record.json"), &json)?;
    write(&draft.join("ruleset.json"), &canonical(ruleset))?;
    for (at, (name, text)) in sources.iter().enumerate() {
        let path = match at {
            0 => draft.join("policy.yaml"),
            _ => files.join(file_name(at, name)),
        };
        write(&path, text)?;
    }
    sync(&files)?;
    sync(draft)
}

fn folder(generation: u64) -> String {
    format!("{generation:08}")
}

/// What every file system takes as a name, in bytes (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Under which name the `at`th source is kept, from 1: two folders may have a file of the same name.
fn file_name(at: usize, path: &str) -> String {
    let name = Path::new(path).file_name().map_or("list".into(), |name| name.to_string_lossy());
    let mut name = format!("{at}-{name}");
    name.truncate(name.floor_char_boundary(LONGEST_NAME));
    name
}

/// The ruleset behind a digest; `None` where the file is missing, is not what was stored, or is of another version.
fn ruleset(folder: &Path, policy: Digest) -> Option<Ruleset> {
    let bytes = fs::read(folder.join("ruleset.json")).ok()?;
    let same = Digest::of_bytes(&bytes) == policy;
    serde_json::from_slice(&bytes).ok().filter(|_| same)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, StateError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(file_error("read", path))?,
    };
    let damaged = |cause| StateError::Damaged { path: path.display().to_string(), cause };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    files::write_synced(path, bytes).map_err(file_error("write", path))
}

fn sync(folder: &Path) -> Result<(), StateError> {
    files::sync_folder(folder).map_err(file_error("sync", folder))
}

#[cfg(test)]
mod tests;
