//! The headers of a frame, one file each.
//!
//! Promises: every file has the same shape: named offsets, one bounded read, a struct of what was read, and the drop
//! reason of whatever is wrong with it. A read checks its bounds once; after that no accessor can fail. Nothing here
//! knows the tables: what depends on a setting gets it as an argument.

pub mod address;
pub mod arp;
pub mod ethernet;
pub mod fragment;
pub mod ipv4;
pub mod ipv4_options;
pub mod ipv6;
pub mod llc;
pub mod neighbour;
pub mod plain;
pub mod transport;

/// EtherTypes that the walk knows by name (IEEE registry).
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const IPV6: u16 = 0x86dd;
    /// A number below this in the place of the EtherType is a length (IEEE 802.3, 3.2.6).
    pub const FIRST: u16 = 0x0600;

    /// Whether an EtherType announces a VLAN tag.
    #[inline(always)]
    pub const fn is_tag(ethertype: u16) -> bool {
        // The first comparison spares IPv4 and ARP the other three.
        ethertype >= 0x8100 && (ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100)
    }
}

/// IP protocol numbers that the walk knows by name (IANA registry).
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// Pastes a statement so often: a loop that the verifier of Linux 6.1 cannot see as one ("back-edge").
macro_rules! repeat {
    (8, $step:block) => {
        $crate::header::repeat!(4, $step);
        $crate::header::repeat!(4, $step);
    };
    (10, $step:block) => {
        $crate::header::repeat!(8, $step);
        $step
        $step
    };
    (4, $step:block) => {
        $step
        $step
        $step
        $step
    };
}
pub(crate) use repeat;
