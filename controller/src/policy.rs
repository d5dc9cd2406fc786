//! The policy language: text in, a validated ruleset or every problem out.
//!
//! Promises: all problems of a policy are found in one pass, each with file, line, column, the offending text and its
//! remedy; without errors the ruleset is complete. The same text, files and instant give the same result. Refuses to
//! touch the world: files come through a function that the caller gives, and so does the time.

mod address;
pub mod builtin;
mod bundle;
mod diagnostic;
mod ethertype;
mod expiry;
mod fields;
mod files;
pub mod icmp;
mod interfaces;
mod lint;
mod list_file;
mod networks;
mod order;
mod reach;
mod rule;
mod rules;
mod schema;
mod services;
mod source;
mod text;
mod traffic;
mod tree;
mod vlan_set;
mod vlans;
mod vocabulary;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use builtin::builtin_services;
pub use diagnostic::{Diagnostic, Severity};
pub use icmp::icmp_types;
pub use schema::schema;
pub use vocabulary::{Exception, Vocabulary, WordError};

use crate::ruleset::Ruleset;
use fields::Fields;
use files::Files;
use interfaces::Interfaces;
use lint::{Finding, Subject};
use networks::Networks;
use reach::Reach;
use rule::{Draft, Scope};
use services::Services;
use source::{Mark, Report, Source};
use vlan_set::VlanSet;
use vlans::Vlans;

/// What became of a policy's text.
#[derive(Debug)]
pub struct Reading {
    /// Nothing if and only if there is an error among the diagnostics.
    pub ruleset: Option<Ruleset>,
    /// In the order of the text, those of the files it names last.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that the policy names, by path as written, with their content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Reads a policy as of `at`. `name` is the path shown in diagnostics; `files` gives the content of the files that the
/// policy names, by path as written there (relative to the policy).
pub fn read(
    name: &str,
    text: &[u8],
    files: &mut dyn FnMut(&str) -> std::io::Result<Vec<u8>>,
    at: Timestamp,
) -> Reading {
    read_and(name, text, files, at, |_, _| {})
}

/// Reads a policy as [`read`] does, and adds what is probably not meant as warnings.
pub fn check(
    name: &str,
    text: &[u8],
    files: &mut dyn FnMut(&str) -> std::io::Result<Vec<u8>>,
    at: Timestamp,
) -> Reading {
    read_and(name, text, files, at, |document, report| {
        let is_whole = report.errors() == 0;
        let today = TimeZone::UTC.to_datetime(at).date();
        for Finding { subject, message, remedy } in lint::findings(&document.ruleset, is_whole, today) {
            let mark = match subject {
                Subject::Rule(rule) => document.rules[rule],
                Subject::Interface(interface) => document.interfaces[interface],
            };
            report.warning(mark, message, remedy);
        }
    })
}

/// What could be read of a policy: rules with an error are left out, settings with one have their default.
struct Document {
    ruleset: Ruleset,
    /// Where the rules and the interfaces stand in the text.
    rules: Vec<Mark>,
    interfaces: Vec<Mark>,
}

/// Reads a policy, and looks at what was read of it.
fn read_and(
    name: &str,
    text: &[u8],
    files: &mut dyn FnMut(&str) -> std::io::Result<Vec<u8>>,
    at: Timestamp,
    look: impl FnOnce(&Document, &mut Report),
) -> Reading {
    let decoded = source::decode(text);
    let lossy = if decoded.is_err() { String::from_utf8_lossy(text) } else { "".into() };
    let mut files = Files::new(name, files);
    let mut report = Report::new(Source::new(name, decoded.as_ref().map_or(&lossy, |text| *text)));
    let document = match &decoded {
        Ok(_) => read_document(&mut files, at, &mut report),
        Err((mark, fault)) => {
            report.fault(*mark, fault);
            None
        }
    };
    if let Some(document) = &document {
        look(document, &mut report);
    }
    let ruleset = document.filter(|_| report.errors() == 0).map(|document| document.ruleset);
    Reading { ruleset, diagnostics: in_order(name, report.into_found()), files: files.into_kept() }
}

const KEYS: [&str; 7] = ["version", "interfaces", "vlans", "networks", "services", "allow", "deny"];

fn read_document(files: &mut Files, at: Timestamp, report: &mut Report) -> Option<Document> {
    let errors = report.errors();
    let Some(root) = tree::read(report) else {
        if report.errors() == errors {
            report.error(Mark::START, "the policy is empty", "begin with `version: 1`");
        }
        return None;
    };
    let fields = Fields::read(&root, "the policy", &KEYS, report)?;
    check_version(&fields, report);
    let mut networks = Networks::read(fields.get("networks"), files, report);
    let mut services = Services::read(fields.get("services"), report);
    let mut vlans = Vlans::read(fields.get("vlans"), &mut networks, report);
    let interfaces =
        Interfaces::read(fields.get("interfaces"), fields.mark, &mut networks, &mut vlans, report);
    let mut scope = Scope {
        networks: &mut networks,
        vlans: &mut vlans,
        interfaces: &interfaces,
        services: &mut services,
        today: TimeZone::UTC.to_datetime(at).date(),
    };
    let drafts = rules::read(&fields, &mut scope, report);
    networks.report_idle(report);
    services.report_idle(report);
    report_vlans(&vlans, &interfaces, report);
    let vlans = vlans.into_vlans();
    report_rules(&drafts, &interfaces, &Reach::new(&interfaces.list, &vlans), report);
    let in_force = drafts.into_iter().filter(|draft| draft.expired.is_none());
    let (rules, marks) = in_force.map(|draft| (draft.rule, draft.mark)).unzip();
    let ruleset = Ruleset { interfaces: interfaces.list, vlans, rules };
    Some(Document { ruleset, rules: marks, interfaces: interfaces.marks })
}

fn check_version(fields: &Fields, report: &mut Report) {
    let Some(entry) = fields.get("version") else {
        report.error(fields.mark, "the policy has no `version`", "begin with `version: 1`");
        return;
    };
    if let Some(word) = entry.text(report)
        && word.text.as_ref() != "1"
    {
        let message = format!("unknown version: {}", diagnostic::quoted(&word.text));
        report.error(word.mark, message, "write `version: 1`, the only one there is");
    }
}

fn report_vlans(vlans: &Vlans, interfaces: &Interfaces, report: &mut Report) {
    if interfaces.vlans_are_known {
        let allowed: Vec<VlanSet> = interfaces.list.iter().map(VlanSet::of).collect();
        vlans.report_idle(|id| allowed.iter().any(|set| set.contains(id)), report);
    }
}

fn report_rules(drafts: &[Draft], interfaces: &Interfaces, reach: &Reach, report: &mut Report) {
    for draft in drafts {
        if let Some(mark) = draft.expired {
            let day = draft.rule.about.expires.as_deref().unwrap_or_default();
            let message = format!("rule \"{}\" expired after {day}: it matches nothing", draft.rule.id);
            report.warning(mark, message, "remove it, or set a later day");
        } else if interfaces.vlans_are_known {
            reach.report(draft, interfaces, report);
        }
    }
}

/// Diagnostics of the policy by place, then those of its files by name and place; each once.
fn in_order(policy: &str, mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let policy = diagnostic::printable(policy);
    found.sort_by_cached_key(|one| (one.file != policy, one.file.clone(), one.line, one.column));
    found.dedup();
    found
}
