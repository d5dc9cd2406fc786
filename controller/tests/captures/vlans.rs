//! Step 1's tags, and step 3's sources.

use super::build::{
    ACK, CLIENT, CLIENT6, SERVER, SERVER6, SYN, arp, cut, ether, icmpv6, ipv4, on_vlan, patched, tagged, tcp,
    udp,
};
use super::{Capture, Format, Frame, PROVIDER, STRICT, dropped, pass};
use perimeter_classifier::verdict::DropReason::{
    Malformed, Martian, NoRule, Oversize, Truncated, VlanNotAllowed, VlanSourceMismatch, VlanStack,
};

const Q: u16 = 0x8100;
const AD: u16 = 0x88a8;

pub(crate) fn captures() -> Vec<Capture> {
    let hopping =
        Capture::new("vlan-hopping", STRICT, "Attempts to get from one VLAN to another by tags.", hopping());
    vec![
        Capture::new("vlan-tags", STRICT, "One tag: allowed, not allowed, priority.", single()),
        Capture { format: Format::Pcapng, ..hopping },
        Capture::new("vlan-stacks", STRICT, "Two tags and more.", stacks()),
        Capture::new("vlan-cut", STRICT, "Tags that are cut, and VID 4095.", cuts()),
        Capture::new(
            "vlan-sources",
            STRICT,
            "Who may speak on VLAN 10: 10.0.10.0/24 and fd00:10::/64.",
            sources(),
        ),
        Capture::new(
            "provider",
            PROVIDER,
            "A provider's hand-over under 802.1ad, with sources of VLAN and interface.",
            provider(),
        ),
    ]
}

fn web() -> Vec<u8> {
    tcp(CLIENT, SERVER, (49_152, 443), SYN, &[])
}

fn lab() -> Vec<u8> {
    tcp(CLIENT, "192.0.2.1", (49_152, 5201), SYN, &[])
}

fn single() -> Vec<Frame> {
    vec![
        pass("web", "untagged", web()),
        pass("web", "a priority tag (VID 0, PCP 6) is untagged", tagged(&[(Q, 0xc000)], web())),
        pass("web", "VLAN 20, the first of 20-29", on_vlan(20, web())),
        pass("web", "VLAN 29, the last, DEI set", tagged(&[(Q, 0x1000 | 29)], web())),
        dropped(VlanNotAllowed, "VLAN 19", on_vlan(19, web())),
        dropped(VlanNotAllowed, "VLAN 30", on_vlan(30, web())),
        dropped(VlanNotAllowed, "VLAN 4094", on_vlan(4094, web())),
        pass("tagged-lab", "VLAN 25 has a rule of its own", on_vlan(25, lab())),
        dropped(NoRule, "VLAN 24 has not", on_vlan(24, lab())),
    ]
}

fn hopping() -> Vec<Frame> {
    vec![
        dropped(VlanNotAllowed, "the outer VLAN of a pair, alone", on_vlan(100, lab())),
        dropped(VlanNotAllowed, "the inner VLAN of a pair, alone", on_vlan(200, lab())),
        dropped(VlanNotAllowed, "a pair of two allowed VLANs", tagged(&[(Q, 20), (Q, 10)], web())),
        dropped(VlanStack, "a priority tag around the management VLAN", tagged(&[(Q, 0), (Q, 10)], web())),
        dropped(VlanStack, "the management VLAN under a provider's TPID", tagged(&[(AD, 10)], web())),
        dropped(
            VlanSourceMismatch,
            "the management VLAN, from an address of the internet",
            on_vlan(10, web()),
        ),
        dropped(VlanStack, "three tags", tagged(&[(Q, 100), (Q, 200), (Q, 10)], web())),
    ]
}

fn stacks() -> Vec<Frame> {
    vec![
        pass("tagged-lab", "the pair 100/200", tagged(&[(Q, 100), (Q, 200)], lab())),
        pass(
            "tagged-lab",
            "the pair with PCP and DEI in both tags",
            tagged(&[(Q, 0xf064), (Q, 0x70c8)], lab()),
        ),
        dropped(VlanNotAllowed, "200/100", tagged(&[(Q, 200), (Q, 100)], lab())),
        dropped(VlanNotAllowed, "100/201", tagged(&[(Q, 100), (Q, 201)], lab())),
        dropped(
            VlanStack,
            "the pair under 802.1ad, where the policy says 0x8100",
            tagged(&[(AD, 100), (Q, 200)], lab()),
        ),
        dropped(VlanStack, "an inner tag of 802.1ad", tagged(&[(Q, 100), (AD, 200)], lab())),
        dropped(VlanStack, "VID 0 inside", tagged(&[(Q, 100), (Q, 0)], lab())),
        dropped(VlanStack, "VID 0 outside", tagged(&[(Q, 0), (Q, 200)], lab())),
        dropped(VlanStack, "a lone 0x9100", tagged(&[(0x9100, 20)], lab())),
        dropped(VlanStack, "three tags of 0x9100", tagged(&[(0x9100, 1), (0x9100, 2), (0x9100, 3)], lab())),
        dropped(VlanStack, "four tags", tagged(&[(Q, 100), (Q, 200), (Q, 1), (Q, 2)], lab())),
    ]
}

fn cuts() -> Vec<Frame> {
    let pair = || tagged(&[(Q, 100), (Q, 200)], lab());
    vec![
        dropped(Truncated, "a TPID and nothing", cut(pair(), 14)),
        dropped(Truncated, "a TCI without the next EtherType", cut(pair(), 16)),
        dropped(Truncated, "half of the next EtherType", cut(pair(), 17)),
        dropped(Truncated, "a second TPID and nothing", cut(pair(), 18)),
        dropped(Truncated, "a second TCI without the next EtherType", cut(pair(), 20)),
        dropped(Truncated, "both tags whole, no IPv4", cut(pair(), 22)),
        dropped(Malformed, "VID 4095", on_vlan(4095, web())),
        dropped(Malformed, "VID 4095 inside", tagged(&[(Q, 100), (Q, 4095)], web())),
        dropped(Malformed, "VID 4095 before a cut second tag", cut(tagged(&[(Q, 4095), (Q, 1)], web()), 18)),
        dropped(Malformed, "VID 4095 before a third tag", tagged(&[(Q, 100), (Q, 4095), (Q, 1)], web())),
    ]
}

fn sources() -> Vec<Frame> {
    let ssh = |from: &str, to: &str| on_vlan(10, tcp(from, to, (49_152, 22), SYN, &[]));
    vec![
        pass("admin", "a manager", ssh("10.0.10.7", SERVER)),
        pass("admin", "a manager over IPv6", ssh("fd00:10::7", SERVER6)),
        dropped(VlanSourceMismatch, "a neighbour of the network", ssh("10.0.11.7", SERVER)),
        dropped(VlanSourceMismatch, "a guest over IPv6", ssh("fd00:20::7", SERVER6)),
        pass("link", "ARP of a manager", on_vlan(10, arp(1, "10.0.10.7", "10.0.10.1"))),
        pass("link", "ARP probe: nobody speaks yet", on_vlan(10, arp(1, "0.0.0.0", "10.0.10.9"))),
        dropped(VlanSourceMismatch, "ARP of somebody else", on_vlan(10, arp(2, "10.0.11.1", "10.0.10.1"))),
        dropped(Martian, "ARP of a loopback address", on_vlan(10, arp(2, "127.0.0.1", "10.0.10.1"))),
        pass(
            "lease",
            "an offer to a machine without address",
            on_vlan(10, udp("10.0.10.1", "255.255.255.255", (67, 68), &[0; 240])),
        ),
        dropped(
            NoRule,
            "a request of a machine without address: its source is excepted, no rule speaks of it",
            on_vlan(10, udp("0.0.0.0", "255.255.255.255", (68, 67), &[0; 240])),
        ),
        pass(
            "base",
            "neighbour solicitation from a link-local address",
            on_vlan(10, icmpv6("fe80::7", "ff02::1:ff00:1", 255, 135, 0, &solicitation())),
        ),
        dropped(
            VlanSourceMismatch,
            "UDP from a link-local address",
            on_vlan(10, udp("fe80::7", SERVER6, (1, 53), &[])),
        ),
        dropped(
            Oversize,
            "a manager's packet over the VLAN's mtu of 576",
            on_vlan(10, tcp("10.0.10.7", SERVER, (49_152, 22), ACK, &[0; 540])),
        ),
        dropped(
            VlanSourceMismatch,
            "over the mtu, and not among the sources: the source goes before",
            on_vlan(10, tcp(CLIENT, SERVER, (1, 22), ACK, &[0; 540])),
        ),
        pass("link", "LLDP has no source", on_vlan(10, ether(0x88cc, &[0; 46]))),
    ]
}

fn solicitation() -> Vec<u8> {
    let mut rest = vec![0; 4];
    rest.extend([0xfd, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    rest
}

fn provider() -> Vec<Frame> {
    let blue = |frame| tagged(&[(AD, 300), (Q, 10)], frame);
    let voice = |from: &str| udp(from, "192.0.2.1", (16_400, 16_384), &[0; 160]);
    vec![
        pass("blue-only", "blue's own", blue(ipv4("10.30.10.4", SERVER, 47, &[0; 4]))),
        dropped(
            VlanSourceMismatch,
            "on blue, an address of the interface's sources",
            blue(voice("192.0.2.7")),
        ),
        dropped(VlanStack, "blue's pair under 0x8100", tagged(&[(Q, 300), (Q, 10)], voice("10.30.10.4"))),
        pass(
            "voice",
            "300/11 has no sources of its own: the interface's",
            tagged(&[(AD, 300), (Q, 11)], voice("192.0.2.7")),
        ),
        pass("voice", "300 alone", on_vlan(300, voice("192.0.2.7"))),
        dropped(VlanSourceMismatch, "300 alone, a stranger", on_vlan(300, voice(CLIENT))),
        dropped(VlanStack, "300 alone under 802.1ad", tagged(&[(AD, 300)], voice("192.0.2.7"))),
        dropped(VlanNotAllowed, "untagged", voice("192.0.2.7")),
        dropped(VlanNotAllowed, "priority-tagged is untagged", tagged(&[(Q, 0x6000)], voice("192.0.2.7"))),
        dropped(
            NoRule,
            "IPv6 TCP on 300",
            on_vlan(300, tcp("2001:db8:2::7", CLIENT6, (1, 16_384), SYN, &[])),
        ),
        pass(
            "voice",
            "a large frame on 300/11: mtu 9000",
            tagged(&[(AD, 300), (Q, 11)], udp("192.0.2.7", "192.0.2.1", (16_400, 16_385), &[0; 8972])),
        ),
        dropped(
            Oversize,
            "one byte more",
            tagged(&[(AD, 300), (Q, 11)], udp("192.0.2.7", "192.0.2.1", (16_400, 16_385), &[0; 8973])),
        ),
        dropped(
            Oversize,
            "1,501 on blue, whose mtu is 1500",
            blue(udp("10.30.10.4", SERVER, (1, 2), &[0; 1473])),
        ),
        pass("arp", "ARP on 300", on_vlan(300, arp(1, "192.0.2.7", "192.0.2.1"))),
        dropped(VlanSourceMismatch, "ARP of a stranger on 300", on_vlan(300, arp(1, CLIENT, "192.0.2.1"))),
        dropped(
            Malformed,
            "ARP for Token Ring on 300",
            patched(on_vlan(300, arp(1, "192.0.2.7", "192.0.2.1")), 18, &[0, 6]),
        ),
    ]
}
