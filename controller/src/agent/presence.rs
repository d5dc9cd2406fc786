//! Whether an agent runs, and what it may do: for `perimeter status`.
//!
//! Promises: the file only says where to look; what the agent may do is what the kernel says of its threads. A file that an
//! agent left behind is told apart from one that is in use by the lock that only a living process holds.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::privileges::names;
use crate::state::Namespace;

/// What an agent writes down of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub pid: u32,
    pub url: String,
    pub since: jiff::Timestamp,
}

/// An agent that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentStatus {
    #[serde(flatten)]
    pub note: Note,
    /// What one of its threads may do, at the most.
    pub capabilities: Vec<String>,
    /// Threads that hold no capability: those that read requests.
    pub bare_threads: usize,
    pub threads: usize,
    /// Nothing that it executes can gain a right.
    pub no_new_privileges: bool,
}

/// The file of a running agent; removed when dropped.
pub struct Presence {
    path: PathBuf,
    _locked: File,
}

/// How often the lock is tried before it counts as another agent's.
const TRIES: u32 = 20;

impl fmt::Display for AgentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AgentStatus { note, capabilities, bare_threads, threads, .. } = self;
        let since = note.since.strftime("%Y-%m-%d %H:%M");
        let rights = match capabilities.as_slice() {
            [] => "no capability".to_owned(),
            names => format!("{} ({bare_threads} of its {threads} threads: none)", names.join(", ")),
        };
        let more =
            if self.no_new_privileges { "nothing more to be had" } else { "more to be had by executing" };
        write!(f, "Agent at {} since {since} UTC, process {}, holds {rights}; {more}.", note.url, note.pid)
    }
}

/// Where the agent of a namespace writes itself down: several may share a state directory.
fn place(state_dir: &Path, namespace: Namespace) -> PathBuf {
    state_dir.join(format!("agent-{}.json", namespace.cookie))
}

impl Presence {
    /// Writes down that this process is the agent; `None` where another one is.
    pub fn announce(state_dir: &Path, namespace: Namespace, note: &Note) -> io::Result<Option<Presence>> {
        fs::create_dir_all(state_dir)?;
        let path = place(state_dir, namespace);
        // `status` holds the lock for a moment while it looks whether somebody else does.
        let mut tries = 0;
        let mut file = loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match file.try_lock() {
                // Who ended meanwhile has removed the file that was opened: nobody would find this agent by it.
                Ok(()) if is_at(&file, &path)? => break file,
                Ok(()) | Err(TryLockError::WouldBlock) if tries < TRIES => tries += 1,
                Ok(()) | Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            thread::sleep(Duration::from_millis(10));
        };
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        Ok(Some(Presence { path, _locked: file }))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // A file that stays is told apart by its lock.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a file that was opened is the one that has this name now.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let number = |facts: fs::Metadata| (facts.dev(), facts.ino());
    match fs::metadata(path) {
        Ok(there) => Ok(number(there) == number(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The agent that runs here, if one does.
pub fn find(state_dir: &Path, namespace: Namespace) -> Option<AgentStatus> {
    let path = place(state_dir, namespace);
    let note: Note = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
    let in_use = matches!(File::open(&path).ok()?.try_lock_shared(), Err(TryLockError::WouldBlock));
    in_use.then(|| look(note)).flatten()
}

/// What the kernel says of the threads of a process.
fn look(note: Note) -> Option<AgentStatus> {
    let tasks = fs::read_dir(format!("/proc/{}/task", note.pid)).ok()?.flatten();
    let texts: Vec<String> =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok()).collect();
    let masks: Vec<u64> = texts.iter().filter_map(|text| hexadecimal(text, "CapPrm:")).collect();
    let most = masks.iter().fold(0, |most, mask| most | mask);
    Some(AgentStatus {
        note,
        capabilities: names(most),
        bare_threads: masks.iter().filter(|mask| **mask == 0).count(),
        threads: masks.len(),
        no_new_privileges: !texts.is_empty()
            && texts.iter().all(|text| hexadecimal(text, "NoNewPrivs:") == Some(1)),
    })
}

/// A line of `/proc/PID/status`.
fn hexadecimal(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_is_at_no_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.json");
        let first = File::create(&path).unwrap();
        assert!(is_at(&first, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&first, &path).unwrap());
        let second = File::create(&path).unwrap();
        assert_eq!((is_at(&first, &path).unwrap(), is_at(&second, &path).unwrap()), (false, true));
    }

    #[test]
    fn an_agent_is_there_as_long_as_it_holds_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let here = Namespace { cookie: 7 };
        let note = Note {
            pid: std::process::id(),
            url: "http://127.0.0.1:9765".into(),
            since: "2026-11-22T01:00:00Z".parse().unwrap(),
        };
        assert_eq!(find(dir.path(), here), None);
        let presence = Presence::announce(dir.path(), here, &note).unwrap().unwrap();
        let found = find(dir.path(), here).unwrap();
        assert_eq!((&found.note, found.threads > 0), (&note, true));
        assert!(Presence::announce(dir.path(), here, &note).unwrap().is_none(), "two agents");
        assert_eq!(find(dir.path(), Namespace { cookie: 8 }), None);
        drop(presence);
        assert_eq!(find(dir.path(), here), None);
        fs::write(place(dir.path(), here), serde_json::to_vec(&note).unwrap()).unwrap();
        assert_eq!(find(dir.path(), here), None, "a file that was left behind");
    }
}
