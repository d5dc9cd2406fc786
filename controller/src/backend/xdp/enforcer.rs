//! The XDP backend as the rest of the program sees it.
//!
//! Promises: a program is in force before `switch` returns, or what was before is; its link is pinned before success is
//! reported, so that enforcement does not end with the process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::counters::{self, Counters};
use super::device::How;
use super::namespace;
use super::observe;
use super::offload::Memory;
use super::pins::{Object, Pins};
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

    /// The first program on a device: a link, pinned.
    fn attach(&self, prepared: &Prepared, device: u32) -> Result<Switched, BackendError> {
        self.pins.clear(&prepared.interface)?;
        let (link, switched) = create(prepared, device)?;
        let keep = || {
            self.verify(prepared, &link, switched.engine)?;
            self.pins.pin(&prepared.interface, Object::Program, prepared.program.as_fd())?;
            self.pins.pin(&prepared.interface, Object::Link, link.as_fd())
        };
        match keep() {
            Ok(()) => Ok(switched),
            Err(error) => {
                // What is not pinned ends with `link`; the error that is reported is the first.
                let _ = self.pins.clear(&prepared.interface);
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
        let interface = prepared.interface.clone();
        let before = sys::program_by_id(running)
            .map_err(|error| BackendError::failed(format!("open program {running} of {interface}"), error))?;
        self.pins.pin(&interface, Object::Next, prepared.program.as_fd())?;
        match self.update(prepared, link, &before) {
            Ok(engine) => {
                prepared.before = Some(before);
                Ok(Switched { engine, native_refused: None })
            }
            Err(error) => {
                // The error that is reported is the one that stopped the update.
                let _ = self.pins.unpin(&interface, Object::Next);
                Err(error)
            }
        }
    }

    /// Updates the link, asks the kernel what it runs, and gives the pins their new names; what was before runs again
    /// where any of that fails.
    fn update(&self, prepared: &Prepared, link: &OwnedFd, before: &OwnedFd) -> Result<Engine, BackendError> {
        let interface = &prepared.interface;
        sys::link_update(link.as_fd(), prepared.program.as_fd(), before.as_fd())
            .map_err(|error| BackendError::failed(format!("replace the program of {interface}"), error))?;
        let settle = || {
            let engine = self.engine(interface)?;
            self.verify(prepared, link, engine)?;
            self.pins.rename(interface, Object::Program, Object::Previous)?;
            self.pins.rename(interface, Object::Next, Object::Program)?;
            Ok(engine)
        };
        settle().inspect_err(|_| {
            // The error that is reported is the first; going back is all that is left to do.
            let _ = sys::link_update(link.as_fd(), before.as_fd(), prepared.program.as_fd());
            let _ = self.pins.pin(interface, Object::Program, before.as_fd());
        })
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
        self.pins.interfaces()
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
        Ok(Prepared { interface, mode: wish.mode, generation: target.generation, program, before: None })
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
        let ask = |error| BackendError::failed(format!("ask what {interface} runs"), error);
        if let Some(link) = self.pins.open(&interface, Object::Link)? {
            let info = sys::link_info(link.as_fd()).map_err(ask)?;
            if info.device == device.index {
                return self.replace(prepared, &link, info.program);
            }
        }
        self.attach(prepared, device.index)
    }

    fn revert(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        let interface = prepared.interface.clone();
        let Some(before) = prepared.before.take() else { return self.detach(&interface) };
        let what = format!("go back from generation {} on {interface}", prepared.generation);
        let failed = |error: std::io::Error| BackendError::failed(what.clone(), error);
        let lost = || BackendError::failed(what.clone(), "its link is no longer pinned");
        let link = self.pins.open(&interface, Object::Link)?.ok_or_else(lost)?;
        sys::link_update(link.as_fd(), before.as_fd(), prepared.program.as_fd()).map_err(failed)?;
        self.pins.rename(&interface, Object::Previous, Object::Program)
    }

    fn detach(&mut self, interface: &str) -> Result<(), BackendError> {
        if let Some(link) = self.pins.open(interface, Object::Link)? {
            let failed = |error| BackendError::failed(format!("detach the program from {interface}"), error);
            // A link whose device is gone has nothing to detach from; its pin goes all the same.
            if sys::link_info(link.as_fd()).map_err(failed)?.device != 0 {
                sys::link_detach(link.as_fd()).map_err(failed)?;
            }
        }
        self.pins.clear(interface)?;
        if self.pins.interfaces()?.is_empty() {
            self.counters = None;
            self.pins.clear_shared()?;
        }
        Ok(())
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        match Counters::open(&self.pins)? {
            Some(counters) => counters.read(&self.pins),
            None => Ok(Counts::new()),
        }
    }
}
