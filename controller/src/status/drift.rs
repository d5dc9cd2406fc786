//! Every way in which an interface is not as it was left, in words, with what to do about it.

use crate::backend::{Device, Enforcement, Engine, InForce, Observed, Wanted, names};
use crate::plan::{called_now, renamed as remedy};
use crate::ruleset::Mode;
use crate::state::Enforced;

/// Every difference between what is and what should be. `mode` is that of the policy in force, where it is known.
pub(super) fn drift(
    observed: &Observed,
    all: &[Observed],
    wanted: Option<&Enforced>,
    mode: Option<Mode>,
) -> Vec<String> {
    let elsewhere = called_now(&observed.interface, all).filter(|_| observed.device == Device::Missing);
    if let Some(now) = elsewhere {
        let what_to_do = remedy(&observed.interface, now);
        return vec![format!("that one is called {now} now, and is enforced as before; {what_to_do}")];
    }
    let mut drift = match observed.leading() {
        Enforcement::InForce(_) => records(observed, wanted),
        Enforcement::Foreign(program) => vec![format!(
            "another XDP program is attached (id {}, \"{}\"); remove that one",
            program.id, program.name
        )],
        Enforcement::OtherVersion(program) => vec![format!(
            "another version of perimeter enforces here (ABI {}); apply again with this one, or use that one",
            program.abi
        )],
        Enforcement::Lost { why } => vec![format!("{why}; apply again, or detach it")],
        Enforcement::Off if observed.device == Device::Missing => vec!["the device is gone".to_owned()],
        Enforcement::Off => vec!["nothing is attached; apply again, or detach it".to_owned()],
    };
    if let Some(record) = observed.in_force() {
        drift.extend(renamed(record, observed, all));
        drift.extend(mode.and_then(|mode| engines(observed, mode)));
        drift.extend(beside(observed));
        drift.extend(observed.damage.iter().map(|damage| format!("{damage}; apply again")));
    }
    let engines = observed.engines();
    for feature in observed.harmful(&engines) {
        drift.push(format!(
            "offload {} is on again, so that frames are judged as they were not on the wire; apply again",
            feature.name()
        ));
    }
    let of_xdp = engines.iter().any(|engine| *engine != Engine::Nft);
    drift.extend(observed.obstacles.iter().filter(|_| of_xdp).cloned());
    drift
}

/// Whether the device goes by another name than the one whose settings judge it.
fn renamed(record: &InForce, observed: &Observed, all: &[Observed]) -> Option<String> {
    let name = &record.interface;
    // Where another device has the name now, it cannot be given back.
    let is_free = all.iter().any(|one| one.interface == *name && one.device == Device::Missing);
    let what_to_do = if is_free { remedy(name, &observed.interface) } else { "apply again".to_owned() };
    (*name != observed.interface).then(|| {
        format!("it was called {name} when that was put in force, and is judged as {name}; {what_to_do}")
    })
}

/// What is wrong with the generation and policy of each guard, told once.
fn records(observed: &Observed, wanted: Option<&Enforced>) -> Vec<String> {
    let Some(wanted) = wanted else {
        return vec!["the state directory does not know of it; apply again, or detach it".to_owned()];
    };
    let one = |record: &InForce| {
        if record.generation != wanted.generation {
            return Some(format!(
                "generation {} was put in force last: an apply was interrupted; apply again",
                wanted.generation
            ));
        }
        let other = record.policy != wanted.policy;
        other.then(|| "it enforces another policy than was put in force; apply again".to_owned())
    };
    let mut all: Vec<String> = observed.records().filter_map(one).collect();
    all.dedup();
    all
}

/// Whether the engines are those that the mode asks for.
fn engines(observed: &Observed, mode: Mode) -> Option<String> {
    let engines = observed.engines();
    if Wanted::of(mode).accepts(&engines) {
        return None;
    }
    let asked = crate::plan::mode_name(mode);
    Some(match engines.as_slice() {
        [Engine::Nft] => format!("`mode: {asked}` asks for XDP, and only nftables judges; apply again"),
        [xdp] if mode == Mode::Both => {
            format!("nftables no longer stands behind {}; apply again", xdp.name())
        }
        _ => format!(
            "{} judge, and `mode: {asked}` asks for another guard: an apply was interrupted; apply again",
            names(&engines)
        ),
    })
}

/// What became of a guard that stood beside the one that judges.
fn beside(observed: &Observed) -> Option<String> {
    match (&observed.enforcement, &observed.behind) {
        (Enforcement::Lost { why }, _) => Some(format!("XDP judges nothing: {why}; apply again")),
        (_, Enforcement::Lost { why }) => Some(format!("nftables judges nothing: {why}; apply again")),
        _ => None,
    }
}
