//! The page for people: one document without anything from elsewhere, and what it is fed.
//!
//! Promises: what people wrote about rules reaches the document as text, never as markup; the browser is told to run and
//! style by what is in the document and nothing else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::counters::Event as FrameEvent;
use crate::describe::describe;
use crate::digest::Digest;
use crate::state::Event;
use crate::status::{InterfaceStatus, TrialStatus};
use crate::telemetry::{RuleFacts, Snapshot, Subject, Trend, Trends, View};

/// The document.
pub(super) const HTML: &str = include_str!("page.html");

/// Most rules, and most steps of the history, that are shown.
const SHOWN: usize = 12;

/// What the document shows.
#[derive(Debug, Serialize)]
pub struct PageData<'a> {
    at: jiff::Timestamp,
    /// How many seconds ago each point of a plot was, the latest last; a plot that began later has the last of them.
    ages: Vec<f64>,
    in_sync: bool,
    trial: Option<TrialStatus>,
    interfaces: Vec<Interface<'a>>,
    reasons: Vec<Row<'a>>,
    /// The busiest first.
    rules: Vec<Rule<'a>>,
    /// The newest first.
    history: Vec<&'a Event>,
    /// Single frames, the newest first.
    events: Vec<Frame<'a>>,
}

/// What is known beside a snapshot.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    pub trends: &'a Trends,
    /// The oldest first.
    pub journal: &'a [Event],
    /// The newest first.
    pub events: &'a [FrameEvent],
}

/// A frame of which the kernel told.
#[derive(Debug, Serialize)]
struct Frame<'a> {
    time: jiff::Timestamp,
    interface: &'a str,
    decision: String,
    frame: String,
}

#[derive(Debug, Serialize)]
struct Interface<'a> {
    #[serde(flatten)]
    status: &'a InterfaceStatus,
    engines_word: String,
    received: u64,
    /// Pass, drop and would_drop.
    verdicts: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    interface: &'a str,
    name: &'a str,
    kind: &'a str,
    packets: u64,
    /// Frames a second, the latest last.
    rates: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Rule<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    about: Option<&'a crate::ruleset::About>,
}

impl<'a> PageData<'a> {
    /// What is shown of a snapshot, and of how it came to that.
    pub fn new(snapshot: &'a Snapshot, past: Past<'a>) -> PageData<'a> {
        let Past { trends, journal, events } = past;
        let verdicts = |name: &str| {
            let own = trends.of(View::Verdicts).filter(|(subject, _)| subject.interface == name);
            own.map(row).collect()
        };
        let interfaces = snapshot.status.interfaces.iter().zip(&snapshot.interfaces);
        let interfaces = interfaces.map(|(status, facts)| Interface {
            status,
            engines_word: Snapshot::mode(status),
            received: facts.counters.received.packets,
            verdicts: verdicts(&facts.name),
        });
        let counted = trends.of(View::Reasons).filter(|(_, trend)| trend.total.packets > 0);
        PageData {
            at: snapshot.at,
            ages: trends.ages().into_iter().map(tenth).collect(),
            in_sync: snapshot.status.in_sync,
            trial: snapshot.status.trial,
            interfaces: interfaces.collect(),
            reasons: busiest(counted).map(row).collect(),
            rules: busiest(trends.of(View::Rules))
                .take(SHOWN)
                .map(|pair| rule(pair, &snapshot.rules))
                .collect(),
            history: journal.iter().rev().take(SHOWN).collect(),
            events: events.iter().take(SHOWN).map(frame).collect(),
        }
    }
}

fn frame(event: &FrameEvent) -> Frame<'_> {
    let (decision, frame) = (event.decision(), describe(&event.header));
    Frame { time: event.time, interface: &event.interface, decision, frame }
}

/// The fastest now first, of those alike the one that has counted most.
fn busiest<'a>(
    trends: impl Iterator<Item = (&'a Subject, &'a Trend)>,
) -> impl Iterator<Item = (&'a Subject, &'a Trend)> {
    let mut all: Vec<_> = trends.collect();
    all.sort_by(|(_, a), (_, b)| b.now().total_cmp(&a.now()).then(b.total.packets.cmp(&a.total.packets)));
    all.into_iter()
}

fn row<'a>((subject, trend): (&'a Subject, &'a Trend)) -> Row<'a> {
    let rates = trend.packets.iter().copied().map(tenth).collect();
    Row {
        interface: &subject.interface,
        name: &subject.name,
        kind: subject.kind,
        packets: trend.total.packets,
        rates,
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn rule<'a>(pair: (&'a Subject, &'a Trend), rules: &'a [RuleFacts]) -> Rule<'a> {
    let about = rules.iter().find(|rule| rule.id == pair.0.name).map(|rule| &rule.about);
    Rule { row: row(pair), about }
}

/// What the browser may do with the document: run its script, apply its style, ask where it came from.
pub(super) fn content_security_policy() -> String {
    let hash = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let inside = HTML.split(&open).nth(1).and_then(|rest| rest.split(&close).next()).unwrap_or_default();
        format!("'sha256-{}'", BASE64_STANDARD.encode(Digest::of_bytes(inside.as_bytes()).0))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::Action;
    use crate::samples::{rule as allow, ruleset};
    use crate::telemetry::samples::taken;

    #[test]
    fn the_document_needs_nothing_from_elsewhere() {
        for foreign in ["http://", "https://", "src=", "@import", "url(", "innerHTML", "style=\""] {
            let found = HTML.replace("http://www.w3.org/2000/svg", "").contains(foreign);
            assert!(!found, "{foreign:?} in the page");
        }
        let policy = content_security_policy();
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!((HTML.matches("<script>").count(), HTML.matches("<style>").count()), (1, 1));
    }

    #[test]
    fn the_busiest_rules_come_first_and_not_all_of_them() {
        let mut ruleset = ruleset(&["wan0"]);
        ruleset.rules = (0..30).map(|at| allow(&format!("r{at}"), Action::Allow, &[0])).collect();
        let mut trends = Trends::new(10);
        let count = |series: &crate::counters::Series| match &series.subject {
            crate::counters::Subject::Rule(_, id) => id[1..].parse().unwrap_or(0),
            _ => 0,
        };
        let (first, mut then) = (taken(&ruleset, |_| 0), taken(&ruleset, count));
        then.at = first.at + jiff::SignedDuration::from_secs(2);
        let mut last = then.clone();
        last.at = then.at + jiff::SignedDuration::from_secs(30);
        [&first, &then, &last].into_iter().for_each(|snapshot| trends.take(snapshot));
        let past = Past { trends: &trends, journal: &[], events: &[] };
        let page = PageData::new(&then, past);
        let json = serde_json::to_value(&page).unwrap();
        assert_eq!(
            (json["rules"].as_array().unwrap().len(), &json["rules"][0]["name"]),
            (SHOWN, &"r29".into())
        );
        assert_eq!(json["rules"][0]["rates"], serde_json::json!([14.5, 0.0]));
        assert_eq!(json["ages"], serde_json::json!([30.0, 0.0]), "however far apart the looks were");
        assert_eq!(json["interfaces"][0]["engines_word"], "native");
        assert_eq!(json["reasons"].as_array().unwrap().len(), 0, "what never happened is not shown");
    }
}
