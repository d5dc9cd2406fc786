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
use crate::backend::device::{self, Device};
use crate::backend::{BackendError, Engine, Feature, Observed, Offloads};
use crate::state::replace;

/// The offloads of the devices of this network namespace, and the memory of what was switched off: one file a device,
/// named by its index.
#[derive(Clone, Debug)]
pub struct Devices {
    folder: PathBuf,
}

/// What was switched off for one device. After a boot the index may be another device's, whose offloads are its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SwitchedOff {
    boot: String,
    features: BTreeSet<Feature>,
}

impl Devices {
    /// The memory is kept in `folder`, which need not exist yet.
    pub fn new(folder: &Path) -> Devices {
        Devices { folder: folder.to_owned() }
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
        // Most applies change nothing here, and waiting for the disk is a tenth of what they take.
        if fs::read(&path).is_ok_and(|old| old == json) {
            return Ok(());
        }
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

    /// Remembers no more than `features` of a device.
    fn keep(
        &self,
        index: u32,
        mut what: SwitchedOff,
        features: BTreeSet<Feature>,
    ) -> Result<(), BackendError> {
        if features.is_empty() {
            return self.forget(index);
        }
        what.features = features;
        self.remember(index, &what)
    }
}

impl Offloads for Devices {
    fn look(&self, observed: &mut Observed) -> Result<(), BackendError> {
        let Some(device) = device::ethernet(&observed.interface)? else { return Ok(()) };
        let found = read(&device)?;
        observed.offloads = found.features;
        observed.obstacles = found.obstacles;
        observed.findings.extend(found.findings);
        observed.switched_off = self.recall(device.index)?.features.into_iter().collect();
        Ok(())
    }

    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError> {
        let gone =
            || BackendError::failed(format!("switch off offloads of {interface}"), "the device is gone");
        let device = device::find(interface)?.ok_or_else(gone)?;
        let mut off = self.recall(device.index)?;
        off.features.extend(features);
        self.remember(device.index, &off)?;
        features.iter().try_for_each(|&feature| set(&device, feature, false))?;
        let now = read(&device)?.features;
        match now.iter().find(|offload| offload.on && features.contains(&offload.feature)) {
            None => Ok(()),
            Some(offload) => Err(BackendError::OffloadStaysOn {
                interface: interface.to_owned(),
                feature: offload.feature,
            }),
        }
    }

    /// What fails is told once the rest is restored, and stays remembered.
    fn restore(&mut self, interface: &str, engines: &[Engine]) -> Result<Vec<Feature>, BackendError> {
        self.forget_gone()?;
        let Some(device) = device::find(interface)? else { return Ok(Vec::new()) };
        let off = self.recall(device.index)?;
        let harms = |feature: &Feature| engines.iter().any(|engine| feature.harms(*engine));
        let (keep, on): (BTreeSet<Feature>, BTreeSet<Feature>) =
            off.features.iter().partition(|feature| harms(feature));
        let restored: Vec<Result<(), BackendError>> =
            on.iter().map(|&feature| set(&device, feature, true)).collect();
        restored.into_iter().collect::<Result<(), _>>()?;
        self.keep(device.index, off, keep)?;
        Ok(on.into_iter().collect())
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
        let memory = Devices::new(folder.path());
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
        let memory = Devices::new(folder.path());
        let features = BTreeSet::from([Feature::Lro]);
        memory.remember(7, &SwitchedOff { boot: "another".into(), features }).unwrap();
        assert!(memory.recall(7).unwrap().features.is_empty());
    }
}
