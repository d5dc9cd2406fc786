//! Laying tables out in one array of words.
//!
//! Promises: position 0 is never a table and reads as 0; a table of a cache line or more starts on one; equal pages and
//! nodes are stored once; nothing is written past the limit, and then `is_over` says so.

use perimeter_classifier::abi::{PAGE, group};
use rustc_hash::FxHashMap;

use super::partition::Pieces;

/// Most words of one image: 256 MiB.
pub(super) const MAX_WORDS: usize = 1 << 26;

/// A table of rows goes in without pages up to this many words (4 MiB): one read less, while still within a cache.
const PLAIN_TABLE_WORDS: usize = 1 << 20;

/// The words of an image as they are laid out.
#[derive(Clone)]
pub(super) struct Words {
    words: Vec<u32>,
    limit: usize,
    shared: FxHashMap<Vec<u32>, u32>,
}

/// The three settings of a table of rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Table {
    pub(super) position: u32,
    pub(super) stride: u32,
    pub(super) paged: bool,
}

impl Table {
    /// Writes the settings that the classifier's `cell` reads from `at` on.
    pub(super) fn set(self, settings: &mut [u32], at: usize) {
        settings[at] = self.position;
        settings[at + group::PAIRS_STRIDE] = self.stride;
        settings[at + group::PAIRS_PAGED] = u32::from(self.paged);
    }
}

impl Words {
    pub(super) fn new(limit: usize) -> Self {
        Words { words: vec![0; PAGE as usize], limit: limit.min(MAX_WORDS), shared: FxHashMap::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Words that may still be put.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.words.len())
    }

    /// Whether something did not fit.
    pub(super) fn is_over(&self) -> bool {
        self.words.len() > self.limit
    }

    pub(super) fn into_words(self) -> Vec<u32> {
        self.words
    }

    /// Puts a block; its position.
    pub(super) fn put(&mut self, block: &[u32]) -> u32 {
        self.put_with(block.len(), |words| words.extend_from_slice(block))
    }

    /// Puts a block, or finds the same one that was put this way before.
    pub(super) fn put_shared(&mut self, block: &[u32]) -> u32 {
        if let Some(&position) = self.shared.get(block) {
            return position;
        }
        let position = self.put(block);
        if !self.is_over() {
            self.shared.insert(block.to_vec(), position);
        }
        position
    }

    fn put_with(&mut self, length: usize, write: impl FnOnce(&mut Vec<u32>)) -> u32 {
        if length >= PAGE as usize {
            self.words.resize(self.words.len().next_multiple_of(PAGE as usize), 0);
        }
        let position = self.words.len();
        if position + length > self.limit {
            // Only the fact is kept: one word past the limit.
            self.words.resize(self.limit + 1, 0);
            return 0;
        }
        write(&mut self.words);
        position as u32
    }

    /// Puts a map from 16 bits as a word for each number.
    pub(super) fn put_line(&mut self, pieces: &Pieces<u32>, value: impl Fn(u32) -> u32) -> u32 {
        self.put_shared(&line(pieces, value))
    }

    /// Puts a map from 16 bits as 256 positions of pages of 256 words.
    pub(super) fn put_map(&mut self, pieces: &Pieces<u32>) -> u32 {
        let flat = line(pieces, |class| class);
        let pages: Vec<u32> = flat.chunks(256).map(|page| self.put_shared(page)).collect();
        self.put(&pages)
    }

    /// Puts a table of rows of equal length, `cells` one row after the other.
    pub(super) fn put_table(&mut self, cells: &[u32], columns: usize) -> Table {
        if cells.len() <= PLAIN_TABLE_WORDS {
            return Table { position: self.put(cells), stride: columns as u32, paged: false };
        }
        let stride = columns.div_ceil(PAGE as usize);
        let mut pages = Vec::with_capacity(cells.len() / columns * stride);
        let mut page = [0; PAGE as usize];
        for row in cells.chunks(columns) {
            for chunk in row.chunks(PAGE as usize) {
                page.fill(0);
                page[..chunk.len()].copy_from_slice(chunk);
                pages.push(self.put_shared(&page));
            }
        }
        Table { position: self.put(&pages), stride: stride as u32, paged: true }
    }
}

/// The 65,536 words of a map from 16 bits.
fn line(pieces: &Pieces<u32>, value: impl Fn(u32) -> u32) -> Vec<u32> {
    let mut words = vec![0; 1 << 16];
    for (index, &(start, class)) in pieces.iter().enumerate() {
        let end = pieces.get(index + 1).map_or(words.len(), |next| next.0 as usize).min(words.len());
        words[(start as usize).min(end)..end].fill(value(class));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_past_the_limit() {
        let mut words = Words::new(64);
        words.put(&[1; 40]);
        assert!(!words.is_over());
        words.put(&[1; 40]);
        assert!(words.is_over() && words.len() == 65);
    }

    #[test]
    fn equal_pages_of_a_map_are_stored_once() {
        let mut words = Words::new(MAX_WORDS);
        words.put_map(&vec![(0, 0), (80, 1), (81, 0)]);
        assert!(words.len() < 256 * 4);
    }
}
