//! Rules that another rule makes pointless: shadowed, duplicate, redundant.
//!
//! What ends sooner makes nothing pointless. A rule is a product of sets: interfaces with their VLANs, sources, destinations, services. One rule covers another
//! if each of its sets does. Ten thousand rules make a hundred million pairs, so all but a few of them must be told
//! apart by the hulls of these sets.

use super::space::{self, Space};
use super::{Finding, Subject};
use crate::policy::vlan_set::VlanSet;
use crate::ruleset::{Action, Family, Fragments, Rule, Ruleset};

/// One family of a rule's packets.
struct Half {
    /// First and last source and destination.
    from: (u128, u128),
    to: (u128, u128),
    hull: Space,
    spaces: Vec<Space>,
}

/// A rule, made ready for comparison.
struct Shape<'r> {
    rule: &'r Rule,
    /// One bit an interface; several share a bit beyond 64.
    interfaces: u64,
    /// [`VlanSet::signature`] of the VLANs on all interfaces together.
    vlans: u64,
    /// IPv4 and IPv6; `None` where the rule matches none of the family.
    halves: [Option<Half>; 2],
    /// The rule has no interface, or none of them allows its VLANs.
    is_nowhere: bool,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Shadowed, duplicate and redundant rules, each with the first rule that makes it so.
pub(super) fn findings(ruleset: &Ruleset) -> Vec<Finding> {
    let allowed: Vec<VlanSet> = ruleset.interfaces.iter().map(VlanSet::of).collect();
    let shapes: Vec<Shape> = ruleset.rules.iter().map(|rule| Shape::new(rule, ruleset, &allowed)).collect();
    let mut findings = Vec::new();
    for (at, inner) in shapes.iter().enumerate().filter(|(_, shape)| !shape.is_nowhere) {
        let is_cover = |&(other, outer): &(usize, &Shape)| {
            other != at
                && (outer.rule.action == inner.rule.action || outer.rule.action == Action::Deny)
                && outer.may_cover(inner)
                && outer.rule.outlasts(inner.rule)
                && outer.covers(inner, &allowed)
        };
        let Some((other, outer)) = shapes.iter().enumerate().find(is_cover) else { continue };
        let is_mutual = outer.rule.action == inner.rule.action
            && inner.may_cover(outer)
            && inner.rule.outlasts(outer.rule)
            && inner.covers(outer, &allowed);
        if is_mutual && other > at {
            continue; // the later of two equal rules is the one to name
        }
        findings.push(finding(at, inner.rule, outer.rule, other < at, is_mutual));
    }
    findings
}

fn finding(at: usize, inner: &Rule, outer: &Rule, is_earlier: bool, is_mutual: bool) -> Finding {
    let (id, other) = (&inner.id, format!("\"{}\" (line {})", outer.id, outer.line));
    let does = if outer.action == Action::Deny { "drops" } else { "passes" };
    let (message, remedy) = if is_mutual {
        (format!("rule \"{id}\" is a duplicate: {other} matches exactly the same"), "remove one of them")
    } else if outer.action != inner.action {
        let message = format!("rule \"{id}\" is shadowed: {other} drops everything it would pass");
        (message, "remove it, or narrow the deny rule")
    } else if is_earlier {
        let message = format!("rule \"{id}\" is shadowed: {other} already {does} everything it would");
        (message, "remove it, or put it first if its counter is wanted")
    } else {
        let message = format!("rule \"{id}\" is redundant: {other} {does} everything it would");
        (message, "remove it, unless its own counter is wanted")
    };
    Finding { subject: Subject::Rule(at), message, remedy: remedy.into() }
}

impl<'r> Shape<'r> {
    fn new(rule: &'r Rule, ruleset: &Ruleset, allowed: &[VlanSet]) -> Self {
        let has_fragments =
            rule.interfaces.iter().any(|at| ruleset.interfaces[*at].fragments != Fragments::Drop);
        let interfaces = rule.interfaces.iter().fold(0, |bits, at| bits | 1 << (at % 64));
        let wanted = rule.vlans.as_ref().map(|ranges| VlanSet::new(ranges.iter().copied()));
        let vlans =
            rule.interfaces.iter().fold(0, |bits, at| bits | effective(&allowed[*at], &wanted).signature());
        let halves = FAMILIES.map(|family| Half::new(rule, family, has_fragments));
        Shape { rule, interfaces, vlans, halves, is_nowhere: vlans == 0 }
    }

    /// Whether the hulls allow that this rule covers `inner`: quick, and never wrongly no.
    fn may_cover(&self, inner: &Shape) -> bool {
        inner.interfaces & !self.interfaces == 0
            && inner.vlans & !self.vlans == 0
            && self.halves.iter().zip(&inner.halves).all(|halves| match halves {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(outer), Some(inner)) => outer.may_cover(inner),
            })
    }

    /// Whether this rule matches everything that `inner` does.
    fn covers(&self, inner: &Shape, allowed: &[VlanSet]) -> bool {
        inner.rule.ethertypes.iter().all(|ethertype| self.rule.ethertypes.contains(ethertype))
            && inner.rule.interfaces.iter().all(|at| self.rule.interfaces.binary_search(at).is_ok())
            && self.covers_vlans(inner, allowed)
            && self.covers_addresses(inner)
            && self.halves.iter().zip(&inner.halves).all(|halves| match halves {
                (Some(outer), Some(inner)) => space::covers(&outer.spaces, &inner.spaces),
                (_, inner) => inner.is_none(),
            })
    }

    fn covers_addresses(&self, inner: &Shape) -> bool {
        let (own, other) = (self.rule, inner.rule);
        let v4 = inner.halves[0].is_none()
            || is_subset(other.from.v4(), own.from.v4()) && is_subset(other.to.v4(), own.to.v4());
        let v6 = inner.halves[1].is_none()
            || is_subset(other.from.v6(), own.from.v6()) && is_subset(other.to.v6(), own.to.v6());
        v4 && v6
    }

    fn covers_vlans(&self, inner: &Shape, allowed: &[VlanSet]) -> bool {
        if self.rule.vlans.is_none() || self.rule.vlans == inner.rule.vlans {
            return true;
        }
        let wanted = |rule: &Rule| rule.vlans.as_ref().map(|ranges| VlanSet::new(ranges.iter().copied()));
        let (own, other) = (wanted(self.rule), wanted(inner.rule));
        let covers = |at: &usize| effective(&allowed[*at], &other).is_subset(&effective(&allowed[*at], &own));
        inner.rule.interfaces.iter().all(covers)
    }
}

impl Half {
    fn new(rule: &Rule, family: Family, has_fragments: bool) -> Option<Half> {
        let ends = |from: Option<u128>, to: Option<u128>| from.zip(to);
        let (from, to) = match family {
            Family::V4 => {
                let ends = |ranges: &[(u32, u32)]| {
                    ends(
                        ranges.first().map(|range| range.0.into()),
                        ranges.last().map(|range| range.1.into()),
                    )
                };
                (ends(rule.from.v4())?, ends(rule.to.v4())?)
            }
            Family::V6 => {
                let ends = |ranges: &[(u128, u128)]| {
                    ends(ranges.first().map(|range| range.0), ranges.last().map(|range| range.1))
                };
                (ends(rule.from.v6())?, ends(rule.to.v6())?)
            }
        };
        let spaces = space::spaces(rule, family, has_fragments);
        (!spaces.is_empty()).then(|| Half { from, to, hull: space::hull(&spaces), spaces })
    }

    fn may_cover(&self, inner: &Half) -> bool {
        self.from.0 <= inner.from.0
            && inner.from.1 <= self.from.1
            && self.to.0 <= inner.to.0
            && inner.to.1 <= self.to.1
            && self.hull.iter().zip(&inner.hull).all(|(own, inner)| own.0 <= inner.0 && inner.1 <= own.1)
    }
}

/// The VLANs that an interface allows and a rule asks for.
fn effective(allowed: &VlanSet, wanted: &Option<VlanSet>) -> VlanSet {
    let mut set = allowed.clone();
    if let Some(wanted) = wanted {
        set.intersect(wanted);
    }
    set
}

/// Whether every range of `inner` lies in one of `outer`; both are canonical.
fn is_subset<T: Ord + Copy>(inner: &[(T, T)], outer: &[(T, T)]) -> bool {
    // Rules that name one large network share its ranges.
    std::ptr::eq(inner, outer)
        || inner.iter().all(|&(low, high)| {
            let after = outer.partition_point(|range| range.0 <= low);
            after > 0 && high <= outer[after - 1].1
        })
}

#[cfg(test)]
mod tests {
    use super::super::tests::warnings;

    #[test]
    fn the_narrower_rule_is_named_with_the_wider() {
        let found = warnings(
            "  - {id: wide, from: 10.0.0.0/8, service: tcp}\n  - {id: web-all, from: 10.1.0.0/16, service: web}\n",
            "",
        );
        assert_eq!(
            found,
            ["8: rule \"web-all\" is shadowed: \"wide\" (line 7) already passes everything it would"]
        );
        let found = warnings(
            "  - {id: a, from: 10.1.0.0/16, service: web}\n  - {id: b, from: 10.0.0.0/8, service: tcp}\n",
            "",
        );
        assert_eq!(found, ["7: rule \"a\" is redundant: \"b\" (line 8) passes everything it would"]);
    }

    #[test]
    fn equal_rules_are_duplicates_however_they_are_written() {
        let found = warnings(
            "  - {id: a, from: [10.0.0.0/9, 10.128.0.0/9], service: [http, https]}\n  - {id: b, from: 10.0.0.0/8, service: [tcp/443, tcp/80]}\n",
            "",
        );
        assert_eq!(found, ["8: rule \"b\" is a duplicate: \"a\" (line 7) matches exactly the same"]);
    }

    #[test]
    fn a_deny_rule_shadows_what_it_covers() {
        let found = warnings(
            "  - {id: ssh, from: 10.1.0.0/16, service: ssh}\n",
            "deny:\n  - {id: no, from: 10.0.0.0/8}\n",
        );
        assert_eq!(found, ["7: rule \"ssh\" is shadowed: \"no\" (line 11) drops everything it would pass"]);
    }

    #[test]
    fn rules_that_differ_in_one_dimension_are_left_alone() {
        for (a, b) in [
            ("interface: wan0, service: ssh", "interface: lan0, service: ssh"),
            ("interface: wan0, vlan: 10-12, service: ssh", "interface: wan0, vlan: 11-13, service: ssh"),
            ("from: 10.0.0.0/8, service: ssh", "from: [10.0.0.0/9, 11.0.0.0/8], service: ssh"),
            ("service: tcp, tcp: new", "service: tcp, tcp: established"),
            ("service: udp, source_port: 53", "service: udp/53"),
            ("service: icmp/echo-request", "service: icmpv6/echo-request"),
            ("from: 10.0.0.0/8, service: tcp/0-1023", "from: 10.0.0.0/8, service: tcp/1023-2000"),
        ] {
            let found = warnings(&format!("  - {{id: a, {a}}}\n  - {{id: b, {b}}}\n"), "");
            assert_eq!(found, Vec::<String>::new(), "{a} / {b}");
        }
    }

    #[test]
    fn vlans_count_as_far_as_the_interface_allows_them() {
        let found = warnings(
            "  - {id: a, interface: wan0, vlan: [untagged, 1-4094], service: ssh}\n  - {id: b, interface: wan0, service: ssh}\n",
            "",
        );
        assert_eq!(found, ["8: rule \"b\" is a duplicate: \"a\" (line 7) matches exactly the same"]);
    }
}
