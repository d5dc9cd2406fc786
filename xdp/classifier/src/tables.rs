//! The lookups: VLAN to zone, address to class, service to class, classes to the deciding rule.
//!
//! Promises: the number of reads does not depend on the number of rules. A read outside the tables is 0, and 0 means
//! "nothing here" everywhere, so that a damaged image drops.
//!
//! The rules are spread over a few groups. In each group a packet has a source class, a destination class and a context
//! (zone and service); the classes give a row, row and context the first rule of the group that matches. The lowest
//! rule of all groups decides. Where that depends on the time, because a rule expires, the cell leads to a course: the
//! deciding rule of each epoch. So a frame that no expiring rule could decide pays a comparison, any other one read more,
//! and what comes after an expired rule decides exactly as if the rule were not there. What is constant for a policy is a
//! setting, so that the branches of tables which are not there are removed by the verifier.

use crate::abi::{self, GROUPS, PAGE, field, group, port, setting};
use crate::trie;
use crate::verdict::{Decision, DropReason, RuleIndex};

/// Reads of one compiled policy. Two implementations: the image in user space, maps in the kernel.
pub trait Tables {
    /// The setting at `index` (see [`crate::abi::setting`]), a constant of the generation.
    fn setting(&self, index: usize) -> u32;
    /// The word at `index` of the tables; 0 outside. The bits above [`abi::TRIE_POSITION`] do not count: the flags of a trie
    /// entry need not be taken away before what it points to is read.
    fn word(&self, index: u32) -> u32;
    /// How many of the instants at which rules expire have passed. Asked once a frame, and only where rules expire.
    fn epoch(&self) -> u32;
}

/// The tags of a frame after priority tags are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanStack {
    Untagged,
    Single(u16),
    Stacked { outer: u16, inner: u16 },
}

/// A VLAN that the interface allows.
#[derive(Clone, Copy, Debug)]
pub struct Zone {
    index: u32,
    sources: u32,
    /// Number of the label under which the VLAN is counted.
    pub label: u32,
    /// Largest layer-3 size in bytes.
    pub mtu: u32,
}

/// Equivalence class of an address: addresses of one class meet the same rules.
#[derive(Clone, Copy, Debug)]
pub struct AddressClass(u32);

/// Equivalence class of protocol, ports, types and flags.
#[derive(Clone, Copy, Debug)]
pub struct ServiceClass(u32);

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// What layer 4 shows of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Layer4 {
    /// A later fragment: no ports, types or flags.
    LaterFragment,
    /// TCP; `new` is SYN set and ACK clear. Every other segment that comes this far has ACK or RST set.
    Tcp {
        source: u16,
        destination: u16,
        new: bool,
    },
    Udp {
        source: u16,
        destination: u16,
    },
    Sctp {
        source: u16,
        destination: u16,
    },
    /// ICMP in IPv4, ICMPv6 in IPv6.
    Icmp {
        kind: u8,
        code: u8,
    },
    /// Any other protocol.
    Other,
}

/// Keys of [`decide_ether`] for frames that have a length where others have an EtherType.
pub mod ether {
    /// IEEE 802.2 LLC that is neither SNAP nor spanning tree.
    pub const LLC: u16 = 1;
    /// SNAP (AA AA 03).
    pub const SNAP: u16 = 2;
    /// Spanning tree (42 42).
    pub const STP: u16 = 3;
}

/// The zone of a VLAN stack; `None` where the interface does not allow it.
#[inline(always)]
pub fn zone<T: Tables>(tables: &T, stack: VlanStack) -> Option<Zone> {
    let word = match stack {
        VlanStack::Untagged => tables.setting(setting::ZONE_UNTAGGED),
        VlanStack::Single(vid) => entry(tables, setting::ZONES_SINGLE, vid as u32),
        VlanStack::Stacked { outer, inner } => {
            let pages = entry(tables, setting::ZONES_STACKED, outer as u32);
            let page = if pages == 0 { 0 } else { tables.word(pages + (inner as u32 >> 6)) };
            if page == 0 { 0 } else { tables.word(page + (inner as u32 & 63)) }
        }
    };
    if word == 0 {
        return None;
    }
    let (index, label) = ((word & ((1 << abi::LABEL_BIT) - 1)) - 1, word >> abi::LABEL_BIT);
    let record = tables.setting(setting::ZONES) + index * abi::zone::WORDS;
    let sources =
        if tables.setting(setting::HAS_SOURCES) == 0 { 0 } else { tables.word(record + abi::zone::SOURCES) };
    let mtu = match tables.setting(setting::MTU) {
        0 => tables.word(record + abi::zone::MTU),
        everywhere => everywhere,
    };
    Some(Zone { index, sources, label, mtu })
}

/// The class of an IPv4 address as a source; the address is a number.
#[inline(always)]
pub fn source_v4<T: Tables>(tables: &T, address: u32) -> AddressClass {
    AddressClass(trie::v4(tables, tables.setting(setting::SOURCE_V4), address))
}

/// The class of an IPv4 address as a destination.
#[inline(always)]
pub fn destination_v4<T: Tables>(tables: &T, address: u32) -> AddressClass {
    AddressClass(trie::v4(tables, tables.setting(setting::DESTINATION_V4), address))
}

/// The class of an IPv6 address as a source; `high` and `low` are the halves of the address as numbers.
#[inline(always)]
pub fn source_v6<T: Tables>(tables: &T, high: u64, low: u64) -> AddressClass {
    AddressClass(trie::v6(tables, tables.setting(setting::SOURCE_V6), high, low))
}

/// The class of an IPv6 address as a destination.
#[inline(always)]
pub fn destination_v6<T: Tables>(tables: &T, high: u64, low: u64) -> AddressClass {
    AddressClass(trie::v6(tables, tables.setting(setting::DESTINATION_V6), high, low))
}

/// Whether an address is among the `sources` that apply in `zone`; true where none are set.
#[inline(always)]
pub fn speaks<T: Tables>(tables: &T, zone: Zone, source: AddressClass) -> bool {
    if zone.sources == 0 {
        return true;
    }
    let column = source.0 >> tables.setting(setting::SPEAKER_SHIFT) & tables.setting(setting::SPEAKER_MASK);
    let row = (zone.sources - 1) * tables.setting(setting::SPEAKERS_STRIDE);
    let word = tables.word(tables.setting(setting::SPEAKERS) + row + (column >> 5));
    word >> (column & 31) & 1 == 1
}

/// The class of what is above the addresses.
#[inline(always)]
pub fn service<T: Tables>(tables: &T, family: Family, protocol: u8, layer4: Layer4) -> ServiceClass {
    // Constant positions in each arm: the verifier must know which setting is read.
    match family {
        Family::V4 => service_of::<T, 0>(tables, protocol, layer4),
        Family::V6 => service_of::<T, 1>(tables, protocol, layer4),
    }
}

#[inline(always)]
fn service_of<T: Tables, const FAMILY: usize>(tables: &T, protocol: u8, layer4: Layer4) -> ServiceClass {
    let base = setting::PORTS + FAMILY * 4 * port::WORDS;
    let of_protocol = FAMILY as u32 * 512 + protocol as u32;
    let ports = |kind: usize, map: usize, destination: u16, source: u16| {
        let record = base + kind * port::WORDS;
        let map = tables.setting(record + map);
        if map == 0 {
            return entry(tables, setting::PROTOCOLS, of_protocol);
        }
        let found = tables.word(map + destination as u32);
        let sources = tables.setting(record + port::SOURCE);
        if sources == 0 { found } else { tables.word(found + tables.word(sources + source as u32)) }
    };
    ServiceClass(match layer4 {
        Layer4::Tcp { source, destination, new: true } => ports(0, port::OPENING, destination, source),
        Layer4::Tcp { source, destination, new: false } => ports(0, port::DESTINATION, destination, source),
        Layer4::Udp { source, destination } => ports(1, port::DESTINATION, destination, source),
        Layer4::Sctp { source, destination } => ports(2, port::DESTINATION, destination, source),
        Layer4::Icmp { kind, code } => ports(3, port::DESTINATION, u16::from_be_bytes([kind, code]), 0),
        Layer4::Other => entry(tables, setting::PROTOCOLS, of_protocol),
        Layer4::LaterFragment => entry(tables, setting::PROTOCOLS, of_protocol + 256),
    })
}

/// Step 7 for an IP packet.
#[inline(always)]
pub fn decide_ip<T: Tables>(
    tables: &T,
    zone: Zone,
    source: AddressClass,
    destination: AddressClass,
    service: ServiceClass,
) -> Decision {
    let packet = Packet {
        zone: zone.index,
        source: source.0,
        destination: destination.0,
        service: service.0,
        epoch: epoch(tables),
    };
    let best = if tables.setting(setting::GROUP_COUNT) <= 1 {
        first_rule::<T, 0>(tables, packet)
    } else if tables.setting(setting::SOURCE_CLASSES) == 0 {
        first_of_packed(tables, packet)
    } else {
        first_of_groups(tables, packet)
    };
    decision(tables, best)
}

/// Step 7 for a frame that is not IP. `key` is the EtherType, or one of the keys in [`ether`].
#[inline(always)]
pub fn decide_ether<T: Tables>(tables: &T, zone: Zone, key: u16) -> Decision {
    let class = two_level(tables, tables.setting(setting::ETHER), key);
    let row = zone.index * tables.setting(setting::ETHER_CLASSES);
    let cell = entry(tables, setting::ETHER_RULES, row + class);
    decision(tables, rule_now(tables, cell, epoch(tables)))
}

/// The counter slot of a rule, and whether it has `log: true`.
#[inline(always)]
pub fn rule_slot<T: Tables>(tables: &T, rule: RuleIndex) -> (u32, bool) {
    let word = tables.word(tables.setting(setting::RULE_SLOTS) + rule);
    if tables.setting(setting::LOGS) == 0 {
        return (word, false);
    }
    (word & (abi::RULE_LOGS - 1), word & abi::RULE_LOGS != 0)
}

/// The counter slots of a VLAN label: the first of [`abi::VLAN_SLOTS`] words; `None` where VLANs are not counted.
#[inline(always)]
pub fn vlan_slots<T: Tables>(tables: &T, label: u32) -> Option<u32> {
    let table = tables.setting(setting::VLAN_SLOTS);
    if table == 0 { None } else { Some(table + label * abi::VLAN_SLOTS) }
}

/// The counter slot of frames of `length` bytes; `None` where sizes are not counted.
#[inline(always)]
pub fn size_slot<T: Tables>(tables: &T, length: u32) -> Option<u32> {
    let table = tables.setting(setting::SIZE_SLOTS);
    if table == 0 {
        return None;
    }
    let unit = length.wrapping_sub(1) >> 6;
    Some(tables.word(table + if unit < abi::SIZE_SLOTS { unit } else { abi::SIZE_SLOTS - 1 }))
}

/// A packet as the groups see it.
#[derive(Clone, Copy)]
struct Packet {
    zone: u32,
    source: u32,
    destination: u32,
    service: u32,
    epoch: u32,
}

/// Read once a frame: all groups must be asked about the same moment.
#[inline(always)]
fn epoch<T: Tables>(tables: &T) -> u32 {
    if tables.setting(setting::EPOCHS) == 0 { 0 } else { tables.epoch() }
}

/// The rule that a cell stands for, `u32::MAX` for none.
#[inline(always)]
fn rule_now<T: Tables>(tables: &T, found: u32, epoch: u32) -> u32 {
    if tables.setting(setting::EPOCHS) == 0 || found & abi::EXPIRING == 0 {
        return found.wrapping_sub(1);
    }
    cell::<T>(tables, setting::EPOCHS, found & !abi::EXPIRING, epoch).wrapping_sub(1)
}

/// `best` is the lowest rule that matches, `u32::MAX` for none.
#[inline(always)]
fn decision<T: Tables>(tables: &T, best: u32) -> Decision {
    if best == u32::MAX {
        Decision::Drop(DropReason::NoRule)
    } else if best < tables.setting(setting::DENY_RULES) {
        Decision::Denied(best)
    } else {
        Decision::Pass(best)
    }
}

/// Asks each group in which both addresses have rules. The address classes hold the classes in the groups: no read stands
/// between the tries and the rows.
#[inline(always)]
fn first_of_packed<T: Tables>(tables: &T, packet: Packet) -> u32 {
    let mut best = u32::MAX;
    macro_rules! ask {
        ($($group:literal)*) => {$(
            if tables.setting(setting::GROUP_COUNT) > $group {
                let at = |field: usize| tables.setting(setting::FIELDS + $group * field::WORDS + field);
                let source = packet.source >> at(field::SOURCE_SHIFT) & at(field::SOURCE_MASK);
                let destination =
                    packet.destination >> at(field::DESTINATION_SHIFT) & at(field::DESTINATION_MASK);
                if source != 0 && destination != 0 {
                    best = best.min(first_rule::<T, $group>(tables, Packet { source, destination, ..packet }));
                }
            }
        )*};
    }
    ask!(0 1 2 3);
    best
}

/// The same where the address classes have records.
#[inline(always)]
fn first_of_groups<T: Tables>(tables: &T, packet: Packet) -> u32 {
    let mut best = u32::MAX;
    let words = tables.setting(setting::GROUP_COUNT) + 1;
    let source = tables.setting(setting::SOURCE_CLASSES) + packet.source * words;
    let destination = tables.setting(setting::DESTINATION_CLASSES) + packet.destination * words;
    let live = tables.word(source) & tables.word(destination);
    // Written out: a loop would be a back edge that older verifiers walk badly.
    macro_rules! ask {
        ($($group:literal)*) => {$(
            if $group < GROUPS as u32
                && tables.setting(setting::GROUP_COUNT) > $group
                && live >> $group & 1 == 1
            {
                let there = Packet {
                    source: tables.word(source + 1 + $group),
                    destination: tables.word(destination + 1 + $group),
                    ..packet
                };
                let rule = first_rule::<T, $group>(tables, there);
                if rule < best {
                    best = rule;
                }
            }
        )*};
    }
    ask!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    best
}

/// The first rule of group `GROUP` that matches, `u32::MAX` for none.
#[inline(always)]
fn first_rule<T: Tables, const GROUP: usize>(tables: &T, packet: Packet) -> u32 {
    let base = setting::GROUP + GROUP * group::WORDS;
    let row = if tables.setting(base + group::PAIRS) != 0 {
        cell::<T>(tables, base + group::PAIRS, packet.source, packet.destination)
    } else if tables.setting(base + group::ONE_SOURCE) != 0 {
        packet.destination
    } else {
        packet.source
    };
    let contexts = tables.setting(base + group::CONTEXTS);
    let context = if contexts == 0 {
        packet.service
    } else {
        tables.word(contexts + packet.zone * tables.setting(setting::SERVICE_CLASSES) + packet.service)
    };
    rule_now(tables, cell::<T>(tables, base + group::ROWS, row, context), packet.epoch)
}

/// One cell of a table of rows, plain or paged; `base` is the first of its three settings.
#[inline(always)]
fn cell<T: Tables>(tables: &T, base: usize, row: u32, column: u32) -> u32 {
    let row = tables.setting(base) + row * tables.setting(base + 1);
    if tables.setting(base + 2) == 0 {
        return tables.word(row + column);
    }
    tables.word(tables.word(row + column / PAGE) + column % PAGE)
}

/// The word at `index` of the table that `setting` names; 0 where there is no such table.
#[inline(always)]
fn entry<T: Tables>(tables: &T, setting: usize, index: u32) -> u32 {
    let table = tables.setting(setting);
    if table == 0 { 0 } else { tables.word(table + index) }
}

/// A map from 16 bits: 256 positions of pages of 256 words.
#[inline(always)]
fn two_level<T: Tables>(tables: &T, map: u32, key: u16) -> u32 {
    if map == 0 {
        return 0;
    }
    tables.word(tables.word(map + (key as u32 >> 8)) + (key as u32 & 255))
}
