//! The XDP backend as the rest of the program sees it.
//!
//! Promises: a program is in force before `switch` returns, or what was before is; its link is pinned before success is
//! reported, so that enforcement does not end with the process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use jiff::Timestamp;

use super::ask;
use super::clock;
use super::counters::{self, Counters, Seen};
use super::kept::{self, Kept, KeptMaps};
use super::maps::Shared;
use super::namespace;
use super::observe;
use super::pins::{Object, Pins};
use super::places::{self, Place, Serves};
use super::program::{self, Program};
use super::refusal::{self, cannot_load};
use super::sys::{self, XdpPath};
use crate::backend::device::{self, Device, How};
use crate::backend::guards::Front;
use crate::backend::{
    Backend, BackendError, Engine, InForce, Nftables, Observed, Refused, Switched, Target, Wanted,
};
use crate::counters::{Counted, Counts, Series, account_series, bind, handed_on, series};
use crate::ruleset::Ruleset;
use crate::state::Namespace;

/// XDP in the network namespace of this process.
pub struct Xdp {
    pins: Pins,
    counters: Option<Counters>,
    seen: Seen,
}

/// A loaded program, and what it takes to go back.
pub struct Prepared {
    interface: String,
    wanted: Wanted,
    generation: u64,
    program: Program,
    /// Under which key it is pinned once it is switched to, and under which it was before.
    key: String,
    key_before: String,
    /// The program that the link ran before the switch.
    before: Option<OwnedFd>,
    /// What stood aside for it.
    aside: Option<Aside>,
}

/// A program that was taken off a device, how it was attached, and under which key it is pinned.
struct Aside {
    program: OwnedFd,
    path: XdpPath,
    key: String,
}

impl Xdp {
    /// The backend whose pins lie below `bpffs`.
    pub fn new(bpffs: &Path, namespace: Namespace) -> Result<Xdp, BackendError> {
        namespace::require_readable(bpffs)?;
        Ok(Xdp { pins: Pins::new(bpffs, namespace), counters: None, seen: Seen::default() })
    }

    /// Refuses to enforce where enforcement would end with the shell.
    pub fn require_lasting(&self) -> Result<(), BackendError> {
        namespace::require_lasting(self.pins.root())
    }

    /// Memory of the counters in bytes; 0 where there are none.
    pub fn counter_bytes(&self) -> Result<u64, BackendError> {
        match KeptMaps::now(&self.pins)?.open(Kept::Shared(Shared::Counters))? {
            Some(_) => Counters::bytes(),
            None => Ok(0),
        }
    }

    fn counters(&mut self) -> Result<&mut Counters, BackendError> {
        match &mut self.counters {
            Some(counters) => Ok(counters),
            none => Ok(none.insert(Counters::open_or_make(&self.pins, &self.seen)?)),
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
        let (link, engine, refused) = create(prepared, device)?;
        self.verify(prepared, &link, engine)?;
        let keep = || {
            self.pins.clear(key)?;
            self.pins.pin(key, Object::Program, prepared.program.as_fd())?;
            self.pins.pin(key, Object::Link, link.as_fd())
        };
        match keep() {
            Ok(()) => Ok(Switched { engines: vec![engine], refused }),
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
                Ok(Switched { engines: vec![engine], refused: Vec::new() })
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

    /// Ends every place that `which` chooses.
    fn end_all(&self, which: impl Fn(&Place) -> bool) -> Result<(), BackendError> {
        places::all(&self.pins)?.iter().filter(|place| which(place)).try_for_each(|place| self.end(place))
    }

    fn engine(&self, interface: &str) -> Result<Engine, BackendError> {
        let device = device::find(interface)?;
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
        let device = device::find(interface)?;
        let attached = device.and_then(|device| device.program.filter(|_| device.index == found.device));
        let how = if engine == Engine::Native { How::Driver } else { How::Generic };
        match attached {
            Some(attached) if attached.program == wanted && attached.how == how => Ok(()),
            Some(attached) => Err(not(format!("program {} is attached to it", attached.program))),
            None => Err(not("no program is attached to it".to_owned())),
        }
    }
}

/// A link, the engine that it made, and the ways that were refused before.
type Created = (OwnedFd, Engine, Vec<Refused>);

/// Creates the link in the first of the wanted ways that the device takes.
fn create(prepared: &Prepared, device: &Device) -> Result<Created, BackendError> {
    let interface = &prepared.interface;
    let mut refused = Vec::new();
    for &engine in prepared.wanted.xdp {
        if let Some(without) = ask::without_tags(device).filter(|without| without.engine == engine) {
            refused.push(without);
            continue;
        }
        match sys::link_create(prepared.program.as_fd(), device.index, path(engine)) {
            Ok(link) => return Ok((link, engine, refused)),
            // Somebody else's program, missing rights, a device that went, a fault of the moment: no other way would do
            // better.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EPERM | libc::ENODEV))
                    || refusal::is_passing(&error) =>
            {
                return Err(BackendError::failed(format!("attach to {interface}"), error));
            }
            Err(error) => refused.push(Refused { engine, reason: refusal::attach(&error) }),
        }
    }
    Err(BackendError::Refused { interface: interface.clone(), refused })
}

fn path(engine: Engine) -> XdpPath {
    if engine == Engine::Generic { XdpPath::Generic } else { XdpPath::Driver }
}

impl Front for Xdp {
    fn stand_aside(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        let interface = &prepared.interface;
        let failed =
            |error| BackendError::failed(format!("take the program off {interface} for a moment"), error);
        let Some(device) = device::find(interface)? else { return Ok(()) };
        let places = places::all(&self.pins)?;
        let place = places.into_iter().find(|place| place.runs_on(&device));
        let (Some(Place { key, link: Some(link), .. }), Some(attached)) = (place, device.program) else {
            return Ok(());
        };
        let program = sys::program_by_id(attached.program).map_err(failed)?;
        let path = path(self.engine(interface)?);
        // Its pins stay until another program takes their place: they say that it was here.
        sys::link_detach(link.as_fd()).map_err(failed)?;
        prepared.aside = Some(Aside { program, path, key });
        Ok(())
    }

    fn come_back(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        let Some(Aside { program, path, key }) = prepared.aside.take() else { return Ok(()) };
        let interface = &prepared.interface;
        let failed =
            |error| BackendError::failed(format!("attach the program before to {interface} again"), error);
        let gone = || BackendError::failed(format!("attach to {interface}"), "the device is gone");
        let device = device::find(interface)?.ok_or_else(gone)?;
        let link = sys::link_create(program.as_fd(), device.index, path).map_err(failed)?;
        self.pins.clear(&key)?;
        self.pins.pin(&key, Object::Program, program.as_fd())?;
        self.pins.pin(&key, Object::Link, link.as_fd())
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
        let refuse = |error| cannot_load(&interface, target.wanted, error);
        namespace::require_lasting(self.pins.root()).map_err(refuse)?;
        let counters = self.counters().map_err(refuse)?;
        let of = |series: fn(&Ruleset, usize) -> Vec<Series>| series(target.ruleset, target.index);
        let (counted, more) = match target.wanted.nft {
            Nftables::Always => (Counted::Kept, of(handed_on)),
            Nftables::Never | Nftables::IfRefused => (Counted::All, Vec::new()),
        };
        counters.allocate(&[of(series), of(account_series), more].concat())?;
        let binding = bind(counters.slots(), target.ruleset, target.index, counted);
        let mut image = target.image;
        image.bind(&binding);
        let enforcement = program::Enforcement {
            generation: target.generation,
            policy: target.policy.0,
            enforce: wish.enforce,
            reason_slots: binding.reasons,
        };
        let shared = counters::shared_maps(&self.pins)?;
        let program = Program::load(&image, enforcement, &shared).map_err(|error| {
            refuse(BackendError::failed(format!("load the program for {interface}"), error))
        })?;
        kept::bind(&self.pins, program.as_fd()).map_err(refuse)?;
        let (wanted, generation) = (target.wanted, target.generation);
        let (key, key_before) = (String::new(), String::new());
        Ok(Prepared { interface, wanted, generation, program, key, key_before, before: None, aside: None })
    }

    fn switch(&mut self, prepared: &mut Prepared) -> Result<Switched, BackendError> {
        let interface = prepared.interface.clone();
        let gone = || BackendError::failed(format!("attach to {interface}"), "the device is gone");
        let device = device::find(&interface)?.ok_or_else(gone)?;
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

    /// What stood aside under another key is not needed any more.
    fn settle(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        match prepared.aside.take() {
            Some(aside) if aside.key != prepared.key => self.pins.clear(&aside.key),
            _ => Ok(()),
        }
    }

    fn tidy(&mut self, interface: &str) -> Result<(), BackendError> {
        let failed = |error| BackendError::failed(format!("ask what {interface} runs"), error);
        for place in places::all(&self.pins)?.iter().filter(|place| place.interface() == interface) {
            let (Some(link), Some(next)) = (&place.link, self.pins.open(&place.key, Object::Next)?) else {
                continue;
            };
            let running = sys::link_info(link.as_fd()).map_err(failed)?.program;
            if sys::program_info(next.as_fd()).map_err(failed)?.id != running {
                self.pins.unpin(&place.key, Object::Next)?;
                continue;
            }
            if self.pins.open(&place.key, Object::Program)?.is_some() {
                self.pins.rename(&place.key, Object::Program, Object::Previous)?;
            }
            self.pins.rename(&place.key, Object::Next, Object::Program)?;
        }
        Ok(())
    }

    fn lower(&mut self, interface: &str) -> Result<(), BackendError> {
        // What only the program holds would end with it. Enforcement ends whatever becomes of that; the first error is told.
        let kept = kept::pin_again(&self.pins);
        kept.and(self.end_all(|place| place.interface() == interface))
    }

    fn end_counters(&mut self) -> Result<(), BackendError> {
        self.counters = None;
        self.pins.clear_shared()
    }

    fn inspect(
        &self,
        ruleset: &Ruleset,
        index: usize,
        record: &InForce,
    ) -> Result<Vec<String>, BackendError> {
        let failed = |error| BackendError::failed(format!("read the clock of {}", record.interface), error);
        clock::damage((ruleset, index), record.program_id, Timestamp::now()).map_err(failed)
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        match Counters::open(&self.pins, &self.seen)? {
            Some(counters) => counters.read(&self.pins),
            None => Ok(Counts::new()),
        }
    }
}
