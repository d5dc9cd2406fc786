//! Step 4.

use crate::oracle::plain::{entry, open, open_with};
use crate::{IP, OTHER, Reason, check, dropped, zeros};
use perimeter::ruleset::{Oversize, Ruleset, Vlan, VlanId, VlanRange};

/// An IPv4 packet of this total length, protocol 253.
fn ipv4(length: usize) -> String {
    format!("0800 4500 {length:04x} 0000 0000 40fd 0000 c0000201 cb00710a {}", zeros(length - 20))
}

/// An IPv6 packet of this size, protocol 253.
fn ipv6(size: usize) -> String {
    let (source, destination) = ("20010db8000000000000000000000001", "20010db8000000000000000000000002");
    format!("86dd 60000000 {:04x} fd40 {source}{destination} {}", size - 40, zeros(size - 40))
}

#[test]
fn the_interface_mtu() {
    check(
        &open(),
        &[
            ("1,500", ipv4(1500), IP),
            ("1,501", ipv4(1501), dropped(Reason::Oversize)),
            ("IPv6 1,500", ipv6(1500), IP),
            ("IPv6 1,501", ipv6(1501), dropped(Reason::Oversize)),
            ("padding does not count for IP", format!("{}{}", ipv4(1500), zeros(100)), IP),
            ("LLDP 1,500", format!("88cc {}", zeros(1500)), OTHER),
            ("LLDP 1,501", format!("88cc {}", zeros(1501)), dropped(Reason::Oversize)),
            (
                "a trailer counts where there is no IP length",
                format!("05dc {}", zeros(1501)),
                dropped(Reason::Oversize),
            ),
            ("ARP's trailer counts", arp(1501 - 28), dropped(Reason::Oversize)),
            ("ARP with padding", arp(1500 - 28), OTHER),
            ("tags do not count", format!("8100 0000 {}", ipv4(1500)), IP),
        ],
    );
    check(&open_with(|interface| interface.mtu = 65_535), &[("the largest", ipv4(65_535), IP)]);
    check(&open_with(|interface| interface.oversize = Oversize::Count), &[("counted only", ipv4(9000), IP)]);
}

fn arp(trailer: usize) -> String {
    let body = "0001 0800 0604 0001 020000000001 c0000201 000000000000 c0000202";
    format!("0806 {body} {}", zeros(trailer))
}

fn named(id: VlanId, mtu: Option<u32>) -> Ruleset {
    let mut ruleset = open_with(|interface| {
        interface.vlans = vec![
            entry(VlanRange::Untagged),
            entry(VlanRange::Single { low: 10, high: 20 }),
            entry(VlanRange::Stacked { outer: 10, inner: 20 }),
        ];
    });
    ruleset.vlans = vec![Vlan { name: "mgmt".into(), id, sources: None, mtu }];
    ruleset
}

#[test]
fn the_vlan_mtu_goes_before() {
    let single = named(VlanId::Single(10), Some(576));
    check(
        &single,
        &[
            ("in the VLAN", format!("8100 000a {}", ipv4(576)), IP),
            ("over in the VLAN", format!("8100 000a {}", ipv4(577)), dropped(Reason::Oversize)),
            ("the neighbour VLAN", format!("8100 000b {}", ipv4(1500)), IP),
            ("untagged", ipv4(1500), IP),
            ("10 is not 10/20", format!("8100 000a 8100 0014 {}", ipv4(1500)), IP),
        ],
    );
    let pair = named(VlanId::Stacked { outer: 10, inner: 20 }, Some(9000));
    check(
        &pair,
        &[
            ("the pair may be larger", format!("8100 000a 8100 0014 {}", ipv4(9000)), IP),
            ("its outer VLAN may not", format!("8100 000a {}", ipv4(1501)), dropped(Reason::Oversize)),
            ("its inner VLAN may not", format!("8100 0014 {}", ipv4(1501)), dropped(Reason::Oversize)),
        ],
    );
    check(
        &named(VlanId::Single(10), None),
        &[("named without mtu", format!("8100 000a {}", ipv4(1500)), IP)],
    );
}

#[test]
fn size_goes_after_addresses_and_before_fragments() {
    let from =
        |source: &str| format!("0800 4500 0600 0000 0000 40fd 0000 {source} cb00710a {}", zeros(0x600 - 20));
    let fragment = format!("0800 4500 0600 0000 2000 40fd 0000 c0000201 cb00710a {}", zeros(0x600 - 20));
    check(
        &open(),
        &[
            ("martian first", from("7f000001"), dropped(Reason::Martian)),
            ("then size, then fragments", fragment, dropped(Reason::Oversize)),
        ],
    );
}
