//! Names of ICMP and ICMPv6 types: IANA's, in lower case with hyphens, and a few that everyone uses.
//!
//! Sources: IANA "ICMP Parameters" and "ICMPv6 Parameters" (RFC 792, RFC 4443, RFC 4861 and those they list).

use crate::ruleset::Family;

/// A type and its name; a type may have several names.
pub type NamedType = (&'static str, u8);

/// The types of ICMP (`V4`) or ICMPv6 (`V6`) that have a name, by number.
pub fn icmp_types(family: Family) -> &'static [NamedType] {
    match family {
        Family::V4 => &V4,
        Family::V6 => &V6,
    }
}

/// The type with this name.
pub(super) fn find(family: Family, name: &str) -> Option<u8> {
    icmp_types(family).iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

static V4: [NamedType; 33] = [
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("alternate-host-address", 6),
    ("echo", 8),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-selection", 10),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp", 13),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("information-request", 15),
    ("information-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
    ("traceroute", 30),
    ("datagram-conversion-error", 31),
    ("mobile-host-redirect", 32),
    ("ipv6-where-are-you", 33),
    ("ipv6-i-am-here", 34),
    ("mobile-registration-request", 35),
    ("mobile-registration-reply", 36),
    ("domain-name-request", 37),
    ("domain-name-reply", 38),
    ("skip", 39),
    ("photuris", 40),
    ("experimental-mobility", 41),
    ("extended-echo-request", 42),
    ("extended-echo-reply", 43),
];

static V6: [NamedType; 41] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("multicast-listener-query", 130),
    ("multicast-listener-report", 131),
    ("multicast-listener-done", 132),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbor-solicitation", 135),
    ("neighbor-advertisement", 136),
    ("redirect-message", 137),
    ("redirect", 137),
    ("router-renumbering", 138),
    ("icmp-node-information-query", 139),
    ("icmp-node-information-response", 140),
    ("inverse-neighbor-discovery-solicitation-message", 141),
    ("inverse-neighbor-discovery-solicitation", 141),
    ("inverse-neighbor-discovery-advertisement-message", 142),
    ("inverse-neighbor-discovery-advertisement", 142),
    ("version-2-multicast-listener-report", 143),
    ("home-agent-address-discovery-request-message", 144),
    ("home-agent-address-discovery-reply-message", 145),
    ("mobile-prefix-solicitation", 146),
    ("mobile-prefix-advertisement", 147),
    ("certification-path-solicitation-message", 148),
    ("certification-path-advertisement-message", 149),
    ("experimental-mobility", 150),
    ("multicast-router-advertisement", 151),
    ("multicast-router-solicitation", 152),
    ("multicast-router-termination", 153),
    ("fmipv6-messages", 154),
    ("rpl-control-message", 155),
    ("ilnpv6-locator-update-message", 156),
    ("duplicate-address-request", 157),
    ("duplicate-address-confirmation", 158),
    ("mpl-control-message", 159),
    ("extended-echo-request", 160),
    ("extended-echo-reply", 161),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_once_and_in_the_order_of_numbers() {
        for family in [Family::V4, Family::V6] {
            let types = icmp_types(family);
            assert!(types.windows(2).all(|pair| pair[0].1 <= pair[1].1));
            assert!(types.iter().all(|(name, kind)| find(family, name) == Some(*kind)));
        }
    }
}
