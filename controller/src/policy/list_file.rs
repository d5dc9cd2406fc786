//! Files of addresses: one address or prefix a line, `#` begins a comment.
//!
//! Promises: problems are reported with the file's own name and line; a million lines take well under a second.

use super::address::{self, Blocks};
use super::diagnostic::Diagnostic;
use super::diagnostic::quoted;
use super::source::{Fault, Mark, Report, Source, decode};

/// Problems of one file that are reported singly; the rest are counted.
const MOST_PROBLEMS: usize = 1_000;

/// What a file holds, and what is wrong with it.
pub(super) struct Listing {
    pub(super) blocks: Blocks,
    pub(super) problems: Vec<Diagnostic>,
}

/// Reads a file of addresses that is shown as `name`.
pub(super) fn read(name: &str, bytes: &[u8]) -> Listing {
    let mut blocks = Blocks::default();
    let text = match decode(bytes) {
        Ok(text) => text,
        Err((at, fault)) => {
            let lossy = String::from_utf8_lossy(bytes);
            let mut report = Report::new(Source::new(name, &lossy));
            report.fault(at, &fault);
            return Listing { blocks, problems: report.into_found() };
        }
    };
    let mut report = Report::new(Source::new(name, text));
    let mut bad = 0;
    for (index, line) in text.lines().enumerate() {
        let content = line.split_once('#').map_or(line, |(before, _)| before);
        let word = content.trim();
        if word.is_empty() {
            continue;
        }
        match entry(word) {
            Ok(block) => blocks.add(block),
            Err(fault) => {
                bad += 1;
                if bad <= MOST_PROBLEMS {
                    report.fault(place(text, index, content, word), &fault);
                }
            }
        }
    }
    if bad > MOST_PROBLEMS {
        let message = format!("{} more lines of this file are wrong", bad - MOST_PROBLEMS);
        report.error(Mark::START, message, "mend those above first");
    }
    Listing { blocks, problems: report.into_found() }
}

fn entry(word: &str) -> Result<address::Block, Fault> {
    if word.contains(char::is_whitespace) {
        return Err(Fault::new(
            format!("more than one word: {}", quoted(word)),
            "write one address or prefix a line",
        ));
    }
    if word.starts_with(|first: char| first.is_ascii_alphabetic()) && !word.contains(':') {
        return Err(Fault::new(
            format!("not an address or prefix: {}", quoted(word)),
            "a file holds addresses and prefixes only; names belong in the policy",
        ));
    }
    address::parse(word)
}

/// The place of `word`, a part of `content`, a part of `text`.
fn place(text: &str, index: usize, content: &str, word: &str) -> Mark {
    let before = content.len() - content.trim_start().len();
    Mark {
        line: index + 1,
        column: content[..before].chars().count() + 1,
        length: word.chars().count(),
        offset: word.as_ptr().addr() - text.as_ptr().addr(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blank_lines_and_line_endings_do_not_matter() {
        let listing = read(
            "p.txt",
            "\u{feff}# head\r\n\r\n 10.0.0.0/8 # ours\r\n2001:db8::/32\r\n\t192.0.2.1".as_bytes(),
        );
        assert!(listing.problems.is_empty());
        let set = listing.blocks.into_set();
        assert_eq!((set.v4().len(), set.v6().len()), (2, 1));
    }

    #[test]
    fn problems_name_file_line_and_column() {
        let listing = read("p.txt", b"10.0.0.0/8\n  10.0.0.1/8 # x\noffice\n10.0.0.1 10.0.0.2\n");
        let shown: Vec<String> = listing.problems.iter().map(ToString::to_string).collect();
        assert!(
            shown[0].starts_with("p.txt:2:3: error: prefix has host bits set: 10.0.0.1/8; write"),
            "{shown:?}"
        );
        assert!(shown[1].starts_with("p.txt:3:1: error: not an address or prefix: \"office\""), "{shown:?}");
        assert!(shown[2].starts_with("p.txt:4:1: error: more than one word"), "{shown:?}");
        assert_eq!(read("p.txt", b"10.0.0.1\n\xff\n").problems[0].line, 2);
    }

    #[test]
    fn endless_problems_are_counted() {
        assert_eq!(read("p.txt", "x\n".repeat(5_000).as_bytes()).problems.len(), MOST_PROBLEMS + 1);
    }
}
