//! Step 1 without VLANs: lengths, MACs, LLC, SNAP, EtherTypes.

use super::build::{CLIENT, SERVER, SYN, cut, ether, icmp, llc, on_vlan, padded, patched, tcp, trailed, udp};
use super::{Capture, Frame, STRICT, denied, dropped, pass};
use perimeter_classifier::verdict::DropReason::{Malformed, Martian, NoRule, Truncated, VlanNotAllowed};

pub(crate) fn captures() -> Vec<Capture> {
    vec![
        Capture::new("layer2-short", STRICT, "Frames too short for what they say they are.", short()),
        Capture::new("layer2-macs", STRICT, "Source and destination MACs.", macs()),
        Capture::new("llc-snap-stp", STRICT, "Frames with a length: LLC, SNAP, spanning tree.", lengths()),
        Capture::new(
            "ethertypes",
            STRICT,
            "EtherTypes that are not IP, allowed by name and number.",
            ethertypes(),
        ),
        Capture::new("padding", STRICT, "Bytes after the IP packet are nobody's.", padding()),
    ]
}

fn web() -> Vec<u8> {
    tcp(CLIENT, SERVER, (49_152, 443), SYN, &[])
}

fn short() -> Vec<Frame> {
    vec![
        dropped(Truncated, "one byte", cut(web(), 1)),
        dropped(Truncated, "the MACs alone", cut(web(), 12)),
        dropped(Truncated, "13 bytes", cut(web(), 13)),
        dropped(Truncated, "14 bytes: an EtherType of IPv4 and no IPv4", cut(web(), 14)),
        pass("link", "14 bytes: LLDP asks for no more", ether(0x88cc, &[])),
        dropped(Truncated, "an IPv4 header short of a byte", cut(web(), 14 + 19)),
        dropped(Truncated, "IPv4 whose total length goes past the frame", cut(web(), 14 + 39)),
        pass("web", "the whole SYN, unpadded", web()),
    ]
}

fn macs() -> Vec<Frame> {
    vec![
        pass("web", "unicast to unicast", web()),
        pass("web", "to the broadcast MAC", patched(web(), 0, &[0xff; 6])),
        dropped(Martian, "from the broadcast MAC", patched(web(), 6, &[0xff; 6])),
        dropped(Martian, "from a group MAC", patched(web(), 6, &[0x01, 0x00, 0x5e, 0, 0, 1])),
        dropped(
            Martian,
            "from a group MAC, on a VLAN that is not allowed either",
            patched(on_vlan(99, web()), 6, &[1]),
        ),
        dropped(VlanNotAllowed, "the same VLAN from a unicast MAC", on_vlan(99, web())),
    ]
}

fn lengths() -> Vec<Frame> {
    let bpdu = [&[0x42, 0x42, 0x03][..], &[0; 35]].concat();
    let snap = |kind: u16| llc(&[&[0xaa, 0xaa, 3, 0, 0, 0x0c][..], &kind.to_be_bytes(), &[0; 40]].concat());
    vec![
        pass("link", "spanning tree", padded(llc(&bpdu))),
        pass("cisco", "SNAP, Cisco discovery", snap(0x2000)),
        dropped(NoRule, "LLC, NetBIOS: no rule names llc", padded(llc(&[0xf0, 0xf0, 3, 0]))),
        dropped(Malformed, "IPv4 hidden in SNAP", snap(0x0800)),
        dropped(Malformed, "ARP hidden in SNAP", snap(0x0806)),
        dropped(Malformed, "IPv6 hidden in SNAP", snap(0x86dd)),
        dropped(Malformed, "a VLAN tag hidden in SNAP", snap(0x8100)),
        dropped(Malformed, "SNAP of 7 bytes", padded(llc(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20]))),
        dropped(Malformed, "a length of 2", padded(ether(2, &[0xe0, 0xe0]))),
        dropped(Malformed, "a length of 1,501", ether(1501, &[0xe0; 1501])),
        dropped(Truncated, "a length past the frame", ether(200, &[0x42; 60])),
        dropped(NoRule, "0x0600 is the first EtherType", padded(ether(0x0600, &[]))),
    ]
}

fn ethertypes() -> Vec<Frame> {
    vec![
        pass("link", "LLDP", padded(ether(0x88cc, &[2, 7, 4, 2, 0, 0, 0, 0, 9]))),
        pass("link", "EAPOL start", padded(ether(0x888e, &[1, 1, 0, 0]))),
        pass("link", "LACP", padded(ether(0x8809, &[1, 1]))),
        pass("link", "PTP, by number", padded(ether(0x88f7, &[0]))),
        dropped(NoRule, "MPLS", padded(ether(0x8847, &[0; 4]))),
        dropped(NoRule, "PPPoE discovery", padded(ether(0x8863, &[0; 6]))),
        pass("link", "LLDP on VLAN 20", on_vlan(20, padded(ether(0x88cc, &[])))),
        denied("no-lacp-on-vlans", "LACP on VLAN 20", on_vlan(20, padded(ether(0x8809, &[1, 1])))),
        dropped(NoRule, "0x9200 is no TPID here", padded(ether(0x9200, &[0, 20, 8, 0]))),
    ]
}

fn padding() -> Vec<Frame> {
    let query = udp(CLIENT, SERVER, (49_152, 53), &[0; 12]);
    let ping = icmp(CLIENT, SERVER, 8, 0, &[]);
    vec![
        pass("names", "as short as it can be", query.clone()),
        pass("names", "padded to 60 bytes", padded(query.clone())),
        pass("names", "a trailer of 200 bytes", trailed(query, &[0xaa; 200])),
        pass("ping", "an echo request padded", padded(ping)),
        dropped(
            Malformed,
            "a UDP length that reaches into the padding",
            padded(patched(udp(CLIENT, SERVER, (1, 53), &[]), 14 + 24, &[0, 20])),
        ),
    ]
}
