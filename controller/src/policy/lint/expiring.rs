//! Rules that are about to expire.

use jiff::civil::Date;

use super::{Finding, Subject};
use crate::ruleset::{Action, Ruleset};

/// How many days ahead are told.
const DAYS: i32 = 30;

/// Rules whose last day is near; `today` is in UTC.
pub(super) fn findings(ruleset: &Ruleset, today: Date) -> Vec<Finding> {
    let days = |rule: &crate::ruleset::Rule| {
        let last: Date = rule.about.expires.as_deref()?.parse().ok()?;
        let left = today.until(last).ok()?.get_days();
        (0..=DAYS).contains(&left).then_some((last, left))
    };
    let soon = ruleset.rules.iter().enumerate().filter_map(|(at, rule)| Some((at, rule, days(rule)?)));
    let finding = |(at, rule, (last, left)): (usize, &crate::ruleset::Rule, (Date, i32))| {
        let when = match left {
            0 => "today is its last day".to_owned(),
            1 => "tomorrow is its last day".to_owned(),
            left => format!("its last day is in {left} days, {last}"),
        };
        let then = match rule.action {
            Action::Allow => "what only it passes will be dropped then",
            Action::Deny => "what it drops and another rule passes will pass then",
        };
        Finding {
            subject: Subject::Rule(at),
            message: format!("rule \"{}\" expires soon: {when}", rule.id),
            remedy: format!("{then}: set a later day, or let it go"),
        }
    };
    soon.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::warnings;

    #[test]
    fn thirty_days_ahead_are_told() {
        let of = |day: &str| warnings(&format!("  - {{id: a, service: ssh, expires: {day}}}\n"), "");
        assert_eq!(of("2026-11-21"), ["7: rule \"a\" expires soon: today is its last day"]);
        assert_eq!(of("2026-12-21"), ["7: rule \"a\" expires soon: its last day is in 30 days, 2026-12-21"]);
        assert_eq!(of("2026-12-22"), [""; 0]);
    }
}
