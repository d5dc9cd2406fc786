//! What was not seen: frames lost around the program, and events lost on their way.

use super::super::family::{Families, Family};
use super::super::snapshot::Snapshot;
use super::number;

/// The series of loss.
pub(in super::super) fn families(snapshot: &Snapshot, families: &mut Families) -> Vec<Family> {
    let mut lost = families.counter(
        "perimeter_interface_loss_total",
        "Frames that the NIC, its driver and the kernel lost before and after the program, by cause; `backlog` is the whole machine's.",
    );
    for loss in &snapshot.losses {
        for one in &loss.causes {
            lost.add(&[("interface", &loss.interface), ("cause", one.cause.name())], number(one.packets));
        }
    }
    let mut single = |name, help, value| {
        let mut family = families.counter(name, help);
        family.add(&[], number(value));
        family
    };
    vec![
        lost,
        single(
            "perimeter_events_total",
            "Events of single frames that the kernel handed over to a reader.",
            snapshot.events.emitted,
        ),
        single(
            "perimeter_events_lost_total",
            "Events that were made and lost, because their reader was too slow: the ring of XDP or the log of nftables was full.",
            snapshot.events.lost,
        ),
        single(
            "perimeter_events_suppressed_total",
            "Events that were not made, because the limit of so many a second was reached; the frames were counted.",
            snapshot.events.suppressed,
        ),
    ]
}
