//! The XDP backend as the rest of the program sees it.
//!
//! Promises: a program is in force before `switch` returns, or what was before is; its link is pinned before success is
//! reported, so that enforcement does not end with the process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::counters::{self, Counters};
use super::device::{Device, How};
use super::namespace;
use super::observe;
use super::offload::Memory;
use super::pins::{Object, Pins};
use super::places::{self, Place, Serves};
use super::program::{self, Program};
use super::sys::{self, XdpPath};
use crate::backend::{Backend, BackendError, Engine, Feature, Observed, Switched, Target};
use crate::counters::{Counts, bind, series};
use crate::ruleset::Mode;
use crate::state::Namespace;

/// XDP in the network namespace of this process.
pub struct Xdp {
    pins: Pins,
    offloads: Memory,
    counters: Option<Counters>,
}

/// A loaded program, and what it takes to go back.
pub struct Prepared {
    interface: String,
    mode: Mode,
    generation: u64,
    program: Program,
    /// Under which key it is pinned once it is switched to, and under which it was before.
    key: String,
    key_before: String,
    /// The program that the link ran before the switch.
    before: Option<OwnedFd>,
}

impl Xdp {
    /// The backend whose pins lie below `bpffs` and whose memory of offloads lies in `state_dir`.
    pub fn new(bpffs: &Path, state_dir: &Path, namespace: Namespace) -> Result<Xdp, BackendError> {
        namespace::require_readable(bpffs)?;
        Ok(Xdp {
            pins: Pins::new(bpffs, namespace),
            offloads: Memory::new(&state_dir.join(format!("offloads-{}", namespace.cookie))),
            counters: None,
        })
    }

    /// Refuses to enforce where enforcement would end with the shell.
    pub fn require_lasting(&self) -> Result<(), BackendError> {
        namespace::require_lasting(self.pins.root())
    }

    fn counters(&mut self) -> Result<&mut Counters, BackendError> {
        match &mut self.counters {
            Some(counters) => Ok(counters),
            none => Ok(none.insert(Counters::open_or_make(&self.pins)?)),
        }
    }

    /// The first program on a device: a link, pinned once it stands. What judges a device that had this name before stays.
    fn attach(
        &self,
        prepared: &mut Prepared,
        places: &[Place],
        device: &Device,
    ) -> Result<Switched, BackendError> {
        prepared.key = places::free_key(places, device)?;
        let key = &prepared.key;
        let (link, switched) = create(prepared, device.index)?;
        self.verify(prepared, &link, switched.engine)?;
        let keep = || {
            self.pins.clear(key)?;
            self.pins.pin(key, Object::Program, prepared.program.as_fd())?;
            self.pins.pin(key, Object::Link, link.as_fd())
        };
        match keep() {
            Ok(()) => Ok(switched),
            Err(error) => {
                // What is not pinned ends with `link`; the error that is reported is the first.
                let _ = self.pins.clear(key);
                Err(error)
            }
        }
    }

    /// One update of the link, between two frames.
    fn replace(
        &self,
        prepared: &mut Prepared,
        link: &OwnedFd,
        running: u32,
    ) -> Result<Switched, BackendError> {
        let interface = &prepared.interface;
        let before = sys::program_by_id(running)
            .map_err(|error| BackendError::failed(format!("open program {running} of {interface}"), error))?;
        self.pins.pin(&prepared.key_before, Object::Next, prepared.program.as_fd())?;
        match self.update(prepared, link, &before) {
            Ok(engine) => {
                prepared.before = Some(before);
                Ok(Switched { engine, native_refused: None })
            }
            Err(error) => {
                // The error that is reported is the one that stopped the update.
                let _ = self.pins.unpin(&prepared.key_before, Object::Next);
                Err(error)
            }
        }
    }

    /// Updates the link, asks the kernel what it runs, and gives the pins their new names; what was before runs again
    /// where any of that fails.
    fn update(&self, prepared: &Prepared, link: &OwnedFd, before: &OwnedFd) -> Result<Engine, BackendError> {
        let (interface, key) = (&prepared.interface, &prepared.key_before);
        sys::link_update(link.as_fd(), prepared.program.as_fd(), before.as_fd())
            .map_err(|error| BackendError::failed(format!("replace the program of {interface}"), error))?;
        let settle = || {
            let engine = self.engine(interface)?;
            self.verify(prepared, link, engine)?;
            self.pins.rename(key, Object::Program, Object::Previous)?;
            self.pins.rename(key, Object::Next, Object::Program)?;
            self.pins.rename_folder(key, &prepared.key)?;
            Ok(engine)
        };
        settle().inspect_err(|_| {
            // The error that is reported is the first; going back is all that is left to do.
            let _ = sys::link_update(link.as_fd(), before.as_fd(), prepared.program.as_fd());
            let _ = self.pins.pin(key, Object::Program, before.as_fd());
        })
    }

    /// Ends one place: the program is detached, the pins go.
    fn end(&self, place: &Place) -> Result<(), BackendError> {
        let interface = place.interface();
        let failed = |error| BackendError::failed(format!("detach the program from {interface}"), error);
        // A link whose device is gone has nothing to detach from; its pin goes all the same.
        if let (Some(link), false) = (&place.link, place.serves == Serves::Nothing) {
            sys::link_detach(link.as_fd()).map_err(failed)?;
        }
        self.pins.clear(&place.key)
    }

    /// Ends every place that `which` chooses; counters end with the last.
    fn end_all(&mut self, which: impl Fn(&Place) -> bool) -> Result<(), BackendError> {
        let (ending, staying): (Vec<Place>, Vec<Place>) =
            places::all(&self.pins)?.into_iter().partition(which);
        ending.iter().try_for_each(|place| self.end(place))?;
        if staying.is_empty() {
            self.counters = None;
            self.pins.clear_shared()?;
        }
        Ok(())
    }

    fn engine(&self, interface: &str) -> Result<Engine, BackendError> {
        let device = observe::device(interface)?;
        match device.and_then(|device| device.program).map(|attached| attached.how) {
            Some(How::Generic) => Ok(Engine::Generic),
            _ => Ok(Engine::Native),
        }
    }

    /// Asks the kernel whether it runs what was prepared, on this link and on the device.
    fn verify(&self, prepared: &Prepared, link: &OwnedFd, engine: Engine) -> Result<(), BackendError> {
        let interface = &prepared.interface;
        let not = |found: String| BackendError::NotAsAsked { interface: interface.clone(), found };
        let ask = |error| BackendError::failed(format!("ask what {interface} runs"), error);
        let wanted = prepared.program.describe().map_err(ask)?.id;
        let found = sys::link_info(link.as_fd()).map_err(ask)?;
        if found.program != wanted {
            return Err(not(format!("its link runs program {} instead of {wanted}", found.program)));
        }
        let device = observe::device(interface)?;
        let attached = device.and_then(|device| device.program.filter(|_| device.index == found.device));
        let how = if engine == Engine::Native { How::Driver } else { How::Generic };
        match attached {
            Some(attached) if attached.program == wanted && attached.how == how => Ok(()),
            Some(attached) => Err(not(format!("program {} is attached to it", attached.program))),
            None => Err(not("no program is attached to it".to_owned())),
        }
    }
}

/// Creates the link: native, or generic where native is refused and the policy leaves the choice.
fn create(prepared: &Prepared, device: u32) -> Result<(OwnedFd, Switched), BackendError> {
    let interface = &prepared.interface;
    let create = |path| sys::link_create(prepared.program.as_fd(), device, path);
    let failed = |error| BackendError::failed(format!("attach to {interface}"), error);
    let generic = |native_refused| {
        let link = create(XdpPath::Generic).map_err(failed)?;
        Ok((link, Switched { engine: Engine::Generic, native_refused }))
    };
    if prepared.mode == Mode::Generic {
        return generic(None);
    }
    match create(XdpPath::Driver) {
        Ok(link) => Ok((link, Switched { engine: Engine::Native, native_refused: None })),
        // Somebody else's program, missing rights, a device that went: no other path would do better.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EPERM | libc::ENODEV)) => {
            Err(failed(error))
        }
        Err(error) if prepared.mode == Mode::Native => {
            Err(BackendError::NativeRefused { interface: interface.clone(), reason: error.to_string() })
        }
        Err(error) => generic(Some(error.to_string())),
    }
}

impl Backend for Xdp {
    type Prepared = Prepared;

    fn observe(&self, interface: &str) -> Result<Observed, BackendError> {
        observe::observe(&self.pins, interface)
    }

    fn enforced(&self) -> Result<Vec<String>, BackendError> {
        let places = places::all(&self.pins)?;
        let mut names: Vec<String> = places.iter().map(|place| place.interface().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn prepare(&mut self, target: Target<'_>) -> Result<Prepared, BackendError> {
        let interface = target.name().to_owned();
        let wish = &target.ruleset.interfaces[target.index];
        let counters = self.counters()?;
        counters.allocate(&series(target.ruleset, target.index))?;
        let binding = bind(counters.slots(), target.ruleset, target.index);
        let mut image = target.image;
        image.bind_slots(&binding.rules);
        let enforcement = program::Enforcement {
            generation: target.generation,
            policy: target.policy.0,
            enforce: wish.enforce,
            reason_slots: binding.reasons,
        };
        let slots = counters::slot_map(&self.pins.counters())?;
        let program = Program::load(&image, enforcement, &slots)
            .map_err(|error| BackendError::failed(format!("load the program for {interface}"), error))?;
        Ok(Prepared {
            interface,
            mode: wish.mode,
            generation: target.generation,
            program,
            key: String::new(),
            key_before: String::new(),
            before: None,
        })
    }

    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError> {
        match observe::device(interface)? {
            Some(device) => self.offloads.switch_off(&device, features),
            None => {
                Err(BackendError::failed(format!("switch off offloads of {interface}"), "the device is gone"))
            }
        }
    }

    fn restore(&mut self, interface: &str) -> Result<Vec<Feature>, BackendError> {
        self.offloads.restore(interface)
    }

    fn switch(&mut self, prepared: &mut Prepared) -> Result<Switched, BackendError> {
        let interface = prepared.interface.clone();
        let gone = || BackendError::failed(format!("attach to {interface}"), "the device is gone");
        let device = observe::device(&interface)?.ok_or_else(gone)?;
        let places = places::all(&self.pins)?;
        match (places.iter().find(|place| place.runs_on(&device)), device.program) {
            (Some(place @ Place { key, link: Some(link), .. }), Some(attached)) => {
                prepared.key_before = key.clone();
                prepared.key = match place.former_name() == interface {
                    true => key.clone(),
                    false => places::free_key(&places, &device)?,
                };
                self.replace(prepared, link, attached.program)
            }
            _ => self.attach(prepared, &places, &device),
        }
    }

    fn revert(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        let (key, key_before) = (&prepared.key, &prepared.key_before);
        let Some(before) = prepared.before.take() else { return self.end_all(|place| place.key == *key) };
        let what = format!("go back from generation {} on {}", prepared.generation, prepared.interface);
        let failed = |error: std::io::Error| BackendError::failed(what.clone(), error);
        let lost = || BackendError::failed(what.clone(), "its link is no longer pinned");
        let link = self.pins.open(key, Object::Link)?.ok_or_else(lost)?;
        sys::link_update(link.as_fd(), before.as_fd(), prepared.program.as_fd()).map_err(failed)?;
        self.pins.rename(key, Object::Previous, Object::Program)?;
        self.pins.rename_folder(key, key_before)
    }

    fn detach(&mut self, interface: &str) -> Result<(), BackendError> {
        self.end_all(|place| place.interface() == interface)
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        match Counters::open(&self.pins)? {
            Some(counters) => counters.read(&self.pins),
            None => Ok(Counts::new()),
        }
    }
}
