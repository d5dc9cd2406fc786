//! What the machine says of itself in files and system calls: rights, memory, lockdown, the clock.

use std::fs;
use std::io;
use std::mem;

use rustix::process::{Resource, geteuid, getrlimit};
use rustix::system::uname;
use rustix::thread::{CapabilitySet, capabilities};

use crate::backend::facts::{Clock, Fact, Memory, Rights, Unknown};

/// The kernel's release.
pub(super) fn release() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// What this process may do, and what it would need.
pub(super) fn rights() -> Fact<Rights> {
    let held = capabilities(None).map_err(Unknown::because)?.effective;
    // CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON (capabilities(7)).
    let needed = [
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
        ("CAP_BPF", CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
        ("CAP_PERFMON", CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN),
    ];
    let missing = needed.into_iter().filter(|(_, any)| !held.intersects(*any)).map(|(name, _)| name);
    let map = read("/proc/self/uid_map")?;
    Ok(Rights { root: geteuid().is_root(), missing: missing.collect(), user_namespace: !is_initial(&map) })
}

/// Whether a map of user ids (user_namespaces(7)) is that of the initial namespace: every id is itself.
fn is_initial(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether programs are timed.
pub(super) fn timed() -> Fact<bool> {
    Ok(read("/proc/sys/kernel/bpf_stats_enabled")?.trim() != "0")
}

/// The lockdown in force: the word in brackets (kernel_lockdown(7)).
pub(super) fn lockdown() -> Fact<String> {
    let text = read("/sys/kernel/security/lockdown")?;
    let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map(|(word, _)| word.to_owned())
        .ok_or_else(|| Unknown(format!("the kernel says \"{}\"", text.trim())))
}

/// How much there is for tables and counters.
pub(super) fn memory() -> Memory {
    let available = || {
        let text = read("/proc/meminfo")?;
        let kib =
            text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
        let kib = kib.and_then(|number| number.trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Unknown("/proc/meminfo has no MemAvailable".to_owned()))
    };
    Memory {
        available: available(),
        cgroup: cgroup(),
        memlock: getrlimit(Resource::Memlock).current,
        cpus: possible_cpus(),
    }
}

/// What is left of the tightest limit among this process's cgroup (version 2) and those above it.
fn cgroup() -> Fact<Option<u64>> {
    let own = read("/proc/self/cgroup")?;
    let Some(own) = own.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Err(Unknown("this process is in no cgroup of version 2".to_owned()));
    };
    let number = |folder: &str, file: &str| {
        let path = format!("/sys/fs/cgroup/{folder}/{file}");
        fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok())
    };
    let mut folder = own.trim().trim_end_matches('/');
    let mut left = None;
    loop {
        if let (Some(most), Some(used)) = (number(folder, "memory.max"), number(folder, "memory.current")) {
            let here = most.saturating_sub(used);
            left = Some(left.map_or(here, |left: u64| left.min(here)));
        }
        if folder.is_empty() {
            return Ok(left);
        }
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

/// CPUs that may ever be there, from a list such as `0-3,8`.
fn possible_cpus() -> Fact<u32> {
    let text = read("/sys/devices/system/cpu/possible")?;
    let count = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        high.parse::<u32>().ok()?.checked_sub(low.parse().ok()?)?.checked_add(1)
    };
    let all: Option<u32> = text.trim().split(',').map(count).sum();
    all.ok_or_else(|| Unknown(format!("the kernel says \"{}\"", text.trim())))
}

/// The clock, and who keeps it.
pub(super) fn clock(now: jiff::Timestamp, recorded: Fact<Option<jiff::Timestamp>>) -> Clock {
    // SAFETY: a structure of integers, for which zero is a value; no mode is set, so that nothing is adjusted.
    let mut state: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes one `timex`.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    let kept = match result {
        ..0 => Err(Unknown::because(io::Error::last_os_error())),
        libc::TIME_ERROR => Ok(false),
        _ => Ok(true),
    };
    Clock { now, kept, recorded }
}

/// The tables that the older tools have loaded, which the kernel tells of this network namespace.
pub(super) fn legacy_tables() -> Fact<Vec<String>> {
    let tools = [("iptables", "ip_tables"), ("ip6tables", "ip6_tables"), ("arptables", "arp_tables")];
    let mut tables = Vec::new();
    for (tool, file) in tools {
        let path = format!("/proc/thread-self/net/{file}_names");
        match fs::read_to_string(&path) {
            Ok(names) => tables.extend(names.lines().map(|name| format!("{tool} {name}"))),
            // The module is not loaded: it has no tables.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Unknown(format!("{path}: {error}"))),
        }
    }
    Ok(tables)
}

fn read(path: &str) -> Fact<String> {
    fs::read_to_string(path).map_err(|error| Unknown(format!("{path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_is_known_by_its_map() {
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("         0     100000      65536\n"));
        assert!(!is_initial(""));
    }

    #[test]
    fn this_machine_answers() {
        assert!(release().contains('.'));
        assert!(possible_cpus().unwrap() > 0);
        assert!(memory().available.unwrap() > 0);
        assert!(rights().is_ok());
        assert!(clock(jiff::Timestamp::UNIX_EPOCH, Ok(None)).kept.is_ok());
    }
}
