//! Whether a rule can match anything at all.
//!
//! Promises: a rule whose own words exclude each other is an error; one that the steps before the rules leave empty
//! (VLANs, martian addresses, `sources`) is a warning. Both are exact on addresses, never a guess.

use super::diagnostic::quoted;
use super::interfaces::Interfaces;
use super::rule::Draft;
use super::services::icmp_protocol;
use super::source::{Fault, Report};
use super::traffic::Traffic;
use super::vlan_set::VlanSet;
use crate::ruleset::{AddressSet, Family, Interface, Rule, Service, Vlan, VlanRange};

/// The addresses that step 3 of the verdict lets through as a source or a destination.
struct Standing {
    source: AddressSet,
    destination: AddressSet,
    /// Destinations to which a packet may come from the unspecified address.
    from_unspecified: AddressSet,
    link_local: AddressSet,
}

/// An interface, with everything that decides whether a rule can match there.
struct Place {
    allowed: VlanSet,
    /// Who may speak in VLANs without sources of their own, less martians; `None`: anyone.
    speakers: Option<AddressSet>,
}

/// Who may speak on a named VLAN.
struct NamedVlan {
    range: VlanSet,
    id: crate::ruleset::VlanId,
    speakers: AddressSet,
}

/// Judges the rules of one policy.
pub(super) struct Reach {
    standing: Standing,
    places: Vec<Place>,
    /// Those with sources of their own.
    vlans: Vec<NamedVlan>,
}

/// Refuses a rule whose addresses and services have no family in common.
pub(super) fn check_words(
    id: &str,
    from: &AddressSet,
    to: &AddressSet,
    traffic: &Traffic,
) -> Result<(), Fault> {
    let has = |set: &AddressSet, family| match family {
        Family::V4 => !set.v4().is_empty(),
        Family::V6 => !set.v6().is_empty(),
    };
    let meet = |family| has(from, family) && has(to, family);
    let nothing = format!("rule {} matches nothing", quoted(id));
    if !meet(Family::V4) && !meet(Family::V6) {
        let (source, destination) = if has(from, Family::V4) { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
        let message = format!("{nothing}: `from` is {source} only and `to` is {destination} only");
        return Err(Fault::new(message, "name addresses of one family on both sides"));
    }
    let serves = |service: &Service| service.family.is_none_or(meet);
    if traffic.ethertypes.is_empty() && !traffic.services.iter().any(serves) {
        let (services, addresses) = if meet(Family::V4) { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
        let message =
            format!("{nothing}: its services are {services} only and its addresses {addresses} only");
        return Err(Fault::new(message, "name services and addresses of one family"));
    }
    Ok(())
}

impl Reach {
    pub(super) fn new(interfaces: &[Interface], vlans: &[Vlan]) -> Reach {
        let standing = Standing::new();
        let speakers = |sources: &AddressSet| sources.intersection(&standing.source);
        let places = interfaces
            .iter()
            .map(|interface| Place {
                allowed: VlanSet::of(interface),
                speakers: interface.sources.as_ref().map(speakers),
            })
            .collect();
        let named = |vlan: &Vlan| {
            let speakers = speakers(vlan.sources.as_ref()?);
            Some(NamedVlan { range: VlanSet::new([vlan.id.into()]), id: vlan.id, speakers })
        };
        Reach { places, vlans: vlans.iter().filter_map(named).collect(), standing }
    }

    /// Warns if other settings leave the rule, or a part of it that was written for itself, empty.
    pub(super) fn report(&self, draft: &Draft, interfaces: &Interfaces, report: &mut Report) {
        let rule = &draft.rule;
        if let Some(fault) = self.vlan_fault(rule, interfaces) {
            report.warning(draft.mark, fault.message, fault.remedy);
            return;
        }
        let groups = self.speakers(rule);
        if groups.is_empty() {
            return; // a policy without interfaces, which has been reported
        }
        let nothing = format!("rule {} matches nothing", quoted(&rule.id));
        if rule.ethertypes.is_empty() && !self.standing.any_pair(rule, None) {
            let message = format!("{nothing}: its sources or destinations are all martian");
            report.warning(draft.mark, message, "such packets are dropped before the rules: remove it");
        } else if rule.ethertypes.is_empty()
            && !groups.iter().any(|group| self.standing.any_pair(rule, *group))
        {
            let message = format!("{nothing}: its `from` is outside the `sources` that apply");
            report.warning(draft.mark, message, "widen `sources`, or change `from`");
        }
        let lacks =
            |group: &Option<&AddressSet>| group.is_some_and(|set| !meet_v6(set, &self.standing.link_local));
        if let Some(mark) = draft.dhcpv6_client
            && groups.iter().all(lacks)
        {
            let message =
                "\"dhcpv6-client\" matches nothing: servers speak from fe80::/10, which `sources` lack";
            report.warning(mark, message, "add \"fe80::/10\" to `sources`");
        }
    }

    /// Why no interface of the rule ever sees its VLANs, or one of them.
    fn vlan_fault(&self, rule: &Rule, interfaces: &Interfaces) -> Option<Fault> {
        let ranges = rule.vlans.as_ref()?;
        let is_seen = |range: &VlanRange| {
            let wanted = VlanSet::new([*range]);
            rule.interfaces.iter().filter_map(|at| self.places.get(*at)).any(|place| {
                let mut seen = place.allowed.clone();
                seen.intersect(&wanted);
                !seen.is_empty()
            })
        };
        let unseen: Vec<String> =
            ranges.iter().filter(|range| !is_seen(range)).map(ToString::to_string).collect();
        if unseen.is_empty() {
            return None;
        }
        let names: Vec<&str> =
            rule.interfaces.iter().map(|at| interfaces.list[*at].name.as_str()).take(8).collect();
        let (vlans, whole) = (unseen.join(", "), unseen.len() == ranges.len());
        let what = if whole { "matches nothing" } else { "matches nothing there" };
        let message = format!(
            "rule {} {what}: VLAN {vlans} is allowed on none of {}",
            quoted(&rule.id),
            names.join(", ")
        );
        Some(Fault::new(message, "add it to the `vlans` of the interface, or take it from the rule"))
    }

    /// Who may speak where the rule applies: one set for each VLAN or interface that has one; `None`: anyone.
    fn speakers(&self, rule: &Rule) -> Vec<Option<&AddressSet>> {
        let wanted = rule.vlans.as_ref().map(|ranges| VlanSet::new(ranges.iter().copied()));
        let mut groups = Vec::new();
        for place in rule.interfaces.iter().filter_map(|at| self.places.get(*at)) {
            let mut rest = place.allowed.clone();
            if let Some(wanted) = &wanted {
                rest.intersect(wanted);
            }
            for vlan in &self.vlans {
                if vlan.range.is_subset(&rest) {
                    rest.remove(vlan.id);
                    groups.push(Some(&vlan.speakers));
                }
            }
            if !rest.is_empty() {
                groups.push(place.speakers.as_ref());
            }
        }
        groups
    }
}

impl Standing {
    fn new() -> Standing {
        let v6 =
            |high: u128, low: u128, bits: u32| (high << 64 | low, (high << 64 | low) | u128::MAX >> bits);
        let (mapped, multicast) = (v6(0, 0xffff << 32, 96), v6(0xff00 << 48, 0, 8));
        let unspecified =
            AddressSet::new(vec![(0, 0x00ff_ffff), (0x7f00_0000, 0x7fff_ffff)], vec![v6(0, 0, 96), mapped]);
        let source = AddressSet::new(vec![(0xe000_0000, u32::MAX)], vec![multicast]).union(&unspecified);
        let destination = AddressSet::new(vec![(0xf000_0000, u32::MAX - 1)], Vec::new()).union(&unspecified);
        Standing {
            source: AddressSet::any().difference(&source),
            destination: AddressSet::any().difference(&destination),
            from_unspecified: AddressSet::new(
                vec![(0xe000_0000, 0xefff_ffff), (u32::MAX, u32::MAX)],
                vec![multicast],
            ),
            link_local: AddressSet::new(Vec::new(), vec![v6(0xfe80 << 48, 0, 10)]),
        }
    }

    /// Whether one packet that passes step 3 can match the rule, where only `speakers` (and whom the contract excepts)
    /// may speak.
    fn any_pair(&self, rule: &Rule, speakers: Option<&AddressSet>) -> bool {
        rule.services.iter().any(|service| {
            let is_v4 = service.family != Some(Family::V6);
            let is_v6 = service.family != Some(Family::V4);
            let may_be_nd = service.protocol.is_none_or(|protocol| protocol == icmp_protocol(Family::V6));
            is_v4 && self.any_v4(rule, speakers) || is_v6 && self.any_v6(rule, speakers, may_be_nd)
        })
    }

    fn any_v4(&self, rule: &Rule, speakers: Option<&AddressSet>) -> bool {
        let speakers = speakers.unwrap_or(&self.source);
        meet(rule.from.v4(), speakers.v4()) && meet(rule.to.v4(), self.destination.v4())
            || rule.from.contains_v4(0) && meet(rule.to.v4(), self.from_unspecified.v4())
    }

    fn any_v6(&self, rule: &Rule, speakers: Option<&AddressSet>, may_be_nd: bool) -> bool {
        let speakers = speakers.unwrap_or(&self.source);
        let speaks =
            meet(rule.from.v6(), speakers.v6()) || may_be_nd && meet_v6(&rule.from, &self.link_local);
        speaks && meet(rule.to.v6(), self.destination.v6())
            || rule.from.contains_v6(0) && meet(rule.to.v6(), self.from_unspecified.v6())
    }
}

fn meet_v6(a: &AddressSet, b: &AddressSet) -> bool {
    meet(a.v6(), b.v6())
}

/// Whether two canonical lists of ranges have an address in common; the shorter is searched in the longer.
fn meet<T: Ord + Copy>(a: &[(T, T)], b: &[(T, T)]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short.iter().any(|&(low, high)| {
        let first = long.partition_point(|range| range.1 < low);
        long.get(first).is_some_and(|range| range.0 <= high)
    })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    /// The places and messages of a policy with this interface and these rules, the first of them on line 6.
    fn problems(interface: &str, rules: &str) -> Vec<String> {
        let text = format!(
            "version: 1\ninterfaces:\n  wan0: {{{interface}}}\nallow:\n  - {{id: ok, service: ssh}}\n{rules}"
        );
        let at = "2026-11-21T00:00:00Z".parse().unwrap();
        let reading = read("p", text.as_bytes(), &mut |_| Ok(Vec::new()), at);
        reading
            .diagnostics
            .iter()
            .map(|found| format!("{}: {}: {}", found.line, found.severity, found.message))
            .collect()
    }

    #[test]
    fn families_that_never_meet_are_an_error() {
        let found = problems(
            "",
            "  - {id: a, from: 10.0.0.1, to: \"2001:db8::1\"}\n  - {id: b, from: 10.0.0.1, service: icmpv6}\n",
        );
        assert_eq!(
            found[0],
            "6: error: rule \"a\" matches nothing: `from` is IPv4 only and `to` is IPv6 only"
        );
        assert_eq!(
            found[1],
            "7: error: rule \"b\" matches nothing: its services are IPv6 only and its addresses IPv4 only"
        );
    }

    #[test]
    fn what_other_settings_leave_empty_is_a_warning() {
        let rules = "  - {id: a, from: 127.0.0.0/8}\n  - {id: b, from: 192.0.2.1}\n  - {id: c, vlan: 10}\n  - {id: d, bundle: dhcpv6-client}\n";
        let found = problems("sources: [10.0.0.0/8, \"2001:db8::/32\"]", rules);
        let expected = [
            "all martian",
            "outside the `sources`",
            "VLAN 10 is allowed on none of wan0",
            "which `sources` lack",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(found, part)| found.contains(part)), "{found:?}");
    }

    #[test]
    fn the_excepted_sources_can_match() {
        let rules = "  - {id: a, from: 0.0.0.0, to: 255.255.255.255}\n  - {id: b, from: \"::\", to: \"ff00::/8\"}\n  - {id: c, from: \"fe80::/10\", service: icmpv6}\n";
        assert_eq!(problems("sources: 10.0.0.0/8", rules), Vec::<String>::new());
        assert_eq!(problems("sources: 10.0.0.0/8", "  - {id: a, from: 0.0.0.0, to: 10.0.0.1}\n").len(), 1);
        assert_eq!(
            problems("sources: 10.0.0.0/8", "  - {id: a, from: \"fe80::/10\", service: udp}\n").len(),
            1
        );
    }

    #[test]
    fn ranges_meet_where_they_share_an_address() {
        assert!(meet(&[(1, 3), (9, 9)], &[(4, 8), (9, 12), (20, 30)]));
        assert!(!meet(&[(1, 3), (10, 11)], &[(4, 9), (12, 12)]));
        assert!(!meet::<u32>(&[], &[(0, 1)]));
    }
}
