//! Names in the kernel: tables, and counters that say what they count.
//!
//! Promises: an instance has tables of its own; the name of a counter can be read back.

use std::path::Path;

use perimeter_classifier::verdict::DropReason;

use crate::counters::{Outcome, Subject};
use crate::digest::Digest;
use crate::ruleset::Action;

/// What every table of ours begins with.
const TABLE: &str = "perimeter";
/// What the counters of frames end with whose outer tag the kernel took off: they were 4 bytes longer on the wire.
pub(super) const TAGGED: &str = ".tag";

/// The instance that keeps its pins in `bpffs`; the default one has no name.
pub fn instance(bpffs: &Path) -> String {
    if bpffs == Path::new("/sys/fs/bpf/perimeter") {
        return String::new();
    }
    let digest = Digest::of_bytes(bpffs.as_os_str().as_encoded_bytes());
    digest.0.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The group of nfnetlink_log that the tables of an instance tell of frames. That of the default one is the number of the agent's
/// port; those above it are as good as always enough for two instances in one network namespace to differ.
pub(super) fn group(instance: &str) -> u16 {
    const DEFAULT: u16 = 9765;
    if instance.is_empty() {
        return DEFAULT;
    }
    let [first, second, ..] = Digest::of_bytes(instance.as_bytes()).0;
    DEFAULT + 1 + u16::from_be_bytes([first, second]) % (u16::MAX - DEFAULT)
}

/// The counters of frames that were told of, and of those that were not, because the limit was reached.
pub(super) const MADE: &str = "event.made";
pub(super) const SUPPRESSED: &str = "event.suppressed";

/// The start of the names of all tables of an instance.
pub(super) fn prefix(instance: &str) -> String {
    if instance.is_empty() { format!("{TABLE}/") } else { format!("{TABLE}-{instance}/") }
}

/// The table of an interface.
pub(super) fn table(instance: &str, interface: &str) -> String {
    format!("{}{}", prefix(instance), escape(interface))
}

/// The instance whose table this is, `family table` with whatever follows; `None` where it is none of ours.
pub fn owner(place: &str) -> Option<&str> {
    let (owner, _) = place.strip_prefix("netdev ")?.strip_prefix(TABLE)?.split_once('/')?;
    let is_name = |name: &&str| name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if owner.is_empty() { Some(owner) } else { owner.strip_prefix('-').filter(is_name) }
}

/// The interface of a table of an instance.
pub(super) fn interface(instance: &str, table: &str) -> Option<String> {
    unescape(table.strip_prefix(&prefix(instance))?)
}

/// What nft cannot read in a name becomes `/` and two digits.
fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("/{byte:02x}") })
        .collect()
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'/' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The counter of what is credited to a rule.
pub(super) fn of_rule(outcome: Outcome, action: Action, id: &str, stripped: bool) -> String {
    let action = if action == Action::Allow { "allow" } else { "deny" };
    counter(outcome, &format!("{action}.{id}"), stripped)
}

/// The counter of what no rule decides.
pub(super) fn of_reason(outcome: Outcome, reason: DropReason, stripped: bool) -> String {
    counter(outcome, &format!("reason.{}", reason.name()), stripped)
}

/// The counter of the frames of a VLAN, by its label.
pub(super) fn of_vlan(outcome: Outcome, label: &str, stripped: bool) -> String {
    counter(outcome, &format!("vlan.{label}"), stripped)
}

fn counter(outcome: Outcome, subject: &str, stripped: bool) -> String {
    format!("{}.{subject}{}", word(outcome), if stripped { TAGGED } else { "" })
}

/// What the names of counters begin with.
pub(super) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Drop => "drop",
        Outcome::WouldDrop => "would-drop",
    }
}

/// What a counter of [`of_rule`], [`of_reason`] or [`of_vlan`] counts; `None` for a name that is not ours.
pub(super) fn counted(name: &str) -> Option<(Outcome, Subject, bool)> {
    let (outcome, subject) = name.split_once('.')?;
    let outcome = match outcome {
        "pass" => Outcome::Pass,
        "drop" => Outcome::Drop,
        "would-drop" => Outcome::WouldDrop,
        _ => return None,
    };
    let (kind, name) = subject.split_once('.')?;
    // Ids, reasons and labels have no dot in them.
    let (name, stripped) = match name.strip_suffix(TAGGED) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let subject = match kind {
        "allow" => Subject::Rule(Action::Allow, name.to_owned()),
        "deny" => Subject::Rule(Action::Deny, name.to_owned()),
        "vlan" => Subject::Vlan(name.to_owned()),
        "reason" => Subject::Reason(DropReason::ALL.into_iter().find(|reason| reason.name() == name)?),
        _ => return None,
    };
    Some((outcome, subject, stripped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_have_groups_of_their_own() {
        let groups: std::collections::BTreeSet<u16> =
            (0..100).map(|one| group(&format!("{one:08x}"))).collect();
        assert!(groups.len() > 98 && groups.iter().all(|&one| one > group("")), "{groups:?}");
    }

    #[test]
    fn counters_are_read_back() {
        let rule = |action, id: &str| Subject::Rule(action, id.to_owned());
        for outcome in [Outcome::Pass, Outcome::Drop, Outcome::WouldDrop] {
            for stripped in [false, true] {
                let reason = DropReason::VlanSourceMismatch;
                let names = [
                    (of_rule(outcome, Action::Allow, "web-1", stripped), rule(Action::Allow, "web-1")),
                    (of_rule(outcome, Action::Deny, "tag", stripped), rule(Action::Deny, "tag")),
                    (of_reason(outcome, reason, stripped), Subject::Reason(reason)),
                    (of_vlan(outcome, "100/200", stripped), Subject::Vlan("100/200".to_owned())),
                    (of_vlan(outcome, "tag", stripped), Subject::Vlan("tag".to_owned())),
                ];
                for (name, subject) in names {
                    assert_eq!(counted(&name), Some((outcome, subject, stripped)), "{name}");
                }
            }
        }
        assert_eq!(["somebody.else", MADE, SUPPRESSED].map(counted), [None, None, None]);
    }

    #[test]
    fn tables_are_told_apart() {
        assert_eq!(table("", "wan0"), "perimeter/wan0");
        assert_eq!(interface("", &table("", "wan0.5:x")), Some("wan0.5:x".to_owned()));
        assert_eq!(interface("", &table("ab12cd34", "wan0")), None);
        assert_eq!(interface("ab12cd34", &table("ab12cd34", "wan0")), Some("wan0".to_owned()));
        assert_eq!(instance(Path::new("/sys/fs/bpf/perimeter")), "");
        assert_ne!(instance(Path::new("/a")), instance(Path::new("/b")));
    }
}
