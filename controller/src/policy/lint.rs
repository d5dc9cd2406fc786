//! What a policy says without error and probably does not mean.
//!
//! Promises: works on the ruleset and the day; shadowed, duplicate and redundant rules are found exactly, as sets of
//! frames, whether one other rule is the cause or several together, and never claimed falsely. Ten thousand rules take
//! less than two seconds; where the search for several would take longer, it ends.

mod breadth;
mod cover;
mod expiring;
mod needs;
mod space;
mod trunk;
mod union;

use jiff::civil::Date;

use crate::ruleset::{Action, Rule, Ruleset, Service};

/// What a finding is about, by position in the ruleset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Rule(usize),
    Interface(usize),
}

impl Subject {
    fn rule(self) -> Option<usize> {
        match self {
            Subject::Rule(rule) => Some(rule),
            Subject::Interface(_) => None,
        }
    }
}

/// One thing that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) subject: Subject,
    pub(super) message: String,
    pub(super) remedy: String,
}

/// Everything that is probably not meant, in no particular order. Of a ruleset that is not whole, what is missing from
/// it is not told. `today` is in UTC.
pub(super) fn findings(ruleset: &Ruleset, is_whole: bool, today: Date) -> Vec<Finding> {
    let mut findings = cover::findings(ruleset);
    let covered: Vec<usize> = findings.iter().filter_map(|finding| finding.subject.rule()).collect();
    findings.extend(union::findings(ruleset, &covered));
    findings.extend(breadth::findings(ruleset));
    findings.extend(trunk::findings(ruleset));
    findings.extend(expiring::findings(ruleset, today));
    findings.extend(ruleset.rules.iter().enumerate().filter(|(_, rule)| is_broad(rule)).map(|(at, rule)| {
        Finding {
            subject: Subject::Rule(at),
            message: format!(
                "rule \"{}\" is over-broad: it passes every IP packet from anywhere to anywhere",
                rule.id
            ),
            remedy: "name `from`, `to` or `service`".into(),
        }
    }));
    if is_whole {
        findings.extend(needs::findings(ruleset));
    }
    findings
}

fn is_broad(rule: &Rule) -> bool {
    rule.action == Action::Allow
        && rule.from.is_any()
        && rule.to.is_any()
        && rule.services.contains(&Service::default())
}

#[cfg(test)]
mod tests {
    use super::super::{Diagnostic, check};

    /// The warnings of a policy with these rules, but those about trunks, as `LINE: message`; the first rule stands on
    /// line 7, before two that let the network itself work.
    pub(super) fn warnings(allow: &str, rest: &str) -> Vec<String> {
        let head = "version: 1\ninterfaces:\n  wan0: {vlans: [untagged, 10-20]}\n  lan0:\nservices: {web: [http, https]}\nallow:\n";
        let base = "  - {id: arp, ethertype: arp}\n  - {id: base, bundle: [nd, pmtu]}\n";
        let found = bare_warnings(&format!("{head}{allow}{base}{rest}"));
        found.into_iter().filter(|line| !line.contains("is a trunk")).collect()
    }

    /// The warnings of a whole policy, but those of unused names.
    pub(super) fn bare_warnings(policy: &str) -> Vec<String> {
        let at = "2026-11-21T00:00:00Z".parse().unwrap();
        let reading = check("p", policy.as_bytes(), &mut |_| Ok(Vec::new()), at);
        let shown = |found: &Diagnostic| format!("{}: {}", found.line, found.message);
        reading.diagnostics.iter().map(shown).filter(|line| !line.contains("not used")).collect()
    }

    #[test]
    fn a_rule_for_everything_is_broad() {
        let found = warnings("  - {id: all}\n", "");
        assert!(found[0].contains("\"all\" is over-broad"), "{found:?}");
    }

    #[test]
    fn a_rule_with_a_misspelt_key_is_not_judged_without_it() {
        let found = warnings("  - {id: a, from: 192.0.2.0/24, servce: https}\n", "");
        assert_eq!(found, ["7: unknown key \"servce\" in a rule"]);
    }
}
