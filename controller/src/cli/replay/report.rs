//! How results are shown: for people a line a capture and one a difference, for programs a JSON object a frame.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::cli::Env;
use crate::counters::grouped;
use crate::describe::describe;
use crate::replay::{Expectation, Judged, Record, Summary, SummaryRecord, Totals, Words};
use crate::ruleset::Ruleset;

/// Differences of one capture that are shown to people; the rest is counted.
const SHOWN: usize = 20;

/// A frame that was judged.
pub(super) struct Shown<'a> {
    pub(super) file: &'a str,
    pub(super) judged: &'a Judged<'a>,
    pub(super) words: Words<'a>,
    pub(super) ruleset: &'a Ruleset,
}

/// A capture that came to its end, or to a fault.
pub(super) struct Ended<'a> {
    pub(super) file: &'a str,
    pub(super) totals: &'a Totals,
    /// The expected frames that it does not have.
    pub(super) missing: &'a [(u64, Expectation)],
}

/// Where results go.
pub(super) trait Report {
    fn frame(&mut self, shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()>;

    fn capture(&mut self, ended: &Ended<'_>, env: &mut Env<'_>) -> io::Result<()>;

    /// Everything was replayed.
    fn summary(&mut self, summary: &Summary<'_>, out: &mut dyn Write) -> io::Result<()>;
}

/// One JSON object a frame, then the summary.
#[derive(Default)]
pub(super) struct Json {
    line: Vec<u8>,
}

impl Json {
    fn write(&mut self, value: &impl serde::Serialize, out: &mut dyn Write) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        out.write_all(&self.line)
    }
}

impl Report for Json {
    fn frame(&mut self, shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Shown { file, judged, words, ruleset } = *shown;
        let record = Record::new(file, judged.frame.number, words);
        self.write(&record.with_mismatch(judged.mismatch).with_others(&judged.judgement, ruleset), out)
    }

    /// An object a frame is promised, so that a frame that is not there goes to standard error.
    fn capture(&mut self, ended: &Ended<'_>, env: &mut Env<'_>) -> io::Result<()> {
        for (frame, expected) in ended.missing {
            writeln!(env.err, "perimeter: {}: {}", ended.file, absent(*frame, expected))?;
        }
        Ok(())
    }

    fn summary(&mut self, summary: &Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.write(&SummaryRecord { summary }, out)
    }
}

/// A line a capture, the differences below it, the totals at the end.
pub(super) struct Human {
    /// Width of the longest capture name.
    width: usize,
    expects: bool,
    differences: Vec<String>,
    /// Differences of this capture that are not shown.
    hidden: usize,
}

impl Human {
    pub(super) fn new(names: &[String], expects: bool) -> Self {
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        Human { width, expects, differences: Vec::new(), hidden: 0 }
    }

    fn difference(&mut self, line: impl FnOnce() -> String) {
        if self.differences.len() < SHOWN {
            self.differences.push(line());
        } else {
            self.hidden += 1;
        }
    }
}

impl Report for Human {
    fn frame(&mut self, shown: &Shown<'_>, _out: &mut dyn Write) -> io::Result<()> {
        let Shown { judged, words, ruleset, .. } = *shown;
        let number = judged.frame.number;
        if let Some(mismatch) = judged.mismatch {
            let expected = mismatch.expected.map_or("nothing".into(), Expectation::to_string);
            let seen = || describe(judged.frame.bytes);
            self.difference(|| format!("frame {number}  expected {expected}, got {words}   {}", seen()));
        }
        if let Some(dissent) = judged.judgement.dissent {
            let other = Words::new(dissent.decision, ruleset);
            let seen = || describe(judged.frame.bytes);
            self.difference(|| {
                format!("frame {number}  {}: {other}, otherwise: {words}   {}", dissent.engine, seen())
            });
        }
        Ok(())
    }

    fn capture(&mut self, ended: &Ended<'_>, env: &mut Env<'_>) -> io::Result<()> {
        let Ended { file, totals, missing } = *ended;
        for (frame, expected) in missing {
            self.difference(|| absent(*frame, expected));
        }
        let [frames, passed, dropped] = [totals.frames, totals.passed, totals.dropped].map(grouped);
        let noun = noun(totals.frames, "frame");
        write!(
            env.out,
            "{file:width$}  {frames:>6} {noun:<6}  {passed:>6} passed  {dropped:>6} dropped",
            width = self.width
        )?;
        for remark in remarks(totals, self.expects) {
            write!(env.out, "   {remark}")?;
        }
        writeln!(env.out)?;
        for line in self.differences.drain(..) {
            writeln!(env.out, "  {line}")?;
        }
        if self.hidden > 0 {
            writeln!(env.out, "  and {} more", grouped(self.hidden as u64))?;
        }
        self.hidden = 0;
        Ok(())
    }

    fn summary(&mut self, summary: &Summary<'_>, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "{} {} in {} {} ({} {})",
            grouped(summary.frames),
            noun(summary.frames, "frame"),
            summary.captures,
            noun(summary.captures as u64, "capture"),
            noun(summary.engines.len() as u64, "engine"),
            summary.engines.join(", ")
        )?;
        let differ = summary.differences + summary.unexpected + summary.missing;
        if differ > 0 {
            write!(out, ": {}", differs(differ))?;
        } else if self.expects && summary.failed == 0 {
            write!(out, ": as expected")?;
        } else if summary.engines.len() > 1 {
            write!(out, ": they agree")?;
        }
        writeln!(out)?;
        if summary.dropped > 0 {
            writeln!(out, "dropped: {}", counts(&summary.reasons))?;
        }
        if !summary.declared.is_empty() {
            writeln!(out, "dropped by nft, as is published: {}", counts(summary.declared))?;
        }
        Ok(())
    }
}

/// Names and numbers.
fn counts(counts: &BTreeMap<&'static str, u64>) -> String {
    let count = |(name, count): (&&str, &u64)| format!("{name} {}", grouped(*count));
    counts.iter().map(count).collect::<Vec<String>>().join(", ")
}

/// What else is to be said about a capture.
fn remarks(totals: &Totals, expects: bool) -> Vec<String> {
    let differ = totals.differences + totals.unexpected + totals.missing;
    let mut remarks = Vec::new();
    if differ > 0 {
        remarks.push(differs(differ));
    } else if expects {
        remarks.push("as expected".into());
    }
    let declared: u64 = totals.declared.values().sum();
    if declared > 0 {
        remarks.push(format!("{} declared {}", grouped(declared), noun(declared, "divergence")));
    }
    if totals.by_model > 0 {
        remarks.push(format!("{} judged by the model alone", grouped(totals.by_model)));
    }
    if totals.cut_short > 0 {
        remarks.push(format!("{} captured short", grouped(totals.cut_short)));
    }
    remarks
}

/// `frame`, or `frames` where there are not one.
fn noun(count: u64, one: &str) -> String {
    if count == 1 { one.into() } else { format!("{one}s") }
}

fn differs(count: u64) -> String {
    if count == 1 { "1 differs".into() } else { format!("{} differ", grouped(count)) }
}

fn absent(frame: u64, expected: &Expectation) -> String {
    format!("frame {frame}  expected {expected}, but the capture has no such frame")
}
