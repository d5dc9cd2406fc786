//! The ring of events: what the program tells of single frames, read and put in words.
//!
//! Promises: an event that is handed out lay whole in the ring; the program makes events only while somebody reads, and
//! takes a reader for gone that has not read for [`LEASE`]. Of the readers of one ring only one may be at work: who reads
//! takes a lock first (`crate::events`). Refuses to guess: a slot that belongs to no series tells nothing.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use jiff::Timestamp;
use perimeter_classifier::abi::{EventKind, EventRecord};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::counters::{Counters, Seen};
use super::kept::{Kept, KeptMaps};
use super::maps::Shared;
use super::pins::Pins;
use super::{sys, times};
use crate::backend::BackendError;
use crate::counters::{Decided, Event, EventTotals, Series, Subject};
use crate::state::Namespace;

/// So long after a reader's last sign the program takes it for gone.
pub const LEASE: Duration = Duration::from_secs(5);

const EVENTS: Kept = Kept::Shared(Shared::Events);

/// The ring of one instance in one network namespace.
pub struct Ring {
    pins: Pins,
    ring: RingBuf<MapData>,
    /// By which number the kernel knows the ring.
    id: u32,
    reader: OwnedFd,
    /// What slots stand for; `None` where a slot stood for nothing when that was looked up.
    series: HashMap<u32, Option<Series>>,
    /// When it was looked up last.
    looked: Instant,
}

/// A slot is given to a series before a program counts in it: what stands for nothing is not looked up again for so long.
const PATIENCE: Duration = Duration::from_secs(1);

impl Ring {
    /// Opens the ring of the instance whose pins lie below `bpffs`; `None` where no XDP program was ever put in force.
    pub fn open(bpffs: &Path, namespace: Namespace) -> Result<Option<Ring>, BackendError> {
        let pins = Pins::new(bpffs, namespace);
        let kept = KeptMaps::now(&pins)?;
        let (events, reader) = (kept.open(EVENTS)?, kept.open(Kept::Shared(Shared::Reader))?);
        let (Some(events), Some(reader)) = (events, reader) else { return Ok(None) };
        let id = sys::map_info(events.as_fd()).map_err(|error| failed("open", error))?.id;
        let data = MapData::from_fd(events).map_err(|error| failed("open", error))?;
        let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(|error| failed("open", error))?;
        Ok(Some(Ring { pins, ring, id, reader, series: HashMap::new(), looked: Instant::now() }))
    }

    /// Whether this ring is still the one that programs write to: a `detach` of everything ends it.
    pub fn is_current(&self) -> bool {
        let is_it = |map: &OwnedFd| sys::map_info(map.as_fd()).is_ok_and(|info| info.id == self.id);
        let pinned = sys::open_pin(&self.pins.shared(Shared::Events));
        // Where the pin is not of it a program may hold it all the same.
        let held = || KeptMaps::now(&self.pins)?.open(EVENTS);
        pinned.is_ok_and(|map| is_it(&map)) || held().is_ok_and(|map| map.is_some_and(|map| is_it(&map)))
    }

    /// Takes what lies in the ring; where nothing does, waits for it as long as `patience`. To be called again within
    /// [`LEASE`].
    pub fn read(&mut self, patience: Duration) -> Result<Vec<Event>, BackendError> {
        self.listen()?;
        let mut events = self.drain()?;
        if events.is_empty() && !patience.is_zero() {
            self.wait(patience)?;
            events = self.drain()?;
        }
        Ok(events)
    }

    fn wait(&self, patience: Duration) -> Result<(), BackendError> {
        let wait = Timespec::try_from(patience).map_err(|error| failed("wait for", error))?;
        match poll(&mut [PollFd::new(&self.ring, PollFlags::IN)], Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(failed("wait for", error)),
        }
    }

    /// Tells the program that somebody reads, or is about to, for a [`LEASE`] from now on.
    pub fn listen(&self) -> Result<(), BackendError> {
        self.listen_until(times::monotonic().saturating_add(LEASE.as_nanos() as u64))
    }

    fn listen_until(&self, until: u64) -> Result<(), BackendError> {
        sys::map_update(self.reader.as_fd(), 0, &until.to_ne_bytes())
            .map_err(|error| failed("listen to", error))
    }

    /// Everything that lies in the ring now.
    fn drain(&mut self) -> Result<Vec<Event>, BackendError> {
        let mut records = Vec::new();
        while let Some(item) = self.ring.next() {
            records.extend(Record::read(&item));
        }
        self.learn(records.iter().flat_map(|record| [record.slot, record.vlan]))?;
        let origin = times::origin();
        let of = |slot: u32| self.series.get(&slot)?.as_ref();
        Ok(records.into_iter().filter_map(|record| event(record, of, origin)).collect())
    }

    /// Looks up what slots stand for, where one of `slots` is new.
    fn learn(&mut self, slots: impl Iterator<Item = u32> + Clone) -> Result<(), BackendError> {
        if self.looked.elapsed() > PATIENCE {
            self.series.retain(|_, series| series.is_some());
        }
        let mut new = slots.filter(|slot| *slot != 0 && !self.series.contains_key(slot)).peekable();
        if new.peek().is_none() {
            return Ok(());
        }
        let nothing: Vec<(u32, Option<Series>)> = new.map(|slot| (slot, None)).collect();
        let counters = Counters::open(&self.pins, &Seen::default())?;
        let slots = counters.iter().flat_map(Counters::slots);
        self.series =
            nothing.into_iter().chain(slots.map(|(series, slot)| (*slot, Some(series.clone())))).collect();
        self.looked = Instant::now();
        Ok(())
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Where it fails the lease ends by itself.
        let _ = self.listen_until(0);
    }
}

/// What became of all events of an instance so far; zeros where no XDP program was ever put in force.
pub fn totals(bpffs: &Path, namespace: Namespace) -> Result<EventTotals, BackendError> {
    let pins = Pins::new(bpffs, namespace);
    let mut totals = EventTotals::default();
    let Some(gates) = KeptMaps::now(&pins)?.open(Kept::Shared(Shared::Gates))? else { return Ok(totals) };
    let data = MapData::from_fd(gates).map_err(|error| failed("count", error))?;
    let gates: PerCpuArray<MapData, [u64; 7]> =
        PerCpuArray::try_from(Map::PerCpuArray(data)).map_err(|error| failed("count", error))?;
    for kind in 0..EventKind::COUNT {
        let gates = gates.get(&kind, 0).map_err(|error| failed("count", error))?;
        for [_tokens, _next, _heard, emitted, suppressed, lost, unheard] in gates.iter() {
            totals.emitted = totals.emitted.wrapping_add(*emitted);
            totals.suppressed = totals.suppressed.wrapping_add(*suppressed);
            totals.lost = totals.lost.wrapping_add(*lost);
            totals.unheard = totals.unheard.wrapping_add(*unheard);
        }
    }
    Ok(totals)
}

/// An [`EventRecord`] as it came out of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    time: u64,
    length: u32,
    slot: u32,
    vlan: u32,
    header: Vec<u8>,
}

impl Record {
    /// `None` for bytes that are no record.
    fn read(bytes: &[u8]) -> Option<Record> {
        if bytes.len() < size_of::<EventRecord>() {
            return None;
        }
        let (time, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (vlan, rest) = rest.split_first_chunk()?;
        let (captured, rest) = rest.split_first_chunk()?;
        Some(Record {
            time: u64::from_ne_bytes(*time),
            length: u32::from_ne_bytes(*length),
            slot: u32::from_ne_bytes(*slot),
            vlan: u32::from_ne_bytes(*vlan),
            header: rest.get(..u32::from_ne_bytes(*captured) as usize)?.to_vec(),
        })
    }
}

/// A record in words; `None` where its slot belongs to no rule or reason.
fn event<'a>(record: Record, of: impl Fn(u32) -> Option<&'a Series>, origin: Timestamp) -> Option<Event> {
    let series = of(record.slot)?;
    let Decided { rule, action, reason } = Decided::of(series.outcome, &series.subject)?;
    let vlan = of(record.vlan).and_then(|series| match series.subject.decided() {
        Subject::Vlan(label) => Some(label.clone()),
        _ => None,
    });
    Some(Event {
        time: times::at(origin, record.time),
        interface: series.interface.clone(),
        verdict: series.outcome,
        reason,
        rule,
        action,
        tags: Event::tags(&record.header),
        vlan,
        length: record.length,
        header: record.header,
    })
}

fn failed(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BackendError {
    BackendError::failed(format!("{what} the ring of events"), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Outcome;
    use crate::ruleset::Action;

    fn bytes(slot: u32, vlan: u32, header: &[u8]) -> Vec<u8> {
        let mut bytes = 7_000_000_000u64.to_ne_bytes().to_vec();
        for number in [1514, slot, vlan, header.len() as u32] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(header);
        bytes.resize(size_of::<EventRecord>(), 0xee);
        bytes
    }

    #[test]
    fn a_record_is_told_in_the_words_of_its_series() {
        let one = |outcome, subject| Series { interface: "wan0".into(), outcome, subject };
        let known = HashMap::from([
            (5, one(Outcome::Drop, Subject::Rule(Action::Deny, "bad".into()))),
            (9, one(Outcome::Drop, Subject::HandedOn(Subject::Vlan("mgmt".into()).into()))),
        ]);
        let header = [&[0; 12][..], &[0x88, 0xa8, 0, 100, 0x81, 0, 0xe0, 200, 8, 0]].concat();
        let record = Record::read(&bytes(5, 9, &header)).unwrap();
        let event = event(record, |slot| known.get(&slot), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((event.rule.as_deref(), event.vlan.as_deref()), (Some("bad"), Some("mgmt")));
        assert_eq!(event.reason.map(|reason| reason.name()), Some("denied"));
        assert_eq!((event.tags, event.length, event.header), (vec![100, 200], 1514, header));
        assert_eq!(event.time.as_second(), 7);
    }

    #[test]
    fn what_is_cut_or_belongs_to_nobody_tells_nothing() {
        assert_eq!(Record::read(&bytes(5, 0, &[])[1..]), None);
        let record = Record::read(&bytes(6, 0, &[])).unwrap();
        assert_eq!(event(record, |_| None, Timestamp::UNIX_EPOCH), None);
        assert!(Event::tags(&[0; 13]).is_empty());
    }
}
