//! What the agent may do once it has started: as little as reading takes.
//!
//! Promises: after [`keep_reading`] the process can never get back what it gave up, nor can anything that it executes.
//! Capabilities are a thread's own in Linux: a thread that calls [`give_up`] holds none, whatever others hold.

use rustix::io;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// What reading what the kernel enforces takes.
///
/// The kernel hands out programs and maps by id, and lets a veth pair's other end be looked at in its network namespace,
/// to `SYS_ADMIN` only; `BPF` opens pins, `NET_ADMIN` lists nftables, `SYS_PTRACE` finds namespaces that have no name.
pub const KEPT: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_PTRACE);

/// Gives up everything but [`KEPT`], in this thread and all that it starts.
pub fn keep_reading() -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in CapabilitySet::all().difference(KEPT).iter() {
        match remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know, or a bounding set that is not ours to change.
            Err(io::Errno::INVAL | io::Errno::PERM) => {}
            other => other?,
        }
    }
    hold(KEPT)
}

/// Gives up everything, in this thread and all that it starts.
pub fn give_up() -> io::Result<()> {
    hold(CapabilitySet::empty())
}

/// Holds of `wanted` what is held now, and nothing else.
fn hold(wanted: CapabilitySet) -> io::Result<()> {
    match clear_ambient_capability_set() {
        Err(io::Errno::INVAL) => {}
        other => other?,
    }
    let held = rustix::thread::capabilities(None)?.permitted.intersection(wanted);
    set_capabilities(
        None,
        CapabilitySets { effective: held, permitted: held, inheritable: CapabilitySet::empty() },
    )
}

/// The names of capabilities as capabilities(7) writes them, from the mask of `/proc/PID/status`.
pub fn names(mask: u64) -> Vec<String> {
    let known: Vec<_> = CapabilitySet::from_bits_retain(mask).iter_names().collect();
    let told = known.iter().fold(0, |told, (_, one)| told | one.bits());
    let named = known.into_iter().map(|(name, _)| format!("CAP_{name}"));
    let unknown = (0..64).filter(|bit| mask & !told & (1 << bit) != 0).map(|bit| format!("capability {bit}"));
    named.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_told_by_name() {
        assert_eq!(
            names(KEPT.bits()),
            ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_BPF"].map(str::to_owned)
        );
        assert_eq!(names(1 << 62), ["capability 62".to_owned()]);
        assert_eq!(names(0), Vec::<String>::new());
    }
}
