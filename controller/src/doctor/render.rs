//! What was found, for people.

use std::io::{self, Write};

use super::{Finding, Report, Severity};
use crate::printable::printable;
use crate::ruleset::Mode;

/// Columns before the words of a finding.
const INDENT: usize = 9;

/// One block for the machine, one an interface, then the sum. `colour` says nothing that the words do not.
pub fn human(report: &Report, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "this host   Linux {}", report.kernel)?;
    block(&report.host, colour, out)?;
    for nic in &report.interfaces {
        writeln!(out, "\n{}   {}", printable(&nic.interface), modes(&nic.modes))?;
        block(&nic.findings, colour, out)?;
    }
    writeln!(out, "\n{}", sum(report))
}

fn modes(modes: &[Mode]) -> String {
    let word = |mode: &Mode| match mode {
        Mode::Native => "native XDP",
        Mode::Generic => "generic XDP",
        Mode::Nft => "nftables",
        Mode::Auto => "auto",
        Mode::Both => "both",
    };
    match modes {
        [] => "cannot be enforced".to_owned(),
        modes => format!("can be enforced: {}", modes.iter().map(word).collect::<Vec<_>>().join(", ")),
    }
}

fn block(findings: &[Finding], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0) + 2;
    for finding in findings {
        let word = word(finding.severity);
        let (tint, plain) = if colour { (tint(finding.severity), "\x1b[0m") } else { ("", "") };
        let gap = " ".repeat(INDENT - word.len());
        writeln!(out, "  {tint}{word}{plain}{gap}{:width$}{}", finding.check, printable(&finding.what))?;
        let below = " ".repeat(2 + INDENT + width);
        if let Some(why) = &finding.why {
            writeln!(out, "{below}{}", printable(why))?;
        }
        if let Some(remedy) = &finding.remedy {
            writeln!(out, "{below}$ {}", printable(remedy))?;
        }
    }
    Ok(())
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok",
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Stop => "stop",
    }
}

fn tint(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "\x1b[32m",
        Severity::Note => "\x1b[36m",
        Severity::Warning => "\x1b[1;33m",
        Severity::Stop => "\x1b[1;31m",
    }
}

/// "Nothing stops enforcement (warnings: 2, notes: 1, unknown: 0)."
fn sum(report: &Report) -> String {
    let all = || report.host.iter().chain(report.interfaces.iter().flat_map(|nic| &nic.findings));
    let count = |severity| all().filter(|finding| finding.severity == severity).count();
    let unknown = all().filter(|finding| finding.unknown).count();
    let rest = format!(
        "warnings: {}, notes: {}, unknown: {unknown}",
        count(Severity::Warning),
        count(Severity::Note)
    );
    match count(Severity::Stop) {
        0 => format!("Nothing stops enforcement ({rest})."),
        stops => format!("Enforcement is stopped (stops: {stops}, {rest})."),
    }
}
