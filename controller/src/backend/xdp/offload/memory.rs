//! What was switched off, on disk, until `detach` restores it.
//!
//! Promises: what is to be restored is on disk before it is switched off, so that a crash in between is mended by
//! `detach`; nothing that was off before is ever switched on; a device keeps its memory when it is renamed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{read, set};
use crate::backend::xdp::device::{self, Device};
use crate::backend::xdp::observe;
use crate::backend::{BackendError, Feature};
use crate::state::replace;

/// The memory of what was switched off, one file a device, named by its index.
#[derive(Clone, Debug)]
pub(in crate::backend::xdp) struct Memory {
    folder: PathBuf,
}

/// What was switched off for one device. After a boot the index may be another device's, whose offloads are its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SwitchedOff {
    boot: String,
    features: BTreeSet<Feature>,
}

impl Memory {
    /// Kept in `folder`, which need not exist yet.
    pub(in crate::backend::xdp) fn new(folder: &Path) -> Memory {
        Memory { folder: folder.to_owned() }
    }

    fn path(&self, index: u32) -> PathBuf {
        self.folder.join(format!("{index}.json"))
    }

    /// What is remembered of this very device.
    fn recall(&self, index: u32) -> Result<SwitchedOff, BackendError> {
        let path = self.path(index);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let now = SwitchedOff { boot, features: BTreeSet::new() };
        let before: SwitchedOff = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(now),
            Err(error) => return Err(failed("read", &path, error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed("read", &path, error))?,
        };
        Ok(if before.boot == now.boot { before } else { now })
    }

    fn remember(&self, index: u32, what: &SwitchedOff) -> Result<(), BackendError> {
        let path = self.path(index);
        let json = serde_json::to_vec(what).map_err(|error| failed("write", &path, error))?;
        fs::create_dir_all(&self.folder).map_err(|error| failed("create", &self.folder, error))?;
        replace(&path, &json).map_err(|error| failed("write", &path, error))
    }

    fn forget(&self, index: u32) -> Result<(), BackendError> {
        let path = self.path(index);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// Forgets devices that are no more: another may get their index.
    fn forget_gone(&self) -> Result<(), BackendError> {
        let index = |entry: fs::DirEntry| entry.path().file_stem()?.to_str()?.parse().ok();
        let remembered: Vec<u32> =
            fs::read_dir(&self.folder).into_iter().flatten().flatten().filter_map(index).collect();
        for index in remembered {
            let gone = |found: Option<Device>| found.is_none();
            let found = device::by_index(index);
            if found
                .map_err(|error| BackendError::failed(format!("look at device {index}"), error))
                .map(gone)?
            {
                self.forget(index)?;
            }
        }
        Ok(())
    }

    /// Switches features off and reads them back.
    pub(in crate::backend::xdp) fn switch_off(
        &self,
        device: &Device,
        features: &[Feature],
    ) -> Result<(), BackendError> {
        let mut off = self.recall(device.index)?;
        off.features.extend(features);
        self.remember(device.index, &off)?;
        features.iter().try_for_each(|&feature| set(device, feature, false))?;
        let now = read(device)?.features;
        match now.iter().find(|offload| offload.on && features.contains(&offload.feature)) {
            None => Ok(()),
            Some(offload) => {
                Err(BackendError::OffloadStaysOn { interface: device.name.clone(), feature: offload.feature })
            }
        }
    }

    /// Switches on again what was switched off, where the device is still there. Returns what is on again. What fails is
    /// told once the rest is restored, and stays remembered.
    pub(in crate::backend::xdp) fn restore(&self, interface: &str) -> Result<Vec<Feature>, BackendError> {
        self.forget_gone()?;
        let Some(device) = observe::device(interface)? else { return Ok(Vec::new()) };
        let features = self.recall(device.index)?.features;
        let restored: Vec<Result<(), BackendError>> =
            features.iter().map(|&feature| set(&device, feature, true)).collect();
        restored.into_iter().collect::<Result<(), _>>()?;
        self.forget(device.index)?;
        Ok(features.into_iter().collect())
    }
}

fn failed(
    what: &str,
    path: &Path,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BackendError {
    BackendError::failed(format!("{what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_torn_leaves_what_was_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path());
        let off = SwitchedOff { features: BTreeSet::from([Feature::RxVlan]), ..memory.recall(7).unwrap() };
        memory.remember(7, &off).unwrap();
        // A crash while the next memory is written: the draft is cut, and nobody reads it.
        fs::write(folder.path().join("7.new"), b"{\"boot\":").unwrap();
        assert_eq!(memory.recall(7).unwrap(), off);
        memory.remember(7, &off).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the draft has become the file");
    }

    #[test]
    fn what_was_switched_off_before_a_boot_is_not_restored() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path());
        let features = BTreeSet::from([Feature::Lro]);
        memory.remember(7, &SwitchedOff { boot: "another".into(), features }).unwrap();
        assert!(memory.recall(7).unwrap().features.is_empty());
    }
}
