//! Where perimeter keeps its things: pins and records. Nothing is made there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access, statfs};

use crate::backend::facts::{Bpffs, Fact, Folder, Unknown};
use crate::backend::xdp::namespace;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of `linux/magic.h`.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// What pins would lie on.
pub(super) fn bpffs(path: &Path) -> Fact<Bpffs> {
    namespace::bpffs(path).map_err(Unknown::because)
}

/// A folder that may not be there yet.
pub(super) fn folder(path: &Path) -> Folder {
    let there = namespace::nearest(path);
    let facts = fs::metadata(&there).map_err(Unknown::because);
    let system = statfs(&there).map_err(Unknown::because);
    let writable = match &facts {
        Ok(facts) if !facts.is_dir() => Err(format!("{} is not a folder", there.display())),
        _ => access(&there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| error.to_string()),
    };
    Folder {
        path: path.to_owned(),
        exists: there == path,
        mode: facts.as_ref().map(|facts| facts.mode() & 0o7777).map_err(Clone::clone),
        owner: facts.as_ref().map(MetadataExt::uid).map_err(Clone::clone),
        writable,
        temporary: system.as_ref().map(|system| IN_MEMORY.contains(&system.f_type)).map_err(Clone::clone),
        free: system.map(|system| system.f_bavail.saturating_mul(system.f_bsize as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_the_one_above() {
        let above = tempfile::tempdir().unwrap();
        let facts = folder(&above.path().join("a/b"));
        assert_eq!((facts.exists, facts.writable), (false, Ok(())));
        fs::write(above.path().join("file"), "").unwrap();
        let facts = folder(&above.path().join("file"));
        assert!(facts.writable.unwrap_err().contains("is not a folder"));
    }
}
