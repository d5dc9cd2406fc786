//! A snapshot in the text format of Prometheus.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{TEXT_FORMAT, TextEncoder};

use super::family::{Families, Family};
use super::series::{accounting, enforcement, loss, rules, traffic};
use super::snapshot::Snapshot;

/// What the text is, for the answer's header.
pub const CONTENT_TYPE: &str = TEXT_FORMAT;

/// The snapshot could not be written out.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics out: {0}")]
pub struct ExpositionError(#[from] prometheus::Error);

/// Who writes one snapshot after the other.
pub struct Exposition {
    process: ProcessCollector,
    families: Families,
    /// Bytes of the last text.
    length: usize,
}

impl Exposition {
    /// Of this process.
    pub fn new() -> Exposition {
        Exposition { process: ProcessCollector::for_self(), families: Families::default(), length: 0 }
    }

    /// Every series of a snapshot, and those of this process.
    pub fn text(&mut self, snapshot: &Snapshot) -> Result<String, ExpositionError> {
        let mut told: Vec<MetricFamily> =
            self.told(snapshot).into_iter().filter_map(Family::finish).collect();
        let process = self.process.collect();
        let mut text = String::with_capacity(self.length + self.length / 8);
        TextEncoder::new().encode_utf8(&told, &mut text)?;
        TextEncoder::new().encode_utf8(&process, &mut text)?;
        told.iter_mut().for_each(|family| self.families.take_back(family));
        self.length = text.len();
        Ok(text)
    }

    fn told(&mut self, snapshot: &Snapshot) -> Vec<Family> {
        let families = &mut self.families;
        let mut told: Vec<Family> = traffic::families(snapshot, families).into();
        told.extend(rules::families(snapshot, families));
        told.extend(accounting::families(snapshot, families));
        told.extend(loss::families(snapshot, families));
        told.extend(enforcement::families(snapshot, families));
        told
    }
}

impl Default for Exposition {
    fn default() -> Exposition {
        Exposition::new()
    }
}
