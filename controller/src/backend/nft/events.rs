//! What tables tell of single frames: read from nfnetlink_log and put in words.
//!
//! Promises: an event says what was counted: the message is the name of the counter. Messages that the kernel could not
//! hand over are known to the number. Refuses to guess: a message that is none of ours tells nothing.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::nflog::{Log, Told};
use super::{names, read};
use crate::backend::{BackendError, device};
use crate::counters::{Decided, Event, HEADER_BYTES, Outcome};

/// The log of the tables of one instance in the network namespace of this thread.
pub struct Frames {
    log: Log,
    /// The number that the next message should have.
    next: u32,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    pub events: Vec<Event>,
    /// Messages that were made and lost before these.
    pub lost: u64,
}

impl Frames {
    /// Listens to the instance whose pins lie in `bpffs`; `None` where none of its tables tells of frames.
    pub fn open(bpffs: &Path) -> Result<Option<Frames>, BackendError> {
        if !is_told(bpffs)? {
            return Ok(None);
        }
        let group = names::group(&names::instance(bpffs));
        let log = Log::whole(group).map_err(|error| {
            BackendError::failed(
                format!("listen to group {group} of nfnetlink_log, which nothing else may read"),
                error,
            )
        })?;
        Ok(Some(Frames { log, next: 0 }))
    }

    /// Everything that the kernel has handed over.
    pub fn read(&mut self) -> Result<Read, BackendError> {
        let (mut read, mut devices) = (Read::default(), BTreeMap::new());
        while let Some(told) = self.log.next().map_err(|error| failed("read", error))? {
            if let Some(number) = told.number {
                read.lost += u64::from(number.wrapping_sub(self.next));
                self.next = number.wrapping_add(1);
            }
            let Some(decided) = decided(&told.prefix) else { continue };
            // A device that is gone by now has no name: its last frames are those that cannot be told.
            let name: &Option<String> = devices.entry(told.device).or_insert_with_key(|&index| {
                device::by_index(index).ok().flatten().map(|device| device.name)
            });
            read.events.extend(name.clone().map(|name| event(told, decided, name)));
        }
        Ok(read)
    }
}

impl AsFd for Frames {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.log.as_fd()
    }
}

/// Whether the instance has a table in this network namespace that tells of frames, or has told.
pub fn is_told(bpffs: &Path) -> Result<bool, BackendError> {
    for table in standing(bpffs)?.into_keys() {
        let made = read::counter(&table, names::MADE);
        if made.map_err(|error| failed("look for", error))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Frames that all tables of an instance have told of so far, and those that went beyond the limit.
pub fn made(bpffs: &Path) -> Result<(u64, u64), BackendError> {
    let (mut made, mut suppressed) = (0, 0);
    for table in standing(bpffs)?.into_keys() {
        for (name, sum) in [(names::MADE, &mut made), (names::SUPPRESSED, &mut suppressed)] {
            let counter = read::counter(&table, name).map_err(|error| failed("count", error))?;
            *sum += counter.map_or(0, |counter| counter.packets);
        }
    }
    Ok((made, suppressed))
}

/// The tables of an instance in this network namespace, each with its handle, which no other table has there until the next
/// boot.
pub fn standing(bpffs: &Path) -> Result<BTreeMap<String, u64>, BackendError> {
    let prefix = names::prefix(&names::instance(bpffs));
    let mut tables = match read::handles() {
        // A kernel without nftables, or without netfilter, has no table.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPROTONOSUPPORT)) => {
            BTreeMap::new()
        }
        tables => tables.map_err(|error| failed("find the tables that make", error))?,
    };
    tables.retain(|table, _| table.starts_with(&prefix));
    Ok(tables)
}

/// What a message says was decided; `None` where it is none of ours.
fn decided(prefix: &str) -> Option<(Outcome, Decided)> {
    let (verdict, subject, _) = names::counted(prefix)?;
    Some((verdict, Decided::of(verdict, &subject)?))
}

/// A message in words.
fn event(told: Told, (verdict, decided): (Outcome, Decided), interface: String) -> Event {
    let Decided { rule, action, reason } = decided;
    let length = told.frame.len() as u32;
    let mut header = told.frame;
    header.truncate(HEADER_BYTES);
    Event {
        time: told.time.and_then(time).unwrap_or_else(Timestamp::now),
        interface,
        verdict,
        reason,
        rule,
        action,
        tags: Event::tags(&header),
        vlan: None,
        length,
        header,
    }
}

fn time((seconds, microseconds): (u64, u64)) -> Option<Timestamp> {
    let seconds = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    seconds.checked_add(SignedDuration::from_micros(i64::try_from(microseconds).ok()?)).ok()
}

fn failed(what: &str, error: std::io::Error) -> BackendError {
    BackendError::failed(format!("{what} events of nftables"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_in_the_words_of_its_counter() {
        let frame = [&[0; 12][..], &[0x88, 0xa8, 0, 100, 0x81, 0, 0xe0, 200, 8, 0], &[7; 200]].concat();
        let told = |prefix: &str| {
            let told =
                Told { prefix: prefix.into(), frame: frame.clone(), time: Some((7, 5)), ..Told::default() };
            decided(prefix).map(|decided| event(told, decided, "wan0".into()))
        };
        let bad = told("would-drop.deny.bad.tag").unwrap();
        assert_eq!((bad.decision(), bad.stack()), ("would drop: denied, rule bad".into(), "100/200".into()));
        assert_eq!((bad.length, bad.header.len(), bad.time.as_microsecond()), (222, HEADER_BYTES, 7_000_005));
        assert_eq!(told("drop.reason.no_rule").unwrap().decision(), "drop: no_rule");
        assert_eq!(told("pass.allow.web").unwrap().decision(), "pass: rule web");
        assert_eq!([told("somebody else's"), told("pass.vlan.mgmt")], [None, None]);
    }
}
