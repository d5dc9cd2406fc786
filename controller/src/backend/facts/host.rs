//! The machine: its kernel, what that kernel takes, what else it does, and where perimeter keeps its things.

use std::path::PathBuf;

use super::Fact;

/// Everything about the machine that does not belong to one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    pub rights: Fact<Rights>,
    /// What the kernel was asked to make, and whether it did.
    pub probes: Vec<Probe>,
    /// The real program, loaded over the tables of a small policy and asked about one frame; the inner error is the kernel's
    /// refusal.
    pub trial: Fact<Result<Trial, String>>,
    /// Whether the kernel publishes its types (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
    /// Whether the kernel times every run of every program (`kernel.bpf_stats_enabled`).
    pub timed: Fact<bool>,
    /// `none`, `integrity` or `confidentiality`.
    pub lockdown: Fact<String>,
    pub memory: Memory,
    /// The folder for pins, and what it lies on.
    pub pins: (PathBuf, Fact<Bpffs>),
    pub state: Folder,
    pub clock: Clock,
    pub nftables: Fact<Nftables>,
    /// The tables of iptables, ip6tables and arptables that are loaded, each with its tool's name: `iptables filter`.
    pub legacy: Fact<Vec<String>>,
}

/// What this process may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    pub root: bool,
    /// The capabilities that enforcing takes and this process lacks, such as `CAP_NET_ADMIN`.
    pub missing: Vec<&'static str>,
    /// Rights in a user namespace do not count where programs are loaded.
    pub user_namespace: bool,
}

/// Something that the kernel has to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFeature {
    /// Maps that neither the program nor anybody else can change.
    FrozenMaps,
    /// Counters of each CPU's own.
    SharedMaps,
    /// Any XDP program at all.
    Xdp,
    /// XDP programs for frames in several buffers.
    Frags,
}

/// The kernel's answer; the outer error says why there is none, the inner one is its refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub feature: KernelFeature,
    pub answer: Fact<Result<(), String>>,
}

/// A program that the kernel has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Instructions that the verifier walked; 0 where the kernel does not tell.
    pub instructions: u32,
    /// Whether it is machine code, and not interpreted.
    pub compiled: bool,
    /// Whether it decided about the frame as it had to.
    pub right: bool,
}

/// Memory in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    pub available: Fact<u64>,
    /// What the cgroup of this process may still take; `None` where nothing limits it.
    pub cgroup: Fact<Option<u64>>,
    /// RLIMIT_MEMLOCK, which maps counted against before Linux 5.11; `None` where it is unlimited.
    pub memlock: Option<u64>,
    /// CPUs that may ever be there: counters exist once for each.
    pub cpus: Fact<u32>,
}

/// What a folder for pins lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bpffs {
    /// A bpf file system that is there as long as the machine runs.
    Lasting,
    /// The customary mount point, where nothing is mounted yet; `apply` mounts it.
    NotMounted,
    /// A bpf file system of this mount namespace, or one that it hides.
    Private,
    /// Another file system.
    Other,
}

/// A folder on disk, or the closest one above it that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    pub path: PathBuf,
    pub exists: bool,
    /// Permission bits and owner of what exists.
    pub mode: Fact<u32>,
    pub owner: Fact<u32>,
    /// The inner error says why nothing can be written there.
    pub writable: Result<(), String>,
    /// Whether it lies in memory, and ends with the next boot.
    pub temporary: Fact<bool>,
    /// Bytes that are free.
    pub free: Fact<u64>,
}

/// The clock that expiry is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    pub now: jiff::Timestamp,
    /// Whether something keeps it right (adjtimex(2)).
    pub kept: Fact<bool>,
    /// The newest time in perimeter's own records; `None` where there are none.
    pub recorded: Fact<Option<jiff::Timestamp>>,
}

/// What the kernel's nftables can do, and hold now in this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nftables {
    /// Whether a table of the netdev family would be taken; the error is the kernel's.
    pub netdev: Result<(), String>,
    /// Whether it can tell of single frames, which takes nfnetlink_log and the expressions `log` and `limit`.
    pub tells: Result<(), String>,
    /// Every table as `family name`.
    pub tables: Vec<String>,
    /// Base chains on a device's ingress hook.
    pub chains: Vec<Chain>,
    pub flowtables: Vec<Flowtable>,
}

/// A base chain that sees what a device receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `family table chain`.
    pub name: String,
    pub devices: Vec<String>,
    pub priority: i32,
}

/// Connections that are forwarded without the rules seeing every packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flowtable {
    /// `family table flowtable`.
    pub name: String,
    pub devices: Vec<String>,
    /// Whether the NIC forwards them by itself.
    pub hardware: bool,
}
