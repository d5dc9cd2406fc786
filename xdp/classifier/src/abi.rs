//! What the kernel program and the controller agree on: map names, records, settings, counter layout.
//!
//! Promises: this is the only place where a map name, a value layout or a setting's position is written. Numbers are in
//! the byte order of the machine. `ABI_VERSION` rises with every change here, and with every change of what the nftables backend
//! makes of a policy: a table of another shape is then known as another version's, and not as one that was tampered with.

/// Version of everything in this file, and of the nftables tables.
pub const ABI_VERSION: u32 = 6;

/// First word of [`Info`]: "PERI".
pub const MAGIC: u32 = 0x5045_5249;

/// Names of the maps and of the one constant, as the object file spells them.
pub mod name {
    /// The program (`SEC("xdp.frags")`).
    pub const PROGRAM: &str = "perimeter";
    /// One element: the words of a tables image. Filled and frozen before the program is loaded.
    pub const TABLES: &str = "TABLES";
    /// One element, for each CPU a row of [`super::COUNTER_SLOTS`] [`super::Counter`]s. Pinned, shared by every interface
    /// and generation, as are all below; the object names it by its section.
    pub const COUNTERS: &str = ".bss.counters";
    /// One element, a [`super::Mark`] for each counter slot; named by its section as well.
    pub const MARKS: &str = ".bss.marks";
    /// Ring buffer of [`super::EventRecord`].
    pub const EVENTS: &str = "EVENTS";
    /// Per-CPU array of [`super::Gate`], by [`super::EventKind`].
    pub const GATES: &str = "GATES";
    /// One number: until when somebody reads events, in nanoseconds of CLOCK_MONOTONIC.
    pub const READER: &str = "READER";
    /// The [`super::Info`] constant, in a section of its own (`.rodata.info`).
    pub const INFO: &str = "INFO";
    /// The [`super::Clock`] of a generation whose rules expire, in a section of its own (`.data.clock`).
    pub const CLOCK: &str = "CLOCK";
}

/// Slots in a row of the counters map. A slot belongs to one (interface, verdict, rule or reason) for ever.
pub const COUNTER_SLOTS: u32 = 65_536;

/// Most rows of the counters map: 512 MiB, beyond which the verifier lets no offset go.
pub const COUNTER_ROWS: u32 = 512;

/// When a rule matched last. The tick tells cheaply whether the time has to be asked for again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The kernel's jiffies.
    pub tick: u64,
    /// Nanoseconds of CLOCK_MONOTONIC as of that tick; 0: never.
    pub time: u64,
}

/// Most bytes of a frame in one event.
pub const EVENT_BYTES: usize = 128;

/// Bytes of the ring of events: some 5,900 events.
pub const EVENT_RING: u32 = 1 << 20;

/// So many events of a kind are made in a row on one CPU.
pub const EVENT_BURST: u64 = 100;
/// And no more in so many nanoseconds: 1,000 a second.
pub const EVENT_INTERVAL: u64 = 100_000_000;

/// Why an event is made; each kind has a limit of its own, so that a flood of one does not hide the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventKind {
    /// No rule wants it told, but it was dropped or would have been.
    Drop = 0,
    /// A rule with `log: true` matched.
    Log = 1,
}

impl EventKind {
    /// How many there are.
    pub const COUNT: u32 = 2;
}

/// One event as it lies in the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// Bytes of the whole frame.
    pub length: u32,
    /// The slot in which the frame was counted: it tells interface, outcome, rule or reason.
    pub slot: u32,
    /// The slot in which its VLAN was counted; 0: none.
    pub vlan: u32,
    /// How many of `bytes` are there.
    pub captured: u32,
    /// The first bytes of the frame.
    pub bytes: [u8; EVENT_BYTES],
}

/// The limit of events of one kind on one CPU, and what became of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// So many may be made before the clock is asked again.
    pub tokens: u64,
    /// When there will be new ones, in nanoseconds of CLOCK_MONOTONIC.
    pub next: u64,
    /// 1: somebody read when the clock was asked last.
    pub heard: u64,
    /// Events that lie in the ring, or lay there.
    pub emitted: u64,
    /// Not made because of the limit.
    pub suppressed: u64,
    /// Not made because the ring was full.
    pub lost: u64,
    /// Not made because nobody read.
    pub unheard: u64,
}

/// What one slot has counted on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    pub packets: u64,
    /// Bytes from the destination MAC on, all buffers counted. Of messages about the path's MTU: the smallest that was
    /// announced, 0 for none.
    pub bytes: u64,
}

/// How far the time of a generation has come. The program writes it; it is made anew for every generation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// From this tick (`bpf_jiffies64`) on the program looks at the time again; `u64::MAX`: never.
    pub next: u64,
    /// Nanoseconds from `CLOCK_BOOTTIME` to the time, where [`setting::BOOT_CLOCK`] is set.
    pub offset: u64,
    /// How many of the instants at [`setting::INSTANTS`] have passed. Never falls: a clock that is set back revives nothing.
    pub epoch: u64,
}

/// Constants of one generation on one interface: what is enforced, and how the tables are laid out. Read by the program
/// (the verifier knows every value and removes the branches that cannot be taken) and by `plan` and `status` (from the
/// kernel, as the record of what is in force).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    pub magic: u32,
    pub abi: u32,
    pub generation: u64,
    /// SHA-256 of the canonical ruleset.
    pub policy: [u8; 32],
    /// 1: drop; 0: shadow mode, count what would be dropped and pass it.
    pub enforce: u32,
    /// 1: return the decision ([`encode`]) instead of an XDP action and count nothing. Never set on an attached program.
    pub report: u32,
    /// Words in the tables map less one; the word count is a power of two.
    pub mask: u32,
    /// Counters in the map less one; there is a row of [`COUNTER_SLOTS`] for every CPU that the machine can have, or only one
    /// where nobody reads them. Their number is a power of two.
    pub counters: u32,
    /// Counter slot of each drop reason, by discriminant.
    pub reason_slots: [u32; 15],
    pub settings: [u32; SETTINGS],
}

/// Length of [`Info::settings`]; odd, so that the record ends where it is aligned.
pub const SETTINGS: usize = 221;

/// In a word of [`setting::RULE_SLOTS`]: the rule has `log: true`. The bits below are the slot.
pub const RULE_LOGS: u32 = 1 << 16;

/// A word of the zone tables: below this bit the zone number plus one, from it on the number of the VLAN's label.
pub const LABEL_BIT: u32 = 16;

/// Words of [`setting::VLAN_SLOTS`] to one label: the slots of frames that pass, of those that do not, and of those over
/// the MTU.
pub const VLAN_SLOTS: u32 = 4;

/// Words of [`setting::SIZE_SLOTS`]: by the length less one in units of 64 bytes; the last one is for all that is longer.
pub const SIZE_SLOTS: u32 = 257;

/// Most rule groups in one image (see `tables`).
pub const GROUPS: usize = 16;

/// Most groups whose classes are packed into the entries of the tries.
pub const PACKED_GROUPS: usize = 4;

/// Positions in [`Info::settings`]. A table's setting is the position of its first word; 0: the table is not there.
pub mod setting {
    /// TPID of the outer tag of a stacked pair.
    pub const OUTER_TAG: usize = 0;
    /// 1: `oversize: drop`; 0: `count`.
    pub const OVERSIZE_DROP: usize = 1;
    /// 1: `fragments: stateless`; 0: `drop`.
    pub const FRAGMENTS_STATELESS: usize = 2;
    /// 1: `ip_options: pass`; 0: `drop`.
    pub const IP_OPTIONS_PASS: usize = 3;
    /// 1: some VLAN, or the interface, has `sources`.
    pub const HAS_SOURCES: usize = 4;

    /// Zone and label (see [`super::LABEL_BIT`]) of untagged frames; 0: not allowed.
    pub const ZONE_UNTAGGED: usize = 16;
    /// 4,096 words: VID to zone and label; VID 0 and 4095 are never allowed here.
    pub const ZONES_SINGLE: usize = 17;
    /// 4,096 words: outer VID to a table of 64 words, inner VID / 64 to a page of 64 zones and labels.
    pub const ZONES_STACKED: usize = 18;
    /// Records of [`super::zone`] words.
    pub const ZONES: usize = 19;
    /// Bits, a row a set of sources, a column what `SPEAKER_SHIFT` and `SPEAKER_MASK` leave of an address class.
    pub const SPEAKERS: usize = 20;
    /// Words in a row of `SPEAKERS`.
    pub const SPEAKERS_STRIDE: usize = 21;
    /// Tries of the source side, IPv4 and IPv6, and of the destination side.
    pub const SOURCE_V4: usize = 22;
    pub const SOURCE_V6: usize = 23;
    pub const DESTINATION_V4: usize = 24;
    pub const DESTINATION_V6: usize = 25;
    /// 1: some trie node is compressed.
    pub const COMPRESSED: usize = 26;
    /// 1,024 words: (family, later fragment, protocol) to service class.
    pub const PROTOCOLS: usize = 27;
    /// Two-level map from EtherType key to EtherType class.
    pub const ETHER: usize = 28;
    /// Rule number plus one by (zone, EtherType class).
    pub const ETHER_RULES: usize = 29;
    /// EtherType classes, the empty one included.
    pub const ETHER_CLASSES: usize = 30;
    /// Counter slots by rule number, with [`super::RULE_LOGS`].
    pub const RULE_SLOTS: usize = 31;
    /// Eight records of [`super::port`] words: IPv4 TCP, UDP, SCTP, ICMP; then IPv6.
    pub const PORTS: usize = 32;
    /// How many rules are `deny` rules; they come first.
    pub const DENY_RULES: usize = 5;
    /// Rule groups in use.
    pub const GROUP_COUNT: usize = 6;
    /// Address class records of the source side: a mask of groups, then a class for each group. 0: the address class is
    /// the class in the only group, or under several groups `FIELDS` tell where in it the class in each group is.
    pub const SOURCE_CLASSES: usize = 7;
    /// The same for the destination side.
    pub const DESTINATION_CLASSES: usize = 8;
    /// Service classes, the empty one included.
    pub const SERVICE_CLASSES: usize = 9;
    /// Largest layer-3 size in bytes, where it is the same in every zone; 0: the records of the zones tell it.
    pub const MTU: usize = 10;
    /// Where in an address class of the source side the column of `SPEAKERS` is: first bit, bits.
    pub const SPEAKER_SHIFT: usize = 11;
    pub const SPEAKER_MASK: usize = 12;
    /// [`super::GROUPS`] records of [`super::group`] words.
    pub const GROUP: usize = 64;
    /// [`super::PACKED_GROUPS`] records of [`super::field`] words.
    pub const FIELDS: usize = 192;
    /// Rule number plus one by (course, epoch), plain or paged as the tables of a [`super::group`] are: three settings. A
    /// cell with [`super::EXPIRING`] is the number of a course. 0: no rule expires.
    pub const EPOCHS: usize = 208;
    /// Instants at which rules expire, ascending, then [`u64::MAX`]; two words each, the upper half first: nanoseconds of
    /// UTC since 1970.
    pub const INSTANTS: usize = 211;
    /// Bits of the number of instants that have passed; there are two to this power less one.
    pub const INSTANT_BITS: usize = 212;
    /// 1: the kernel tells no `CLOCK_TAI` (before Linux 6.1), and [`super::Clock::offset`] leads from `CLOCK_BOOTTIME` to UTC.
    pub const BOOT_CLOCK: usize = 213;
    /// Counter slots by label, [`super::VLAN_SLOTS`] words each. 0: VLANs are not counted; so below.
    pub const VLAN_SLOTS: usize = 13;
    /// Counter slots by length, [`super::SIZE_SLOTS`] words.
    pub const SIZE_SLOTS: usize = 14;
    /// Counter slots by kind of fragment less one (see [`crate::learned::fragment`]), four words.
    pub const FRAGMENT_SLOTS: usize = 15;
    /// Counter slots by family, IPv4 and IPv6, of messages about the path's MTU.
    pub const PMTU_SLOTS: usize = 216;
    /// 1: it is kept when each rule matched last.
    pub const LAST_HIT: usize = 217;
    /// 1: some rule has `log: true`.
    pub const LOGS: usize = 218;
}

/// Words of a zone record.
pub mod zone {
    /// Largest layer-3 size in bytes.
    pub const MTU: u32 = 0;
    /// Set of sources plus one; 0: anyone may speak.
    pub const SOURCES: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// Settings of one protocol with ports, or with type and code.
pub mod port {
    /// 65,536 words: destination port (ICMP: type, code) to service class, or under `SOURCE` to the position of a row of
    /// service classes. 0: no rule asks for ports, types or flags, and `PROTOCOLS` has the service class.
    pub const DESTINATION: usize = 0;
    /// The same for a TCP segment that opens a connection (SYN set, ACK clear).
    pub const OPENING: usize = 1;
    /// 65,536 words: source port to the column in the row. 0: no rule asks for source ports.
    pub const SOURCE: usize = 2;
    pub const WORDS: usize = 4;
}

/// Settings of one group of rules.
pub mod group {
    /// Row by (source class, destination class). 0: the row is the source class, or under `ONE_SOURCE` the destination's.
    pub const PAIRS: usize = 0;
    /// Words of `PAIRS` to one source class.
    pub const PAIRS_STRIDE: usize = 1;
    /// 1: a word of `PAIRS` is the position of a page of [`super::PAGE`] rows.
    pub const PAIRS_PAGED: usize = 2;
    /// Rule number plus one by (row, context).
    pub const ROWS: usize = 3;
    /// Words of `ROWS` to one row.
    pub const ROWS_STRIDE: usize = 4;
    /// 1: a word of `ROWS` is the position of a page of [`super::PAGE`] rule numbers plus one.
    pub const ROWS_PAGED: usize = 5;
    /// Context by (zone, service class). 0: the context is the service class.
    pub const CONTEXTS: usize = 6;
    /// 1: no rule of the group asks for a source.
    pub const ONE_SOURCE: usize = 7;
    pub const WORDS: usize = 8;
}

/// Where in the address classes of both sides the class in one group is: first bit, bits.
pub mod field {
    pub const SOURCE_SHIFT: usize = 0;
    pub const SOURCE_MASK: usize = 1;
    pub const DESTINATION_SHIFT: usize = 2;
    pub const DESTINATION_MASK: usize = 3;
    pub const WORDS: usize = 4;
}

/// Most bits of the number of instants: a rule may have one, and no counters map holds more rules.
pub const INSTANT_BITS: u32 = 16;

/// Words in a page of a paged table: one cache line.
pub const PAGE: u32 = 16;

/// A cell with this bit is not a rule number plus one but the number of a course: which rule decides depends on the epoch.
pub const EXPIRING: u32 = 1 << 31;

/// A trie entry with this bit is a pointer to a node, one without is an address class.
pub const TRIE_POINTER: u32 = 1 << 31;
/// The node is compressed: eight pairs (bits that begin a run, position of the values), then values.
pub const TRIE_COMPRESSED: u32 = 1 << 30;
/// The position of the node.
pub const TRIE_POSITION: u32 = TRIE_COMPRESSED - 1;

use crate::verdict::{Decision, DropReason};

/// A decision as the return value of a program loaded with `report`: bits 0-7 the drop reason's discriminant, or 255
/// for pass; bits 8-31 the rule index plus one, or 0 for none.
pub const fn encode(decision: Decision) -> u32 {
    match decision {
        Decision::Pass(rule) => 255 | (rule + 1) << 8,
        Decision::Denied(rule) => DropReason::Denied as u32 | (rule + 1) << 8,
        Decision::Drop(reason) => reason as u32,
    }
}

/// The reverse of [`encode`]; `None` for a number that it never gives.
pub const fn decode(code: u32) -> Option<Decision> {
    let rule = code >> 8;
    match code & 0xff {
        255 if rule > 0 => Some(Decision::Pass(rule - 1)),
        1 if rule > 0 => Some(Decision::Denied(rule - 1)),
        reason if rule == 0 && (reason as usize) < DropReason::ALL.len() => {
            Some(Decision::Drop(DropReason::ALL[reason as usize]))
        }
        _ => None,
    }
}
