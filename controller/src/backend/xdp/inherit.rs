//! Counters that an earlier version left: until ABI 3 a per-CPU array of slots.
//!
//! Promises: it stays where it is, and what it holds is added to what is counted since: the old program counts there until
//! it is replaced, so that nothing is lost, whichever version looks. It goes with the last interface.

use std::path::PathBuf;

use aya::maps::{Map, MapData, PerCpuArray};

use super::pins::Pins;
use crate::backend::BackendError;

/// The map of that version.
pub(super) struct Inherited {
    map: PerCpuArray<MapData, [u64; 2]>,
    path: PathBuf,
}

impl Inherited {
    /// Opens it; `None` where there is none.
    pub(super) fn open(pins: &Pins) -> Result<Option<Inherited>, BackendError> {
        let path = pins.inherited_counters();
        if !path.exists() {
            return Ok(None);
        }
        let data = MapData::from_pin(&path)
            .map_err(|error| BackendError::failed(format!("open {}", path.display()), error))?;
        let map = PerCpuArray::try_from(Map::PerCpuArray(data))
            .map_err(|_| BackendError::CounterLayout { path: path.display().to_string() })?;
        Ok(Some(Inherited { map, path }))
    }

    /// Packets and bytes of a slot, for each CPU.
    pub(super) fn of(&self, slot: u32) -> Result<Vec<[u64; 2]>, BackendError> {
        let values = self
            .map
            .get(&slot, 0)
            .map_err(|error| BackendError::failed(format!("read {}", self.path.display()), error))?;
        Ok(values.to_vec())
    }
}
