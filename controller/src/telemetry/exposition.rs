//! A snapshot in the text format of Prometheus.

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{TEXT_FORMAT, TextEncoder};

use super::family::Family;
use super::series::{accounting, enforcement, rules, traffic};
use super::snapshot::Snapshot;

/// What the text is, for the answer's header.
pub const CONTENT_TYPE: &str = TEXT_FORMAT;

/// The snapshot could not be written out.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics out: {0}")]
pub struct ExpositionError(#[from] prometheus::Error);

/// Every series of a snapshot, and those of the process that tells them.
pub fn exposition(snapshot: &Snapshot, process: &ProcessCollector) -> Result<String, ExpositionError> {
    let mut families: Vec<MetricFamily> = families(snapshot).into_iter().filter_map(Family::finish).collect();
    families.extend(process.collect());
    let mut text = String::with_capacity(64 << 10);
    TextEncoder::new().encode_utf8(&families, &mut text)?;
    Ok(text)
}

fn families(snapshot: &Snapshot) -> Vec<Family> {
    let mut families: Vec<Family> = traffic::families(snapshot).into();
    families.extend(rules::families(snapshot));
    families.extend(accounting::families(snapshot));
    families.extend(enforcement::families(snapshot));
    families
}
