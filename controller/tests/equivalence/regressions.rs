//! What campaigns found once: each difference stays here, made small, for good.

use crate::campaign::compare;
use crate::oracle::plain::{allow, entry, ethertypes, interface, rule, ruleset};
use perimeter::ruleset::{Action, Interface, Rule, Service, VlanRange, ether};
use perimeter::simulate::Model;

/// An IPv4 packet, protocol 253, behind these tags.
fn frame(tags: &[u8]) -> Vec<u8> {
    let packet = [8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 203, 0, 113, 10];
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], tags, &packet].concat()
}

/// Seed 3: a rule for a VLAN that its interface does not allow had no column in the tables, and the compiler panicked.
#[test]
fn a_rule_that_holds_nowhere_on_its_interface() {
    let stacked = Some(vec![VlanRange::Stacked { outer: 100, inner: 4094 }]);
    let interface = Interface {
        vlans: vec![entry(VlanRange::Untagged), entry(VlanRange::Single { low: 11, high: 11 })],
        ..interface()
    };
    let nowhere = Rule { vlans: stacked.clone(), ..allow("nowhere", &[Service::default()]) };
    let alone = ruleset(interface.clone(), vec![nowhere.clone()]);
    compare::<Model>(&alone, [frame(&[]), frame(&[0x81, 0, 0, 11]), frame(&[0x81, 0, 0, 100])].into_iter());
    let beside = ruleset(interface, vec![nowhere, rule("everywhere", Action::Allow)]);
    compare::<Model>(&beside, [frame(&[]), frame(&[0x81, 0, 0, 11])].into_iter());
}

/// The same for a rule of EtherTypes.
#[test]
fn ethertypes_that_hold_nowhere_on_their_interface() {
    let vlans = Some(vec![VlanRange::Single { low: 7, high: 9 }]);
    let nowhere = Rule { vlans, ..ethertypes("nowhere", Action::Deny, &[ether::LLC, 0x88cc]) };
    let policy = ruleset(interface(), vec![nowhere, ethertypes("lldp", Action::Allow, &[0x88cc])]);
    let lldp = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xcc].to_vec();
    compare::<Model>(&policy, [lldp].into_iter());
}

/// A policy without rules is a policy: everything well-formed is `no_rule`.
#[test]
fn no_rules_at_all() {
    compare::<Model>(&ruleset(interface(), Vec::new()), [frame(&[]), Vec::new()].into_iter());
}
