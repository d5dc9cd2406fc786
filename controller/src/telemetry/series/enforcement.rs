//! What is in force, whether it is what should be, and how much memory it takes.

use super::super::family::{Families, Family};
use super::super::snapshot::Snapshot;
use super::number;

/// The series of the state.
pub(in super::super) fn families(snapshot: &Snapshot, families: &mut Families) -> Vec<Family> {
    let [entries, bytes] = tables(snapshot, families);
    vec![enforced(snapshot, families), in_sync(snapshot, families), info(snapshot, families), entries, bytes]
}

fn enforced(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut enforced = families.gauge(
        "perimeter_enforced",
        "1 where the kernel says now that a program of this perimeter drops what the policy does not allow; 0 in shadow mode.",
    );
    for one in &snapshot.status.interfaces {
        enforced.add(&[("interface", &one.interface)], f64::from(u8::from(one.enforced)));
    }
    enforced
}

fn in_sync(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut in_sync = families.gauge(
        "perimeter_policy_in_sync",
        "1 where the kernel enforces on every interface exactly what was put in force last; 0 is drift, which `perimeter status` explains.",
    );
    in_sync.add(&[], f64::from(u8::from(snapshot.status.in_sync)));
    in_sync
}

fn info(snapshot: &Snapshot, families: &mut Families) -> Family {
    let mut info = families.gauge(
        "perimeter_policy_info",
        "Always 1: which policy and generation is in force on an interface, and which engines judge its frames.",
    );
    for one in &snapshot.status.interfaces {
        let (Some(policy), Some(generation)) = (one.policy, one.generation) else { continue };
        info.add(
            &[
                ("hash", &policy.to_string()),
                ("generation", &generation.to_string()),
                ("mode", &Snapshot::mode(one)),
                ("interface", &one.interface),
            ],
            1.0,
        );
    }
    info
}

/// Bytes in a word of a classifier's table.
const WORD: u64 = 4;

fn tables(snapshot: &Snapshot, families: &mut Families) -> [Family; 2] {
    let mut entries = families.gauge(
        "perimeter_table_entries",
        "Entries of a table in the kernel: 32-bit words of an interface's classifier, slots of the counters that are given away.",
    );
    let mut bytes = families.gauge("perimeter_table_bytes", "Memory of a table in the kernel in bytes.");
    for one in &snapshot.status.interfaces {
        let Some(size) = one.table_bytes else { continue };
        let table = format!("classifier:{}", one.interface);
        entries.add(&[("table", &table)], number(size / WORD));
        bytes.add(&[("table", &table)], number(size));
    }
    entries.add(&[("table", "counters")], number(snapshot.counter_slots));
    bytes.add(&[("table", "counters")], number(snapshot.counter_bytes));
    [entries, bytes]
}
