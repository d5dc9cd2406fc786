//! The nftables backend as the rest of the program sees it.
//!
//! Promises: a generation is loaded whole beside the one in force, under other names, and put in force by changing the rules
//! of the base chain in one transaction: no frame meets half a policy, nor a set that is being emptied. The
//! generation before stays loaded until `settle`, so that going back compiles nothing. Counters belong to
//! the table, and outlive generations.

use std::path::Path;

use perimeter_classifier::abi::ABI_VERSION;

use super::ir::{BASE, Table};
use super::listing::Listing;
use super::making::Making;
use super::netlink::batch::Step;
use super::read::{self, Hook, Rule};
use super::record::{Place, Record};
use super::{names, standing, transact};
use crate::backend::{
    Backend, BackendError, Device, Enforcement, Engine, Foreign, InForce, Observed, OtherVersion, Refused,
    Switched, Target,
};
use crate::counters::{Count, Counts, Series};
use crate::ruleset::Ruleset;

/// nftables in the network namespace of this process.
#[derive(Debug)]
pub struct Nft {
    instance: String,
}

/// A generation that is loaded, and what it takes to go back.
#[derive(Debug)]
pub struct Prepared {
    interface: String,
    table: Table,
    record: Record,
    /// The base chain before the switch: its policy and its rules.
    before: Option<(Hook, Vec<Rule>)>,
}

/// Bytes of an Ethernet header, which the kernel does not count, and of a tag.
const ETHERNET: u64 = 14;
const TAG: u64 = 4;

impl Nft {
    /// The backend of the instance that keeps its pins in `bpffs`; its tables are named after that.
    pub fn new(bpffs: &Path) -> Nft {
        Nft { instance: names::instance(bpffs) }
    }

    fn table(&self, interface: &str) -> String {
        names::table(&self.instance, interface)
    }

    /// What is in force on an interface, as its table says.
    fn enforcement(&self, interface: &str) -> Result<Enforcement, BackendError> {
        let table = self.table(interface);
        let chains = read::chains(&table).map_err(unread(&table))?;
        let lost = |why: &str| Ok(Enforcement::Lost { why: why.to_owned() });
        let Some(hook) = chains.iter().find(|chain| chain.name == BASE).map(|chain| chain.hook.clone())
        else {
            return if chains.is_empty() { Ok(Enforcement::Off) } else { lost("its base chain is gone") };
        };
        let hook = hook.as_ref();
        if let Some(why) = self.idle(interface, hook).map_err(unread(&table))? {
            return lost(&why);
        }
        let rules = read::base_rules(&table).map_err(unread(&table))?;
        match rules.first().and_then(record) {
            Some(Record { abi, .. }) if abi != ABI_VERSION => {
                Ok(Enforcement::OtherVersion(OtherVersion { engine: Engine::Nft, abi, program_id: 0 }))
            }
            Some(record) => Ok(Enforcement::InForce(InForce {
                interface: interface.to_owned(),
                engine: Engine::Nft,
                generation: record.generation,
                policy: record.policy,
                enforce: record.enforce,
                abi: record.abi,
                program_id: 0,
                table_bytes: record.bytes,
            })),
            None if rules.is_empty() => lost("its nftables table was flushed"),
            None if rules.iter().any(|rule| record(rule).is_some()) => {
                lost("a rule that perimeter did not write stands before those of its nftables table")
            }
            None => lost("the first rule of its nftables table is gone, which says what it enforces"),
        }
    }

    /// Why no frame meets the base chain, if so.
    fn idle(&self, interface: &str, hook: Option<&Hook>) -> std::io::Result<Option<String>> {
        let is_dormant = read::is_dormant(&self.table(interface))?;
        let Some(hook) = hook else { return Ok(Some("its base chain has no hook".to_owned())) };
        let why = standing::idle(hook, interface, is_dormant);
        // Since Linux 6.16 a base chain stands on a name, and leaves a device that is renamed.
        let gone = transact::device_index(interface).is_none().then(|| {
            format!(
                "the device is gone, and its nftables rules stand ready for its return; if it was renamed it is open until \
                 `ip link set NEW name {interface}`, or an apply of a policy with its new name"
            )
        });
        Ok(why.or(gone))
    }

    /// The policy and the rules of the base chain, where it stands.
    fn base(&self, interface: &str) -> Result<Option<(Hook, Vec<Rule>)>, BackendError> {
        let table = self.table(interface);
        let chains = read::chains(&table).map_err(unread(&table))?;
        let hook = chains.into_iter().find(|chain| chain.name == BASE).and_then(|chain| chain.hook);
        let Some(hook) = hook else { return Ok(None) };
        Ok(Some((hook, read::base_rules(&table).map_err(unread(&table))?)))
    }

    /// The place that the generation in force does not lie in; where that is not told any more, the one that is empty.
    fn free_place(&self, interface: &str) -> Result<Place, BackendError> {
        let table = self.table(interface);
        let before = self.base(interface)?;
        if let Some(in_force) = before.iter().flat_map(|(_, rules)| rules).find_map(record) {
            return Ok(in_force.place.other());
        }
        let chains = read::chains(&table).map_err(unread(&table))?;
        let taken = |place: Place| chains.iter().any(|chain| place.holds(&chain.name));
        Ok(if taken(Place::A) { Place::B } else { Place::A })
    }

    /// Whether the table of an interface can tell of frames.
    fn tells(&self, interface: &str) -> Result<bool, BackendError> {
        let table = self.table(interface);
        Ok(read::counter(&table, names::MADE).map_err(unread(&table))?.is_some())
    }

    /// Removes every chain and set of a place.
    fn unload(&self, interface: &str, place: Place) -> Result<(), BackendError> {
        let table = self.table(interface);
        let (is_of, failed) = (|name: &String| place.holds(name), unread(&table));
        let chains: Vec<String> = read::chains(&table)
            .map_err(&failed)?
            .into_iter()
            .map(|chain| chain.name)
            .filter(is_of)
            .collect();
        let sets: Vec<String> = read::sets(&table).map_err(failed)?.into_iter().filter(is_of).collect();
        if chains.is_empty() && sets.is_empty() {
            return Ok(());
        }
        let steps = chains
            .iter()
            .map(|chain| Step::Flush(chain))
            .chain(sets.iter().map(|set| Step::DeleteSet(set)))
            .chain(chains.iter().map(|chain| Step::DeleteChain(chain)));
        transact::carry_out(&table, &steps.collect::<Vec<_>>(), &format!("clear the nftables table {table}"))
    }

    /// Removes a table that judges nothing and never has: what was loaded only to stand in. One that has counted stays, since
    /// counters go on over every change of mode.
    fn remove_unused(&self, interface: &str) -> Result<(), BackendError> {
        let table = self.table(interface);
        let counters = read::counters(&table).map_err(unread(&table))?;
        if counters.iter().any(|counter| counter.packets != 0) || self.base(interface)?.is_some() {
            return Ok(());
        }
        transact::carry_out(&table, &[Step::DeleteTable], &format!("remove the nftables table {table}"))
    }

    /// Loads a generation; nothing refers to it yet.
    fn load(&self, prepared: &Prepared) -> Result<(), BackendError> {
        let made = &prepared.table;
        let mut steps = vec![Step::Table];
        steps.extend(made.counters.iter().map(Step::Counter));
        steps.extend(made.chains.iter().map(|chain| Step::Chain(&chain.name)));
        steps.extend((1..).zip(&made.sets).map(|(id, set)| Step::Set(set, id)));
        for chain in &made.chains {
            steps.extend(chain.rules.iter().map(|rule| Step::Rule(&chain.name, rule)));
        }
        transact::carry_out(&made.name, &steps, &format!("load the nftables table of {}", prepared.interface))
    }

    /// Puts the base chain up, or gives the one that stands other rules. One that stands otherwise than it should is made
    /// anew in the same transaction.
    fn enter(&self, made: &Table, standing: Option<&Hook>) -> Result<(), BackendError> {
        let mut steps = match standing {
            None => vec![Step::Base(&made.base)],
            Some(hook) if standing::is_as_written(hook, &made.base.device) => {
                vec![Step::Policy(made.base.accept), Step::Flush(BASE)]
            }
            Some(_) => vec![Step::Flush(BASE), Step::DeleteChain(BASE), Step::Base(&made.base)],
        };
        steps.extend(made.base.rules.iter().map(|rule| Step::Rule(BASE, rule)));
        transact::carry_out(
            &made.name,
            &steps,
            &format!("put the nftables rules of {} in force", made.base.device),
        )
    }

    /// Asks the kernel whether it has what was prepared.
    fn verify(&self, prepared: &Prepared) -> Result<(), BackendError> {
        let Record { generation, policy, .. } = prepared.record;
        match self.enforcement(&prepared.interface)? {
            Enforcement::InForce(found) if found.generation == generation && found.policy == policy => Ok(()),
            found => {
                let found = format!("the nftables table is {}", word(&found));
                Err(BackendError::NotAsAsked { interface: prepared.interface.clone(), found })
            }
        }
    }

    /// The interfaces with a table, and the tables.
    fn tables(&self) -> Result<Vec<(String, String)>, BackendError> {
        let tables =
            read::tables().map_err(|error| BackendError::failed("read the nftables tables", error))?;
        let mut ours: Vec<(String, String)> = tables
            .into_iter()
            .filter_map(|table| Some((names::interface(&self.instance, &table)?, table)))
            .collect();
        ours.sort();
        Ok(ours)
    }
}

impl Backend for Nft {
    type Prepared = Prepared;

    fn observe(&self, interface: &str) -> Result<Observed, BackendError> {
        let index = transact::device_index(interface);
        let device = index.map_or(Device::Missing, |index| Device::Ethernet { index });
        let enforcement = self.enforcement(interface)?;
        let silent = matches!(enforcement, Enforcement::InForce(_)) && !self.tells(interface)?;
        Ok(Observed { device, enforcement, silent, ..Observed::nothing(interface) })
    }

    fn enforced(&self) -> Result<Vec<String>, BackendError> {
        let mut enforced = Vec::new();
        for (interface, table) in self.tables()? {
            let chains = read::chains(&table)
                .map_err(|error| BackendError::failed(format!("read the nftables table {table}"), error))?;
            if !chains.is_empty() {
                enforced.push(interface);
            }
        }
        Ok(enforced)
    }

    fn prepare(&mut self, target: Target<'_>) -> Result<Prepared, BackendError> {
        let interface = target.name().to_owned();
        let place = self.free_place(&interface)?;
        let Target { ruleset, index, generation, policy, .. } = target;
        let making = Making { instance: &self.instance, ruleset, index, place, generation, policy };
        let refuse = |reason: String| BackendError::Refused {
            interface: interface.clone(),
            refused: vec![Refused { engine: Engine::Nft, reason }],
        };
        let (table, record) = making.make(making.is_silent()).map_err(|large| refuse(large.to_string()))?;
        let prepared = Prepared { interface: interface.clone(), table, record, before: None };
        self.unload(&interface, place)?;
        self.load(&prepared)?;
        Ok(prepared)
    }

    fn switch(&mut self, prepared: &mut Prepared) -> Result<Switched, BackendError> {
        let standing = self.base(&prepared.interface)?;
        let judges = |hook: &Hook| standing::idle(hook, &prepared.interface, false).is_none();
        prepared.before = standing.clone().filter(|(hook, _)| judges(hook));
        self.enter(&prepared.table, standing.as_ref().map(|(hook, _)| hook))?;
        if let Err(error) = self.verify(prepared) {
            // The error that is reported is the first; going back is all that is left to do.
            let _ = self.revert(prepared);
            return Err(error);
        }
        Ok(Switched { engines: vec![Engine::Nft], refused: Vec::new() })
    }

    fn revert(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        let Some((hook, rules)) = prepared.before.take() else { return self.lower(&prepared.interface) };
        let mut steps = vec![Step::Policy(hook.accept), Step::Flush(BASE)];
        steps.extend(rules.iter().map(|rule| Step::Raw(BASE, rule)));
        let what =
            format!("go back from generation {} on {}", prepared.record.generation, prepared.interface);
        transact::carry_out(&prepared.table.name, &steps, &what)?;
        self.unload(&prepared.interface, prepared.record.place)
    }

    fn settle(&mut self, prepared: &mut Prepared) -> Result<(), BackendError> {
        prepared.before = None;
        self.unload(&prepared.interface, prepared.record.place.other())
    }

    fn tidy(&mut self, interface: &str) -> Result<(), BackendError> {
        match self.enforcement(interface)? {
            Enforcement::InForce(_) => self.unload(interface, self.free_place(interface)?),
            _ => Ok(()),
        }
    }

    fn lower(&mut self, interface: &str) -> Result<(), BackendError> {
        let table = self.table(interface);
        let chains = read::chains(&table).map_err(unread(&table))?;
        if chains.iter().any(|chain| chain.name == BASE) {
            let steps = [Step::Flush(BASE), Step::DeleteChain(BASE)];
            transact::carry_out(&table, &steps, &format!("take down the nftables rules of {interface}"))?;
        }
        Place::ALL.into_iter().try_for_each(|place| self.unload(interface, place))
    }

    fn end_counters(&mut self) -> Result<(), BackendError> {
        for (_, table) in self.tables()? {
            transact::carry_out(&table, &[Step::DeleteTable], &format!("remove the nftables table {table}"))?;
        }
        Ok(())
    }

    fn discard(&mut self, prepared: Prepared) {
        // It was loaded and nothing leads to it: what is left of it, the next apply clears.
        let _ = self.unload(&prepared.interface, prepared.record.place);
        let _ = self.remove_unused(&prepared.interface);
    }

    fn inspect(
        &self,
        ruleset: &Ruleset,
        index: usize,
        in_force: &InForce,
    ) -> Result<Vec<String>, BackendError> {
        let interface = &ruleset.interfaces[index].name;
        let place = self.free_place(interface)?.other();
        let table = self.table(interface);
        let mut found = Listing::found(&table).map_err(unread(&table))?;
        match self.enforcement(interface)? {
            // It was replaced, or taken down, while it was read: what was listed is no damage to it.
            Enforcement::Off => return Ok(Vec::new()),
            Enforcement::InForce(now) if now.generation != in_force.generation => return Ok(Vec::new()),
            _ => {}
        }
        // What an interrupted apply has loaded, and nothing leads to; but for what stands on a hook of its own.
        let chains = read::chains(&table).map_err(unread(&table))?;
        let led_to = |name: &String| chains.iter().any(|chain| chain.name == *name && chain.hook.is_some());
        found.chains.retain(|name, _| !place.other().holds(name) || led_to(name));
        found.sets.retain(|name, _| !place.other().holds(name));
        let InForce { generation, policy, .. } = *in_force;
        let making = Making { instance: &self.instance, ruleset, index, place, generation, policy };
        let failed = |error| BackendError::failed(format!("lower the policy of {interface}"), error);
        let (table, mut drift) = making.compare(&found).map_err(failed)?;
        if let Some((hook, _)) = self.base(interface)? {
            if hook.accept != table.base.accept {
                let what = if table.base.accept { "drops" } else { "lets through" };
                drift.push(format!("chain {BASE} {what} what no rule decides"));
            }
            drift.extend(standing::astray(&hook, interface));
        }
        Ok(drift)
    }

    fn counters(&self) -> Result<Counts, BackendError> {
        let mut counts = Counts::new();
        for (interface, table) in self.tables()? {
            let counters = read::counters(&table)
                .map_err(|error| BackendError::failed(format!("read the counters of {interface}"), error))?;
            for counter in counters {
                let Some((outcome, subject, stripped)) = names::counted(&counter.name) else { continue };
                let series = Series { interface: interface.clone(), outcome, subject };
                let header = ETHERNET + if stripped { TAG } else { 0 };
                counts.entry(series).or_default().add(Count {
                    packets: counter.packets,
                    bytes: counter.bytes + counter.packets * header,
                    ..Count::default()
                });
            }
        }
        Ok(counts)
    }
}

/// That a table could not be read.
fn unread(table: &str) -> impl Fn(std::io::Error) -> BackendError {
    move |error| BackendError::failed(format!("read the nftables table {table}"), error)
}

/// The record in the comment of a rule.
fn record(rule: &Rule) -> Option<Record> {
    Record::parse(&read::comment(rule)?)
}

fn word(enforcement: &Enforcement) -> String {
    match enforcement {
        Enforcement::Off => "not there".to_owned(),
        Enforcement::Lost { why } => why.clone(),
        Enforcement::InForce(record) => format!("that of generation {}", record.generation),
        Enforcement::OtherVersion(_) => "that of another version".to_owned(),
        Enforcement::Foreign(Foreign { name, .. }) => format!("that of {name}"),
    }
}
