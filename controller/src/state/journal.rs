//! The journal: what was done, in order, one JSON object a line.
//!
//! Promises: a line is synced before the command reports success, and sealed ([`seal`]). A line that a crash tore is skipped:
//! what it would have said is what the kernel says.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::recent::lines;
use super::{Lock, Namespace, Occasion, State, StateError, file_error, files, seal};
use crate::digest::Digest;

/// One thing done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    #[serde(flatten)]
    pub occasion: Occasion,
    pub interfaces: Vec<String>,
    #[serde(flatten)]
    pub what: What,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A generation is about to be put in force for a while: unless it is confirmed by `until`, the generation `before`
    /// comes back, or nothing where there was none.
    Trial { generation: u64, before: Option<u64>, until: jiff::Timestamp },
    /// A generation is about to be put in force.
    Begun {
        generation: u64,
        policy: Digest,
        /// Of all that is kept of the generation; none where it could not be kept, or an older version began it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Digest>,
    },
    /// A generation is in force on all its interfaces.
    InForce {
        generation: u64,
        policy: Digest,
        /// What is to be said about the engine of an interface.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        guards: Vec<Guard>,
        /// The other interfaces of its policy could not be reached.
        #[serde(default)]
        partial: bool,
    },
    /// A generation could not be put in force; what was before is in force.
    Failed { generation: u64, why: String },
    /// A generation on trial stays.
    Confirmed { generation: u64 },
    /// A generation on trial was not confirmed: what was before it is about to come back.
    Reverting { generation: u64, why: String },
    /// Enforcement has ended.
    Detached,
}

/// Why an interface is judged by the engine that judges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    pub interface: String,
    /// "native XDP was refused: ...".
    pub why: String,
}

/// What the journal says should be in force in one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// What was put in force last.
    pub settled: Option<Enforced>,
    /// What was begun after it and neither finished nor taken back: a crash.
    pub begun: Option<Enforced>,
}

/// A generation and its interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    pub generation: u64,
    pub policy: Digest,
    pub interfaces: Vec<String>,
    pub guards: Vec<Guard>,
}

impl Enforced {
    /// Why an interface has the engine that it has, where there is something to say.
    pub fn why(&self, interface: &str) -> Option<String> {
        self.guards.iter().find(|guard| guard.interface == interface).map(|guard| guard.why.clone())
    }
}

/// What should be in force in `namespace` after these events.
pub fn expected(events: &[Event], namespace: Namespace) -> Expected {
    let mut expected = Expected::default();
    for event in events.iter().filter(|event| event.occasion.namespace == namespace) {
        let interfaces = event.interfaces.clone();
        match event.what.clone() {
            What::Begun { generation, policy, .. } => {
                expected.begun = Some(Enforced { generation, policy, interfaces, guards: Vec::new() });
            }
            What::InForce { generation, policy, guards, .. } => {
                let settled = Some(Enforced { generation, policy, interfaces, guards });
                expected = Expected { settled, begun: None };
            }
            What::Failed { .. } => expected.begun = None,
            What::Trial { .. } | What::Confirmed { .. } | What::Reverting { .. } => {}
            What::Detached => {
                for side in [&mut expected.settled, &mut expected.begun] {
                    if let Some(enforced) = side {
                        enforced.interfaces.retain(|name| !interfaces.contains(name));
                    }
                    *side = side.take().filter(|enforced| !enforced.interfaces.is_empty());
                }
            }
        }
    }
    expected
}

impl State {
    /// Where the journal is.
    pub fn journal_path(&self) -> PathBuf {
        self.dir.join("journal.jsonl")
    }

    /// Everything that was done, the oldest first.
    pub fn journal(&self) -> Result<Vec<Event>, StateError> {
        Ok(lines(&self.journal_bytes()?).filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    pub(super) fn journal_bytes(&self) -> Result<Vec<u8>, StateError> {
        let path = self.journal_path();
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(file_error("read", &path)),
        }
    }

    /// Whether the state directory is there.
    pub fn is_there(&self) -> bool {
        self.dir.is_dir()
    }

    /// How long the journal is, in bytes: it grows with every event.
    pub fn journal_length(&self) -> u64 {
        fs::metadata(self.journal_path()).map_or(0, |journal| journal.len())
    }

    /// Adds one event, synced.
    pub fn append(&self, _lock: &Lock, event: &Event) -> Result<(), StateError> {
        let path = self.journal_path();
        let write = || {
            let is_new = !path.exists();
            let mut file = File::options().create(true).read(true).append(true).open(&path)?;
            let tail = seal::tail(&mut file)?;
            let mut line = seal::sealed(serde_json::to_vec(event)?, tail.seal);
            if tail.torn {
                line.insert(0, b'\n');
            }
            file.write_all(&line)?;
            file.sync_all()?;
            // A name is kept by its folder.
            if is_new { files::sync_folder(&self.dir) } else { Ok(()) }
        };
        write().map_err(file_error("write", &path))
    }
}
