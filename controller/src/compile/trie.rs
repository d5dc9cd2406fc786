//! Address tries: 16 bits at the root, then 8 bits a step.
//!
//! Promises: every address leads to the class of its piece. Nodes are arrays of 256 entries while memory allows; when
//! there are very many, those with few different entries are compressed to a bit mask and their values (a step then
//! costs one read more). Equal nodes are stored once.

use perimeter_classifier::abi::{TRIE_COMPRESSED, TRIE_POINTER};
use rustc_hash::FxHashMap;

use super::partition::Pieces;
use super::words::Words;

/// All plain nodes of an image together may take this many words (32 MiB) before nodes are compressed.
const PLAIN_WORDS: usize = 1 << 23;

/// A node's entries as runs: an entry holds from its byte up to the next run.
type Runs = Vec<(u8, Entry)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Entry {
    Class(u32),
    Node(u32),
}

/// Tries that are built together and share nodes.
#[derive(Default)]
pub(super) struct Tries {
    nodes: Vec<Runs>,
    known: FxHashMap<Runs, u32>,
    roots: Vec<Vec<Entry>>,
}

/// Where the tries of an image are.
pub(super) struct Placed {
    pub(super) roots: Vec<u32>,
    pub(super) compressed: bool,
}

impl Tries {
    /// Adds the trie of `pieces` over addresses of `bits` bits (32 or 128).
    pub(super) fn add(&mut self, pieces: &Pieces<u32>, bits: u32) {
        let mut root = Vec::with_capacity(1 << 16);
        let mut rest = &pieces[..];
        for index in 0..1u128 << 16 {
            let entry = self.entry(&mut rest, index << (bits - 16), bits - 16);
            root.push(entry);
        }
        self.roots.push(root);
    }

    /// The entry for the `1 << bits` addresses from `start` on. `rest` begins with the piece that holds at `start`, and
    /// is moved on to the piece that holds behind them.
    fn entry(&mut self, rest: &mut &[(u128, u32)], start: u128, bits: u32) -> Entry {
        let class = Entry::Class(rest[0].1);
        let last = start + ((1u128 << bits) - 1);
        if rest.get(1).is_none_or(|next| next.0 > last) {
            self.advance(rest, last);
            return class;
        }
        let mut runs: Runs = Vec::new();
        for byte in 0..=255u8 {
            let entry = self.entry(rest, start + (u128::from(byte) << (bits - 8)), bits - 8);
            if runs.last().is_none_or(|run| run.1 != entry) {
                runs.push((byte, entry));
            }
        }
        let next = self.nodes.len() as u32;
        let number = *self.known.entry(runs.clone()).or_insert(next);
        if number == next {
            self.nodes.push(runs);
        }
        Entry::Node(number)
    }

    fn advance(&self, rest: &mut &[(u128, u32)], last: u128) {
        while rest.get(1).is_some_and(|next| last.checked_add(1).is_some_and(|after| next.0 <= after)) {
            *rest = &rest[1..];
        }
    }

    /// Lays the tries out.
    pub(super) fn place(&self, words: &mut Words) -> Placed {
        let plain_from = self.plain_from();
        let mut positions = Vec::with_capacity(self.nodes.len());
        let mut compressed = false;
        for runs in &self.nodes {
            // A node's children have lower numbers: they are placed already.
            let value = |entry| match entry {
                Entry::Class(class) => class,
                Entry::Node(node) => positions[node as usize],
            };
            let pointer = if runs.len() >= plain_from {
                TRIE_POINTER | words.put(&plain(runs, value))
            } else {
                compressed = true;
                TRIE_POINTER | TRIE_COMPRESSED | put_compressed(words, runs, value)
            };
            positions.push(pointer);
        }
        let root = |entries: &Vec<Entry>| -> Vec<u32> {
            let value = |&entry: &Entry| match entry {
                Entry::Class(class) => class,
                Entry::Node(node) => positions[node as usize],
            };
            entries.iter().map(value).collect()
        };
        let roots = self.roots.iter().map(|entries| words.put(&root(entries))).collect();
        Placed { roots, compressed }
    }

    /// Nodes with at least this many runs are plain.
    fn plain_from(&self) -> usize {
        let fits =
            |least: usize| self.nodes.iter().filter(|runs| runs.len() >= least).count() * 256 <= PLAIN_WORDS;
        [0, 4, 16, 64].into_iter().find(|&least| fits(least)).unwrap_or(usize::MAX)
    }
}

fn plain(runs: &Runs, value: impl Fn(Entry) -> u32) -> Vec<u32> {
    let mut entries = Vec::with_capacity(256);
    for (index, &(_, entry)) in runs.iter().enumerate() {
        let end = runs.get(index + 1).map_or(256, |next| usize::from(next.0));
        entries.resize(end, value(entry));
    }
    entries
}

/// Eight pairs (bits that begin a run, position of the first value), one for each 32 entries, then the values. Every
/// chunk begins a run of its own, so that a count inside the chunk finds the value.
fn put_compressed(words: &mut Words, runs: &Runs, value: impl Fn(Entry) -> u32) -> u32 {
    let entries = plain(runs, value);
    let mut masks = [0u32; 8];
    let mut values = Vec::new();
    let mut firsts = [0u32; 8];
    for (chunk, entries) in entries.chunks(32).enumerate() {
        firsts[chunk] = values.len() as u32;
        for (bit, &entry) in entries.iter().enumerate() {
            if bit == 0 || entries[bit - 1] != entry {
                masks[chunk] |= 1 << bit;
                values.push(entry);
            }
        }
    }
    let first = words.put(&values);
    let header: Vec<u32> = (0..8).flat_map(|chunk| [masks[chunk], first + firsts[chunk]]).collect();
    words.put(&header)
}
