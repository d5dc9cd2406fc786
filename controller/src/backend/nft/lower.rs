//! Ruleset to netdev table: the seven steps of the verdict in chains, the rules in maps.
//!
//! Promises: pure; the same ruleset gives the same table. A frame meets the steps in the order of the contract, and the
//! first that fails names the reason. Refuses a policy whose maps would be too large, naming the rules.
//!
//! A chain is a place in the walk of a frame: what is known of it so far is in the name of the chain it is in, as
//! nft has nowhere else to remember it. `shape` says how the kernel hands a frame over, `zones` which VLAN it is on.

mod arp;
mod buckets;
mod build;
mod entries;
mod ether;
mod events;
mod fast;
mod fragments;
mod ipv4;
mod ipv6;
mod layer4;
mod layers;
mod lengths;
mod lookup;
mod neighbour;
mod shape;
mod tags;
mod vlans;
mod window;
mod zones;

use super::ir::{Base, Rule, Statement, Table};
use super::names;
use crate::ruleset::Ruleset;
use build::Build;

/// How a table is made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The instance whose table it is (see [`names::instance`]).
    pub instance: String,
    /// What the names of chains and sets begin with: two generations lie side by side for a moment.
    pub prefix: String,
    /// Where verdicts are told to: nfnetlink_log, this group.
    pub tell: Option<u16>,
    /// Whether people are told of no frame: the kernel lacks what that takes.
    pub silent: bool,
}

/// A policy that nftables would take too much for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "interface {interface}: the nftables maps would take more than {} elements; most of it is due to {}; narrow these \
     rules, or use mode native or generic",
    lookup::MAX_ELEMENTS,
    rules.join(", ")
)]
pub struct TooLarge {
    pub interface: String,
    /// The ids of the rules that cost most, at most five.
    pub rules: Vec<String>,
}

/// The table of one interface of `ruleset`.
///
/// # Errors
/// [`TooLarge`] when its maps would be too large.
pub fn lower(ruleset: &Ruleset, index: usize, options: &Options) -> Result<Table, TooLarge> {
    let mut build = Build::new(ruleset, index, options);
    let rules = tags::entry(&mut build);
    let interface = &ruleset.interfaces[index];
    if let Some(rules) = build.too_large() {
        return Err(TooLarge { interface: interface.name.clone(), rules });
    }
    let base = Base { device: interface.name.clone(), accept: !interface.enforce, rules };
    Ok(build.finish(names::table(&options.instance, &interface.name), base))
}

/// Rules, and those that come after them.
fn both(mut rules: Vec<Rule>, after: Vec<Rule>) -> Vec<Rule> {
    rules.extend(after);
    rules
}

/// Statements in a row.
fn all(parts: impl IntoIterator<Item = Vec<Statement>>) -> Vec<Statement> {
    parts.into_iter().flatten().collect()
}
