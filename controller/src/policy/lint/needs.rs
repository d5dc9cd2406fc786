//! What an interface needs for that which it passes: ARP, neighbour discovery, path MTU messages; and that it passes
//! something at all.

use super::{Finding, Subject};
use crate::ruleset::{Action, Family, Rule, Ruleset, Service, ether};

const ICMP: u8 = 1;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const DESTINATION_UNREACHABLE: u8 = 3;
const PACKET_TOO_BIG: u8 = 2;

/// What each interface lacks.
pub(super) fn findings(ruleset: &Ruleset) -> Vec<Finding> {
    ruleset.interfaces.iter().enumerate().flat_map(|(at, _)| lacking(ruleset, at)).collect()
}

fn lacking(ruleset: &Ruleset, at: usize) -> Vec<Finding> {
    let here = |rule: &&Rule| rule.action == Action::Allow && rule.interfaces.contains(&at);
    let rules: Vec<&Rule> = ruleset.rules.iter().filter(here).collect();
    let passes = |family, wanted: &dyn Fn(&Service) -> bool| {
        rules.iter().any(|rule| rule_passes(rule, family, wanted))
    };
    let icmp = |family, kind: u8| passes(family, &|service| matches_icmp(service, family, kind));
    let has_arp = rules.iter().any(|rule| rule.ethertypes.contains(&ether::ARP));
    let has_nd = icmp(Family::V6, NEIGHBOUR_SOLICITATION) && icmp(Family::V6, NEIGHBOUR_ADVERTISEMENT);
    let name = &ruleset.interfaces[at].name;
    if rules.is_empty() {
        return vec![Finding {
            subject: Subject::Interface(at),
            message: format!("interface \"{name}\" passes nothing: no allow rule applies to it"),
            remedy: "add a rule, or name the interface in one; leave it out of the policy to leave it alone"
                .into(),
        }];
    }
    let finding = |what: &str, lacks: &str, bundle: &str| Finding {
        subject: Subject::Interface(at),
        message: format!("interface \"{name}\" passes {what} but no {lacks}"),
        remedy: format!("add a rule with `bundle: {bundle}`"),
    };
    let mut findings = Vec::new();
    if passes(Family::V4, &carries_data) && !has_arp {
        findings.push(finding("IPv4", "ARP, without which nobody finds it", "arp"));
    }
    if passes(Family::V6, &carries_data) && !has_nd {
        findings.push(finding("IPv6", "neighbour discovery, without which nobody finds it", "nd"));
    }
    for (family, kind, shown) in
        [(Family::V4, DESTINATION_UNREACHABLE, "IPv4"), (Family::V6, PACKET_TOO_BIG, "IPv6")]
    {
        if passes(family, &carries_streams) && !icmp(family, kind) {
            let lacks = "path MTU messages, without which large packets vanish";
            findings.push(finding(shown, lacks, "pmtu"));
        }
    }
    findings
}

fn rule_passes(rule: &Rule, family: Family, wanted: &dyn Fn(&Service) -> bool) -> bool {
    let has_addresses = match family {
        Family::V4 => !rule.from.v4().is_empty() && !rule.to.v4().is_empty(),
        Family::V6 => !rule.from.v6().is_empty() && !rule.to.v6().is_empty(),
    };
    let is_of = |service: &&Service| service.family.is_none_or(|own| own == family);
    has_addresses && rule.services.iter().filter(is_of).any(wanted)
}

fn matches_icmp(service: &Service, family: Family, kind: u8) -> bool {
    let protocol = if family == Family::V4 { ICMP } else { ICMPV6 };
    service.protocol.is_none_or(|own| own == protocol) && service.icmp.is_none_or(|icmp| icmp.kind == kind)
}

/// Anything that two hosts want of each other, rather than what keeps the network itself going.
fn carries_data(service: &Service) -> bool {
    match (service.protocol, service.icmp) {
        (Some(IGMP), _) => false,
        (Some(ICMP), Some(icmp)) => !matches!(icmp.kind, 3 | 9..=12),
        (Some(ICMPV6), Some(icmp)) => !matches!(icmp.kind, 1..=4 | 130..=137 | 143),
        _ => true,
    }
}

/// What may send packets as large as the path allows.
fn carries_streams(service: &Service) -> bool {
    !matches!(service.protocol, Some(ICMP | IGMP | ICMPV6))
}

#[cfg(test)]
mod tests {
    use super::super::tests::bare_warnings;

    fn of(rules: &str) -> Vec<String> {
        bare_warnings(&format!("version: 1\ninterfaces:\n  wan0:\nallow:\n{rules}"))
    }

    #[test]
    fn an_interface_needs_what_its_families_need() {
        let found = of("  - {id: a, service: ssh}\n");
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.iter().all(|line| line.starts_with("3: interface \"wan0\" passes IPv")));
        let found = of("  - {id: a, from: 10.0.0.0/8, service: ssh}\n  - {id: b, bundle: arp}\n");
        assert_eq!(
            found,
            [
                "3: interface \"wan0\" passes IPv4 but no path MTU messages, without which large packets vanish"
            ]
        );
    }

    #[test]
    fn an_interface_that_passes_nothing_is_named() {
        let policy =
            "version: 1\ninterfaces:\n  wan0:\n  lan0:\nallow:\n  - {id: a, interface: lan0, bundle: arp}\n";
        assert_eq!(
            bare_warnings(policy),
            ["3: interface \"wan0\" passes nothing: no allow rule applies to it"]
        );
    }

    #[test]
    fn bundles_satisfy_and_need_nothing() {
        assert!(of("  - {id: b, bundle: [arp, nd, pmtu]}\n  - {id: a, service: ssh}\n").is_empty());
        assert!(of("  - {id: b, bundle: [pmtu, multicast]}\n").is_empty());
    }
}
