//! Rules that hold on every VLAN of a trunk because they name none.
//!
//! Promises: one finding a trunk. What every VLAN needs (bundles, frames that are not IP) is not named, nor a rule that
//! says `vlan: any`.

use super::{Finding, Subject};
use crate::policy::vlan_set::VlanSet;
use crate::ruleset::{Action, Rule, Ruleset};

/// Rules that are written out before the rest is only counted.
const SHOWN: usize = 4;

/// Trunks with such rules.
pub(super) fn findings(ruleset: &Ruleset) -> Vec<Finding> {
    (0..ruleset.interfaces.len()).filter_map(|at| finding(ruleset, at)).collect()
}

fn finding(ruleset: &Ruleset, at: usize) -> Option<Finding> {
    let interface = &ruleset.interfaces[at];
    if VlanSet::of(interface).len() < 2 {
        return None;
    }
    let everywhere = |rule: &&Rule| {
        rule.action == Action::Allow
            && rule.interfaces.binary_search(&at).is_ok()
            && rule.vlans.is_none()
            && rule.written.vlan.is_empty()
            && rule.written.bundle.is_empty()
            && !rule.services.is_empty()
    };
    let mut rules = ruleset.rules.iter().filter(everywhere);
    let shown: Vec<String> =
        rules.by_ref().take(SHOWN).map(|rule| format!("\"{}\" (line {})", rule.id, rule.line)).collect();
    let more = rules.count();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| Finding {
        subject: Subject::Interface(at),
        message: format!(
            "interface \"{}\" is a trunk, and rules without `vlan` hold on every VLAN of it: {}{more}",
            interface.name,
            shown.join(", ")
        ),
        remedy: "name their `vlan`, or write `vlan: any` where every one is meant".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::bare_warnings;

    fn of(vlans: &str, rule: &str) -> Vec<String> {
        let head = format!("version: 1\ninterfaces:\n  wan0: {{vlans: {vlans}}}\nallow:\n");
        let base = "  - {id: base, bundle: [arp, nd, pmtu]}\n  - {id: lldp, ethertype: lldp}\n";
        bare_warnings(&format!("{head}{base}  - {{id: a, service: ssh{rule}}}\n"))
    }

    #[test]
    fn a_rule_that_names_no_vlan_is_named_on_a_trunk() {
        let found = of("[untagged, 10]", "");
        assert_eq!(
            found,
            [
                "3: interface \"wan0\" is a trunk, and rules without `vlan` hold on every VLAN of it: \"a\" (line 7)"
            ]
        );
        for (vlans, rule) in
            [("[untagged, 10]", ", vlan: any"), ("[untagged, 10]", ", vlan: 10"), ("[10]", "")]
        {
            assert_eq!(of(vlans, rule), [""; 0], "{vlans} {rule}");
        }
    }
}
