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
        Record {
            abi: ABI_VERSION,
            place,
            generation,
            enforce: !table.base.accept,
            bytes: bytes(table),
            policy,
        }
    }

    /// The reverse of the display form, and of that of ABI 1, which wrote `generation=` and `policy=`; `None` for anything
    /// else.
    pub(super) fn parse(text: &str) -> Option<Record> {
        let words: Vec<&str> = text.split(' ').collect();
        let ["perimeter", place, abi, generation, enforce, bytes, policy] = words.as_slice() else {
            return None;
        };
        let of = |word: &str, key: &str| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        Some(Record {
            place: Place::ALL.into_iter().find(|known| known.name() == *place)?,
            abi: of(abi, "abi")?.parse().ok()?,
            generation: of(generation, "gen").or_else(|| of(generation, "generation"))?.parse().ok()?,
            enforce: of(enforce, "enforce")?.parse().ok()?,
            bytes: of(bytes, "bytes")?.parse().ok()?,
            policy: policy.strip_prefix("policy=").unwrap_or(policy).parse().ok()?,
        })
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Record { abi, place, generation, enforce, bytes, policy } = self;
        let place = place.name();
        write!(f, "perimeter {place} abi={abi} gen={generation} enforce={enforce} bytes={bytes} {policy}")
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
        let policy = "ab".repeat(32);
        let first = "perimeter b abi=99 generation=999999 enforce=false bytes=999999999 policy=";
        assert_eq!(Record::parse(&format!("{first}{policy}")), Some(record));
    }
}
