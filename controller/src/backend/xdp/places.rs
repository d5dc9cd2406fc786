//! Which pins serve which device. A folder of pins bears the name that its device had when it was first enforced; devices
//! are renamed under enforcement, swap their names, and leave the network namespace.
//!
//! Promises: a device is told by the link that runs on it, never by its name; enforcement stays with the device.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::pins::{Object, Pins};
use super::sys::{self, LinkInfo};
use crate::backend::BackendError;
use crate::backend::device::{self, Device};

/// One folder of pins.
pub(super) struct Place {
    /// Its name: a device's, or a device's and its index where another folder had that name already.
    pub(super) key: String,
    pub(super) link: Option<OwnedFd>,
    pub(super) serves: Serves,
}

/// What a pinned link runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    /// No link is pinned.
    NoLink,
    /// The link was detached, or its device is gone.
    Nothing,
    Device(Device),
    /// A device that has left this network namespace and has its program still.
    Elsewhere,
}

impl Place {
    /// The name by which its device goes now; where there is none, that by which it went.
    pub(super) fn interface(&self) -> &str {
        match &self.serves {
            Serves::Device(device) => &device.name,
            Serves::NoLink | Serves::Nothing | Serves::Elsewhere => self.former_name(),
        }
    }

    /// The name by which its device went when it was first enforced.
    pub(super) fn former_name(&self) -> &str {
        self.key.split(INDEX).next().unwrap_or(&self.key)
    }

    /// Whether its link runs on this device.
    pub(super) fn runs_on(&self, device: &Device) -> bool {
        matches!(&self.serves, Serves::Device(served) if served.index == device.index)
    }

    /// Whether its program judges frames, under whatever name.
    pub(super) fn judges(&self) -> bool {
        matches!(self.serves, Serves::Device(_) | Serves::Elsewhere)
    }

    /// Why nothing of this place judges what goes by its former name.
    pub(super) fn lost(&self, device: Option<&Device>) -> String {
        let gone = match device {
            None => "the device is gone",
            Some(_) => "this is another device than the one that was enforced",
        };
        match (&self.serves, device) {
            (Serves::NoLink, _) => "its link is no longer pinned".to_owned(),
            (Serves::Nothing, None) => gone.to_owned(),
            (Serves::Nothing, Some(_)) => {
                "its program was detached, or the device was removed and made anew".to_owned()
            }
            (Serves::Device(renamed), _) => {
                format!("{gone}; that one is called {} now, and is enforced as before", renamed.name)
            }
            (Serves::Elsewhere, _) => {
                format!("{gone}; that one has left this network namespace, and is enforced as before")
            }
        }
    }
}

/// Every folder of pins.
pub(super) fn all(pins: &Pins) -> Result<Vec<Place>, BackendError> {
    pins.folders()?.into_iter().map(|key| place(pins, key)).collect()
}

fn place(pins: &Pins, key: String) -> Result<Place, BackendError> {
    let link = pins.open(&key, Object::Link)?;
    let ask = |link: &OwnedFd| serves(sys::link_info(link.as_fd())?);
    let serves = match link.as_ref().map(ask).transpose() {
        Ok(serves) => serves.unwrap_or(Serves::NoLink),
        Err(error) => return Err(BackendError::failed(format!("read the link of {key}"), error)),
    };
    Ok(Place { key, link, serves })
}

/// The index is that of the device's own network namespace, where another device may have it here: the program decides.
fn serves(link: LinkInfo) -> io::Result<Serves> {
    if link.device == 0 {
        return Ok(Serves::Nothing);
    }
    let runs_here = |device: &Device| device.program.is_some_and(|attached| attached.program == link.program);
    Ok(device::by_index(link.device)?.filter(runs_here).map_or(Serves::Elsewhere, Serves::Device))
}

/// A key for a device that no place serves: its name, unless a place of that name still judges another device.
pub(super) fn free_key(places: &[Place], device: &Device) -> Result<String, BackendError> {
    let taken = |key: &String| places.iter().any(|place| place.key == *key && place.judges());
    let keys = [device.name.clone(), format!("{}{INDEX}{}", device.name, device.index)];
    keys.into_iter().find(|key| !taken(key)).ok_or_else(|| {
        let cause = "other devices that had this name and number are still enforced; detach those first";
        BackendError::failed(format!("attach to {}", device.name), cause)
    })
}

/// Between a name and an index: no device has it in its name (`dev_valid_name` of `net/core/dev.c`).
const INDEX: char = ':';

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, index: u32) -> Device {
        Device { name: name.into(), index, kind: 1, ..Device::default() }
    }

    fn place(key: &str, serves: Serves) -> Place {
        Place { key: key.into(), link: None, serves }
    }

    #[test]
    fn two_devices_that_swapped_their_names_keep_their_places() {
        let places = [
            place("wan0", Serves::Device(device("wan1", 5))),
            place("wan1", Serves::Device(device("wan0", 6))),
        ];
        assert_eq!(places.each_ref().map(|place| place.runs_on(&device("wan0", 6))), [false, true]);
        assert_eq!(places[0].interface(), "wan1");
        assert_eq!(free_key(&places, &device("wan0", 7)).unwrap(), "wan0:7");
    }

    #[test]
    fn a_name_is_free_again_once_nothing_is_judged_under_it() {
        let dead = [place("wan0", Serves::Nothing), place("wan0:7", Serves::NoLink)];
        assert_eq!(free_key(&dead, &device("wan0", 7)).unwrap(), "wan0");
        assert_eq!(dead[1].interface(), "wan0");
        let away = [place("wan0", Serves::Elsewhere), place("wan0:7", Serves::Elsewhere)];
        assert!(free_key(&away, &device("wan0", 7)).is_err());
    }
}
