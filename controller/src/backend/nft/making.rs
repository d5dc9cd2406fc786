//! The table of a generation, as much as this kernel takes of it.
//!
//! Promises: a kernel without the parts that tell of frames judges them all the same; that is asked for and never tried on the
//! table of an interface.

use std::io;

use super::drift::drift;
use super::ir::{Base, Rule, Statement, Table};
use super::listing::Listing;
use super::lower::{Options, TooLarge, lower};
use super::netlink::batch::Step;
use super::record::{Place, Record};
use super::transact;
use crate::backend::netlink::ask_for_log;
use crate::digest::Digest;
use crate::ruleset::{Mode, Ruleset};

/// What a table is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making<'a> {
    pub(super) instance: &'a str,
    pub(super) ruleset: &'a Ruleset,
    pub(super) index: usize,
    pub(super) place: Place,
    pub(super) generation: u64,
    pub(super) policy: Digest,
}

impl Making<'_> {
    /// The table, with its record in it, and the record; one that tells of no frame where it is to be `silent`.
    pub(super) fn make(&self, silent: bool) -> Result<(Table, Record), TooLarge> {
        let (instance, prefix) = (self.instance.to_owned(), self.place.prefix().to_owned());
        let made = lower(self.ruleset, self.index, &Options { instance, prefix, tell: None, silent })?;
        let record = Record::new(&made, self.place, self.generation, self.policy);
        Ok((Table { base: with_record(made.base, &record.to_string()), ..made }, record))
    }

    /// In which ways what the kernel lists is not the table, and the table. One that was loaded where the kernel could not tell
    /// of frames is as it should be.
    pub(super) fn compare(&self, found: &Listing) -> Result<(Table, Vec<String>), TooLarge> {
        let compared = |silent| self.make(silent).map(|(table, _)| (drift(&table, found), table));
        let (mut drift, mut table) = compared(false)?;
        if !drift.is_empty() && !found.tells() {
            let silent = compared(true)?;
            (drift, table) = if silent.0.len() < drift.len() { silent } else { (drift, table) };
        }
        Ok((table, drift))
    }

    /// Whether it is to be silent on this kernel. Behind XDP it is so anyway.
    pub(super) fn is_silent(&self) -> bool {
        self.ruleset.interfaces[self.index].mode == Mode::Both || can_tell().is_err()
    }
}

/// Whether this kernel has all that it takes to tell of frames: nfnetlink_log, and the expressions `log` and `limit`, which
/// may be modules of their own and are loaded by that.
pub fn can_tell() -> io::Result<()> {
    ask_for_log()?;
    let told = [Statement::Beyond { rate: 1, burst: 1 }, Statement::Log { group: 0, prefix: String::new() }];
    try_out(&Rule::new(told.to_vec()))
}

/// Whether this kernel takes a rule.
fn try_out(rule: &Rule) -> io::Result<()> {
    const TABLE: &str = "perimeter-probe";
    const CHAIN: &str = "probe";
    transact::try_out(TABLE, &[Step::Table, Step::Chain(CHAIN), Step::Rule(CHAIN, rule)])
}

/// The base chain with the record as the comment of its first rule.
fn with_record(mut base: Base, record: &str) -> Base {
    if let Some(first) = base.rules.first_mut() {
        first.comment = Some(record.to_owned());
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// Goal: a silent table is no drift, also where the kernel could tell by now, and a changed one is. Method: both kinds of
    /// table, whole and with a rule less.
    #[test]
    fn a_silent_table_is_as_it_should_be_and_a_changed_one_is_not() {
        let ruleset = samples::ruleset(&["wan0"]);
        let (place, policy) = (Place::A, Digest::of(&ruleset));
        let making = Making { instance: "", ruleset: &ruleset, index: 0, place, generation: 3, policy };
        for silent in [false, true] {
            let mut found = Listing::expected(&making.make(silent).unwrap().0);
            assert_eq!(found.tells(), !silent);
            assert_eq!(making.compare(&found).unwrap().1, [] as [String; 0], "silent: {silent}");
            found.chains.get_mut("drop.no_rule").unwrap().pop();
            let drift = making.compare(&found).unwrap().1;
            assert_eq!(drift.len(), 1, "silent: {silent}: {drift:?}");
        }
    }
}
