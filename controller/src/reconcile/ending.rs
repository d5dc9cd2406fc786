//! The end of enforcement, interface by interface.
//!
//! Promises: what has ended is noted, and its offloads are on again, whatever else fails; a note that fails keeps no offload
//! off, and where the end must happen, no other interface enforced.

use super::{ApplyError, Report};
use crate::backend::{Backend, Offloads};
use crate::plan::{InterfacePlan, Plan, Step};
use crate::state::{Event, Lock, Occasion, State, What};

/// Who ends enforcement.
#[derive(Clone, Debug)]
pub struct Ending {
    pub occasion: Occasion,
    /// What fails on one interface keeps it from happening on no other.
    pub must_happen: bool,
}

/// Ends enforcement on every interface of a plan made by [`Plan::detach`].
pub fn detach<B: Backend + Offloads>(
    backend: &mut B,
    (state, lock): (&State, &Lock),
    plan: &Plan,
    ending: &Ending,
) -> Result<Report, ApplyError> {
    let mut report = Report::default();
    end_all(backend, (state, lock), plan, ending, &mut report)?;
    Ok(report)
}

/// Ends enforcement where the plan says so. Stops at the first failure; where it must happen, goes on and gives the first.
pub(super) fn end_all<B: Backend + Offloads>(
    backend: &mut B,
    (state, lock): (&State, &Lock),
    plan: &Plan,
    ending: &Ending,
    report: &mut Report,
) -> Result<(), ApplyError> {
    let mut first = Ok(());
    for one in plan.interfaces.iter().filter(|one| one.step == Step::End) {
        let is_done = *report != Report::default();
        let ended = end(backend, (state, lock), one, &ending.occasion, report).map_err(|error| match error {
            ApplyError::Unchanged(cause) if is_done => ApplyError::Unfinished { cause },
            other => other,
        });
        if !ending.must_happen {
            ended?;
        } else {
            first = first.and(ended);
        }
    }
    first
}

/// What fails to be noted leaves no offload off.
fn end<B: Backend + Offloads>(
    backend: &mut B,
    (state, lock): (&State, &Lock),
    one: &InterfacePlan,
    occasion: &Occasion,
    report: &mut Report,
) -> Result<(), ApplyError> {
    backend.detach(&one.interface).map_err(ApplyError::Unchanged)?;
    let restored = backend.restore(&one.interface, &[]).map_err(|cause| ApplyError::Unfinished { cause });
    let interfaces = vec![one.interface.clone()];
    let event = Event { occasion: occasion.clone(), interfaces, what: What::Detached };
    let noted = state.append(lock, &event);
    report.ended.push((one.interface.clone(), restored.as_ref().map_or(Vec::new(), Clone::clone)));
    restored?;
    Ok(noted?)
}
