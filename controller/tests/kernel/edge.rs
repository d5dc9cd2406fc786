//! A ruleset that asks for everything the program can do, and one that asks for little.

use perimeter::ruleset::*;

/// `allow` TCP 443 from 10.0.0.0/8 on VLAN 10, and nothing more.
pub(crate) fn small() -> Ruleset {
    let mut rule = rule("web", Action::Allow);
    rule.vlans = Some(vec![VlanRange::Single { low: 10, high: 10 }]);
    rule.from = AddressSet::new(vec![(0x0a00_0000, 0x0aff_ffff)], vec![]);
    rule.services = vec![port(6, 443)];
    Ruleset { interfaces: vec![interface()], vlans: vec![], rules: vec![rule] }
}

/// Both families, every kind of service, stacked tags, sources, options, fragments, EtherTypes.
pub(crate) fn full() -> Ruleset {
    let mut deny = rule("bad", Action::Deny);
    deny.from = AddressSet::new(vec![(0x0a06_0000, 0x0a06_ffff)], vec![(0xfd66 << 112, (0xfd67 << 112) - 1)]);
    deny.services = vec![Service::default()];
    let mut allow = rule("allowed", Action::Allow);
    allow.to = AddressSet::new(
        vec![(0xc000_0200, 0xc000_02ff), (0xe000_0000, 0xefff_ffff)],
        vec![(0xfd00 << 112, (0xfd01 << 112) - 1), (0xff02 << 112, (0xff03 << 112) - 1)],
    );
    allow.services = vec![
        port(6, 443),
        port(17, 53),
        port(132, 2905),
        Service { tcp: Some(TcpState::Established), protocol: Some(6), ..Service::default() },
        Service { source_ports: Some((1024, 65535)), ..port(17, 123) },
        icmp(Family::V4, 1, 8),
        icmp(Family::V6, 58, 128),
        Service { protocol: Some(50), ..Service::default() },
    ];
    let mut arp = rule("arp", Action::Allow);
    arp.ethertypes = vec![ether::LLC, ether::STP, ether::ARP, 0x88cc];
    let mut interface = interface();
    interface.mtu = 65_535;
    interface.oversize = Oversize::Drop;
    interface.fragments = Fragments::Stateless;
    interface.ip_options = IpOptions::Pass;
    interface.sources =
        Some(AddressSet::new(vec![(0x0a00_0000, 0x0aff_ffff)], vec![(0xfd00 << 112, (0xfe00 << 112) - 1)]));
    interface.vlans.push(entry(VlanRange::Stacked { outer: 100, inner: 200 }));
    let named = Vlan {
        name: "mgmt".into(),
        id: VlanId::Single(20),
        sources: Some(AddressSet::any()),
        mtu: Some(9000),
    };
    Ruleset { interfaces: vec![interface], vlans: vec![named], rules: vec![deny, allow, arp] }
}

fn interface() -> Interface {
    let vlans = vec![entry(VlanRange::Untagged), entry(VlanRange::Single { low: 10, high: 20 })];
    Interface {
        name: "wan0".into(),
        mode: Mode::Auto,
        enforce: true,
        mtu: 9000,
        oversize: Oversize::Count,
        fragments: Fragments::Drop,
        ip_options: IpOptions::Drop,
        outer_tag: 0x88a8,
        vlans,
        sources: None,
        accounting: Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true },
    }
}

fn entry(range: VlanRange) -> VlanEntry {
    VlanEntry { label: range.to_string(), range }
}

fn rule(id: &str, action: Action) -> Rule {
    Rule {
        id: id.into(),
        action,
        interfaces: vec![0],
        vlans: None,
        from: AddressSet::any(),
        to: AddressSet::any(),
        services: vec![],
        ethertypes: vec![],
        log: false,
        about: About::default(),
        written: Written::default(),
        line: 0,
    }
}

pub(crate) fn port(protocol: u8, port: u16) -> Service {
    Service { protocol: Some(protocol), destination_ports: Some((port, port)), ..Service::default() }
}

fn icmp(family: Family, protocol: u8, kind: u8) -> Service {
    let icmp = Some(Icmp { kind, code: None });
    Service { family: Some(family), protocol: Some(protocol), icmp, ..Service::default() }
}
