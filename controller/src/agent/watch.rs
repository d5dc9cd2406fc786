//! What the agent says by itself: when something changes, one line.
//!
//! Promises: pure. What holds is a set of notices; a line is said for each that begins to hold, and for each trouble that
//! ends. Nothing is repeated while it lasts.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::backend::names;
use crate::printable::printable;
use crate::telemetry::{RuleFacts, Snapshot};

/// Something that holds at the moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// How things stand, which is said when it changes.
    State(String),
    /// What somebody has to mend, whose end is said too.
    Trouble(String),
}

/// What holds.
pub type Notices = BTreeSet<Notice>;

/// How long before its end a rule is spoken of.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Everything that holds according to a snapshot.
pub fn notices(snapshot: &Snapshot) -> Notices {
    let mut notices = Notices::new();
    for one in &snapshot.status.interfaces {
        let name = &one.interface;
        notices.extend(one.drift.iter().map(|drift| Notice::Trouble(format!("{name}: {drift}"))));
        if let (Some(generation), Some(policy)) = (one.generation, one.policy) {
            let how = if one.enforced { "enforces" } else { "only watches (shadow mode)" };
            let (engines, policy) = (names(&one.engines), policy.short());
            notices.insert(Notice::State(format!(
                "{name}: {how} generation {generation}, policy {policy}, {engines}"
            )));
        }
    }
    if snapshot.status.interfaces.is_empty() {
        notices.insert(Notice::Trouble("no interface is enforced".to_owned()));
    }
    let trial = snapshot.status.trial.and_then(|trial| trial.trouble());
    notices.extend(trial.map(Notice::Trouble));
    notices.extend(snapshot.rules.iter().filter_map(|rule| expiry(rule, snapshot.at)));
    notices
}

fn expiry(rule: &RuleFacts, now: jiff::Timestamp) -> Option<Notice> {
    let last_day = rule.about.expires.as_deref()?;
    let left = rule.about.end()?.duration_since(now);
    let owner = rule.about.owner.as_deref().map_or(String::new(), |owner| format!(" (owner {owner})"));
    if left <= SignedDuration::ZERO {
        Some(Notice::State(format!("rule {}{owner} has expired: its last day was {last_day}", rule.id)))
    } else if left < SOON {
        Some(Notice::State(format!("rule {}{owner} expires soon: its last day is {last_day}", rule.id)))
    } else {
        None
    }
}

/// The lines to say after `before` has become `after`.
pub fn lines(before: &Notices, after: &Notices) -> Vec<String> {
    let begins = after.difference(before).map(|notice| match notice {
        Notice::State(words) => words.clone(),
        Notice::Trouble(words) => format!("! {words}"),
    });
    let ends = before.difference(after).filter_map(|notice| match notice {
        Notice::State(_) => None,
        Notice::Trouble(words) => Some(format!("over: {words}")),
    });
    begins.chain(ends).map(|line| printable(&line).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::{expiring, snapshot};

    fn of(words: &[Notice]) -> Notices {
        words.iter().cloned().collect()
    }

    #[test]
    fn what_begins_is_said_once_and_of_troubles_also_the_end() {
        let (state, trouble) =
            (Notice::State("wan0: generation 1".into()), Notice::Trouble("wan0: gone".into()));
        let (quiet, loud) = (of(std::slice::from_ref(&state)), of(&[state.clone(), trouble]));
        assert_eq!(lines(&Notices::new(), &quiet), ["wan0: generation 1"]);
        assert_eq!(lines(&quiet, &quiet), Vec::<String>::new());
        assert_eq!(lines(&quiet, &loud), ["! wan0: gone"]);
        assert_eq!(lines(&loud, &quiet), ["over: wan0: gone"]);
        assert_eq!(
            lines(&quiet, &Notices::new()),
            Vec::<String>::new(),
            "a state that makes way for another"
        );
    }

    #[test]
    fn rules_are_spoken_of_in_their_last_week_and_after_it() {
        let said = |now: &str| {
            let mut snapshot = snapshot();
            (snapshot.at, snapshot.rules) = (now.parse().unwrap(), vec![expiring("old", "2026-11-30")]);
            let text: Vec<String> = lines(&Notices::new(), &notices(&snapshot));
            text.into_iter().find(|line| line.starts_with("rule old")).unwrap_or_default()
        };
        assert_eq!(said("2026-11-23T23:59:59Z"), "");
        assert_eq!(said("2026-11-24T00:00:01Z"), "rule old expires soon: its last day is 2026-11-30");
        assert_eq!(said("2026-11-30T23:59:59Z"), "rule old expires soon: its last day is 2026-11-30");
        assert_eq!(said("2026-12-01T00:00:00Z"), "rule old has expired: its last day was 2026-11-30");
    }

    #[test]
    fn drift_and_nothing_enforced_are_troubles() {
        let mut drifted = snapshot();
        drifted.status.interfaces[0].drift.push("nothing is attached".into());
        let all = notices(&drifted);
        assert!(all.contains(&Notice::Trouble("wan0: nothing is attached".into())), "{all:?}");
        drifted.status.interfaces.clear();
        assert!(notices(&drifted).contains(&Notice::Trouble("no interface is enforced".into())));
    }
}
