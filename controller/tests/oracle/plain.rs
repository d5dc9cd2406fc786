//! Rulesets written by hand: one interface, everything at its default, rules that say little.
//!
//! Promises: `open()` lets every well-formed frame through (rule 0 for IP, rule 1 for the rest), so that what a test
//! changes is what decides.

use perimeter::ruleset::{
    About, Accounting, Action, AddressSet, Fragments, Interface, IpOptions, Mode, Oversize, Rule, Ruleset,
    Service, VlanEntry, VlanRange, Written, ether,
};

/// The interface of a policy that says only `wan0:`.
pub(crate) fn interface() -> Interface {
    Interface {
        name: "wan0".to_owned(),
        mode: Mode::Auto,
        enforce: true,
        mtu: 1500,
        oversize: Oversize::Drop,
        fragments: Fragments::Drop,
        ip_options: IpOptions::Drop,
        outer_tag: 0x8100,
        vlans: vec![entry(VlanRange::Untagged)],
        sources: None,
        accounting: Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true },
    }
}

/// An entry of `vlans`, labelled as it would be written.
pub(crate) fn entry(range: VlanRange) -> VlanEntry {
    VlanEntry { label: range.to_string(), range }
}

/// A rule that matches every IP packet on the first interface.
pub(crate) fn rule(id: &str, action: Action) -> Rule {
    Rule {
        id: id.to_owned(),
        action,
        interfaces: vec![0],
        vlans: None,
        from: AddressSet::any(),
        to: AddressSet::any(),
        services: vec![Service::default()],
        ethertypes: Vec::new(),
        log: false,
        about: About::default(),
        written: Written::default(),
        line: 0,
    }
}

/// An `allow` rule with these alternatives.
pub(crate) fn allow(id: &str, services: &[Service]) -> Rule {
    Rule { services: services.to_vec(), ..rule(id, Action::Allow) }
}

/// A `deny` rule with these alternatives.
pub(crate) fn deny(id: &str, services: &[Service]) -> Rule {
    Rule { services: services.to_vec(), ..rule(id, Action::Deny) }
}

/// A rule for frames that are not IP.
pub(crate) fn ethertypes(id: &str, action: Action, ethertypes: &[u16]) -> Rule {
    let mut ethertypes = ethertypes.to_vec();
    ethertypes.sort_unstable();
    Rule { services: Vec::new(), ethertypes, ..rule(id, action) }
}

/// One interface, these rules.
pub(crate) fn ruleset(interface: Interface, rules: Vec<Rule>) -> Ruleset {
    Ruleset { interfaces: vec![interface], vlans: Vec::new(), rules }
}

/// Everything well-formed passes: IP by rule 0, ARP, LLC, SNAP, spanning tree and LLDP by rule 1.
pub(crate) fn open() -> Ruleset {
    open_with(|_| ())
}

/// The same with the interface changed.
pub(crate) fn open_with(change: impl FnOnce(&mut Interface)) -> Ruleset {
    let mut changed = interface();
    change(&mut changed);
    let other = [ether::LLC, ether::SNAP, ether::STP, ether::ARP, 0x88cc];
    ruleset(changed, vec![allow("ip", &[Service::default()]), ethertypes("other", Action::Allow, &other)])
}

/// The IPv4 and IPv6 addresses of these prefixes.
pub(crate) fn addresses(prefixes: &[&str]) -> AddressSet {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for text in prefixes {
        let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
        let bits: u32 = bits.parse().expect("a prefix length");
        match address.parse().expect("an address") {
            std::net::IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(bits).unwrap_or(0);
                v4.push((address.to_bits() & !host, address.to_bits() | host));
            }
            std::net::IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(bits).unwrap_or(0);
                v6.push((address.to_bits() & !host, address.to_bits() | host));
            }
        }
    }
    AddressSet::new(v4, v6)
}
