//! What a device runs now, as the kernel says: from its link and its program's record.

use std::io;
use std::os::fd::AsFd;

use perimeter_classifier::abi::Info;

use super::info::{InfoError, read_info};
use super::pins::{Object, Pins};
use super::probe;
use super::sys::{self, LinkInfo};
use crate::backend::device::{self, Attached, Device as Facts, How};
use crate::backend::{BackendError, Device, Enforcement, Engine, Foreign, InForce, Observed};
use crate::digest::Digest;

/// Everything about one interface but its offloads.
pub(super) fn observe(pins: &Pins, interface: &str) -> Result<Observed, BackendError> {
    let facts = device::find(interface)?;
    let enforcement = enforcement(pins, interface, facts.as_ref())?;
    let device = kind(facts.as_ref());
    let obstacles = match (&device, &enforcement) {
        (Device::Ethernet { index }, Enforcement::Off | Enforcement::Lost { .. }) => probe::obstacles(*index),
        _ => Vec::new(),
    };
    Ok(Observed { device, enforcement, obstacles, ..Observed::nothing(interface) })
}

/// What stands behind the name.
fn kind(facts: Option<&Facts>) -> Device {
    match facts {
        None => Device::Missing,
        Some(facts) if facts.is_ethernet() => Device::Ethernet { index: facts.index },
        Some(facts) => Device::NotEthernet { kind: facts.kind },
    }
}

fn enforcement(pins: &Pins, interface: &str, facts: Option<&Facts>) -> Result<Enforcement, BackendError> {
    let attached = facts.and_then(|facts| facts.program);
    let failed = |error: io::Error| BackendError::failed(format!("read the link of {interface}"), error);
    let Some(link) = pins.open(interface, Object::Link)? else {
        return Ok(match attached {
            Some(attached) => Enforcement::Foreign(foreign(attached)),
            None if pins.interfaces()?.iter().any(|name| name == interface) => {
                Enforcement::Lost { why: "its link is no longer pinned".to_owned() }
            }
            None => Enforcement::Off,
        });
    };
    let link = sys::link_info(link.as_fd()).map_err(failed)?;
    match (facts, attached) {
        (Some(facts), Some(attached)) if link.device == facts.index && link.program == attached.program => {
            record(interface, attached)
        }
        (_, Some(attached)) => Ok(Enforcement::Foreign(foreign(attached))),
        (facts, None) => Ok(Enforcement::Lost { why: lost(facts, link) }),
    }
}

/// Why a pinned link judges nothing here.
fn lost(facts: Option<&Facts>, link: LinkInfo) -> String {
    let moved = |index| match device::by_index(index) {
        Ok(Some(device)) => format!("; its program runs on {}, which has another name now", device.name),
        _ => String::new(),
    };
    match (facts, link.device) {
        (None, 0) => "the device is gone".to_owned(),
        (None, index) => format!("the device is gone{}", moved(index)),
        (Some(_), 0) => "its program was detached, or the device was removed and made anew".to_owned(),
        (Some(_), index) => format!("this is another device than the one that was enforced{}", moved(index)),
    }
}

/// The record of the program that our link runs.
fn record(interface: &str, attached: Attached) -> Result<Enforcement, BackendError> {
    let info = match read_info(attached.program) {
        Ok(Some(info)) => info,
        Ok(None) => {
            let program = foreign(attached);
            let why = format!("its program was replaced by program {} \"{}\"", program.id, program.name);
            return Ok(Enforcement::Lost { why });
        }
        Err(error @ InfoError::Version { .. }) => return Ok(Enforcement::Lost { why: error.to_string() }),
        Err(error) => return Err(BackendError::failed(format!("read what {interface} enforces"), error)),
    };
    let engine = match attached.how {
        How::Generic => Engine::Generic,
        How::Driver | How::Other => Engine::Native,
    };
    Ok(Enforcement::InForce(in_force(&info, engine, attached.program)))
}

fn in_force(info: &Info, engine: Engine, program_id: u32) -> InForce {
    InForce {
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
