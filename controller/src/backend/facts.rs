//! What a machine and its network devices say of themselves, for whoever asks whether they can enforce.
//!
//! Promises: plain data of one moment. What could not be read is [`Unknown`] and says why; nothing is left out because it
//! could not be read, and nothing is filled in by a guess.

mod host;
mod nic;

pub use host::{
    Bpffs, Chain, Clock, Flowtable, Folder, HostFacts, KernelFeature, Memory, Nftables, Probe, Rights, Trial,
};
pub use nic::{Channels, Link, NicFacts, Peer, Toggle, XdpFeatures};

/// Something that was read, or why it could not be.
pub type Fact<T> = Result<T, Unknown>;

/// Why something could not be read, in words that follow a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Unknown {
    /// What the system below answered.
    pub fn because(cause: impl ToString) -> Unknown {
        Unknown(cause.to_string())
    }
}
