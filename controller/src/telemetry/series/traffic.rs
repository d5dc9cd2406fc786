//! What was received on each interface, by verdict and reason.

use perimeter_classifier::verdict::DropReason;

use super::super::family::{Families, Family};
use super::super::snapshot::{InterfaceFacts, Snapshot};
use super::number;
use crate::counters::{InterfaceCounters, Outcome, Total};

/// Packets and bytes of every verdict and reason. `reason` is empty on pass.
pub(in super::super) fn families(snapshot: &Snapshot, families: &mut Families) -> [Family; 2] {
    let mut packets = families.counter(
        "perimeter_packets_total",
        "Frames received on an enforced interface, by verdict and drop reason; their sum is everything received.",
    );
    let mut bytes = families.counter(
        "perimeter_bytes_total",
        "Bytes of the frames received on an enforced interface, from the destination MAC on, by verdict and drop reason.",
    );
    for InterfaceFacts { name, counters, .. } in &snapshot.interfaces {
        let mut add = |verdict: &str, reason: &str, total: Total| {
            let labels = [("interface", name.as_str()), ("verdict", verdict), ("reason", reason)];
            packets.add(&labels, number(total.packets));
            bytes.add(&labels, number(total.bytes));
        };
        add("pass", "", counters.passed);
        for (outcome, verdict) in [(Outcome::Drop, "drop"), (Outcome::WouldDrop, "would_drop")] {
            for reason in DropReason::ALL {
                add(verdict, reason.name(), total(counters, outcome, reason));
            }
        }
    }
    [packets, bytes]
}

fn total(counters: &InterfaceCounters, outcome: Outcome, reason: DropReason) -> Total {
    let is_it = |count: &&_| {
        let count: &crate::counters::ReasonCount = count;
        count.verdict == outcome && count.reason == reason.name()
    };
    counters
        .reasons
        .iter()
        .find(is_it)
        .map_or(Total::default(), |count| Total { packets: count.packets, bytes: count.bytes })
}
