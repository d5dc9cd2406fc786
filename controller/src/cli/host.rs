//! The machine that a command works on: its kernel, and the state directory.

use std::collections::BTreeMap;

use anyhow::bail;
use jiff::Timestamp;

use super::change::Wish;
use super::{Env, Global, timer};
use crate::backend::guards::Guards;
use crate::backend::nft::Nft;
use crate::backend::offload::Devices;
use crate::backend::xdp::{Xdp, namespace};
use crate::backend::{Backend, BackendError, Enforcement, Engine, Observed, Wanted};
use crate::compile::compile;
use crate::digest::Digest;
use crate::plan::{Applied, Facts, Known, Plan};
use crate::ruleset::Ruleset;
use crate::state::{
    Event, Lock, Namespace, Occasion, Record, State, Stored, earlier, expected, kept, on_trial,
};
use crate::status::{Keeper, TrialStatus};
use crate::tables::Image;

/// Everything in the kernel that judges frames.
pub(super) type Kernel = Guards<Xdp, Nft, Devices>;

pub(super) struct Host {
    pub(super) state: State,
    pub(super) backend: Kernel,
    pub(super) namespace: Namespace,
}

const NOT_WHOLE: &str =
    "there is nothing whole to come back to; apply without --confirm-within first; nothing was changed";

/// Of a table whose policy is not kept whole.
const UNTOLD: &str = "its policy is not kept whole in the state directory: whether its nftables table was edited cannot be told";

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
        let backend = Guards {
            xdp: Xdp::new(&global.bpffs, namespace)?,
            nft: Nft::new(&global.bpffs),
            offloads: Devices::new(&memory),
        };
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

    /// What the state directory knows of the policies in force, as of `at`.
    pub(super) fn known(
        &self,
        observed: &[Observed],
        at: Timestamp,
    ) -> anyhow::Result<BTreeMap<Digest, Known>> {
        let mut known = BTreeMap::new();
        for record in observed.iter().flat_map(Observed::records) {
            if let Some((record, ruleset)) = self.state.find(record.policy, record.generation)? {
                known.insert(record.policy, Known::new(ruleset, applied(record), at));
            }
        }
        Ok(known)
    }

    /// Adds to what was observed how it differs from what was put in force.
    pub(super) fn inspect(
        &self,
        observed: &mut [Observed],
        known: &BTreeMap<Digest, Known>,
    ) -> anyhow::Result<()> {
        for one in observed {
            let mut damage = Vec::new();
            for record in one.records() {
                let Some(Known { stored, .. }) = known.get(&record.policy) else {
                    // Programs and their tables cannot be edited; nftables' rules can.
                    damage.extend((record.engine == Engine::Nft).then(|| UNTOLD.to_owned()));
                    continue;
                };
                let index = stored.interfaces.iter().position(|interface| interface.name == one.interface);
                if let Some(index) = index {
                    damage.extend(self.backend.inspect(stored, index, record)?);
                }
            }
            one.damage.extend(damage);
        }
        Ok(())
    }

    /// The circumstances of what the command does.
    pub(super) fn occasion(&self, env: &Env<'_>) -> Occasion {
        Occasion { at: env.now, author: env.author.clone(), namespace: self.namespace }
    }

    /// The content of a stored generation, without the rules that have expired at `now`.
    pub(super) fn stored(&self, number: u64, now: Timestamp) -> anyhow::Result<Wish> {
        let Stored { record, ruleset, sources } = self.state.generation(number)?;
        Ok(Wish::new(ruleset.as_of(now), sources, record.policy_file))
    }

    /// What a wish says of the interfaces that take it now, and the names of the others; nothing where none does.
    pub(super) fn reachable(&self, wish: &Wish) -> anyhow::Result<Option<(Wish, Vec<String>)>> {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for name in names(&wish.ruleset) {
            let alone = wish.ruleset.clone().of_interfaces(|one| one == name);
            let takes = Plan::new(
                &alone,
                &[0],
                Facts { observed: &[self.backend.observe(&name)?], known: &BTreeMap::new() },
            );
            if takes.is_ok() { there.push(name) } else { gone.push(name) }
        }
        let ruleset = wish.ruleset.clone().of_interfaces(|one| there.iter().any(|name| name == one));
        Ok((!there.is_empty())
            .then(|| (Wish { ruleset, partial: !gone.is_empty(), ..wish.clone() }, gone.clone())))
    }

    /// The generation on trial according to a journal, as of `now`, and who takes it back.
    pub(super) fn trial(&self, journal: &[Event], now: Timestamp) -> Option<TrialStatus> {
        let trial = on_trial(journal, self.namespace)?;
        let keeper = if self.state.is_held(trial.generation) {
            Some(Keeper::Process)
        } else {
            timer::stands(self.namespace, &trial).then_some(Keeper::Timer)
        };
        Some(TrialStatus::new(&trial, keeper, now))
    }

    /// Refuses to change anything while a generation is on trial.
    pub(super) fn refuse_trial(&self, now: Timestamp) -> anyhow::Result<()> {
        match self.trial(&self.state.recent(self.namespace)?, now) {
            None => Ok(()),
            Some(trial) => bail!("{}; nothing was changed", trial.undecided()),
        }
    }

    /// The one generation that is in force on every enforced interface of a plan; nothing where none is enforced. Refuses
    /// where it is not whole: there would be nothing to come back to.
    pub(super) fn whole(&self, plan: &Plan) -> anyhow::Result<Option<u64>> {
        let settled = expected(&self.state.recent(self.namespace)?, self.namespace).settled;
        let mut records = plan.interfaces.iter().filter_map(|one| match &one.now {
            Enforcement::InForce(record) => Some((one.interface.as_str(), record.generation)),
            _ => None,
        });
        let Some(settled) = settled else {
            return match records.next() {
                None => Ok(None),
                Some((interface, _)) => bail!("what {interface} enforces is not in the records: {NOT_WHOLE}"),
            };
        };
        let in_force: Vec<(&str, u64)> = records.collect();
        let is_whole = in_force.len() == settled.interfaces.len()
            && in_force.iter().all(|(name, generation)| {
                *generation == settled.generation && settled.interfaces.iter().any(|one| one == name)
            });
        if is_whole {
            return Ok(Some(settled.generation));
        }
        bail!("generation {} is not in force on every one of its interfaces: {NOT_WHOLE}", settled.generation)
    }

    /// Lets go of the policies of generations that nothing needs any more.
    pub(super) fn prune(&self, lock: &Lock, env: &Env<'_>) -> anyhow::Result<()> {
        let journal = self.state.recent(self.namespace)?;
        let expected = expected(&journal, self.namespace);
        let sides = [expected.settled, expected.begun, kept(&journal, self.namespace)];
        let needed = sides.into_iter().flatten().map(|one| one.generation);
        Ok(self.state.prune(lock, &needed.chain(earlier(&journal, self.namespace)).collect(), env.now)?)
    }

    /// The tables of every interface of a policy.
    pub(super) fn compile(ruleset: &Ruleset) -> anyhow::Result<Vec<Image>> {
        let interfaces = 0..ruleset.interfaces.len();
        Ok(interfaces.map(|interface| compile(ruleset, interface)).collect::<Result<_, _>>()?)
    }

    /// Compiles a policy and compares it with the kernel; prints every refusal and gives nothing where there is one.
    pub(super) fn plan(&self, ruleset: &Ruleset, env: &mut Env<'_>) -> anyhow::Result<Option<Planned>> {
        let images = Host::compile(ruleset)?;
        let Some((mut plan, known)) = self.compare_known(ruleset, &images, env)? else { return Ok(None) };
        plan.tell(ruleset, &images, &known)?;
        Ok(Some(Planned { plan, images }))
    }

    /// Compares a policy and its tables with the kernel, without telling what the plan means; prints every refusal and
    /// gives nothing where there is one.
    pub(super) fn compare(
        &self,
        ruleset: &Ruleset,
        images: &[Image],
        env: &mut Env<'_>,
    ) -> anyhow::Result<Option<Plan>> {
        Ok(self.compare_known(ruleset, images, env)?.map(|(plan, _)| plan))
    }

    fn compare_known(
        &self,
        ruleset: &Ruleset,
        images: &[Image],
        env: &mut Env<'_>,
    ) -> anyhow::Result<Option<(Plan, BTreeMap<Digest, Known>)>> {
        let mut observed = self.observe(&names(ruleset))?;
        let known = self.known(&observed, env.now)?;
        self.inspect(&mut observed, &known)?;
        let sizes: Vec<u64> = images.iter().map(kernel_bytes).collect();
        match Plan::new(ruleset, &sizes, Facts { observed: &observed, known: &known }) {
            Ok(plan) => Ok(Some((plan, known))),
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

pub(super) fn applied(record: Record) -> Applied {
    Applied { at: record.occasion.at, by: record.occasion.author.by, policy_file: record.policy_file }
}

/// Memory that an image takes in the kernel, whose maps hold a power of two of words.
fn kernel_bytes(image: &Image) -> u64 {
    image.size_bytes().next_power_of_two() as u64
}
