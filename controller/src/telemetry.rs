//! What is told about enforcement to machines and to screens: one [`Snapshot`], and what is made of it.
//!
//! Promises: pure, but for the figures of the agent's own process; every value is what the kernel said when the snapshot was
//! taken, so that whoever asks after a restart reads on where the one before stopped. Refuses nothing: what is not known is
//! absent, what has not happened is zero.

mod exposition;
mod family;
mod series;
mod snapshot;
mod trends;

pub use exposition::{CONTENT_TYPE, Exposition};
pub use snapshot::{InterfaceFacts, Readings, RuleFacts, Snapshot};
pub use trends::{Subject, Trend, Trends, View, verdict_name};

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
