//! What can enforce a ruleset, and what it says is in force.
//!
//! Promises: `observe` and `enforced` change nothing; `prepare` touches no packet; `switch` changes one interface between
//! two frames, and `revert` takes exactly that back. A backend decides nothing: the order of the steps is
//! [`crate::reconcile`]'s, the wish is the plan's.

pub mod memory;
pub mod nft;
mod observed;
pub mod xdp;

use crate::counters::{Counts, Full};
use crate::digest::Digest;
use crate::ruleset::Ruleset;
use crate::tables::Image;

pub use observed::{Device, Enforcement, Engine, Feature, Foreign, InForce, Observed, Offload};

/// One interface of one generation, compiled.
#[derive(Debug)]
pub struct Target<'a> {
    pub ruleset: &'a Ruleset,
    /// Position in [`Ruleset::interfaces`].
    pub index: usize,
    pub image: Image,
    pub generation: u64,
    pub policy: Digest,
}

impl Target<'_> {
    /// The name of the interface.
    pub fn name(&self) -> &str {
        &self.ruleset.interfaces[self.index].name
    }
}

/// How an interface came to be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    pub engine: Engine,
    /// Why native XDP was refused, where generic XDP stands in for it.
    pub native_refused: Option<String>,
}

/// Something that judges the frames of interfaces.
pub trait Backend {
    /// One interface of a generation, ready to be switched to.
    type Prepared;

    /// What is attached to a device, as the kernel says now.
    fn observe(&self, interface: &str) -> Result<Observed, BackendError>;

    /// The interfaces that this instance has pinned something for, in alphabetical order.
    fn enforced(&self) -> Result<Vec<String>, BackendError>;

    /// Creates, fills and verifies everything that enforces `target`; no packet meets it yet.
    fn prepare(&mut self, target: Target<'_>) -> Result<Self::Prepared, BackendError>;

    /// Switches offloads off, reads them back, and remembers which were on.
    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError>;

    /// Switches on again what [`Backend::switch_off`] switched off. Returns what is on now.
    fn restore(&mut self, interface: &str) -> Result<Vec<Feature>, BackendError>;

    /// Puts a prepared generation in force, between two frames, and verifies that the kernel says so.
    fn switch(&mut self, prepared: &mut Self::Prepared) -> Result<Switched, BackendError>;

    /// Takes back a switch that this process made: the generation before, or nothing where there was none.
    fn revert(&mut self, prepared: &mut Self::Prepared) -> Result<(), BackendError>;

    /// Ends enforcement on one interface and removes what is pinned for it; counters end with the last interface.
    fn detach(&mut self, interface: &str) -> Result<(), BackendError>;

    /// What every counter slot has counted.
    fn counters(&self) -> Result<Counts, BackendError>;
}

/// Why a backend could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error(
        "{interface}: native XDP was refused ({reason}); `mode: auto` or `mode: generic` would use generic XDP"
    )]
    NativeRefused { interface: String, reason: String },
    #[error("{interface}: {feature} was switched off, but the device still reports it on", feature = .feature.name())]
    OffloadStaysOn { interface: String, feature: Feature },
    #[error(
        "{path} does not lie on a bpf file system; mount one with `mount -t bpf bpf /sys/fs/bpf`, or name another place with --bpffs"
    )]
    NoBpffs { path: String },
    #[error(
        "the bpf file system at {path} is private to this shell and enforcement would end with it; enter the namespace with `nsenter --net=/run/netns/NAME` instead of `ip netns exec NAME`"
    )]
    PrivateBpffs { path: String },
    #[error(
        "{path} holds a counter map of another layout; move it away, which ends its counts, or use the perimeter that made it"
    )]
    CounterLayout { path: String },
    #[error(transparent)]
    Full(#[from] Full),
    #[error("{interface}: the kernel does not say what was asked of it: {found}")]
    NotAsAsked { interface: String, found: String },
    #[error("cannot {what}: {cause}")]
    Failed {
        /// What was tried, naming the interface or the path.
        what: String,
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BackendError {
    /// An error of the system below, with what was tried: "attach to wan0".
    pub fn failed(
        what: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> BackendError {
        BackendError::Failed { what: what.into(), cause: cause.into() }
    }
}
