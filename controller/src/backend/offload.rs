//! Offloads after which a frame is not what was on the wire: switched off, read back, remembered, restored.
//!
//! Promises: what is to be restored is on disk before it is switched off, so that a crash in between is mended by
//! `detach`; nothing that was off before is ever switched on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::device::{self, Device, Peer};
use super::ethtool;
use super::{BackendError, Engine, Feature, Observed, Offload, Offloads};

/// The kernel's name of a feature.
fn kernel_name(feature: Feature) -> &'static str {
    match feature {
        Feature::RxVlan => "rx-vlan-hw-parse",
        Feature::RxVlanStag => "rx-vlan-stag-hw-parse",
        Feature::Lro => "rx-lro",
        Feature::GroHw => "rx-gro-hw",
        Feature::Gro => "rx-gro",
        Feature::GroList => "rx-gro-list",
        Feature::GroUdpForwarding => "rx-udp-gro-forwarding",
    }
}

/// The state of every feature that matters, on this device.
fn read(device: &str) -> Result<Vec<Offload>, BackendError> {
    let states = ethtool::features(device)
        .map_err(|error| BackendError::failed(format!("read the offloads of {device}"), error))?;
    let find = |feature| {
        states.iter().find(|state| state.name == kernel_name(feature)).map(|state| (feature, state))
    };
    let offload =
        |(feature, state): (_, &ethtool::State)| Offload { feature, on: state.on, fixed: state.fixed };
    Ok(Feature::ALL.into_iter().filter_map(find).map(offload).collect())
}

/// What only the other end of a veth pair can switch off.
fn findings(device: &Device) -> Vec<String> {
    let name = &device.name;
    let peer = match device.veth_peer {
        None => return Vec::new(),
        Some(Peer::Here(index)) => device::by_index(index).ok().flatten(),
        Some(Peer::Elsewhere) => None,
    };
    let Some(peer) = peer else {
        return vec![format!(
            "the other end of {name} is in another network namespace: where tso, gso or txvlan is on there, frames \
             arrive merged or without their tag; switch them off with `ethtool -K DEVICE tso off gso off txvlan off \
             tx-vlan-stag-hw-insert off`"
        )];
    };
    let harmful = [
        "tx-tcp-segmentation",
        "tx-tcp6-segmentation",
        "tx-udp-segmentation",
        "tx-vlan-hw-insert",
        "tx-vlan-stag-hw-insert",
    ];
    let states = ethtool::features(&peer.name).unwrap_or_default();
    match states.iter().any(|state| state.on && harmful.contains(&state.name.as_str())) {
        false => Vec::new(),
        true => vec![format!(
            "{}, the other end of {name}, merges packets or keeps tags out of the frame: switch that off with \
             `ethtool -K {} tso off gso off tx-udp-segmentation off txvlan off tx-vlan-stag-hw-insert off`",
            peer.name, peer.name
        )],
    }
}

/// The offloads of the devices of this network namespace, and the memory of what was switched off.
#[derive(Clone, Debug)]
pub struct Devices {
    folder: PathBuf,
}

/// What was switched off for one device, and which device it was: after a boot, or under the same name, it may be
/// another, whose offloads are its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SwitchedOff {
    boot: String,
    index: u32,
    features: BTreeSet<Feature>,
}

impl Devices {
    /// The memory is kept in `folder`, which need not exist yet.
    pub fn new(folder: &Path) -> Devices {
        Devices { folder: folder.to_owned() }
    }

    fn path(&self, device: &str) -> PathBuf {
        self.folder.join(format!("{device}.json"))
    }

    /// What is remembered of this very device.
    fn recall(&self, device: &Device) -> Result<SwitchedOff, BackendError> {
        let path = self.path(&device.name);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let now = SwitchedOff { boot, index: device.index, features: BTreeSet::new() };
        let before: SwitchedOff = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(now),
            Err(error) => return Err(failed("read", &path, error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed("read", &path, error))?,
        };
        Ok(if (&before.boot, before.index) == (&now.boot, now.index) { before } else { now })
    }

    fn remember(&self, device: &str, what: &SwitchedOff) -> Result<(), BackendError> {
        let path = self.path(device);
        let json = serde_json::to_vec(what).map_err(|error| failed("write", &path, error))?;
        fs::create_dir_all(&self.folder).map_err(|error| failed("create", &self.folder, error))?;
        let write = || {
            fs::write(&path, &json)?;
            fs::File::open(&path)?.sync_all()
        };
        write().map_err(|error| failed("write", &path, error))
    }

    fn forget(&self, device: &str) -> Result<(), BackendError> {
        let path = self.path(device);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// Forgets what is remembered of a device, or but for `features`.
    fn keep(
        &self,
        device: &str,
        mut what: SwitchedOff,
        features: BTreeSet<Feature>,
    ) -> Result<(), BackendError> {
        if features.is_empty() {
            return self.forget(device);
        }
        what.features = features;
        self.remember(device, &what)
    }
}

impl Offloads for Devices {
    fn look(&self, observed: &mut Observed) -> Result<(), BackendError> {
        let Some(device) = device::ethernet(&observed.interface)? else { return Ok(()) };
        observed.offloads = read(&device.name)?;
        observed.switched_off = self.recall(&device)?.features.into_iter().collect();
        observed.findings.extend(findings(&device));
        Ok(())
    }

    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError> {
        let gone =
            || BackendError::failed(format!("switch off offloads of {interface}"), "the device is gone");
        let device = device::find(interface)?.ok_or_else(gone)?;
        let mut off = self.recall(&device)?;
        off.features.extend(features);
        self.remember(interface, &off)?;
        features.iter().try_for_each(|&feature| set(interface, feature, false))?;
        let now = read(interface)?;
        match now.iter().find(|offload| offload.on && features.contains(&offload.feature)) {
            None => Ok(()),
            Some(offload) => Err(BackendError::OffloadStaysOn {
                interface: interface.to_owned(),
                feature: offload.feature,
            }),
        }
    }

    fn restore(&mut self, interface: &str, engines: &[Engine]) -> Result<Vec<Feature>, BackendError> {
        let Some(device) = device::find(interface)? else {
            self.forget(interface)?;
            return Ok(Vec::new());
        };
        let off = self.recall(&device)?;
        let harms = |feature: &Feature| engines.iter().any(|engine| feature.harms(*engine));
        let (keep, on): (BTreeSet<Feature>, BTreeSet<Feature>) =
            off.features.iter().partition(|one| harms(one));
        on.iter().try_for_each(|&feature| set(interface, feature, true))?;
        self.keep(interface, off, keep)?;
        Ok(on.into_iter().collect())
    }
}

fn set(device: &str, feature: Feature, on: bool) -> Result<(), BackendError> {
    let what = || format!("switch {} {} on {device}", feature.name(), if on { "on" } else { "off" });
    ethtool::switch(device, kernel_name(feature), on).map_err(|error| BackendError::failed(what(), error))
}

fn failed(
    what: &str,
    path: &Path,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BackendError {
    BackendError::failed(format!("{what} {}", path.display()), error)
}
