//! Why a plan was not carried out, and what that leaves behind.
//!
//! Promises: no error says that nothing was changed where something was; the devices are asked.

use std::fmt;

use crate::backend::{Backend, BackendError, Feature};
use crate::plan::Plan;
use crate::state::StateError;

/// Why a plan was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Nothing was changed.
    #[error("{0}; nothing was changed")]
    Unchanged(BackendError),
    /// What is enforced was not changed, but offloads were switched off.
    #[error("{cause}; what is enforced was not changed{off}")]
    OffloadsOff { cause: BackendError, off: LeftOff },
    /// Interfaces that had been switched are back where they were.
    #[error("{cause}; what was enforced before is enforced again{off}")]
    WentBack { cause: BackendError, off: LeftOff },
    /// The worst case: some interfaces could not be taken back.
    #[error("{cause}; going back failed too ({}): `perimeter status` says what is enforced, and applying again converges", list(.stuck))]
    Stuck { cause: BackendError, stuck: Vec<(String, BackendError)> },
    /// Part of the plan is done; something after it failed.
    #[error(
        "{cause}; what the plan says before that is done: `perimeter status` says what is enforced, and applying again converges"
    )]
    Unfinished { cause: BackendError },
    /// The new generation is in force on every interface.
    #[error(
        "generation {generation} is in force, but that could not be noted: {cause}; apply again to note it"
    )]
    NotNoted { generation: u64, cause: StateError },
    #[error(transparent)]
    State(#[from] StateError),
}

/// Offloads that a failed apply has switched off and left so: what is in force is the better for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOff(Vec<(String, Vec<Feature>)>);

impl fmt::Display for LeftOff {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (interface, features) in &self.0 {
            let names: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
            write!(text, "; offloads of {interface} were switched off and stay so: {}", names.join(", "))?;
        }
        Ok(())
    }
}

fn list(stuck: &[(String, BackendError)]) -> String {
    stuck.iter().map(|(interface, error)| format!("{interface}: {error}")).collect::<Vec<_>>().join("; ")
}

/// A failure after which everything is enforced as it was.
pub(super) fn unchanged<B: Backend>(backend: &B, plan: &Plan, cause: BackendError) -> ApplyError {
    match left_off(backend, plan) {
        LeftOff(off) if off.is_empty() => ApplyError::Unchanged(cause),
        off => ApplyError::OffloadsOff { cause, off },
    }
}

/// What of the plan's offloads is off now, as the devices say; where they do not say, all of it may be.
pub(super) fn left_off<B: Backend>(backend: &B, plan: &Plan) -> LeftOff {
    let left = plan.interfaces.iter().map(|one| {
        let on = backend.observe(&one.interface).map(|observed| observed.switched_on()).unwrap_or_default();
        let off = one.switch_off.iter().copied().filter(|feature| !on.contains(feature)).collect();
        (one.interface.clone(), off)
    });
    LeftOff(left.filter(|(_, off): &(_, Vec<Feature>)| !off.is_empty()).collect())
}
