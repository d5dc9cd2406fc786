//! Carrying out a plan: prepare every interface, then switch every interface, or go back.
//!
//! Promises: nothing meets a packet before everything is compiled, loaded and verified; if one switch fails, those
//! already switched go back; what judged before falls only when every interface has switched; the journal has the intent
//! before the effect, and what became of it after. Decides nothing: what to do is the plan's.

mod ending;
mod failure;

use crate::backend::{
    Backend, BackendError, Enforcement, Engine, Feature, Offloads, Refused, Switched, Target, Wanted,
    list as told,
};
use crate::digest::Digest;
use crate::plan::{Choice, InterfacePlan, Plan};
use crate::ruleset::Ruleset;
use crate::state::{
    Event, Guard, Lock, Namespace, Occasion, Record, Source, State, StateError, What, expected, on_trial,
};
use crate::tables::Image;
use ending::end_all;
use failure::{left_off, unchanged};

pub use ending::{Ending, detach};
pub use failure::{ApplyError, LeftOff};

/// The policy to put in force, and who asks.
#[derive(Debug)]
pub struct Order<'a> {
    pub ruleset: &'a Ruleset,
    /// The compiled tables of each interface, in the order of the ruleset.
    pub images: Vec<Image>,
    /// The policy's own text first.
    pub sources: &'a [Source],
    pub policy_file: &'a str,
    pub occasion: Occasion,
    /// The generation goes again unless it is confirmed.
    pub trial: Option<Trial<'a>>,
    /// A note that cannot be written does not keep it from happening: a full disk must not hold a gate open.
    pub must_happen: bool,
    /// The other interfaces of the policy cannot be reached now.
    pub partial: bool,
}

/// A trial that is asked for.
pub struct Trial<'a> {
    /// What comes back; nothing was enforced where this is `None`.
    pub before: Option<u64>,
    /// Starts what takes the generation of this number back, and tells when; called before the first switch.
    pub keeper: &'a mut dyn FnMut(u64) -> std::io::Result<jiff::Timestamp>,
}

impl std::fmt::Debug for Trial<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("before", &self.before).finish_non_exhaustive()
    }
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The new generation, where one was made.
    pub generation: Option<u64>,
    pub in_force: Vec<NowInForce>,
    /// Offloads that were switched off without a new generation.
    pub switched_off: Vec<(String, Vec<Feature>)>,
    /// Interfaces where enforcement has ended, with the offloads that are on again.
    pub ended: Vec<(String, Vec<Feature>)>,
}

/// One interface after a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NowInForce {
    pub interface: String,
    /// What judges it, in the order in which a frame meets them.
    pub engines: Vec<Engine>,
    /// What was tried before them.
    pub refused: Vec<Refused>,
    /// Offloads that are on again, since they harm none of the engines.
    pub restored: Vec<Feature>,
}

/// Makes what the plan says so.
pub fn apply<B: Backend + Offloads>(
    backend: &mut B,
    state: &State,
    lock: &Lock,
    plan: &Plan,
    mut order: Order<'_>,
) -> Result<Report, ApplyError> {
    let mut report = Report::default();
    if plan.makes_generation() {
        replace(backend, (state, lock), plan, &mut order, &mut report)?;
    } else {
        for one in plan.interfaces.iter().filter(|one| !one.switch_off.is_empty()) {
            let switched = backend.switch_off(&one.interface, &one.switch_off);
            switched.map_err(|cause| unchanged(backend, plan, cause))?;
            report.switched_off.push((one.interface.clone(), one.switch_off.clone()));
        }
    }
    let ending = Ending { occasion: order.occasion.clone(), must_happen: order.must_happen };
    end_all(backend, (state, lock), plan, &ending, &mut report)?;
    Ok(report)
}

/// Takes away what a crash has left beside the generation in force, and notes in the journal that it is in force, where the
/// crash kept that from being written. Whoever wants what is in force while that is on trial has decided the trial: gives
/// the number of a generation that stays for this. The plan must have no changes.
pub fn acknowledge<B: Backend>(
    backend: &mut B,
    (state, lock): (&State, &Lock),
    plan: &Plan,
    occasion: &Occasion,
) -> Result<Option<u64>, ApplyError> {
    for one in plan.interfaces.iter().filter(|one| matches!(one.now, Enforcement::InForce(_))) {
        backend.tidy(&one.interface).map_err(|cause| ApplyError::Unfinished { cause })?;
    }
    let Some(Enforcement::InForce(record)) = plan.interfaces.first().map(|one| &one.now) else {
        return Ok(None);
    };
    let (generation, policy) = (record.generation, record.policy);
    let journal = state.recent(occasion.namespace)?;
    let interfaces: Vec<String> = plan.interfaces.iter().map(|one| one.interface.clone()).collect();
    let note = |what| {
        state.append(lock, &Event { occasion: occasion.clone(), interfaces: interfaces.clone(), what })
    };
    let noted = expected(&journal, occasion.namespace);
    if noted.begun.is_some() || noted.settled.is_none_or(|settled| settled.generation != generation) {
        note(What::InForce { generation, policy, guards: Vec::new(), partial: false })?;
    }
    let decided = on_trial(&journal, occasion.namespace).filter(|trial| trial.generation == generation);
    if decided.is_some() {
        note(What::Confirmed { generation })?;
    }
    Ok(decided.map(|trial| trial.generation))
}

/// A new generation on every interface of the policy.
fn replace<B: Backend + Offloads>(
    backend: &mut B,
    (state, lock): (&State, &Lock),
    plan: &Plan,
    order: &mut Order<'_>,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let generation = next_generation(state, plan, order.occasion.namespace)?;
    let policy = plan.policy;
    let images = std::mem::take(&mut order.images);
    let mut prepared = prepare(backend, plan, (order.ruleset, images), generation).map_err(|error| {
        tidy(backend, plan);
        ApplyError::Unchanged(error)
    })?;
    let record = record(order, generation, policy);
    let event =
        |what| Event { occasion: record.occasion.clone(), interfaces: record.interfaces.clone(), what };
    if let Err(error) = announce(state, lock, &record, order) {
        prepared.into_iter().for_each(|one| backend.discard(one));
        tidy(backend, plan);
        return Err(error);
    }
    match switch_all(backend, plan, &mut prepared) {
        Ok(switched) => {
            report.generation = Some(generation);
            report.in_force = switched;
            let settled = settle_all(backend, &mut prepared, report);
            let guards = guards(&report.in_force);
            let noted = state
                .append(lock, &event(What::InForce { generation, policy, guards, partial: order.partial }));
            noted.or_else(forgive(order)).map_err(|cause| ApplyError::NotNoted { generation, cause })?;
            settled.map_err(|cause| ApplyError::Unfinished { cause })
        }
        Err(error) => {
            prepared.into_iter().for_each(|one| backend.discard(one));
            tidy(backend, plan);
            // The error that is reported is the one that stopped the apply; the kernel still says what is in force.
            let _ = state.append(lock, &event(What::Failed { generation, why: error.to_string() }));
            Err(error)
        }
    }
}

/// Stores a generation, starts what would take it back where it is on trial, and notes that it is about to be in force.
fn announce(state: &State, lock: &Lock, record: &Record, order: &mut Order<'_>) -> Result<(), ApplyError> {
    let (generation, policy) = (record.generation, record.policy);
    let event =
        |what| Event { occasion: record.occasion.clone(), interfaces: record.interfaces.clone(), what };
    let stored = state.store(lock, record, order.ruleset, order.sources).map(Some);
    let kept = stored.or_else(|error| forgive(order)(error).map(|()| None))?;
    if let Some(Trial { before, keeper }) = &mut order.trial {
        let until = keeper(generation).map_err(|error| {
            ApplyError::Unchanged(BackendError::failed("start what would take the generation back", error))
        })?;
        state.append(lock, &event(What::Trial { generation, before: *before, until }))?;
    }
    Ok(state.append(lock, &event(What::Begun { generation, policy, kept })).or_else(forgive(order))?)
}

/// What becomes of a note that could not be written.
fn forgive(order: &Order<'_>) -> impl FnOnce(StateError) -> Result<(), StateError> {
    let must_happen = order.must_happen;
    move |error| if must_happen { Ok(()) } else { Err(error) }
}

/// Removes what a failed first apply has left on interfaces that had nothing before: what was pinned by an earlier apply
/// stays, with its counters.
fn tidy<B: Backend + Offloads>(backend: &mut B, plan: &Plan) {
    for one in plan.interfaces.iter().filter(|one| one.now == Enforcement::Off) {
        // The error that is reported is the one that stopped the apply.
        let _ = backend.detach(&one.interface);
    }
}

/// A number above every one that was stored, is in force, or was noted though it could not be stored.
fn next_generation(state: &State, plan: &Plan, namespace: Namespace) -> Result<u64, StateError> {
    let in_force = plan.interfaces.iter().filter_map(|one| match &one.now {
        Enforcement::InForce(record) => Some(record.generation),
        _ => None,
    });
    let recent = state.recent(namespace)?;
    let noted = recent.iter().filter_map(|event| match event.what {
        What::Begun { generation, .. } => Some(generation),
        _ => None,
    });
    Ok(in_force.chain(noted).fold(state.newest()?, u64::max) + 1)
}

fn record(order: &Order<'_>, generation: u64, policy: Digest) -> Record {
    Record {
        generation,
        policy,
        policy_file: order.policy_file.to_owned(),
        occasion: order.occasion.clone(),
        interfaces: order.ruleset.interfaces.iter().map(|interface| interface.name.clone()).collect(),
        files: order.sources.iter().skip(1).map(|(name, _)| name.clone()).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn prepare<B: Backend + Offloads>(
    backend: &mut B,
    plan: &Plan,
    (ruleset, images): (&Ruleset, Vec<Image>),
    generation: u64,
) -> Result<Vec<B::Prepared>, BackendError> {
    let wanted = |index: usize| {
        let guard = plan.interfaces[index].guard.as_ref();
        guard.map_or(Wanted::of(ruleset.interfaces[index].mode), Choice::wanted)
    };
    let policy = plan.policy;
    let target = |(index, image)| Target { ruleset, index, wanted: wanted(index), image, generation, policy };
    let mut prepared = Vec::new();
    for one in images.into_iter().enumerate() {
        match backend.prepare(target(one)) {
            Ok(one) => prepared.push(one),
            Err(error) => {
                prepared.into_iter().for_each(|one| backend.discard(one));
                return Err(error);
            }
        }
    }
    Ok(prepared)
}

/// Switches every interface, or none. `prepared` stands in the order of the plan's first interfaces.
fn switch_all<B: Backend + Offloads>(
    backend: &mut B,
    plan: &Plan,
    prepared: &mut [B::Prepared],
) -> Result<Vec<NowInForce>, ApplyError> {
    let mut done = Vec::new();
    for at in 0..prepared.len() {
        let one = &plan.interfaces[at];
        match switch_one(backend, one, &mut prepared[at]) {
            Ok(Switched { engines, refused }) => {
                let interface = one.interface.clone();
                done.push(NowInForce { interface, engines, refused, restored: Vec::new() });
            }
            Err(cause) => return Err(go_back(backend, plan, &mut prepared[..at], cause)),
        }
    }
    Ok(done)
}

/// Offloads first: a frame that the new program meets is whole.
fn switch_one<B: Backend + Offloads>(
    backend: &mut B,
    one: &InterfacePlan,
    prepared: &mut B::Prepared,
) -> Result<Switched, BackendError> {
    let switched = match one.switch_off.as_slice() {
        [] => Ok(()),
        features => backend.switch_off(&one.interface, features),
    };
    switched.and_then(|()| backend.switch(prepared)).inspect_err(|_| {
        // The error that is reported is the one that stopped the switch.
        let _ = backend.restore(&one.interface, before(one));
    })
}

/// The engines that judged an interface when the plan was made.
fn before(one: &InterfacePlan) -> &[Engine] {
    one.guard.as_ref().map_or(&[], |guard| &guard.before)
}

/// Takes down what judged before, and switches on again what harms none of the new engines. Goes on after a failure, and
/// gives the first: the new generation is in force all the same.
fn settle_all<B: Backend + Offloads>(
    backend: &mut B,
    prepared: &mut [B::Prepared],
    report: &mut Report,
) -> Result<(), BackendError> {
    let mut first = Ok(());
    for (prepared, now) in prepared.iter_mut().zip(&mut report.in_force) {
        let settled = backend.settle(prepared).and_then(|()| backend.restore(&now.interface, &now.engines));
        match settled {
            Ok(restored) => now.restored = restored,
            Err(error) => first = first.and(Err(error)),
        }
    }
    first
}

/// What the journal keeps of why each interface has its engine.
fn guards(in_force: &[NowInForce]) -> Vec<Guard> {
    let refused = in_force.iter().filter(|one| !one.refused.is_empty());
    refused.map(|one| Guard { interface: one.interface.clone(), why: told(&one.refused) }).collect()
}

/// Takes back what was switched, the last first.
fn go_back<B: Backend + Offloads>(
    backend: &mut B,
    plan: &Plan,
    switched: &mut [B::Prepared],
    cause: BackendError,
) -> ApplyError {
    let mut stuck = Vec::new();
    for (one, prepared) in plan.interfaces.iter().zip(switched.iter_mut()).rev() {
        let back = backend.revert(prepared).and_then(|()| backend.restore(&one.interface, before(one)));
        if let Err(error) = back {
            stuck.push((one.interface.clone(), error));
        }
    }
    match (switched.is_empty(), stuck.is_empty()) {
        (true, _) => unchanged(backend, plan, cause),
        (false, true) => ApplyError::WentBack { cause, off: left_off(backend, plan) },
        (false, false) => ApplyError::Stuck { cause, stuck },
    }
}

#[cfg(test)]
mod tests;
