//! What a table says of itself: the comment of the first rule that a frame meets.
//!
//! Promises: what is in force and its record change together, as they are one rule.

use perimeter_classifier::abi::ABI_VERSION;

use super::ir::{BASE, Table};
use crate::digest::Digest;

/// Where a generation lies in its table: one is in force, the other is free for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    A,
    B,
}

impl Place {
    pub(super) const ALL: [Place; 2] = [Place::A, Place::B];

    pub(super) fn other(self) -> Place {
        if self == Place::A { Place::B } else { Place::A }
    }

    fn name(self) -> &'static str {
        if self == Place::A { "a" } else { "b" }
    }

    /// What the names of its chains and sets begin with.
    pub(super) fn prefix(self) -> &'static str {
        if self == Place::A { "" } else { "b." }
    }

    /// Whether a chain or a set belongs to it.
    pub(super) fn holds(self, name: &str) -> bool {
        name != BASE && name.starts_with(Place::B.prefix()) == (self == Place::B)
    }
}

/// The record of what is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) abi: u32,
    /// Which of the two places for generations it lies in.
    pub(super) place: Place,
    pub(super) generation: u64,
    /// False in shadow mode.
    pub(super) enforce: bool,
    /// Memory of the sets, estimated.
    pub(super) bytes: u64,
    pub(super) policy: Digest,
}

impl Record {
    /// The record of a table.
    pub(super) fn new(table: &Table, place: Place, generation: u64, policy: Digest) -> Record {
        Record { abi: ABI_VERSION, place, generation, enforce: !table.base.accept, bytes: bytes(table), policy }
    }

    /// The reverse of the display form; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Record> {
        let words: Vec<&str> = text.split(' ').collect();
        let ["perimeter", place, abi, generation, judges, bytes, policy] = words.as_slice() else { return None };
        Some(Record {
            place: Place::ALL.into_iter().find(|known| known.name() == *place)?,
            abi: abi.strip_prefix("abi=")?.parse().ok()?,
            generation: generation.strip_prefix("gen=")?.parse().ok()?,
            enforce: [("enforce", true), ("shadow", false)].into_iter().find(|(word, _)| word == judges)?.1,
            bytes: bytes.strip_prefix("bytes=")?.parse().ok()?,
            policy: policy.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Record { abi, place, generation, enforce, bytes, policy } = self;
        let place = place.name();
        let judges = if *enforce { "enforce" } else { "shadow" };
        write!(f, "perimeter {place} abi={abi} gen={generation} {judges} bytes={bytes} {policy}")
    }
}

/// What the kernel keeps of each element and each rule beside their keys, about.
const OVERHEAD: usize = 64;

fn bytes(table: &Table) -> u64 {
    let sets = table.sets.iter().map(|set| {
        let key: usize = set.key.iter().map(|part| part.length().next_multiple_of(4)).sum();
        set.elements.len() * (2 * key + OVERHEAD)
    });
    let rules: usize = table.chains.iter().map(|chain| chain.rules.len() * 2 * OVERHEAD).sum();
    (sets.sum::<usize>() + rules) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nft::ir::COMMENT;

    #[test]
    fn a_record_is_read_back_and_fits_into_a_comment() {
        let record = Record {
            abi: 99,
            place: Place::B,
            generation: 999_999,
            enforce: false,
            bytes: 999_999_999,
            policy: Digest([0xab; 32]),
        };
        let text = record.to_string();
        assert_eq!(Record::parse(&text), Some(record));
        assert!(text.len() <= COMMENT, "{}", text.len());
        assert_eq!(Record::parse("somebody else's"), None);
    }
}
