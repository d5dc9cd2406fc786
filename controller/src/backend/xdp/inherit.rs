//! Counters that an earlier version left: until ABI 3 a per-CPU array of slots.
//!
//! Promises: what was counted goes on to count, in the row of the first CPU, under the slots that it had. What the
//! program of that version counts after this, until it is replaced, is lost: a moment of an upgrade.

use std::path::{Path, PathBuf};

use aya::maps::{Map, MapData, PerCpuArray};
use perimeter_classifier::abi::Counter;

use super::pins::Pins;
use super::tallies::ROW_BYTES;
use crate::backend::BackendError;
use crate::counters::{Count, Slots};

/// Where the earlier version pinned them.
pub(super) fn path(pins: &Pins) -> PathBuf {
    pins.root().join("counters")
}

/// What it has counted, as one row; `count` tells what two numbers of a series mean.
pub(super) fn row(
    path: &Path,
    slots: &Slots,
    count: impl Fn(&crate::counters::Series, [u64; 2]) -> Count,
) -> Result<Vec<u8>, BackendError> {
    let layout = || BackendError::CounterLayout { path: path.display().to_string() };
    let failed = |error| BackendError::failed(format!("read {}", path.display()), error);
    let map = MapData::from_pin(path).map_err(failed)?;
    let map: PerCpuArray<MapData, [u64; 2]> =
        PerCpuArray::try_from(Map::PerCpuArray(map)).map_err(|_| layout())?;
    let mut row = vec![0; ROW_BYTES];
    for (series, &slot) in slots {
        let mut sum = Count::default();
        map.get(&slot, 0).map_err(failed)?.iter().for_each(|&value| sum.add(count(series, value)));
        let at = slot as usize * size_of::<Counter>();
        let place = row.get_mut(at..at + size_of::<Counter>()).ok_or_else(layout)?;
        let second = sum.smallest.map_or(sum.bytes, u64::from);
        place.copy_from_slice(&[sum.packets.to_ne_bytes(), second.to_ne_bytes()].concat());
    }
    Ok(row)
}
