//! The seals of the journal: whether its records are those that were written, in their order, and none is missing between.
//!
//! Promises: the seal of a record is SHA-256 over the seal before it and over the record as it stands in the file; a record
//! that was changed, removed, put in or moved no longer fits the next one, or itself. The first one goes on from all that
//! older versions have written, which sealed nothing. Not a signature: who can write the journal can seal it anew, and can
//! cut off its end. A seal that is kept elsewhere tells: it is not found any more.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use super::recent::{WINDOW, last, lines};
use super::{State, StateError};
use crate::digest::Digest;

/// What stands around a seal, the last field of a record.
const FIELD: &[u8] = b",\"seal\":\"";
const END: &[u8] = b"\"}";
const DIGITS: usize = 64;

/// What the seals of a journal say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// The seal of each record, the oldest first.
    pub seals: Vec<Digest>,
    /// How many records stand before them that have none: an older version wrote them.
    pub unsealed: usize,
    /// Numbers of lines that are no record, from 1: a crash cut them short.
    pub torn: Vec<usize>,
    /// What is not as it was written.
    pub broken: Vec<Broken>,
}

/// A record that is not what was written, by the number of its line, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error(
        "line {0} does not go on from the record before it: one of the two was changed, or one between them removed"
    )]
    Changed(usize),
    #[error(
        "line {0} has no seal, where one before it has: an older version wrote it, or it was put in, or its seal taken out"
    )]
    Unsealed(usize),
}

/// Where a journal goes on.
pub(super) struct Tail {
    /// Its last line was not finished.
    pub(super) torn: bool,
    /// What the next record is sealed with.
    pub(super) seal: Option<Digest>,
}

impl State {
    /// Whether the records of all namespaces are as they were written.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn check_seals(&self) -> Result<Sealed, StateError> {
        let mut journal = self.journal_bytes()?;
        if journal.last().is_some_and(|&byte| byte != b'\n') {
            // Somebody may be writing.
            journal = self.journal_bytes()?;
        }
        Ok(check(&journal))
    }
}

/// A line for `record`, an object as JSON, after a record with the seal `before`.
pub(super) fn sealed(mut record: Vec<u8>, before: Option<Digest>) -> Vec<u8> {
    let seal = over(&record, before).to_string();
    record.truncate(record.len().saturating_sub(1));
    [&record, FIELD, seal.as_bytes(), END, b"\n"].concat()
}

/// Where the next line goes on.
pub(super) fn tail(file: &mut File) -> io::Result<Tail> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut window = WINDOW;
    loop {
        let text = last(file, length, window)?;
        let seal = lines(&text).rev().find_map(apart).map(|(_, seal)| seal);
        if seal.is_some() || window >= length {
            let torn = text.last().is_some_and(|&byte| byte != b'\n');
            let end: &[u8] = if torn { b"\n" } else { b"" };
            return Ok(Tail { torn, seal: seal.or_else(|| unsealed(&[&text, end].concat())) });
        }
        window = window.saturating_mul(4);
    }
}

fn check(journal: &[u8]) -> Sealed {
    let mut found = Sealed::default();
    let mut start = 0;
    for (line, number) in lines(journal).zip(1..) {
        let before = found.seals.last().copied().or_else(|| unsealed(&journal[..start]));
        start += line.len() + 1;
        match apart(line) {
            Some((record, seal)) => {
                if over(&record, before) != seal {
                    found.broken.push(Broken::Changed(number));
                }
                found.seals.push(seal);
            }
            None if line.is_empty() => {}
            None if serde_json::from_slice::<serde_json::Value>(line).is_err() => found.torn.push(number),
            None if found.seals.is_empty() => found.unsealed += 1,
            None => found.broken.push(Broken::Unsealed(number)),
        }
    }
    found
}

/// What the first seal goes on from: everything that stands before it.
fn unsealed(text: &[u8]) -> Option<Digest> {
    (!text.is_empty()).then(|| Digest::of_bytes(text))
}

/// The record of a line, and the seal that it has.
fn apart(line: &[u8]) -> Option<(Vec<u8>, Digest)> {
    let line = line.strip_suffix(END)?;
    let (record, digits) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
    let digits = std::str::from_utf8(digits).ok()?;
    let seal: Digest = digits.parse().ok()?;
    // Capital letters are another text.
    let is_as_written = seal.to_string() == digits;
    is_as_written.then_some(([record.strip_suffix(FIELD)?, b"}"].concat(), seal))
}

fn over(record: &[u8], before: Option<Digest>) -> Digest {
    Digest::of_bytes(&[before.as_ref().map_or(&[][..], |before| &before.0), record].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: u64 = 6;

    fn record(number: u64) -> Vec<u8> {
        format!(r#"{{"by":"root","event":"begun","generation":{number}}}"#).into_bytes()
    }

    /// Lines, from the seal `before` on.
    fn written(numbers: impl Iterator<Item = u64>, mut before: Option<Digest>) -> Vec<Vec<u8>> {
        let line = |number| {
            let line = sealed(record(number), before);
            before = Some(over(&record(number), before));
            line
        };
        numbers.map(line).collect()
    }

    fn journal() -> Vec<Vec<u8>> {
        written(1..=RECORDS, None)
    }

    #[test]
    fn what_was_written_is_whole() {
        let found = check(&journal().concat());
        assert_eq!((found.seals.len() as u64, found.unsealed, found.torn), (RECORDS, 0, vec![]));
        assert_eq!(found.broken, []);
        assert_eq!(check(b""), Sealed::default());
    }

    /// Goal: no bit of a record can change unnoticed. Method: each of them in turn.
    #[test]
    fn every_bit_counts() {
        let whole = journal().concat();
        let clean = check(&whole);
        for at in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_ne!(check(&flipped), clean, "bit {at}");
        }
    }

    #[test]
    fn records_that_are_removed_doubled_moved_or_put_in_are_told() {
        let lines = journal();
        for at in 0..lines.len() - 1 {
            let mut removed = lines.clone();
            removed.remove(at);
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at].clone());
            let mut moved = lines.clone();
            moved.swap(at, at + 1);
            let mut foreign = lines.clone();
            foreign.insert(at + 1, [&record(9)[..], b"\n"].concat());
            for changed in [removed, doubled, moved, foreign] {
                assert!(
                    !check(&changed.concat()).broken.is_empty(),
                    "{at}: {}",
                    String::from_utf8_lossy(&changed.concat())
                );
            }
        }
    }

    /// Goal: who seals a changed journal anew, or cuts its end off, cannot keep a seal that was noted.
    #[test]
    fn a_seal_that_was_noted_is_not_found_in_another_journal() {
        let noted = *check(&journal().concat()).seals.last().unwrap();
        let anew = written([1, 2, 9, 4, 5, 6].into_iter(), None).concat();
        let cut = journal()[..5].concat();
        for other in [anew, cut] {
            assert!(!check(&other).seals.contains(&noted));
        }
    }

    /// Goal: a crash is not taken for a change. Method: the last line cut at every byte, and another written behind it.
    #[test]
    fn what_a_crash_cut_short_is_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let whole = journal().concat();
        let last = whole.len() - journal().last().unwrap().len();
        for end in last..whole.len() {
            let path = dir.path().join("journal");
            std::fs::write(&path, &whole[..end]).unwrap();
            let tail = tail(&mut File::open(&path).unwrap()).unwrap();
            assert_eq!(tail.torn, end > last, "{end}");
            let line = written(std::iter::once(7), tail.seal).concat();
            let between: &[u8] = if tail.torn { b"\n" } else { b"" };
            let found = check(&[&whole[..end], between, &line].concat());
            assert_eq!(found.broken, [], "{end}");
            // Only the end of the line was missing, or the line.
            let is_there = end == whole.len() - 1;
            assert_eq!(found.seals.len() as u64, RECORDS + u64::from(is_there), "{end}");
            assert_eq!(found.torn.len(), usize::from(tail.torn && !is_there), "{end}");
        }
    }

    /// Goal: what an older version wrote is sealed as it was found. Method: a journal without seals, longer than what is read
    /// at first, its last line torn or not, and a sealed record behind it; then a record of the older version again.
    #[test]
    fn what_had_no_seal_is_covered_by_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        for end in ["", "{\"by\":"] {
            let old = "{\"by\":\"root\"}\n".repeat(3_000) + end;
            assert!(old.len() as u64 > WINDOW);
            std::fs::write(&path, &old).unwrap();
            let tail = tail(&mut File::open(&path).unwrap()).unwrap();
            let between = if tail.torn { "\n" } else { "" };
            let line = written(std::iter::once(1), tail.seal).concat();
            let whole = [old.as_bytes(), between.as_bytes(), &line].concat();
            let found = check(&whole);
            assert_eq!((found.unsealed, found.seals.len(), &found.broken[..]), (3_000, 1, &[][..]));
            assert!(!check(&whole[14..]).broken.is_empty(), "the oldest was removed");
            let again =
                [&whole[..], b"{\"by\":\"root\"}\n", &written(2..=2, Some(found.seals[0])).concat()].concat();
            let last = whole.iter().filter(|&&byte| byte == b'\n').count() + 1;
            assert_eq!(check(&again).broken, [Broken::Unsealed(last)], "and no more than that");
        }
    }
}
