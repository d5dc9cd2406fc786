//! Small rulesets for the unit tests.

use perimeter_classifier::abi::ABI_VERSION;
use perimeter_classifier::verdict::DropReason;

use crate::backend::{Device, Enforcement, Engine, InForce, Observed};
use crate::counters::{Event, Outcome};
use crate::digest::Digest;
use crate::ruleset::{
    Accounting, Action, AddressSet, Fragments, Interface, IpOptions, Mode, Oversize, Rule, Ruleset,
    VlanEntry, VlanRange, Written,
};

/// An interface with every default.
pub(crate) fn interface(name: &str, enforce: bool) -> Interface {
    Interface {
        name: name.into(),
        mode: Mode::Auto,
        enforce,
        mtu: 1500,
        oversize: Oversize::Drop,
        fragments: Fragments::Drop,
        ip_options: IpOptions::Drop,
        outer_tag: 0x8100,
        vlans: vec![VlanEntry { label: "untagged".into(), range: VlanRange::Untagged }],
        sources: None,
        accounting: Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true },
    }
}

/// A rule about ARP.
pub(crate) fn rule(id: &str, action: Action, interfaces: &[usize]) -> Rule {
    Rule {
        id: id.into(),
        action,
        interfaces: interfaces.to_vec(),
        vlans: None,
        from: AddressSet::any(),
        to: AddressSet::any(),
        services: Vec::new(),
        ethertypes: vec![0x0806],
        log: false,
        about: Default::default(),
        written: Written::default(),
        line: 0,
    }
}

/// Interfaces in force, all with the rule `arp`.
pub(crate) fn ruleset(interfaces: &[&str]) -> Ruleset {
    let all: Vec<usize> = (0..interfaces.len()).collect();
    Ruleset {
        interfaces: interfaces.iter().map(|name| interface(name, true)).collect(),
        vlans: Vec::new(),
        rules: vec![rule("arp", Action::Allow, &all)],
    }
}

/// An Ethernet device without offloads.
pub(crate) fn observed(name: &str, enforcement: Enforcement) -> Observed {
    Observed { device: Device::Ethernet { index: 2 }, enforcement, ..Observed::nothing(name) }
}

/// What enforces `policy` on a device that was called `interface`, in native mode.
pub(crate) fn record(interface: &str, policy: Digest, generation: u64) -> InForce {
    InForce {
        interface: interface.into(),
        engine: Engine::Native,
        generation,
        policy,
        enforce: true,
        abi: ABI_VERSION,
        program_id: 1,
        table_bytes: 2048,
    }
}

/// A UDP packet from 192.0.2.1 to 203.0.113.10 that no rule allowed on VLAN `mgmt`, 10.
pub(crate) fn event() -> Event {
    let mut header = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 10, 8, 0];
    header.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 203, 0, 113, 10]);
    header.extend([0x9c, 0x40, 0, 53, 0, 8, 0, 0]);
    Event {
        time: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
        interface: "wan0".into(),
        verdict: Outcome::Drop,
        reason: Some(DropReason::NoRule),
        rule: None,
        action: None,
        tags: vec![10],
        vlan: Some("mgmt".into()),
        length: 64,
        header,
    }
}
