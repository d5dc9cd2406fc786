//! What outlives programs: the maps that all programs of an instance share, and the keys of their counters.
//!
//! Promises: a program in force holds every one of them, whether it writes there or not, so that none ends with its pin: it is
//! read where the program holds it, a pin that is not of it is told as damage, and the next apply pins it again. Programs of
//! other versions, and of other people, are not asked for theirs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::info::{InfoError, read_info};
use super::maps::Shared;
use super::pins::{Object, Pins, put};
use super::sys;
use crate::backend::BackendError;

/// One of these maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Shared(Shared),
    /// Which series each slot of the counters belongs to.
    Keys,
}

/// The name of the map of keys.
pub(super) const KEYS: &str = "COUNTER_KEYS";

impl Kept {
    const ALL: [Kept; 6] = [
        Kept::Keys,
        Kept::Shared(Shared::Counters),
        Kept::Shared(Shared::Marks),
        Kept::Shared(Shared::Events),
        Kept::Shared(Shared::Gates),
        Kept::Shared(Shared::Reader),
    ];

    /// The name of the map in the kernel.
    fn name(self) -> &'static str {
        match self {
            Kept::Shared(shared) => shared.name(),
            Kept::Keys => KEYS,
        }
    }

    fn path(self, pins: &Pins) -> PathBuf {
        match self {
            Kept::Shared(shared) => pins.shared(shared),
            Kept::Keys => pins.counter_keys(),
        }
    }
}

/// The maps that a program holds, with their ids.
type Held = Vec<(Kept, u32)>;

fn id(held: &Held, kept: Kept) -> Option<u32> {
    held.iter().find(|(one, _)| *one == kept).map(|(_, id)| *id)
}

/// The maps as they are in use now.
pub(super) struct KeptMaps<'a> {
    pins: &'a Pins,
    held: Held,
}

impl<'a> KeptMaps<'a> {
    /// Those of the first program that a pinned link runs and that holds them: every program in force holds the same.
    pub(super) fn now(pins: &'a Pins) -> Result<KeptMaps<'a>, BackendError> {
        for key in pins.folders()? {
            let Some(link) = pins.open(&key, Object::Link)? else { continue };
            let failed = |error| BackendError::failed(format!("read the link of {key}"), error);
            let held = held(sys::link_info(link.as_fd()).map_err(failed)?.program)?;
            if !held.is_empty() {
                return Ok(KeptMaps { pins, held });
            }
        }
        Ok(KeptMaps { pins, held: Held::new() })
    }

    /// The map that a program in force holds, else the one that is pinned, if there is one.
    pub(super) fn open(&self, kept: Kept) -> Result<Option<OwnedFd>, BackendError> {
        let path = kept.path(self.pins);
        let found = match id(&self.held, kept).map(sys::map_by_id) {
            // The last program has ended meanwhile.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => None,
            found => found,
        };
        let found = found.or_else(|| path.exists().then(|| sys::open_pin(&path)));
        found.transpose().map_err(|error| failed("open the map of", &path, error))
    }
}

/// Makes every pin that of the map that programs in force hold.
pub(super) fn pin_again(pins: &Pins) -> Result<(), BackendError> {
    for (kept, id) in KeptMaps::now(pins)?.held {
        let path = kept.path(pins);
        if pinned(pins, kept)? != Some(id) {
            let map = sys::map_by_id(id).map_err(|error| failed("open the map of", &path, error))?;
            put(&path, map.as_fd())?;
        }
    }
    Ok(())
}

/// Has a program hold all of them, as they are pinned, for as long as it lives.
pub(super) fn bind(pins: &Pins, program: BorrowedFd<'_>) -> Result<(), BackendError> {
    Kept::ALL.into_iter().map(|kept| kept.path(pins)).try_for_each(|path| {
        let bound = sys::open_pin(&path).and_then(|map| sys::program_bind_map(program, map.as_fd()));
        bound.map_err(|error| failed("have a program hold", &path, error))
    })
}

/// In which ways what is pinned is not what runs, each in words: `program` runs by the link that is pinned under `key`.
pub(super) fn damage(pins: &Pins, key: &str, program: u32) -> Result<Vec<String>, BackendError> {
    let held = held(program)?;
    let mut damage = Vec::new();
    for kept in Kept::ALL {
        let path = kept.path(pins);
        damage.extend(match (pinned(pins, kept)?, id(&held, kept)) {
            (None, _) => Some(format!("the pin {} is gone", path.display())),
            (Some(pinned), Some(held)) if pinned != held => {
                Some(format!("the pin {} is of another map than the one in use", path.display()))
            }
            _ => None,
        });
    }
    damage.extend(program_damage(pins, key, program)?);
    if damage.is_empty() || runs(pins, key, program)? {
        return Ok(damage);
    }
    // It was replaced, or taken down, while that was asked: what was found is no damage to it.
    Ok(Vec::new())
}

/// What is wrong with the pin of a program. In the midst of a change it still has the name that it had before, or has
/// already the one that it will have.
fn program_damage(pins: &Pins, key: &str, program: u32) -> Result<Option<String>, BackendError> {
    let mut what = "is gone";
    for object in [Object::Program, Object::Next, Object::Previous] {
        let Some(pinned) = pins.open(key, object)? else { continue };
        if sys::program_info(pinned.as_fd()).is_ok_and(|info| info.id == program) {
            return Ok(None);
        }
        if object == Object::Program {
            what = "is of another program than the one that runs";
        }
    }
    Ok(Some(format!("the pin {} {what}", pins.path(key, Object::Program).display())))
}

/// Whether the link that is pinned under `key` runs `program` on a device.
fn runs(pins: &Pins, key: &str, program: u32) -> Result<bool, BackendError> {
    let link = pins.open(key, Object::Link)?.map(|link| sys::link_info(link.as_fd())).transpose();
    let link = link.map_err(|error| BackendError::failed(format!("read the link of {key}"), error))?;
    Ok(link.is_some_and(|link| link.program == program && link.device != 0))
}

/// The id of what is pinned; 0, which no map has, for what is none of these maps.
fn pinned(pins: &Pins, kept: Kept) -> Result<Option<u32>, BackendError> {
    let path = kept.path(pins);
    let map = match sys::open_pin(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| failed("open", &path, error))?,
    };
    let info = sys::map_info(map.as_fd()).ok().filter(|info| info.name == kept.name());
    Ok(Some(info.map_or(0, |info| info.id)))
}

/// What a program holds; nothing where it is none of this version that holds the keys.
fn held(program: u32) -> Result<Held, BackendError> {
    let failed = |error| BackendError::failed(format!("ask which maps program {program} holds"), error);
    match read_info(program) {
        Ok(Some(_)) => {}
        Ok(None) | Err(InfoError::Version { .. }) => return Ok(Held::new()),
        Err(InfoError::Kernel { source, .. }) => return Err(failed(source)),
    }
    let program = match sys::program_by_id(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Held::new()),
        program => program.map_err(failed)?,
    };
    let mut held = Held::new();
    for id in sys::program_info(program.as_fd()).map_err(failed)?.maps {
        let map = sys::map_by_id(id).and_then(|map| sys::map_info(map.as_fd())).map_err(failed)?;
        held.extend(Kept::ALL.into_iter().find(|kept| kept.name() == map.name).map(|kept| (kept, id)));
    }
    Ok(if id(&held, Kept::Keys).is_some() { held } else { Held::new() })
}

fn failed(what: &str, path: &Path, error: io::Error) -> BackendError {
    BackendError::failed(format!("{what} {}", path.display()), error)
}
