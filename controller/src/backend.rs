//! What can enforce a ruleset, and what it says is in force.
//!
//! Promises: `observe` and `enforced` change nothing; `prepare` touches no packet; `switch` changes one interface between
//! two frames, and `revert` takes exactly that back. A backend decides nothing: the order of the steps is
//! [`crate::reconcile`]'s, the wish is the plan's.

mod device;
mod ethtool;
pub mod facts;
pub mod guards;
pub mod loss;
pub mod memory;
mod netlink;
pub mod nft;
mod observed;
pub mod offload;
mod peer;
pub mod sessions;
pub mod sources;
mod uninterrupted;
mod wanted;
pub mod xdp;

use crate::counters::{Counts, Full};
use crate::digest::Digest;
use crate::ruleset::Ruleset;
use crate::tables::Image;

pub(crate) use device::is_fed;
pub use observed::{
    Bond, Device, Enforcement, Engine, Feature, Foreign, InForce, Observed, Offload, OtherVersion, accounted,
    names,
};
pub use wanted::{Nftables, Refused, Wanted, list};

/// One interface of one generation, compiled.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    pub ruleset: &'a Ruleset,
    /// Position in [`Ruleset::interfaces`].
    pub index: usize,
    /// Which engines are to judge it.
    pub wanted: Wanted,
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
    /// What judges it now, in the order in which a frame meets them.
    pub engines: Vec<Engine>,
    /// What was tried before, and why it was refused.
    pub refused: Vec<Refused>,
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

    /// Puts a prepared generation in force, between two frames, and verifies that the kernel says so.
    fn switch(&mut self, prepared: &mut Self::Prepared) -> Result<Switched, BackendError>;

    /// Takes back a switch that this process made: the generation before, or nothing where there was none.
    fn revert(&mut self, prepared: &mut Self::Prepared) -> Result<(), BackendError>;

    /// Takes down what judged beside the new generation until every interface had switched; there is no way back then.
    fn settle(&mut self, prepared: &mut Self::Prepared) -> Result<(), BackendError>;

    /// Lets go of what was prepared and is not in force.
    fn discard(&mut self, prepared: Self::Prepared) {
        drop(prepared);
    }

    /// Finishes what a change began that was interrupted after its switch, and takes away what another left before it. What is
    /// in force on the interface stays in force.
    fn tidy(&mut self, _interface: &str) -> Result<(), BackendError> {
        Ok(())
    }

    /// Ends enforcement on one interface and removes what is pinned for it; what it has counted stays.
    fn lower(&mut self, interface: &str) -> Result<(), BackendError>;

    /// Ends all counters. Nothing may be enforced any more.
    fn end_counters(&mut self) -> Result<(), BackendError>;

    /// In which ways what is in force is not what was made of `ruleset`, each in words; `record` is what it says of itself.
    /// Where nothing can be changed behind perimeter's back there are none.
    fn inspect(
        &self,
        _ruleset: &Ruleset,
        _index: usize,
        _record: &InForce,
    ) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    /// What every series has counted.
    fn counters(&self) -> Result<Counts, BackendError>;

    /// Ends enforcement on one interface; counters end with the last one.
    fn detach(&mut self, interface: &str) -> Result<(), BackendError> {
        self.lower(interface)?;
        if self.enforced()?.is_empty() { self.end_counters() } else { Ok(()) }
    }
}

/// Something that makes a device hand over frames as they were on the wire.
pub trait Offloads {
    /// Adds to what was observed the offloads of the device, and what it finds about them.
    fn look(&self, observed: &mut Observed) -> Result<(), BackendError>;

    /// Switches offloads off, reads them back, and remembers which were on.
    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError>;

    /// Switches on again what [`Offloads::switch_off`] switched off, but for what would harm one of `engines`. Returns
    /// what is on again.
    fn restore(&mut self, interface: &str, engines: &[Engine]) -> Result<Vec<Feature>, BackendError>;
}

/// Why a backend could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No engine that the policy asks for is to be had.
    #[error("{interface}: {}; {}", wanted::list(.refused), wanted::remedy(.refused))]
    Refused { interface: String, refused: Vec<Refused> },
    #[error("{cause}; going back on {interface} failed too: {back}")]
    HalfWay { interface: String, cause: Box<BackendError>, back: Box<BackendError> },
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
        #[source]
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
