//! Expectations: the decisions that frames are known to deserve, one JSON object a line.
//!
//! Promises: what `--write-expected` wrote, and what `replay --json` prints, can be expected again. A line names a capture
//! and a frame as `replay --json` does; `rule` and `reason` may be left out and are then not compared. The name of a
//! capture counts without its folders unless it is spelt as on the command line, so that expectations can be kept beside
//! captures and moved with them. Refuses: two lines about one frame, verdicts and reasons that do not exist.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use perimeter_classifier::verdict::DropReason;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Words, label};

/// What is expected of one frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expectation {
    pub verdict: &'static str,
    /// `None`: not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Option<String>>,
    /// `None`: not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Option<&'static str>>,
}

/// A decision that is not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch<'e> {
    /// `None`: nothing is expected of this frame, though something is of its capture, or should be.
    pub expected: Option<&'e Expectation>,
}

/// Everything that is expected, by capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// Frames by capture name as written, in the order of their numbers.
    captures: BTreeMap<String, Vec<(u64, Expectation)>>,
}

/// A line that is not an expectation.
#[derive(Debug, thiserror::Error)]
pub enum ExpectationError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: String },
    #[error("frame {frame} of {file} is expected twice")]
    Twice { file: String, frame: u64 },
    #[error("{name} may be {first} or {second} here: name the capture as one of them is written")]
    Ambiguous { name: String, first: String, second: String },
}

/// A line as it is written.
#[derive(Deserialize)]
struct Line {
    file: Option<String>,
    frame: Option<u64>,
    verdict: Option<String>,
    #[serde(default, deserialize_with = "present")]
    rule: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<Option<String>>,
    summary: Option<serde::de::IgnoredAny>,
}

/// Keeps `null` and "not there" apart.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Line {
    /// The file, the frame and what is expected of it.
    fn meaning(self) -> Result<(String, u64, Expectation), String> {
        let (Some(file), Some(frame), Some(verdict)) = (self.file, self.frame, self.verdict) else {
            return Err("it needs \"file\", \"frame\" and \"verdict\"".into());
        };
        if frame == 0 {
            return Err("frames count from 1".into());
        }
        let verdict = match verdict.as_str() {
            "pass" => label(true),
            "drop" => label(false),
            other => return Err(format!("unknown verdict \"{other}\": pass or drop")),
        };
        let known =
            |name: &String| DropReason::ALL.iter().map(|reason| reason.name()).find(|reason| reason == name);
        let reason = match self.reason {
            Some(Some(name)) => {
                Some(Some(known(&name).ok_or_else(|| format!("unknown drop reason \"{name}\""))?))
            }
            Some(None) => Some(None),
            None => None,
        };
        Ok((file, frame, Expectation { verdict, rule: self.rule, reason }))
    }
}

impl Expectations {
    /// Reads one object a line; empty lines and a summary are skipped.
    pub fn read(mut reader: impl BufRead) -> Result<Self, ExpectationError> {
        let mut captures: BTreeMap<String, Vec<(u64, Expectation)>> = BTreeMap::new();
        let mut text = String::new();
        let mut line = 0;
        while reader.read_line(&mut text)? > 0 {
            line += 1;
            if !text.trim().is_empty() {
                let at = |problem| ExpectationError::Line { line, problem };
                let parsed: Line = serde_json::from_str(&text).map_err(|error| at(plain(&error)))?;
                if parsed.summary.is_none() {
                    let (file, frame, expectation) = parsed.meaning().map_err(at)?;
                    captures.entry(file).or_default().push((frame, expectation));
                }
            }
            text.clear();
        }
        for (file, frames) in &mut captures {
            frames.sort_by_key(|(frame, _)| *frame);
            if let Some(pair) = frames.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(ExpectationError::Twice { file: file.clone(), frame: pair[0].0 });
            }
        }
        Ok(Expectations { captures })
    }

    /// What is expected of the frames of a capture: of the one that is spelt so, else of the one of that name.
    ///
    /// # Errors
    /// Two captures of that name are expected, from different folders.
    pub fn of(&self, capture: &str) -> Result<&[(u64, Expectation)], ExpectationError> {
        if let Some(frames) = self.captures.get(capture) {
            return Ok(frames);
        }
        let name = base_name(capture);
        let mut alike = self.captures.iter().filter(|(file, _)| base_name(file) == name);
        match (alike.next(), alike.next()) {
            (None, _) => Ok(&[]),
            (Some((_, frames)), None) => Ok(frames),
            (Some((first, _)), Some((second, _))) => Err(ExpectationError::Ambiguous {
                name: name.into(),
                first: first.clone(),
                second: second.clone(),
            }),
        }
    }
}

/// A reader's complaint without its own idea of the line, which is always 1.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
}

/// The name of a capture without its folders.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Takes what is expected of `frame` from the front of `rest`, and compares.
pub(super) fn compare<'e>(
    rest: &mut &'e [(u64, Expectation)],
    frame: u64,
    words: &Words<'_>,
) -> Option<Mismatch<'e>> {
    match rest.split_first() {
        Some(((number, expected), after)) if *number == frame => {
            *rest = after;
            (!expected.met(words)).then_some(Mismatch { expected: Some(expected) })
        }
        _ => Some(Mismatch { expected: None }),
    }
}

impl Expectation {
    /// Whether a decision is the expected one.
    fn met(&self, words: &Words<'_>) -> bool {
        self.verdict == words.verdict
            && self.rule.as_ref().is_none_or(|rule| rule.as_deref() == words.rule)
            && self.reason.is_none_or(|reason| reason == words.reason)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict)?;
        let rule = self.rule.as_ref().and_then(|rule| rule.as_deref());
        for word in [self.reason.flatten(), rule].into_iter().flatten() {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}
