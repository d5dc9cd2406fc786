//! One rule: its keys, which of them go together, and what they come to.

use jiff::civil::Date;

use super::diagnostic::quoted;
use super::fields::{Fields, Word, joined};
use super::interfaces::Interfaces;
use super::networks::{Networks, is_any};
use super::services::Services;
use super::source::{Fault, Mark, Report};
use super::text::boolean;
use super::traffic::{self, Traffic};
use super::vlans::Vlans;
use super::{expiry, reach};
use crate::ruleset::{About, Action, AddressSet, Rule, VlanRange, Written};

/// Every key of a rule.
pub(super) const KEYS: [&str; 16] = [
    "id",
    "interface",
    "vlan",
    "from",
    "to",
    "service",
    "source_port",
    "tcp",
    "ethertype",
    "bundle",
    "log",
    "owner",
    "ticket",
    "control",
    "description",
    "expires",
];

/// What the words of a rule refer to.
pub(super) struct Scope<'s> {
    pub(super) networks: &'s mut Networks,
    pub(super) vlans: &'s mut Vlans,
    pub(super) interfaces: &'s Interfaces,
    pub(super) services: &'s mut Services,
    /// The day (UTC) as of which the policy is judged.
    pub(super) today: Date,
}

/// A rule with what only the reader of the policy needs to know of it.
pub(super) struct Draft {
    pub(super) rule: Rule,
    pub(super) mark: Mark,
    /// Where `expires` stands, if that day is over.
    pub(super) expired: Option<Mark>,
    /// Where the bundle `dhcpv6-client` stands.
    pub(super) dhcpv6_client: Option<Mark>,
}

/// Reads everything of a rule but its id, which is known to be good. Nothing if anything is wrong, which is reported.
pub(super) fn read(
    fields: &Fields,
    id: &str,
    action: Action,
    scope: &mut Scope,
    report: &mut Report,
) -> Option<Draft> {
    let errors = report.errors();
    let interfaces = interfaces(fields, scope, report);
    let vlans = vlans(fields, scope, report);
    let from = addresses(fields, "from", scope, report);
    let to = addresses(fields, "to", scope, report);
    let traffic = traffic::read(fields, scope.services, report);
    if let (Some(from), Some(to), Some(traffic)) = (&from, &to, &traffic) {
        report.value(fields.mark, reach::check_words(id, from, to, traffic));
    }
    let log = fields.text("log", report).and_then(|word| report.value(word.mark, boolean(&word.text)));
    let expires = fields.text("expires", report);
    let last_day = expires.as_ref().and_then(|word| report.value(word.mark, expiry::parse(&word.text)));
    let about = about(fields, expires.as_ref(), report);
    (report.errors() == errors).then_some(())?;
    let Traffic { services, ethertypes, dhcpv6_client } = traffic?;
    let rule = Rule {
        id: id.into(),
        action,
        interfaces: interfaces?,
        vlans: vlans?,
        from: from?,
        to: to?,
        services,
        ethertypes,
        log: log.unwrap_or(false),
        about,
        written: written(fields),
        line: fields.mark.line,
    };
    let expired = last_day.filter(|last| scope.today > *last).and(expires.map(|word| word.mark));
    Some(Draft { rule, mark: fields.mark, expired, dhcpv6_client })
}

fn interfaces(fields: &Fields, scope: &Scope, report: &mut Report) -> Option<Vec<usize>> {
    let Some(words) = fields.words("interface", report) else {
        return Some((0..scope.interfaces.list.len()).collect());
    };
    let words = words?;
    let mut found: Vec<usize> =
        words.iter().filter_map(|word| report.value(word.mark, scope.interfaces.find(&word.text))).collect();
    let is_whole = found.len() == words.len();
    found.sort_unstable();
    found.dedup();
    is_whole.then_some(found)
}

/// `Some(None)`: every VLAN the interface allows.
fn vlans(fields: &Fields, scope: &mut Scope, report: &mut Report) -> Option<Option<Vec<VlanRange>>> {
    let Some(words) = fields.words("vlan", report) else { return Some(None) };
    let words = words?;
    if is_any(&words) {
        return Some(None);
    }
    let mut ranges = Vec::with_capacity(words.len());
    let mut is_whole = true;
    for word in &words {
        let parsed = match word.text.as_ref() {
            "any" => Err(any_in_list()),
            text => scope.vlans.range(text),
        };
        match report.value(word.mark, parsed).flatten() {
            Some(range) if ranges.contains(&range) => {}
            Some(range) => ranges.push(range),
            None => is_whole = false,
        }
    }
    is_whole.then_some(Some(ranges))
}

fn addresses(fields: &Fields, key: &str, scope: &mut Scope, report: &mut Report) -> Option<AddressSet> {
    let Some(words) = fields.words(key, report) else { return Some(AddressSet::any()) };
    let words = words?;
    if is_any(&words) {
        return Some(AddressSet::any());
    }
    let (any, named): (Vec<Word>, Vec<Word>) =
        words.into_iter().partition(|word| word.text.as_ref() == "any");
    for word in &any {
        report.fault(word.mark, &any_in_list());
    }
    let set = scope.networks.set(&named, report)?;
    if set.is_empty() && !named.is_empty() {
        let message =
            format!("`{key}` holds no address, so the rule matches nothing: {}", quoted(&joined(&named)));
        report.error(named[0].mark, message, "look at the `except` of what it names, or remove the rule");
        return None;
    }
    any.is_empty().then_some(set)
}

/// The fault of an `any` beside other words.
pub(super) fn any_in_list() -> Fault {
    Fault::new("\"any\" stands in a list", "write it alone, or remove it")
}

fn about(fields: &Fields, expires: Option<&Word>, report: &mut Report) -> About {
    let mut text = |key| fields.text(key, report).map(|word| word.text.to_string());
    About {
        owner: text("owner"),
        ticket: text("ticket"),
        control: text("control"),
        description: text("description"),
        expires: expires.map(|word| word.text.to_string()),
    }
}

/// The conditions as written; by now each of them is known to be words.
fn written(fields: &Fields) -> Written {
    let text = |key| fields.get(key).map_or(String::new(), |entry| joined(&entry.scalars()));
    Written {
        interface: text("interface"),
        vlan: text("vlan"),
        from: text("from"),
        to: text("to"),
        service: text("service"),
        source_port: text("source_port"),
        tcp: text("tcp"),
        ethertype: text("ethertype"),
        bundle: text("bundle"),
    }
}
