//! The two corpora of policies, and reading them the way the commands do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use perimeter::policy::{self, Reading};

/// The day on which the corpora are read.
pub(super) fn day() -> jiff::Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a literal")
}

/// The policies of one corpus, `valid` or `invalid`, in the order of their names.
pub(super) fn policies(corpus: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(corpus);
    let entries = fs::read_dir(&folder).expect("the corpus is part of the repository");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    found.sort();
    found
}

/// The name of a case: its file's name without `.yaml`.
pub(super) fn case(path: &Path) -> String {
    path.file_stem().expect("corpus files have names").to_string_lossy().into_owned()
}

/// Reads a policy's text as if it stood in the folder of `path`.
pub(super) fn read_text(path: &Path, text: &[u8]) -> Reading {
    policy::read(&name(path), text, &mut beside(path), day())
}

/// Reads and lints a policy, as `perimeter check` does.
pub(super) fn check(path: &Path) -> Reading {
    let text = fs::read(path).expect("a readable policy");
    policy::check(&name(path), &text, &mut beside(path), day())
}

fn name(path: &Path) -> String {
    path.file_name().expect("policies have names").to_string_lossy().into_owned()
}

fn beside(path: &Path) -> impl FnMut(&str) -> io::Result<Vec<u8>> {
    let folder = path.parent().expect("policies stand in a folder").to_path_buf();
    move |name| fs::read(folder.join(name))
}

/// Reads a policy of a corpus.
pub(super) fn read(path: &Path) -> Reading {
    read_text(path, &fs::read(path).expect("a readable corpus"))
}
