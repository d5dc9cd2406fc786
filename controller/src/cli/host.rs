//! The machine that a command works on: its kernel, and the state directory.

use std::collections::BTreeMap;

use anyhow::bail;

use super::policy_file::Loaded;
use super::{Env, Global};
use crate::backend::absent::Absent;
use crate::backend::guards::Guards;
use crate::backend::offload::Devices;
use crate::backend::xdp::{Xdp, namespace};
use crate::backend::{Backend, BackendError, Observed, Wanted};
use crate::compile::compile;
use crate::digest::Digest;
use crate::plan::{Applied, Facts, Known, Plan};
use crate::ruleset::Ruleset;
use crate::state::{Namespace, Record, State};
use crate::tables::Image;

/// Everything in the kernel that judges frames.
pub(super) type Kernel = Guards<Xdp, Absent, Devices>;

pub(super) struct Host {
    pub(super) state: State,
    pub(super) backend: Kernel,
    pub(super) namespace: Namespace,
}

/// A plan, and the tables it was made with.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) images: Vec<Image>,
}

impl Host {
    /// This machine, as `global` names its places.
    pub(super) fn open(global: &Global) -> anyhow::Result<Host> {
        if !rustix::process::geteuid().is_root() {
            bail!("what the kernel enforces is told to root only: run it again with sudo");
        }
        let namespace = namespace()?;
        let memory = global.state_dir.join(format!("offloads-{}", namespace.cookie));
        let backend =
            Guards { xdp: Xdp::new(&global.bpffs, namespace)?, nft: Absent, offloads: Devices::new(&memory) };
        Ok(Host { state: State::new(&global.state_dir), backend, namespace })
    }

    /// Refuses to enforce where enforcement would end with the shell. That there can be no pins at all is for the engines to
    /// say: nftables needs none.
    pub(super) fn require_lasting(&self, ruleset: &Ruleset) -> anyhow::Result<()> {
        if ruleset.interfaces.iter().all(|interface| Wanted::of(interface.mode).xdp.is_empty()) {
            return Ok(());
        }
        match self.backend.xdp.require_lasting() {
            Err(BackendError::Failed { .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    /// The interfaces of `named`, then those that are enforced beside them.
    pub(super) fn observe(&self, named: &[String]) -> anyhow::Result<Vec<Observed>> {
        let mut names = named.to_vec();
        names.extend(self.backend.enforced()?.into_iter().filter(|name| !named.contains(name)));
        Ok(names.iter().map(|name| self.backend.observe(name)).collect::<Result<_, _>>()?)
    }

    /// What the state directory knows of the policies in force.
    pub(super) fn known(&self, observed: &[Observed]) -> anyhow::Result<BTreeMap<Digest, Known>> {
        let mut known = BTreeMap::new();
        for record in observed.iter().flat_map(Observed::records) {
            if let Some((record, ruleset)) = self.state.find(record.policy)? {
                known.insert(record.policy, Known { ruleset, applied: applied(record) });
            }
        }
        Ok(known)
    }

    /// Compiles a policy and compares it with the kernel; prints every refusal and gives nothing where there is one.
    pub(super) fn plan(&self, loaded: &Loaded, env: &mut Env<'_>) -> anyhow::Result<Option<Planned>> {
        let ruleset = &loaded.ruleset;
        let images = (0..ruleset.interfaces.len())
            .map(|interface| compile(ruleset, interface))
            .collect::<Result<Vec<Image>, _>>()?;
        let observed = self.observe(&names(ruleset))?;
        let known = self.known(&observed)?;
        let sizes: Vec<u64> = images.iter().map(kernel_bytes).collect();
        match Plan::new(ruleset, &sizes, Facts { observed: &observed, known: &known }) {
            Ok(plan) => Ok(Some(Planned { plan, images })),
            Err(refusals) => {
                for refusal in refusals {
                    writeln!(env.err, "perimeter: {refusal}; nothing was changed")?;
                }
                Ok(None)
            }
        }
    }
}

/// The names of a policy's interfaces.
pub(super) fn names(ruleset: &Ruleset) -> Vec<String> {
    ruleset.interfaces.iter().map(|interface| interface.name.clone()).collect()
}

fn applied(record: Record) -> Applied {
    Applied { at: record.at, by: record.by, policy_file: record.policy_file }
}

/// Memory that an image takes in the kernel, whose maps hold a power of two of words.
fn kernel_bytes(image: &Image) -> u64 {
    image.size_bytes().next_power_of_two() as u64
}
