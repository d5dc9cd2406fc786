//! What a rule lets through because it is broad: tunnels that nobody looks into, messages that move routes, multicast.
//!
//! Promises: only what the rule really passes is named, its addresses counted; what a rule names itself is meant, but for
//! tunnels: what travels inside them is judged by no rule, which the reader of a policy must know.

use super::{Finding, Subject, is_broad};
use crate::ruleset::{Action, AddressSet, Family, Rule, Ruleset, Service};

/// Protocols that carry packets inside (IANA protocol numbers).
const TUNNELS: [(u8, &str); 6] =
    [(4, "ip-in-ip"), (41, "ipv6-in-ip"), (47, "gre"), (50, "esp"), (97, "etherip"), (137, "mpls-in-ip")];
const ICMP: u8 = 1;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// 224.0.0.0/4.
const MANY_V4: (u32, u32) = (0xe000_0000, 0xefff_ffff);
/// ff00::/8.
const MANY_V6: (u128, u128) = (0xff << 120, u128::MAX);
/// fe80::/10, from where routers speak to the link (RFC 4861, section 4.2).
const LINK_LOCAL: (u128, u128) = (0xfe80 << 112, 0xfe80 << 112 | u128::MAX >> 10);

/// Rules that pass such things. A rule that passes everything is named for that elsewhere.
pub(super) fn findings(ruleset: &Ruleset) -> Vec<Finding> {
    let rules = ruleset.rules.iter().enumerate();
    let allowing = rules.filter(|(_, rule)| rule.action == Action::Allow && !is_broad(rule));
    allowing.flat_map(|(at, rule)| [tunnels(at, rule), by_breadth(at, rule)]).flatten().collect()
}

/// The tunnels that a rule names.
fn tunnels(at: usize, rule: &Rule) -> Option<Finding> {
    let named: Vec<&str> = TUNNELS
        .iter()
        .filter(|(number, _)| rule.services.iter().any(|service| service.protocol == Some(*number)))
        .map(|(_, name)| *name)
        .collect();
    (!named.is_empty()).then(|| Finding {
        subject: Subject::Rule(at),
        message: format!("rule \"{}\" passes an opaque tunnel: {}", rule.id, named.join(", ")),
        remedy:
            "no rule judges what is inside: name both its ends, and enforce a policy where the tunnel ends"
                .into(),
    })
}

fn by_breadth(at: usize, rule: &Rule) -> Option<Finding> {
    let passed: Vec<&str> = [
        (passes_any(rule, 50), "opaque tunnels (gre, esp, ip-in-ip)"),
        (passes_redirects(rule), "ICMP redirects"),
        (passes_advertisements(rule), "router advertisements"),
        (passes_multicast(rule), "multicast"),
    ]
    .into_iter()
    .filter(|(passes, _)| *passes)
    .map(|(_, name)| name)
    .collect();
    (!passed.is_empty()).then(|| Finding {
        subject: Subject::Rule(at),
        message: format!("rule \"{}\" is so broad that it passes {} as well", rule.id, passed.join(", ")),
        remedy: "name the services that are meant, such as icmp/echo-request, or a `bundle`".into(),
    })
}

/// Whether a service without a word about ports and types holds for packets of this protocol, which it does not name.
fn passes_any(rule: &Rule, protocol: u8) -> bool {
    rule.services.iter().any(|service| service.protocol.is_none() && admits(rule, service, protocol))
}

/// Whether a service is about every packet of a protocol in some family for which the rule has addresses.
fn admits(rule: &Rule, service: &Service, protocol: u8) -> bool {
    service.protocol.is_none_or(|own| own == protocol)
        && !service.has_layer4_condition()
        && [Family::V4, Family::V6].into_iter().any(|family| has(rule, service, family))
}

fn has(rule: &Rule, service: &Service, family: Family) -> bool {
    service.family.is_none_or(|own| own == family)
        && match family {
            Family::V4 => !rule.from.v4().is_empty() && !rule.to.v4().is_empty(),
            Family::V6 => !rule.from.v6().is_empty() && !rule.to.v6().is_empty(),
        }
}

/// ICMP type 5; ICMPv6 type 137, which only routers of the link send.
fn passes_redirects(rule: &Rule) -> bool {
    rule.services.iter().any(|service| {
        let v4 = admits(rule, service, ICMP) && has(rule, service, Family::V4);
        v4 || admits(rule, service, ICMPV6) && has(rule, service, Family::V6) && speaks_to_link(rule)
    })
}

/// ICMPv6 type 134.
fn passes_advertisements(rule: &Rule) -> bool {
    let admits = |service: &Service| admits(rule, service, ICMPV6) && has(rule, service, Family::V6);
    rule.services.iter().any(admits) && speaks_to_link(rule)
}

fn speaks_to_link(rule: &Rule) -> bool {
    meets(rule.from.v6(), LINK_LOCAL)
}

/// Datagrams to groups that a rule does not name.
fn passes_multicast(rule: &Rule) -> bool {
    let is_group = |set: &AddressSet| {
        set.v4().iter().all(|range| MANY_V4.0 <= range.0) && set.v6().iter().all(|range| MANY_V6.0 <= range.0)
    };
    !is_group(&rule.to)
        && rule.services.iter().filter(|service| admits(rule, service, UDP)).any(|service| {
            has(rule, service, Family::V4) && meets(rule.to.v4(), MANY_V4)
                || has(rule, service, Family::V6) && meets(rule.to.v6(), MANY_V6)
        })
}

fn meets<T: Ord + Copy>(ranges: &[(T, T)], range: (T, T)) -> bool {
    let next = ranges.partition_point(|own| own.1 < range.0);
    ranges.get(next).is_some_and(|own| own.0 <= range.1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::warnings;

    fn of(conditions: &str) -> Vec<String> {
        warnings(&format!("  - {{id: a, {conditions}}}\n"), "")
    }

    #[test]
    fn what_a_broad_rule_passes_is_named_as_far_as_its_addresses_allow() {
        let found = of("from: 10.0.0.0/8");
        let all = "opaque tunnels (gre, esp, ip-in-ip), ICMP redirects, multicast";
        assert_eq!(found, [format!("7: rule \"a\" is so broad that it passes {all} as well")]);
        let found = of("from: 10.0.0.0/8, to: 203.0.113.1");
        assert!(
            found[0].contains("passes opaque tunnels (gre, esp, ip-in-ip), ICMP redirects as well"),
            "{found:?}"
        );
        let found = of("service: icmpv6");
        assert!(found[0].contains("passes ICMP redirects, router advertisements as well"), "{found:?}");
        assert!(of("from: \"2001:db8::/32\", service: icmpv6").is_empty());
        assert!(of("service: udp")[0].contains("passes multicast as well"));
    }

    #[test]
    fn what_a_rule_names_is_meant() {
        for conditions in [
            "service: [icmp/redirect, icmpv6/router-advertisement]",
            "bundle: [ra, multicast]",
            "to: [224.0.0.0/4, \"ff00::/8\"], service: udp",
            "service: [udp/5353, tcp]",
        ] {
            assert_eq!(of(conditions), [""; 0], "{conditions}");
        }
    }

    #[test]
    fn a_tunnel_is_named_though_the_rule_names_it() {
        let found = of("from: 192.0.2.1, service: [gre, esp, udp/500]");
        assert_eq!(found, ["7: rule \"a\" passes an opaque tunnel: gre, esp"]);
    }
}
