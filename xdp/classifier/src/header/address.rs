//! Addresses that cannot be right where they stand: the first half of step 3.
//!
//! Promises: exactly the prefixes and exceptions of the contract (RFC 6890, RFC 4291), nothing about `sources`.

/// Where 224.0.0.0/4 begins: with 255.255.255.255 what 0.0.0.0 may speak to (IGMP, DHCP).
const V4_MULTICAST: u32 = 0xe000_0000;
const V4_BROADCAST: u32 = 0xffff_ffff;

/// An IPv6 address as two numbers, the first eight bytes and the last eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Address {
    pub high: u64,
    pub low: u64,
}

impl Ipv6Address {
    /// `::`
    #[inline(always)]
    pub const fn is_unspecified(self) -> bool {
        self.high | self.low == 0
    }

    /// fe80::/10
    #[inline(always)]
    pub const fn is_link_local(self) -> bool {
        self.high >> 54 == 0xfe80 >> 6
    }

    /// ff00::/8
    #[inline(always)]
    pub const fn is_multicast(self) -> bool {
        self.high >> 56 == 0xff
    }

    /// ::/96 or ::ffff:0:0/96
    #[inline(always)]
    const fn embeds_v4(self) -> bool {
        // The product of two 32-bit numbers is 0 where one of them is: one branch instead of three.
        let middle = self.low >> 32;
        self.high | (middle * (middle ^ 0xffff)) == 0
    }
}

/// Whether no packet may come from `source`: 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3.
#[inline(always)]
pub const fn is_martian_source_v4(source: u32) -> bool {
    is_outside_v4::<224>(source)
}

/// Whether a packet from `source` to `destination` is martian.
#[inline(always)]
pub const fn is_martian_v4(source: u32, destination: u32) -> bool {
    if is_martian_source_v4(source) && !(source == 0 && destination >= V4_MULTICAST) {
        return true;
    }
    is_outside_v4::<240>(destination) && destination != V4_BROADCAST
}

/// Whether a packet is surely not martian, and none of the exceptions, by the first bytes of its addresses: half the
/// comparisons of [`is_martian_v4`].
#[inline(always)]
pub const fn is_ordinary_v4(source: u8, destination: u8) -> bool {
    // 0 becomes 255.
    let (below_source, below_destination) = (source.wrapping_sub(1), destination.wrapping_sub(1));
    below_source < 223 && source != 127 && below_destination < 239 && destination != 127
}

/// Whether the first byte of an address is 0, 127, or `END` and above.
#[inline(always)]
const fn is_outside_v4<const END: u32>(address: u32) -> bool {
    // One comparison for both ends.
    address.wrapping_sub(1 << 24) >= (END - 1) << 24 || address >> 24 == 127
}

/// The same for IPv6.
#[inline(always)]
pub const fn is_martian_v6(source: Ipv6Address, destination: Ipv6Address) -> bool {
    let excepted = source.is_unspecified() && destination.is_multicast();
    destination.embeds_v4() || ((source.embeds_v4() || source.is_multicast()) && !excepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: u32 = 0xc000_0201;

    fn v6(text: &str) -> Ipv6Address {
        let number = u128::from(text.parse::<core::net::Ipv6Addr>().unwrap());
        Ipv6Address { high: (number >> 64) as u64, low: number as u64 }
    }

    #[test]
    fn ordinary_is_what_is_neither_martian_nor_excepted() {
        for first in 0..=255 {
            let address = u32::from_be_bytes([first, 1, 2, 3]);
            let good = GOOD.to_be_bytes()[0];
            assert_eq!(is_ordinary_v4(first, good), !is_martian_v4(address, GOOD), "from {first}");
            assert_eq!(is_ordinary_v4(good, first), !is_martian_v4(GOOD, address), "to {first}");
        }
    }

    #[test]
    fn v4_edges() {
        let v4 = |text: &str| u32::from(text.parse::<core::net::Ipv4Addr>().unwrap());
        let sources = [
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("126.255.255.255", false),
            ("127.0.0.0", true),
            ("127.255.255.255", true),
            ("128.0.0.0", false),
            ("223.255.255.255", false),
            ("224.0.0.0", true),
            ("255.255.255.255", true),
        ];
        for (source, martian) in sources {
            assert_eq!(is_martian_v4(v4(source), GOOD), martian, "from {source}");
            assert_eq!(is_martian_source_v4(v4(source)), martian, "{source} as a sender");
        }
        let destinations = [
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("127.0.0.1", true),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.0", true),
            ("255.255.255.254", true),
            ("255.255.255.255", false),
        ];
        for (destination, martian) in destinations {
            assert_eq!(is_martian_v4(GOOD, v4(destination)), martian, "to {destination}");
        }
    }

    #[test]
    fn the_unspecified_v4_source_speaks_to_groups_only() {
        assert!(!is_martian_v4(0, 0xe000_0001));
        assert!(!is_martian_v4(0, 0xefff_ffff));
        assert!(!is_martian_v4(0, 0xffff_ffff));
        assert!(is_martian_v4(0, 0xffff_fffe));
        assert!(is_martian_v4(0, 0xdfff_ffff));
        assert!(is_martian_v4(1, 0xe000_0001));
    }

    #[test]
    fn v6_edges() {
        let cases = [
            ("2001:db8::1", "2001:db8::2", false),
            ("::1", "2001:db8::2", true),
            ("::255.255.255.255", "2001:db8::2", true),
            ("::1:0:0", "2001:db8::2", false),
            ("::ffff:192.0.2.1", "2001:db8::2", true),
            ("::fffe:192.0.2.1", "2001:db8::2", false),
            ("ff02::1", "2001:db8::2", true),
            ("fe80::1", "ff02::1", false),
            ("::", "ff02::1", false),
            ("::", "feff::1", true),
            ("::1", "ff02::1", true),
            ("2001:db8::1", "::", true),
            ("2001:db8::1", "::192.0.2.1", true),
            ("2001:db8::1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "ff02::1", false),
        ];
        for (source, destination, martian) in cases {
            assert_eq!(is_martian_v6(v6(source), v6(destination)), martian, "{source} to {destination}");
        }
    }

    #[test]
    fn link_local_is_a_tenth_of_bits() {
        assert!(v6("fe80::").is_link_local() && v6("febf:ffff::1").is_link_local());
        assert!(!v6("fe7f::").is_link_local() && !v6("fec0::").is_link_local());
    }
}
