//! What a device runs now, as the kernel says: from its link and its program's record.

use std::os::fd::AsFd;

use perimeter_classifier::abi::Info;

use super::ask;
use super::info::{InfoError, read_info};
use super::pins::Pins;
use super::places::Place;
use super::{kept, places, sys};
use crate::backend::device::{self, Attached, Device as Facts, How};
use crate::backend::{
    BackendError, Bond, Device, Enforcement, Engine, Foreign, InForce, Observed, OtherVersion,
};
use crate::digest::Digest;

/// Everything about one interface but its offloads.
pub(super) fn observe(pins: &Pins, interface: &str) -> Result<Observed, BackendError> {
    let facts = device::find(interface)?;
    let places = places::all(pins)?;
    let ours = facts.as_ref().and_then(|facts| places.iter().find(|place| place.runs_on(facts)));
    let enforcement = enforcement((&places, ours), interface, facts.as_ref())?;
    let damage = match (&enforcement, ours) {
        (Enforcement::InForce(record), Some(place)) => kept::damage(pins, &place.key, record.program_id)?,
        _ => Vec::new(),
    };
    let device = kind(facts.as_ref());
    let refused = match (&facts, &enforcement) {
        (Some(facts), Enforcement::Off | Enforcement::Lost { .. }) if facts.is_ethernet() => {
            ask::refused(facts)
        }
        _ => Vec::new(),
    };
    let offers_native = match (&facts, enforcement.engine()) {
        (Some(facts), engine) if engine != Some(Engine::Native) => ask::offers_native(facts),
        _ => false,
    };
    Ok(Observed {
        device,
        mtu: facts.as_ref().map(|facts| facts.mtu),
        bond: facts.as_ref().map(bond).transpose()?.flatten(),
        offers_native,
        enforcement,
        damage,
        refused,
        ..Observed::nothing(interface)
    })
}

/// The bond that a device is a member of.
fn bond(facts: &Facts) -> Result<Option<Bond>, BackendError> {
    let Some(above) = facts.controller else { return Ok(None) };
    let failed = |error| BackendError::failed(format!("look at what {} belongs to", facts.name), error);
    let Some(above) = device::by_index(above).map_err(failed)?.filter(Facts::is_bond) else {
        return Ok(None);
    };
    let others = device::members(above.index).map_err(failed)?;
    let others = others.into_iter().map(|one| one.name).filter(|name| *name != facts.name).collect();
    Ok(Some(Bond { name: above.name, kind: above.software.unwrap_or_default(), others }))
}

/// What stands behind the name.
fn kind(facts: Option<&Facts>) -> Device {
    match facts {
        None => Device::Missing,
        Some(facts) if facts.is_ethernet() => Device::Ethernet { index: facts.index },
        Some(facts) => Device::NotEthernet { kind: facts.kind },
    }
}

/// What is in force, given every place of pins and the one that serves the device.
fn enforcement(
    (places, ours): (&[Place], Option<&Place>),
    interface: &str,
    facts: Option<&Facts>,
) -> Result<Enforcement, BackendError> {
    let named = places.iter().filter(|place| place.former_name() == interface);
    let named = named.min_by_key(|place| place.judges()).map(|place| place.lost(facts));
    Ok(match (facts.and_then(|facts| facts.program), ours, named) {
        (Some(attached), Some(place), _) => record(place.former_name(), attached)?,
        (Some(attached), None, _) => Enforcement::Foreign(foreign(attached)),
        (None, _, Some(why)) => Enforcement::Lost { why },
        (None, _, None) => Enforcement::Off,
    })
}

/// The record of the program that our link runs since the device was called `interface`.
fn record(interface: &str, attached: Attached) -> Result<Enforcement, BackendError> {
    let engine = match attached.how {
        How::Generic => Engine::Generic,
        How::Driver | How::Other => Engine::Native,
    };
    let info = match read_info(attached.program) {
        Ok(Some(info)) => info,
        Ok(None) => {
            let program = foreign(attached);
            let why = format!("its program was replaced by program {} \"{}\"", program.id, program.name);
            return Ok(Enforcement::Lost { why });
        }
        Err(InfoError::Version { program: program_id, found: abi }) => {
            return Ok(Enforcement::OtherVersion(OtherVersion { engine, abi, program_id }));
        }
        Err(error) => return Err(BackendError::failed(format!("read what {interface} enforces"), error)),
    };
    Ok(Enforcement::InForce(in_force(interface, &info, engine, attached.program)))
}

fn in_force(interface: &str, info: &Info, engine: Engine, program_id: u32) -> InForce {
    InForce {
        interface: interface.to_owned(),
        engine,
        generation: info.generation,
        policy: Digest(info.policy),
        enforce: info.enforce != 0,
        abi: info.abi,
        program_id,
        table_bytes: 4 * (u64::from(info.mask) + 1),
    }
}

/// The name of somebody else's program, as far as the kernel tells it.
fn foreign(attached: Attached) -> Foreign {
    let name = sys::program_by_id(attached.program).and_then(|program| sys::program_info(program.as_fd()));
    Foreign { id: attached.program, name: name.map_or(String::new(), |info| info.name) }
}
