//! Laying tables out in one array of words.
//!
//! Promises: position 0 is never a table and reads as 0; a table of a cache line or more starts on one; equal pages and
//! nodes are stored once; nothing is written past the limit, and then `is_over` says so.

use perimeter_classifier::abi::{PAGE, group};
use rustc_hash::FxHashMap;

use super::partition::Pieces;

/// Most words of one image: 256 MiB.
pub(super) const MAX_WORDS: usize = 1 << 26;

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
}

/// A table of lines of equal length that is put line by line: as it is, or, past a size, as positions of pages, of which
/// equal ones are stored once, at the price of one more read that waits for another.
pub(super) struct Lines {
    columns: usize,
    plain: bool,
    /// The cells, or the positions of the pages.
    found: Vec<u32>,
    /// The line before, where there are pages. Lines differ from it in little.
    before: Vec<u32>,
}

impl Lines {
    /// `lines` lines of `columns` cells; without pages up to `most_plain` cells.
    pub(super) fn new(lines: usize, columns: usize, most_plain: usize) -> Self {
        let plain = lines.saturating_mul(columns) <= most_plain;
        Lines { columns, plain, found: Vec::new(), before: Vec::new() }
    }

    /// Adds a line.
    pub(super) fn push(&mut self, words: &mut Words, line: &[u32]) {
        if self.plain {
            self.found.extend_from_slice(line);
            return;
        }
        let last = self.found.len().checked_sub(self.columns.div_ceil(PAGE as usize));
        let mut padded = [0; PAGE as usize];
        for (number, page) in line.chunks(PAGE as usize).enumerate() {
            let start = number * PAGE as usize;
            let position = match last {
                Some(last) if self.before[start..start + page.len()] == *page => self.found[last + number],
                _ => {
                    padded.fill(0);
                    padded[..page.len()].copy_from_slice(page);
                    words.put_shared(&padded)
                }
            };
            self.found.push(position);
        }
        self.before.clear();
        self.before.extend_from_slice(line);
    }

    /// Puts what was added.
    pub(super) fn put(self, words: &mut Words) -> Table {
        let stride = if self.plain { self.columns } else { self.columns.div_ceil(PAGE as usize) };
        Table { position: words.put(&self.found), stride: stride as u32, paged: !self.plain }
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

    /// Goal: a table reads the same with pages and without. Method: lines that differ in a few cells, both ways.
    #[test]
    fn pages_hold_what_the_lines_held() {
        let line = |number: u32| -> Vec<u32> { (0..150).map(|at| u32::from(at / 9 == number) * 7).collect() };
        for most_plain in [0, 3000] {
            let mut words = Words::new(MAX_WORDS);
            let mut lines = Lines::new(20, 150, most_plain);
            (0..20).for_each(|number| lines.push(&mut words, &line(number)));
            let table = lines.put(&mut words);
            assert_eq!(table.paged, most_plain == 0);
            let words = words.into_words();
            let cell = |row: u32, column: u32| {
                if !table.paged {
                    return words[(table.position + row * table.stride + column) as usize];
                }
                let page = words[(table.position + row * table.stride + column / PAGE) as usize];
                words[(page + column % PAGE) as usize]
            };
            for (row, column) in (0..20).flat_map(|row| (0..150).map(move |column| (row, column))) {
                assert_eq!(cell(row, column), line(row)[column as usize], "{most_plain} {row} {column}");
            }
        }
    }

    #[test]
    fn equal_pages_of_a_map_are_stored_once() {
        let mut words = Words::new(MAX_WORDS);
        words.put_map(&vec![(0, 0), (80, 1), (81, 0)]);
        assert!(words.len() < 256 * 4);
    }
}
