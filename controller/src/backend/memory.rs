//! A backend without a kernel: devices, programs and offloads are values, and any step can be made to fail.
//!
//! Promises: the same order of effects as the XDP backend, so that what a failure leaves behind can be examined.

use std::collections::{BTreeMap, BTreeSet};

use perimeter_classifier::abi::{ABI_VERSION, Counter};

use super::{
    Backend, BackendError, Device, Enforcement, Engine, Feature, InForce, Observed, Offload, Switched, Target,
};
use crate::counters::{Counts, Slots, allocate, series};

/// A step that can fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Prepare(String),
    SwitchOff(String),
    Switch(String),
    Revert(String),
    Detach(String),
}

/// The kernel, remembered.
#[derive(Debug, Default)]
pub struct Memory {
    /// Devices by name, with their offloads that are on.
    pub devices: BTreeMap<String, BTreeSet<Feature>>,
    pub in_force: BTreeMap<String, InForce>,
    /// Interfaces whose program was detached by somebody else.
    pub lost: BTreeSet<String>,
    /// What was switched off for perimeter.
    pub switched_off: BTreeMap<String, BTreeSet<Feature>>,
    pub slots: Slots,
    /// Steps that fail, once each.
    pub fail: BTreeSet<Step>,
    programs: u32,
}

/// A generation for one interface, and what it replaced.
#[derive(Debug)]
pub struct Prepared {
    interface: String,
    record: InForce,
    before: Option<InForce>,
}

impl Memory {
    /// A machine with these devices, all offloads off.
    pub fn with_devices(names: &[&str]) -> Memory {
        let devices = names.iter().map(|name| ((*name).to_owned(), BTreeSet::new())).collect();
        Memory { devices, ..Memory::default() }
    }

    fn may_fail(&mut self, step: Step) -> Result<(), BackendError> {
        match self.fail.remove(&step) {
            true => Err(BackendError::failed(format!("carry out {step:?}"), "it was made to fail")),
            false => Ok(()),
        }
    }
}

impl Backend for Memory {
    type Prepared = Prepared;

    fn observe(&self, interface: &str) -> Result<Observed, BackendError> {
        let device = self.devices.get(interface);
        let enforcement = match self.in_force.get(interface) {
            None => Enforcement::Off,
            Some(_) if self.lost.contains(interface) => {
                Enforcement::Lost { why: "its program was detached".to_owned() }
            }
            Some(record) => Enforcement::InForce(record.clone()),
        };
        let on = |feature| device.is_some_and(|on| on.contains(&feature));
        Ok(Observed {
            interface: interface.to_owned(),
            device: device.map_or(Device::Missing, |_| Device::Ethernet { index: 1 }),
            enforcement,
            offloads: Feature::ALL
                .into_iter()
                .map(|feature| Offload { feature, on: on(feature), fixed: false })
                .collect(),
            obstacles: Vec::new(),
            findings: Vec::new(),
        })
    }

    fn enforced(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.in_force.keys().cloned().collect())
    }

    fn prepare(&mut self, target: Target<'_>) -> Result<Prepared, BackendError> {
        self.may_fail(Step::Prepare(target.name().to_owned()))?;
        let new = allocate(&self.slots, &series(target.ruleset, target.index))?;
        self.slots.extend(new);
        self.programs += 1;
        let record = InForce {
            interface: target.name().to_owned(),
            engine: Engine::Native,
            generation: target.generation,
            policy: target.policy,
            enforce: target.ruleset.interfaces[target.index].enforce,
            abi: ABI_VERSION,
            program_id: self.programs,
            table_bytes: target.image.size_bytes() as u64,
        };
        Ok(Prepared { interface: target.name().to_owned(), record, before: None })
    }

    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError> {
        self.may_fail(Step::SwitchOff(interface.to_owned()))?;
        for feature in features {
            if self.devices.get_mut(interface).is_some_and(|on| on.remove(feature)) {
                self.switched_off.entry(interface.to_owned()).or_default().insert(*feature);
            }
        }
        Ok(())
    }

    fn restore(&mut self, interface: &str) -> Result<Vec<Feature>, BackendError> {
        let features = self.switched_off.remove(interface).unwrap_or_default();
        self.devices.entry(interface.to_owned()).or_default().extend(&features);
        Ok(features.into_iter().collect())
    }

    fn switch(&mut self, prepared: &mut Prepared) -> Result<Switched, BackendError> {
        self.may_fail(Step::Switch(prepared.interface.clone()))?;
        self.lost.remove(&prepared.interface);
        prepared.before = self.in_force.insert(prepared.interface.clone(), prepared.record.clone());
        Ok(Switched { engine: Engine::Native, native_refused: None })
    }

    fn revert(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        self.may_fail(Step::Revert(prepared.interface.clone()))?;
        match prepared.before.take() {
            Some(record) => self.in_force.insert(prepared.interface.clone(), record),
            None => self.in_force.remove(&prepared.interface),
        };
        Ok(())
    }

    fn detach(&mut self, interface: &str) -> Result<(), BackendError> {
        self.may_fail(Step::Detach(interface.to_owned()))?;
        self.in_force.remove(interface);
        if self.in_force.is_empty() {
            self.slots.clear();
        }
        Ok(())
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        Ok(self.slots.keys().map(|series| (series.clone(), Counter::default())).collect())
    }
}
