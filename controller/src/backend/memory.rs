//! A backend without a kernel: devices, programs and offloads are values, and any step can be made to fail.
//!
//! Promises: the same order of effects as the backends of the kernel, so that what a failure leaves behind can be
//! examined, and on a shared [`Wire`] what each moment looked like. Two of them make up both halves of
//! [`super::guards::Guards`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use perimeter_classifier::abi::ABI_VERSION;

use super::guards::Front;
use super::{
    Backend, BackendError, Device, Enforcement, Engine, Feature, InForce, Observed, Offload, Offloads,
    Refused, Switched, Target,
};
use crate::counters::{Count, Counts, Slots, account_series, allocate, series};

/// A step that can fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Prepare(String),
    SwitchOff(String),
    Switch(String),
    Revert(String),
    StandAside(String),
    ComeBack(String),
    Lower(String),
}

/// What judges the frames of a device at one moment: engines, and the generation of each.
pub type Moment = BTreeMap<Engine, u64>;

/// Every moment of every device, as seen by a frame.
#[derive(Debug, Default)]
pub struct Wire {
    pub now: BTreeMap<String, Moment>,
    /// The moments after each change, with the device's name, the oldest first.
    pub moments: Vec<(String, Moment)>,
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
    /// Whether this is nftables; else it is XDP.
    pub nft: bool,
    /// Engines that no device takes.
    pub refuses: BTreeSet<Engine>,
    /// Whether it cannot even prepare anything.
    pub unavailable: bool,
    /// Steps that fail, once each.
    pub fail: BTreeSet<Step>,
    pub wire: Rc<RefCell<Wire>>,
    programs: u32,
}

/// A generation for one interface, and what it replaced.
#[derive(Debug)]
pub struct Prepared {
    interface: String,
    /// Engines in the order in which they are tried.
    ways: Vec<Engine>,
    record: InForce,
    before: Option<InForce>,
    aside: Option<InForce>,
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

    /// Changes what judges a device, and what a frame sees of it.
    fn set(&mut self, interface: &str, record: Option<InForce>) -> Option<InForce> {
        let before = match record.clone() {
            Some(record) => self.in_force.insert(interface.to_owned(), record),
            None => self.in_force.remove(interface),
        };
        let mut wire = self.wire.borrow_mut();
        let moment = wire.now.entry(interface.to_owned()).or_default();
        if let Some(before) = &before {
            moment.remove(&before.engine);
        }
        moment.extend(record.map(|record| (record.engine, record.generation)));
        let moment = moment.clone();
        wire.moments.push((interface.to_owned(), moment));
        before
    }
}

impl Front for Memory {
    fn stand_aside(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        self.may_fail(Step::StandAside(prepared.interface.clone()))?;
        prepared.aside = self.set(&prepared.interface, None);
        Ok(())
    }

    fn come_back(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        self.may_fail(Step::ComeBack(prepared.interface.clone()))?;
        let aside = prepared.aside.take();
        self.set(&prepared.interface, aside);
        Ok(())
    }
}

impl Offloads for Memory {
    fn look(&self, observed: &mut Observed) -> Result<(), BackendError> {
        let Some(device) = self.devices.get(&observed.interface) else { return Ok(()) };
        let offload = |feature| Offload { feature, on: device.contains(&feature), fixed: false };
        observed.offloads = Feature::ALL.into_iter().map(offload).collect();
        observed.switched_off =
            self.switched_off.get(&observed.interface).into_iter().flatten().copied().collect();
        Ok(())
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

    fn restore(&mut self, interface: &str, engines: &[Engine]) -> Result<Vec<Feature>, BackendError> {
        let off = self.switched_off.remove(interface).unwrap_or_default();
        let harms = |feature: &Feature| engines.iter().any(|engine| feature.harms(*engine));
        let (keep, on): (BTreeSet<Feature>, BTreeSet<Feature>) =
            off.iter().partition(|feature| harms(feature));
        self.devices.entry(interface.to_owned()).or_default().extend(&on);
        if !keep.is_empty() {
            self.switched_off.insert(interface.to_owned(), keep);
        }
        Ok(on.into_iter().collect())
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
        let mut observed = Observed {
            device: device.map_or(Device::Missing, |_| Device::Ethernet { index: 1 }),
            enforcement,
            ..Observed::nothing(interface)
        };
        self.look(&mut observed)?;
        Ok(observed)
    }

    fn enforced(&self) -> Result<Vec<String>, BackendError> {
        Ok(self.in_force.keys().cloned().collect())
    }

    fn prepare(&mut self, target: Target<'_>) -> Result<Prepared, BackendError> {
        self.may_fail(Step::Prepare(target.name().to_owned()))?;
        if self.unavailable {
            let refused = |&engine: &Engine| Refused { engine, reason: "it is not there".into() };
            let refused = target.wanted.xdp.iter().map(refused).collect();
            return Err(BackendError::Refused { interface: target.name().to_owned(), refused });
        }
        let wanted =
            [series(target.ruleset, target.index), account_series(target.ruleset, target.index)].concat();
        let new = allocate(&self.slots, &wanted)?;
        self.slots.extend(new);
        self.programs += 1;
        let ways = if self.nft { vec![Engine::Nft] } else { target.wanted.xdp.to_vec() };
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
        Ok(Prepared { interface: target.name().to_owned(), ways, record, before: None, aside: None })
    }

    fn switch(&mut self, prepared: &mut Prepared) -> Result<Switched, BackendError> {
        let interface = prepared.interface.clone();
        self.may_fail(Step::Switch(interface.clone()))?;
        let refused = |engine: &Engine| self.refuses.contains(engine);
        let running = self.in_force.get(&interface).map(|record| record.engine);
        let free = prepared.ways.iter().copied().find(|engine| !refused(engine));
        let tried = prepared.ways.iter().take_while(|engine| refused(engine));
        let reason = "it was made to refuse".to_owned();
        let refused: Vec<Refused> = match running {
            Some(_) => Vec::new(),
            None => tried.map(|&engine| Refused { engine, reason: reason.clone() }).collect(),
        };
        let Some(engine) = running.or(free) else {
            return Err(BackendError::Refused { interface, refused });
        };
        prepared.record.engine = engine;
        self.lost.remove(&interface);
        prepared.before = self.set(&interface, Some(prepared.record.clone()));
        Ok(Switched { engines: vec![engine], refused })
    }

    fn revert(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        self.may_fail(Step::Revert(prepared.interface.clone()))?;
        let before = prepared.before.take();
        self.set(&prepared.interface, before);
        Ok(())
    }

    fn settle(&mut self, _prepared: &mut Prepared) -> Result<(), BackendError> {
        Ok(())
    }

    fn lower(&mut self, interface: &str) -> Result<(), BackendError> {
        self.may_fail(Step::Lower(interface.to_owned()))?;
        self.set(interface, None);
        Ok(())
    }

    fn end_counters(&mut self) -> Result<(), BackendError> {
        self.slots.clear();
        Ok(())
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        Ok(self.slots.keys().map(|series| (series.clone(), Count::default())).collect())
    }
}
