//! What carries a ruleset into the kernel.
//!
//! Promises: a backend takes compiled data and handles, never a policy; it reports what the kernel did, not what was asked.

pub mod xdp;
