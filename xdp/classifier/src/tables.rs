//! The lookups: VLAN to zone, address to class, service to class, classes to the deciding rule.
//!
//! Promises: the number of reads does not depend on the number of rules. A read outside the tables is 0, and 0 means
//! "nothing here" everywhere, so that a damaged image drops.

use crate::verdict::{Decision, DropReason};

/// Reads of one compiled policy. Two implementations: the image in user space, maps in the kernel.
pub trait Tables {
    /// The setting at `index` (see [`crate::abi::setting`]), a constant of the generation.
    fn setting(&self, index: usize) -> u32;
    /// The word at `index` of the tables; 0 outside.
    fn word(&self, index: u32) -> u32;
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
    pub(crate) index: u32,
    pub(crate) sources: u32,
    /// Largest layer-3 size in bytes.
    pub mtu: u32,
}

/// Equivalence class of an address: addresses of one class meet the same rules.
#[derive(Clone, Copy, Debug)]
pub struct AddressClass(pub(crate) u32);

/// Equivalence class of protocol, ports, types and flags.
#[derive(Clone, Copy, Debug)]
pub struct ServiceClass(pub(crate) u32);

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

/// The zone of a VLAN stack; `None` where the interface does not allow it.
#[inline(always)]
pub fn zone<T: Tables>(_tables: &T, _stack: VlanStack) -> Option<Zone> {
    None
}

#[inline(always)]
pub fn source_v4<T: Tables>(_tables: &T, _address: u32) -> AddressClass {
    AddressClass(0)
}

#[inline(always)]
pub fn destination_v4<T: Tables>(_tables: &T, _address: u32) -> AddressClass {
    AddressClass(0)
}

/// `high` and `low` are the halves of the address as numbers.
#[inline(always)]
pub fn source_v6<T: Tables>(_tables: &T, _high: u64, _low: u64) -> AddressClass {
    AddressClass(0)
}

#[inline(always)]
pub fn destination_v6<T: Tables>(_tables: &T, _high: u64, _low: u64) -> AddressClass {
    AddressClass(0)
}

/// Whether an address is among the `sources` that apply in `zone`; true where none are set.
#[inline(always)]
pub fn speaks<T: Tables>(_tables: &T, zone: Zone, _source: AddressClass) -> bool {
    zone.sources == 0
}

#[inline(always)]
pub fn service<T: Tables>(_tables: &T, _family: Family, _protocol: u8, _layer4: Layer4) -> ServiceClass {
    ServiceClass(0)
}

/// Step 7 for an IP packet.
#[inline(always)]
pub fn decide_ip<T: Tables>(
    _tables: &T,
    _zone: Zone,
    _source: AddressClass,
    _destination: AddressClass,
    _service: ServiceClass,
) -> Decision {
    Decision::Drop(DropReason::NoRule)
}

/// Step 7 for a frame that is not IP. `key` is the EtherType, or one of the keys below 0x0600 in `ether`.
#[inline(always)]
pub fn decide_ether<T: Tables>(_tables: &T, _zone: Zone, _key: u16) -> Decision {
    Decision::Drop(DropReason::NoRule)
}

/// Keys for frames that have a length where others have an EtherType.
pub mod ether {
    /// IEEE 802.2 LLC that is neither SNAP nor spanning tree.
    pub const LLC: u16 = 1;
    /// SNAP (AA AA 03).
    pub const SNAP: u16 = 2;
    /// Spanning tree (42 42).
    pub const STP: u16 = 3;
}
