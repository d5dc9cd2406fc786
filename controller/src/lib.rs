//! perimeter: a YAML allow-list, compiled, planned, applied and enforced by the kernel.
//!
//! Data flows one way: YAML text -> policy -> ruleset -> tables image -> plan -> apply -> observe. The rule set is the waist
//! that the policy ends in and everything else begins at. No module imports one that is listed below it.

pub mod printable;
pub mod ruleset;
pub mod space;

pub mod policy;
pub mod tables;

pub mod compile;
pub mod simulate;

pub mod meaning;

pub mod counters;
pub mod describe;
pub mod digest;
pub mod state;

pub mod backend;
pub mod doctor;
pub mod events;
pub mod lifelines;
pub mod plan;
pub mod reconcile;
pub mod status;
pub mod telemetry;

pub mod agent;

pub mod capture;
pub mod explain;
pub mod replay;
pub mod report;

pub mod cli;

#[cfg(test)]
mod samples;
