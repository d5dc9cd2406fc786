//! A backend that is not there: it enforces nothing, and refuses to.

use super::{Backend, BackendError, Engine, Observed, Refused, Switched, Target};
use crate::counters::Counts;

/// nftables, where this build cannot use it.
#[derive(Clone, Copy, Debug)]
pub struct Absent;

impl Absent {
    fn refuse<T>(interface: &str) -> Result<T, BackendError> {
        let reason = "this build of perimeter has no nftables backend".to_owned();
        let refused = vec![Refused { engine: Engine::Nft, reason }];
        Err(BackendError::Refused { interface: interface.to_owned(), refused })
    }
}

impl Backend for Absent {
    type Prepared = String;

    fn observe(&self, interface: &str) -> Result<Observed, BackendError> {
        Ok(Observed::nothing(interface))
    }

    fn enforced(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    fn prepare(&mut self, target: Target<'_>) -> Result<String, BackendError> {
        Absent::refuse(target.name())
    }

    fn switch(&mut self, prepared: &mut String) -> Result<Switched, BackendError> {
        Absent::refuse(prepared)
    }

    fn revert(&mut self, _prepared: &mut String) -> Result<(), BackendError> {
        Ok(())
    }

    fn settle(&mut self, _prepared: &mut String) -> Result<(), BackendError> {
        Ok(())
    }

    fn lower(&mut self, _interface: &str) -> Result<(), BackendError> {
        Ok(())
    }

    fn end_counters(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        Ok(Counts::new())
    }
}
