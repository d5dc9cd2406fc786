//! Can this machine, with this kernel, these NICs and their drivers, enforce a policy, and what is in the way?
//!
//! Promises: pure; the same facts give the same findings, in the same order. Every fact leads to a finding, the good ones
//! too; one that could not be read leads to a finding that says so, never to silence. A finding that leaves an interface
//! without any mode is a stop, and only such a one is.

mod host;
mod nic;
mod render;

use serde::Serialize;

use crate::backend::facts::{Fact, HostFacts, NicFacts, Unknown};
use crate::ruleset::Mode;

pub use render::human;

/// The modes in which an interface can be enforced, the best first: `mode: auto` takes the first that is left.
const MODES: [Mode; 3] = [Mode::Native, Mode::Generic, Mode::Nft];
/// Those in which a program of ours runs in the kernel.
const XDP: [Mode; 2] = [Mode::Native, Mode::Generic];

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Ok,
    /// Worth knowing; nothing needs to be done.
    Note,
    /// Something is lost: a mode, sight of some frames, speed, or certainty.
    Warning,
    /// Enforcement is not possible until this is mended.
    Stop,
}

/// One thing that was looked at, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: a name that scripts may rely on.
    pub check: &'static str,
    pub severity: Severity,
    /// Whether it could not be found out.
    pub unknown: bool,
    pub what: String,
    /// Why it matters; nothing where all is well.
    pub why: Option<String>,
    /// A command that mends it, or shows more, where there is one.
    pub remedy: Option<String>,
    /// The modes that it rules out.
    pub excludes: Vec<Mode>,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every interface that was asked about can be enforced in some mode.
    pub ready: bool,
    pub kernel: String,
    pub host: Vec<Finding>,
    pub interfaces: Vec<Nic>,
}

/// What was found about one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nic {
    pub interface: String,
    /// The modes that nothing speaks against, the best first.
    pub modes: Vec<Mode>,
    pub findings: Vec<Finding>,
}

/// Judges the machine and the devices. `nics` is unknown where the kernel did not list them.
pub fn diagnose(facts: &HostFacts, nics: &Fact<Vec<NicFacts>>) -> Report {
    let mut host = host::findings(facts);
    match nics {
        Err(cause) => host.push(Finding::unknown("interfaces", "which devices there are", cause)),
        Ok(nics) if nics.is_empty() => host.push(
            Finding::new(
                "interfaces",
                Severity::Note,
                "there is no Ethernet device in this network namespace",
            )
            .remedy("ip -br link"),
        ),
        Ok(_) => {}
    }
    let modes = left(&MODES, &host);
    let interfaces = nics.iter().flatten().map(|nic| interface(nic, facts, &modes)).collect::<Vec<_>>();
    if modes.is_empty() {
        stop(&mut host);
    }
    let ready = !modes.is_empty() && interfaces.iter().all(|nic| !nic.modes.is_empty());
    Report { ready, kernel: facts.kernel.clone(), host, interfaces }
}

fn interface(facts: &NicFacts, host: &HostFacts, modes: &[Mode]) -> Nic {
    let mut findings = nic::findings(facts, host);
    let modes = left(modes, &findings);
    if modes.is_empty() {
        stop(&mut findings);
    }
    Nic { interface: facts.name.clone(), modes, findings }
}

/// The modes that no finding rules out.
fn left(modes: &[Mode], findings: &[Finding]) -> Vec<Mode> {
    let excluded = |mode: &Mode| findings.iter().any(|finding| finding.excludes.contains(mode));
    modes.iter().copied().filter(|mode| !excluded(mode)).collect()
}

/// Nothing is left: whatever rules a mode out is in the way.
fn stop(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| !finding.excludes.is_empty()) {
        finding.severity = Severity::Stop;
    }
}

impl Finding {
    fn new(check: &'static str, severity: Severity, what: impl Into<String>) -> Finding {
        let what = what.into();
        Finding { check, severity, unknown: false, what, why: None, remedy: None, excludes: Vec::new() }
    }

    fn ok(check: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(check, Severity::Ok, what)
    }

    fn note(check: &'static str, what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding { why: Some(why.into()), ..Finding::new(check, Severity::Note, what) }
    }

    fn warning(check: &'static str, what: impl Into<String>, why: impl Into<String>) -> Finding {
        Finding { why: Some(why.into()), ..Finding::new(check, Severity::Warning, what) }
    }

    /// Something that could not be read; `subject` is what is not known.
    fn unknown(check: &'static str, subject: &str, Unknown(cause): &Unknown) -> Finding {
        let what = format!("unknown {subject}: {cause}");
        Finding { unknown: true, ..Finding::new(check, Severity::Warning, what) }
    }

    /// Not knowing costs nothing here.
    fn harmless(self, why: impl Into<String>) -> Finding {
        Finding { severity: Severity::Note, why: Some(why.into()), ..self }
    }

    fn remedy(self, command: impl Into<String>) -> Finding {
        Finding { remedy: Some(command.into()), ..self }
    }

    fn excluding(self, modes: &[Mode]) -> Finding {
        Finding { excludes: modes.to_vec(), ..self }
    }
}

#[cfg(test)]
mod tests;
