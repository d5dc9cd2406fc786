//! One problem in a policy, and how it is shown.
//!
//! Promises: one line a problem, `FILE:LINE:COLUMN: error: what is wrong: the offending text; how to mend it`; on a
//! terminal the source line with carets under it. Control characters and long lines of the input never reach the
//! reader's terminal.

use std::fmt::{self, Write as _};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

/// Whether a problem keeps the policy from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One problem, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The policy, or the file of addresses that it names, as a path that the reader can open.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub severity: Severity,
    /// What is wrong, with the offending text.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
    /// The source line, for terminals.
    #[serde(skip)]
    pub snippet: Snippet,
}

/// A part of a source line that is safe to print, and what to underline in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    text: String,
    /// Terminal cells before the first caret.
    indent: usize,
    /// Number of carets.
    carets: usize,
}

/// Characters of a source line shown before and after the place of the problem.
const BEFORE: usize = 60;
const AFTER: usize = 100;

impl Snippet {
    /// The part of the line around byte `at` of `text`, of which `length` characters are at fault. Looks no further than
    /// it shows, however long the line.
    pub(super) fn new(text: &str, at: usize, length: usize) -> Self {
        let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
        let ends_line = |c: &char| matches!(c, '\n' | '\r');
        let mut leading: Vec<char> =
            before.chars().rev().take_while(|c| !ends_line(c)).take(BEFORE + 1).collect();
        let mut trailing: Vec<char> = after.chars().take_while(|c| !ends_line(c)).take(AFTER + 1).collect();
        if leading.len() > BEFORE {
            leading[BEFORE] = '…';
        }
        if trailing.len() > AFTER {
            trailing[AFTER] = '…';
        }
        leading.reverse();
        let shown = |characters: &[char]| characters.iter().copied().map(visible).collect::<String>();
        let fault = shown(&trailing[..trailing.len().min(length)]);
        Snippet {
            indent: shown(&leading).width(),
            carets: fault.width().max(1),
            text: shown(&leading) + &shown(&trailing),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { file, line, column, severity, message, remedy, .. } = self;
        write!(f, "{file}:{line}:{column}: {severity}: {message}")?;
        if remedy.is_empty() { Ok(()) } else { write!(f, "; {remedy}") }
    }
}

impl Diagnostic {
    /// Several lines for a terminal, in colour or plain: the problem, the source line, carets and the remedy under it.
    pub fn illustrated(&self, colour: bool) -> String {
        let Diagnostic { file, line, column, severity, message, remedy, snippet } = self;
        let (bold, tint, plain) =
            if colour { ("\x1b[1m", tint(*severity), "\x1b[0m") } else { Default::default() };
        let gutter = " ".repeat(line.to_string().len().max(4) + 2);
        let mut shown = format!("{bold}{file}:{line}:{column}:{plain} {tint}{severity}:{plain} {message}\n");
        // Writing to a `String` cannot fail.
        let _ = writeln!(shown, "{gutter}|\n{line:>width$} | {}", snippet.text, width = gutter.len() - 1);
        let (indent, carets) = (" ".repeat(snippet.indent), "^".repeat(snippet.carets));
        let _ = write!(shown, "{gutter}| {indent}{tint}{carets}{plain} {remedy}");
        shown
    }
}

fn tint(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\x1b[1;31m",
        Severity::Warning => "\x1b[1;33m",
    }
}

/// `text` without characters that move the cursor, ring, colour or reorder.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// `text` in quotes, printable and at most 80 characters long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).map(visible).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

fn visible(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' => ' ',
        _ if character.is_control() => '\u{fffd}',
        // Zero-width and bidirectional controls: the line would not read as it is written (CVE-2021-42574).
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(line: &str, at: usize, length: usize) -> Diagnostic {
        Diagnostic {
            file: "a.yaml".into(),
            line: 14,
            column: 7,
            severity: Severity::Error,
            message: "wrong".into(),
            remedy: "mend it".into(),
            snippet: Snippet::new(line, at, length),
        }
    }

    #[test]
    fn one_line_names_place_fault_and_remedy() {
        assert_eq!(diagnostic("from: x", 6, 1).to_string(), "a.yaml:14:7: error: wrong; mend it");
    }

    #[test]
    fn carets_stand_under_the_fault_even_after_wide_characters() {
        let shown = diagnostic("before\r\n漢字: [abc]\nafter", 17, 3).illustrated(true);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[2], "   14 | 漢字: [abc]");
        assert!(lines[3].starts_with("      |        \x1b[1;31m^^^\x1b[0m mend it"), "{:?}", lines[3]);
    }

    #[test]
    fn without_colour_nothing_but_the_colour_is_missing() {
        let shown = diagnostic("from: x", 6, 1).illustrated(false);
        assert_eq!(shown, "a.yaml:14:7: error: wrong\n      |\n   14 | from: x\n      |       ^ mend it");
        let coloured = diagnostic("from: x", 6, 1).illustrated(true);
        let codes = ["\x1b[1m", "\x1b[1;31m", "\x1b[0m"];
        assert_eq!(codes.into_iter().fold(coloured, |text, code| text.replace(code, "")), shown);
    }

    #[test]
    fn hostile_and_endless_lines_are_tamed() {
        let line = format!("{}\x1b[2J\u{202e}evil{}", "x".repeat(5_000), "y".repeat(5_000));
        let shown = Snippet::new(&line, 5_000, 4).text;
        assert!(shown.chars().count() < 200);
        assert!(!shown.contains(['\x1b', '\u{202e}']));
        assert_eq!(quoted("a\x1bb"), "\"a\u{fffd}b\"");
        assert_eq!(Snippet::new("", 0, 0).carets, 1);
        assert_eq!(Snippet::new("short", 90, 5).text, "short");
    }
}
