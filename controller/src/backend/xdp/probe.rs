//! Facts about this machine and its devices, for [`crate::doctor`].
//!
//! Promises: nothing is changed on any device, no program is attached, no table is made; what is loaded or created to see
//! whether the kernel takes it is gone when the function returns. A question that the kernel does not answer becomes
//! [`Unknown`], not a guess.

mod kernel;
mod machine;
mod netfilter;
mod nic;
mod places;
mod xdp_features;

use std::io;
use std::path::Path;

use crate::backend::facts::{Fact, HostFacts, Unknown};
use crate::state::State;
use crate::tables::Image;

pub use nic::{ethernet_devices, nic};
pub(super) use xdp_features::features as xdp_features;

/// What is to be tried, and where perimeter keeps its things.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Tables of a small policy, and a frame that it passes.
    pub image: &'a Image,
    pub frame: &'a [u8],
    pub state_dir: &'a Path,
    pub bpffs: &'a Path,
    pub now: jiff::Timestamp,
    /// Whether nftables has all that it takes to tell of frames.
    pub can_tell: &'a io::Result<()>,
}

/// Everything about the machine.
pub fn host(question: Question<'_>) -> HostFacts {
    let kernel = machine::release();
    HostFacts {
        rights: machine::rights(),
        probes: kernel::probes(),
        trial: kernel::trial(question.image, question.frame),
        btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        timed: machine::timed(),
        lockdown: machine::lockdown(),
        memory: machine::memory(),
        pins: (question.bpffs.to_owned(), places::bpffs(question.bpffs)),
        state: places::folder(question.state_dir),
        clock: machine::clock(question.now, recorded(question.state_dir)),
        nftables: netfilter::nftables(question.can_tell).map_err(Unknown::because),
        legacy: machine::legacy_tables(),
        kernel,
    }
}

/// When something was last recorded.
fn recorded(state_dir: &Path) -> Fact<Option<jiff::Timestamp>> {
    let journal = State::new(state_dir).journal().map_err(Unknown::because)?;
    Ok(journal.iter().map(|event| event.occasion.at).max())
}
