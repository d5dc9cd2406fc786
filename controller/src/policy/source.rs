//! The text of one file, its name, and the problems found in it.
//!
//! Promises: every problem is kept, none ends the reading. Refuses what is not UTF-8.

use super::diagnostic::{Diagnostic, Severity, Snippet, printable};

/// A place in a text: what a problem points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// In characters.
    pub(super) length: usize,
    /// In bytes, from the start of the text.
    pub(super) offset: usize,
}

impl Mark {
    /// The beginning of a file.
    pub(super) const START: Mark = Mark { line: 1, column: 1, length: 1, offset: 0 };
}

/// What is wrong with a piece of text, with the text, and how to mend it; whoever knows the place reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Fault { message: message.into(), remedy: remedy.into() }
    }
}

/// A decoded file.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// A text without its byte order mark.
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Source { name, text }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// A diagnostic at a place of this file.
    pub(super) fn diagnostic(&self, severity: Severity, at: Mark, fault: &Fault) -> Diagnostic {
        Diagnostic {
            file: printable(self.name),
            line: at.line,
            column: at.column,
            severity,
            message: printable(&fault.message),
            remedy: printable(&fault.remedy),
            snippet: Snippet::new(self.text, at.offset, at.length),
        }
    }
}

/// The problems of one file, as they are found.
pub(super) struct Report<'a> {
    pub(super) source: Source<'a>,
    found: Vec<Diagnostic>,
    errors: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        Report { source, found: Vec::new(), errors: 0 }
    }

    pub(super) fn error(&mut self, at: Mark, message: impl Into<String>, remedy: impl Into<String>) {
        self.fault(at, &Fault::new(message, remedy));
    }

    pub(super) fn fault(&mut self, at: Mark, fault: &Fault) {
        self.errors += 1;
        self.found.push(self.source.diagnostic(Severity::Error, at, fault));
    }

    pub(super) fn warning(&mut self, at: Mark, message: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(self.source.diagnostic(Severity::Warning, at, &Fault::new(message, remedy)));
    }

    /// The value, or nothing and the fault reported.
    pub(super) fn value<T>(&mut self, at: Mark, parsed: Result<T, Fault>) -> Option<T> {
        parsed.map_err(|fault| self.fault(at, &fault)).ok()
    }

    /// Takes over what was found in another file.
    pub(super) fn absorb(&mut self, found: Vec<Diagnostic>) {
        self.errors += found.iter().filter(|found| found.severity == Severity::Error).count();
        self.found.extend(found);
    }

    /// Number of errors so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }
}

/// The text of a file, without byte order mark; or where it stops being UTF-8, and why it cannot be read.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, (Mark, Fault)> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err((Mark::START, Fault::new("the file is UTF-16", "save it as UTF-8")));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let (line, column) = end_of(good.strip_prefix('\u{feff}').unwrap_or(&good));
            let byte = bytes[error.valid_up_to()];
            let fault = Fault::new(format!("the file is not UTF-8: byte 0x{byte:02x}"), "save it as UTF-8");
            Err((Mark { line, column, length: 1, offset: error.valid_up_to() }, fault))
        }
    }
}

/// Line and column, from 1, of what would follow `text`.
fn end_of(text: &str) -> (usize, usize) {
    let start = text.rfind('\n').map_or(0, |at| at + 1);
    (text.matches('\n').count() + 1, text[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_located() {
        let (mark, fault) = decode(b"a: b\nc: \xc3\xa9\xff").unwrap_err();
        assert_eq!((mark.line, mark.column), (2, 5));
        assert!(fault.message.contains("0xff"));
        assert!(decode(b"\xff\xfea\0").unwrap_err().1.message.contains("UTF-16"));
        assert_eq!(decode("\u{feff}a".as_bytes()).unwrap(), "a");
    }
}
