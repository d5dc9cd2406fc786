//! The counters in the kernel: one map with a row of slots for each CPU, and beside it the series that each slot belongs to.
//!
//! Promises: both maps are pinned and held by the program in force, and outlive programs, generations and this process; their sizes are checked when they
//! are opened; a series gets its slot before a program counts in it, and keeps it.

use std::cell::RefCell;
use std::mem::offset_of;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use aya::maps::{HashMap, Map, MapData};
use aya_obj::generated::{BPF_F_NO_PREALLOC, bpf_map_type};
use jiff::Timestamp;
use perimeter_classifier::abi::{COUNTER_SLOTS, Mark};
use perimeter_classifier::verdict::DropReason;

use super::inherit::Inherited;
use super::kept::{self, Kept, KeptMaps};
use super::maps::{Shared, SharedMaps, counter_rows};
use super::pins::Pins;
use super::sys::{self, Elements};
use super::tallies::{ROW_BYTES, Tallies};
use super::times;
use crate::backend::BackendError;
use crate::counters::{Count, Counts, FragmentKind, Outcome, Series, Slots, Subject, allocate};
use crate::ruleset::{Action, Family};

/// A series as a map key: 16 bytes of interface, outcome, kind of subject, its number or length, 64 bytes of id or label.
type Key = [u8; KEY_LEN];
type Keys = HashMap<MapData, Key, u32>;
const KEY_LEN: usize = 84;
const OUTCOME: usize = 16;
const KIND: usize = 17;
const LENGTH: usize = 18;
const ID: usize = 20;

const REASON: u8 = 0;
const DENY: u8 = 1;
const ALLOW: u8 = 2;
const VLAN: u8 = 3;
const OVERSIZE: u8 = 4;
const SIZE: u8 = 5;
const FRAGMENT: u8 = 6;
const PMTU: u8 = 7;
/// Beside the kind: [`Subject::HandedOn`].
const HANDED_ON: u8 = 0x80;

/// The maps, open.
pub(super) struct Counters {
    /// None where only an earlier version has counted.
    map: Option<OwnedFd>,
    inherited: Option<Inherited>,
    /// None where an earlier version has left none.
    marks: Option<OwnedFd>,
    keys: Keys,
    slots: Arc<Slots>,
}

/// The series of the last opening. They are those of the next one where the map still says the same, byte for byte.
#[derive(Default)]
pub(super) struct Seen(RefCell<(Elements, Arc<Slots>)>);

impl Counters {
    /// Opens the maps; `None` where there are none.
    pub(super) fn open(pins: &Pins, seen: &Seen) -> Result<Option<Counters>, BackendError> {
        let (kept, inherited) = (KeptMaps::now(pins)?, Inherited::open(pins)?);
        let (keys, map) = (kept.open(Kept::Keys)?, kept.open(Kept::Shared(Shared::Counters))?);
        let Some(keys) = keys.filter(|_| map.is_some() || inherited.is_some()) else { return Ok(None) };
        if let Some(map) = &map {
            let path = pins.shared(Shared::Counters);
            Shared::Counters.check(map.as_fd()).map_err(|error| failed("use", &path, error))?;
        }
        let (keys, slots) = open_keys(keys, &pins.counter_keys(), seen)?;
        let marks = kept.open(Kept::Shared(Shared::Marks))?;
        Ok(Some(Counters { map, inherited, marks, keys, slots }))
    }

    /// Opens the maps, pins again those whose pin is gone, or makes and pins them.
    pub(super) fn open_or_make(pins: &Pins, seen: &Seen) -> Result<Counters, BackendError> {
        kept::pin_again(pins)?;
        match Counters::open(pins, seen)? {
            Some(counters) if counters.map.is_some() => return Ok(counters),
            // An earlier version's: its slots go on.
            Some(_) => {}
            None => {
                pins.make()?;
                // Half a pair is left by a crash between two pins: nothing has counted in it yet. Or no program holds the other
                // half, which is gone for good: what a slot belonged to must not be credited to whatever gets it next.
                pins.clear_counters()?;
                make_keys(pins)?;
            }
        }
        open_or_pin(pins, Shared::Counters)?;
        Counters::open(pins, seen)?.ok_or_else(|| layout(&pins.shared(Shared::Counters)))
    }

    /// Memory of all slots in bytes, on every CPU that this machine can have.
    pub(super) fn bytes() -> Result<u64, BackendError> {
        let rows = counter_rows().map_err(|error| BackendError::failed("count the CPUs", error))?;
        Ok(u64::from(rows) * ROW_BYTES as u64)
    }

    /// The slot of every series so far.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Gives each series a slot that has none.
    pub(super) fn allocate(&mut self, wanted: &[Series]) -> Result<(), BackendError> {
        for (series, slot) in allocate(&self.slots, wanted)? {
            self.keys
                .insert(encode(&series), slot, 0)
                .map_err(|error| BackendError::failed("give a rule its counter slot", error))?;
            Arc::make_mut(&mut self.slots).insert(series, slot);
        }
        Ok(())
    }

    /// What every series has counted, summed over the CPUs that this machine can have.
    pub(super) fn read(&self, pins: &Pins) -> Result<Counts, BackendError> {
        let tallies = self.map.as_ref().map(|map| Tallies::open(map.as_fd())).transpose();
        let tallies = tallies.map_err(|error| failed("read", &pins.shared(Shared::Counters), error))?;
        let marks = Marks::read(self.marks.as_ref(), &pins.shared(Shared::Marks))?;
        let read = |(series, &slot): (&Series, &u32)| {
            let mut sum = Count { last: marks.time(series, slot), ..Count::default() };
            let since = tallies.iter().flat_map(|tallies| tallies.of(slot));
            let before = self.inherited.as_ref().map(|inherited| inherited.of(slot)).transpose()?;
            since.chain(before.into_iter().flatten()).for_each(|value| sum.add(count(series, value)));
            Ok((series.clone(), sum))
        };
        self.slots.iter().map(read).collect()
    }
}

/// The map of keys, and the slot of each series in it.
fn open_keys(map: OwnedFd, path: &Path, seen: &Seen) -> Result<(Keys, Arc<Slots>), BackendError> {
    let data = MapData::from_fd(map).map_err(|error| failed("open", path, error))?;
    let elements =
        sys::map_elements(data.fd().as_fd(), COUNTER_SLOTS).map_err(|error| failed("read", path, error))?;
    let mut seen = seen.0.borrow_mut();
    if seen.0 != elements {
        let slots = slots(&elements).ok_or_else(|| layout(path))?;
        *seen = (elements, Arc::new(slots));
    }
    let keys = HashMap::try_from(Map::HashMap(data)).map_err(|_| layout(path))?;
    Ok((keys, seen.1.clone()))
}

/// The slot of each series; `None` where a key is none of ours.
fn slots(elements: &Elements) -> Option<Slots> {
    let slot = |(key, slot): (&[u8], &[u8])| {
        Some((decode(key.try_into().ok()?)?, u32::from_ne_bytes(slot.try_into().ok()?)))
    };
    elements.iter().map(slot).collect()
}

fn make_keys(pins: &Pins) -> Result<(), BackendError> {
    let path = pins.counter_keys();
    let kind = bpf_map_type::BPF_MAP_TYPE_HASH as u32;
    let object = aya_obj::Map::new_from_params(kind, KEY_LEN as u32, 4, COUNTER_SLOTS, BPF_F_NO_PREALLOC);
    let data = MapData::create(object, kept::KEYS, None).map_err(|error| failed("create", &path, error))?;
    data.pin(&path).map_err(|error| failed("pin", &path, error))
}

/// The maps that programs share, as a program takes them: opened, or made and pinned where they are missing; refused where
/// they are of another size.
pub(super) fn shared_maps(pins: &Pins) -> Result<SharedMaps, BackendError> {
    let [counters, marks, events, gates, reader] = Shared::ALL;
    let open = |shared| open_or_pin(pins, shared);
    let maps = [open(counters)?, open(marks)?, open(events)?, open(gates)?, open(reader)?];
    SharedMaps::from_fds(maps).map_err(|error| failed("use", pins.root(), error))
}

fn open_or_pin(pins: &Pins, shared: Shared) -> Result<OwnedFd, BackendError> {
    let path = pins.shared(shared);
    if path.exists() {
        return sys::open_pin(&path).map_err(|error| failed("open", &path, error));
    }
    let rows = counter_rows().map_err(|error| failed("create", &path, error))?;
    let map = shared.make(rows).map_err(|error| failed("create", &path, error))?;
    sys::pin(map.as_fd(), &path).map_err(|error| failed("pin", &path, error))?;
    Ok(map)
}

/// When the rule of each slot matched last.
struct Marks {
    bytes: Vec<u8>,
    /// The time at which CLOCK_MONOTONIC was 0, as the clocks stand now.
    origin: Timestamp,
}

impl Marks {
    /// All of them; none where the map is not there, as an earlier version left it.
    fn read(map: Option<&OwnedFd>, path: &Path) -> Result<Marks, BackendError> {
        let origin = times::origin();
        let Some(map) = map else { return Ok(Marks { bytes: Vec::new(), origin }) };
        let mut bytes = vec![0; size_of::<Mark>() * COUNTER_SLOTS as usize];
        sys::map_lookup(map.as_fd(), 0, &mut bytes).map_err(|error| failed("read", path, error))?;
        Ok(Marks { bytes, origin })
    }

    fn time(&self, series: &Series, slot: u32) -> Option<Timestamp> {
        if !matches!(series.subject.decided(), Subject::Rule(..)) {
            return None;
        }
        let start = size_of::<Mark>() * slot as usize + offset_of!(Mark, time);
        let time = u64::from_ne_bytes(self.bytes.get(start..start + 8)?.try_into().ok()?);
        (time != 0).then(|| times::at(self.origin, time))
    }
}

fn failed(
    what: &str,
    path: &Path,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BackendError {
    BackendError::failed(format!("{what} {}", path.display()), error)
}

fn layout(path: &Path) -> BackendError {
    BackendError::CounterLayout { path: path.display().to_string() }
}

/// What one CPU has counted.
fn count(series: &Series, [packets, bytes]: [u64; 2]) -> Count {
    match series.subject {
        // Of these the place of the bytes holds the smallest MTU, 0 for none (see `abi::Counter`).
        Subject::Pmtu(_) => {
            let smallest = u32::try_from(bytes).ok().filter(|&mtu| mtu > 0);
            Count { packets, smallest, ..Count::default() }
        }
        _ => Count { packets, bytes, ..Count::default() },
    }
}

fn encode(series: &Series) -> Key {
    let mut key = [0; KEY_LEN];
    let name = series.interface.as_bytes();
    let name = &name[..name.len().min(OUTCOME)];
    key[..name.len()].copy_from_slice(name);
    key[OUTCOME] = match series.outcome {
        Outcome::Pass => 0,
        Outcome::Drop => 1,
        Outcome::WouldDrop => 2,
    };
    let mut text = |kind, text: &str| {
        let text = &text.as_bytes()[..text.len().min(KEY_LEN - ID)];
        (key[KIND], key[LENGTH]) = (kind, text.len() as u8);
        key[ID..ID + text.len()].copy_from_slice(text);
    };
    match series.subject.decided() {
        Subject::Rule(Action::Deny, id) => text(DENY, id),
        Subject::Rule(Action::Allow, id) => text(ALLOW, id),
        Subject::Vlan(label) => text(VLAN, label),
        Subject::Oversize(label) => text(OVERSIZE, label),
        Subject::Reason(reason) => (key[KIND], key[LENGTH]) = (REASON, *reason as u8),
        Subject::Size(bucket) => (key[KIND], key[LENGTH]) = (SIZE, *bucket),
        Subject::Fragment(kind) => (key[KIND], key[LENGTH]) = (FRAGMENT, *kind as u8),
        Subject::Pmtu(family) => (key[KIND], key[LENGTH]) = (PMTU, *family as u8),
        // Nothing is handed on twice.
        Subject::HandedOn(_) => {}
    }
    if matches!(series.subject, Subject::HandedOn(_)) {
        key[KIND] |= HANDED_ON;
    }
    key
}

/// The reverse of [`encode`]; `None` for bytes that it never gives.
fn decode(key: &Key) -> Option<Series> {
    let end = key[..OUTCOME].iter().position(|&byte| byte == 0).unwrap_or(OUTCOME);
    let interface = String::from_utf8(key[..end].to_vec()).ok()?;
    let outcome = match key[OUTCOME] {
        0 => Outcome::Pass,
        1 => Outcome::Drop,
        2 => Outcome::WouldDrop,
        _ => return None,
    };
    let length = usize::from(key[LENGTH]);
    let text = || String::from_utf8(key.get(ID..ID + length)?.to_vec()).ok();
    let subject = match key[KIND] & !HANDED_ON {
        REASON => Subject::Reason(*DropReason::ALL.get(length)?),
        DENY => Subject::Rule(Action::Deny, text()?),
        ALLOW => Subject::Rule(Action::Allow, text()?),
        VLAN => Subject::Vlan(text()?),
        OVERSIZE => Subject::Oversize(text()?),
        SIZE => Subject::Size(key[LENGTH]),
        FRAGMENT => Subject::Fragment(*FragmentKind::ALL.get(length)?),
        PMTU => Subject::Pmtu(*[Family::V4, Family::V6].get(length)?),
        _ => return None,
    };
    let subject = if key[KIND] & HANDED_ON == 0 { subject } else { Subject::HandedOn(subject.into()) };
    Some(Series { interface, outcome, subject })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{account_series, handed_on, series};
    use crate::samples::ruleset;

    #[test]
    fn every_series_survives_as_a_key() {
        let mut ruleset = ruleset(&["a-name-of-15-ch"]);
        ruleset.rules[0].id = "x".repeat(63);
        for series in [series, account_series, handed_on].map(|of| of(&ruleset, 0)).concat() {
            assert_eq!(decode(&encode(&series)), Some(series));
        }
        assert_eq!(decode(&[0xff; KEY_LEN]), None);
    }
}
