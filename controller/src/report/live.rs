//! The live state to a report: the readings of `status` and `counters`.

use super::{Mtu, Origin, Part, Report};
use crate::digest::Digest;
use crate::ruleset::Ruleset;
use crate::telemetry::Snapshot;

/// The report of a snapshot. `policy` gives the text of a policy in force, where it is kept.
pub fn live<'a>(snapshot: &Snapshot, policy: impl Fn(Digest) -> Option<&'a Ruleset>) -> Report {
    let parts = snapshot.status.interfaces.iter().zip(&snapshot.interfaces).map(|(status, facts)| {
        let mtu = status.policy.and_then(&policy).and_then(|ruleset| {
            let index = ruleset.interfaces.iter().position(|one| one.name == status.interface)?;
            Some(Mtu::of(ruleset, index))
        });
        Part {
            interface: status.interface.clone(),
            state: Some(status.clone()),
            mtu,
            counters: facts.counters.clone(),
            accounting: facts.accounting.clone(),
            rules: snapshot.rules.clone(),
            timeline: None,
            loss: snapshot.losses.iter().find(|loss| loss.interface == status.interface).cloned(),
        }
    });
    Report {
        made: snapshot.at,
        version: env!("CARGO_PKG_VERSION"),
        origin: Origin::Live { in_sync: snapshot.status.in_sync, trial: snapshot.status.trial },
        interfaces: parts.collect(),
    }
}
