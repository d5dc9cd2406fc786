//! What is counted beside the verdicts, where the policy's `accounting:` has it on.

use super::super::family::{Families, Family};
use super::super::snapshot::Snapshot;
use super::number;
use crate::counters::VlanCount;
use crate::ruleset::Family as IpFamily;

/// The series of accounting.
pub(in super::super) fn families(snapshot: &Snapshot, families: &mut Families) -> Vec<Family> {
    let [vlans, oversize] = vlans(snapshot, families);
    let [messages, smallest] = pmtu(snapshot, families);
    vec![vlans, oversize, fragments(snapshot, families), sizes(snapshot, families), messages, smallest]
}

fn vlans(snapshot: &Snapshot, families: &mut Families) -> [Family; 2] {
    let mut packets = families.counter(
        "perimeter_vlan_packets_total",
        "Frames received by VLAN and verdict: the policy's name for the VLAN, else the entry of `vlans` that holds it, `untagged`, or `other` where it is not allowed. Absent where nftables judges alone.",
    );
    let mut oversize = families.counter(
        "perimeter_oversize_packets_total",
        "Frames whose layer-3 size is over the MTU of their VLAN, dropped or not. Absent where nftables judges alone.",
    );
    for one in &snapshot.interfaces {
        for VlanCount { vlan, passed, dropped, would_drop, oversize: over } in
            one.accounting.vlans.iter().flatten()
        {
            let place = [("interface", one.name.as_str()), ("vlan", vlan)];
            oversize.add(&place, number(over.packets));
            for (verdict, total) in [("pass", passed), ("drop", dropped), ("would_drop", would_drop)] {
                packets.add(&[place[0], place[1], ("verdict", verdict)], number(total.packets));
            }
        }
    }
    [packets, oversize]
}

fn fragments(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut fragments = families.counter(
        "perimeter_fragments_total",
        "Well-formed IP fragments received, by kind: first, middle, last, tiny. Absent where nftables judges alone.",
    );
    for one in &snapshot.interfaces {
        for (kind, total) in one.accounting.fragments.into_iter().flat_map(|all| all.kinds()) {
            fragments.add(&[("interface", &one.name), ("kind", kind.name())], number(total.packets));
        }
    }
    fragments
}

fn sizes(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut sizes = families.histogram(
        "perimeter_frame_size_bytes",
        "Length of the frames received, in bytes from the destination MAC on. Absent where nftables judges alone.",
    );
    for one in &snapshot.interfaces {
        if let Some(counted) = &one.accounting.sizes {
            sizes.add_sizes(&[("interface", &one.name)], counted.cumulative(), counted.total.bytes);
        }
    }
    sizes
}

fn pmtu(snapshot: &Snapshot, families: &mut Families) -> [Family; 2] {
    let mut messages = families.counter(
        "perimeter_pmtu_messages_total",
        "Messages received that a packet was too large for its path: ICMP type 3 code 4, ICMPv6 type 2; passed or not. Absent where nftables judges alone.",
    );
    let mut smallest = families.gauge(
        "perimeter_pmtu_smallest_bytes",
        "The smallest MTU that such a message has announced so far, in bytes; 0 where none has.",
    );
    for one in &snapshot.interfaces {
        for count in one.accounting.pmtu.iter().flatten() {
            let family = match count.family {
                IpFamily::V4 => "ipv4",
                IpFamily::V6 => "ipv6",
            };
            let labels = [("interface", one.name.as_str()), ("family", family)];
            messages.add(&labels, number(count.packets));
            smallest.add(&labels, f64::from(count.smallest.unwrap_or(0)));
        }
    }
    [messages, smallest]
}
