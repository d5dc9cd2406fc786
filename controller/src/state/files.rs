//! Files that a crash leaves whole: written, synced, and only then named.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a new file and waits until it is on disk. Its name lasts once the folder is [synced](sync_folder).
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes names in a folder as lasting as the files they name.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives a file new content: whoever reads it, even after a crash, finds the old or the new, whole.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    write_synced(&draft, bytes)?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}
