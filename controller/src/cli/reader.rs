//! The state of things again and again, for whoever watches: what never changes is read once.
//!
//! Promises: counters, links, pins and records are the kernel's own at each reading. Whether a table was edited behind perimeter's
//! back takes longer to find out: that is looked at by [`Reader::look`], and remembered by [`Reader::glance`].

use std::collections::BTreeMap;

use super::Global;
use super::host::{Host, applied};
use super::settle::{once, settled};
use crate::backend::loss::loss;
use crate::backend::{Backend, Observed};
use crate::counters::Steady;
use crate::digest::Digest;
use crate::events::{Place, totals};
use crate::plan::Known;
use crate::ruleset::Ruleset;
use crate::state::{Expected, Stir, expected};
use crate::status::status;
use crate::telemetry::{Readings, Snapshot};

/// The machine, and what is known of the policies in force.
pub(super) struct Reader {
    pub(super) host: Host,
    place: Place,
    /// Generations never change, so that a policy is read once a day: rules end at midnight.
    known: BTreeMap<Digest, Known>,
    /// The day of which `known` tells, in UTC.
    day: jiff::civil::Date,
    /// What the last look found edited in tables, by interface and generation.
    damage: BTreeMap<(String, Option<u64>), Vec<String>>,
    /// What was told of losses, which never falls.
    losses: Steady,
}

impl Reader {
    pub(super) fn open(global: &Global) -> anyhow::Result<Reader> {
        let host = Host::open(global)?;
        let place = global.place(host.namespace);
        Ok(Reader {
            host,
            place,
            known: BTreeMap::new(),
            day: jiff::civil::Date::MIN,
            damage: BTreeMap::new(),
            losses: Steady::default(),
        })
    }

    /// Everything, tables included, with some patience where a change is under way.
    pub(super) fn settled(&mut self, now: jiff::Timestamp) -> anyhow::Result<Snapshot> {
        let state = self.host.state.clone();
        let (seen, change) = settled(&state, || self.read(now, true), in_sync);
        let seen = seen?;
        Ok(Snapshot { status: seen.status.with_change(change, now), ..seen })
    }

    /// Everything, tables included, and whether a change is to blame for what is wrong; that is not remembered then.
    pub(super) fn look(&mut self, now: jiff::Timestamp) -> (anyhow::Result<Snapshot>, Stir) {
        let (state, damage) = (self.host.state.clone(), self.damage.clone());
        let (seen, stir) = once(&state, || self.read(now, true), in_sync);
        if stir != Stir::Still {
            self.damage = damage;
        }
        (seen, stir)
    }

    /// Everything but whether tables were edited, which is as the last look found it; and whether a change is to blame.
    pub(super) fn glance(&mut self, now: jiff::Timestamp) -> (anyhow::Result<Snapshot>, Stir) {
        let state = self.host.state.clone();
        once(&state, || self.read(now, false), in_sync)
    }

    /// The policy with this digest, where it is in force or should be and its text is kept.
    pub(super) fn ruleset(&self, policy: Digest) -> Option<&Ruleset> {
        self.known.get(&policy).map(|known| &known.stored)
    }

    fn read(&mut self, now: jiff::Timestamp, tables_too: bool) -> anyhow::Result<Snapshot> {
        let journal = self.host.state.recent(self.host.namespace)?;
        let expected = expected(&journal, self.host.namespace);
        let mut observed = self.host.observe(&names(&expected))?;
        self.learn(&observed, &expected, now)?;
        if tables_too {
            let seen: Vec<usize> = observed.iter().map(|one| one.damage.len()).collect();
            self.host.inspect(&mut observed, &self.known)?;
            let edited = |(one, seen): (&Observed, usize)| (judged(one), one.damage[seen..].to_vec());
            self.damage = observed.iter().zip(seen).map(edited).collect();
        } else {
            for one in &mut observed {
                one.damage.extend(self.damage.get(&judged(one)).cloned().unwrap_or_default());
            }
        }
        let counts = self.host.backend.counters()?;
        let status =
            status(&observed, &expected, &self.known, &[]).with_trial(self.host.trial(&journal, now));
        let devices: Vec<&str> = observed.iter().map(|one| one.interface.as_str()).collect();
        self.losses.keep(&devices);
        // A device that cannot be asked is drift, and told as that.
        let told = |name: &&str| self.losses.tell(name, loss(name).ok().flatten());
        let readings = Readings {
            counts,
            counter_bytes: self.host.backend.xdp.counter_bytes()?,
            losses: devices.iter().filter_map(told).collect(),
            events: totals(&self.place)?,
        };
        Ok(Snapshot::new(now, status, &expected, &self.known, readings))
    }

    /// Reads the policies that are in force or should be, and lets go of those that no longer are.
    fn learn(
        &mut self,
        observed: &[Observed],
        expected: &Expected,
        now: jiff::Timestamp,
    ) -> anyhow::Result<()> {
        let today = jiff::tz::TimeZone::UTC.to_datetime(now).date();
        if self.day != today {
            (self.day, self.known) = (today, BTreeMap::new());
        }
        let in_force =
            observed.iter().flat_map(Observed::records).map(|record| (record.policy, record.generation));
        let wanted = expected.settled.iter().chain(&expected.begun);
        let wanted = wanted.map(|enforced| (enforced.policy, enforced.generation));
        let needed: BTreeMap<Digest, u64> = wanted.chain(in_force).collect();
        self.known.retain(|policy, _| needed.contains_key(policy));
        for (policy, generation) in needed {
            if self.known.contains_key(&policy) {
                continue;
            }
            if let Some((record, ruleset)) = self.host.state.find(policy, generation)? {
                self.known.insert(policy, Known::new(ruleset, applied(record), now));
            }
        }
        Ok(())
    }
}

/// The interfaces that should be enforced, each once.
pub(super) fn names(expected: &Expected) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in expected.settled.iter().chain(&expected.begun).flat_map(|one| &one.interfaces) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn in_sync(snapshot: &Snapshot) -> bool {
    snapshot.status.in_sync
}

/// What damage belongs to: an interface, and the generation that judges it.
fn judged(one: &Observed) -> (String, Option<u64>) {
    (one.interface.clone(), one.in_force().map(|record| record.generation))
}
