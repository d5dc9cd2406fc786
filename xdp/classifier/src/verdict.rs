//! Verdicts and drop reasons.
//!
//! Promises: the list of reasons is closed and its order is fixed; the discriminant of a reason is its counter
//! index, its name the metric label and the replay column. New reasons go to the end; none is ever renamed.

/// Position of a rule in the canonical ruleset: `deny` rules in file order, then `allow` rules in file order.
/// The lowest index that matches is the rule that decides.
pub type RuleIndex = u32;

/// Why a frame is dropped. The order is the order of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum DropReason {
    NoRule = 0,
    Denied = 1,
    VlanNotAllowed = 2,
    VlanStack = 3,
    VlanSourceMismatch = 4,
    Truncated = 5,
    Malformed = 6,
    Martian = 7,
    Oversize = 8,
    Fragment = 9,
    FragmentTiny = 10,
    FragmentOverlap = 11,
    IpOptions = 12,
    Ipv6Extension = 13,
    TcpFlags = 14,
}

impl DropReason {
    /// Every reason, in the order of its discriminant.
    pub const ALL: [DropReason; 15] = [
        DropReason::NoRule,
        DropReason::Denied,
        DropReason::VlanNotAllowed,
        DropReason::VlanStack,
        DropReason::VlanSourceMismatch,
        DropReason::Truncated,
        DropReason::Malformed,
        DropReason::Martian,
        DropReason::Oversize,
        DropReason::Fragment,
        DropReason::FragmentTiny,
        DropReason::FragmentOverlap,
        DropReason::IpOptions,
        DropReason::Ipv6Extension,
        DropReason::TcpFlags,
    ];

    /// The reason with this discriminant. Written out, it compiles to the number itself: a lookup in [`Self::ALL`] would
    /// leave the verifier without its bound.
    #[inline(always)]
    pub const fn from_index(index: u32) -> Option<DropReason> {
        Some(match index {
            0 => DropReason::NoRule,
            1 => DropReason::Denied,
            2 => DropReason::VlanNotAllowed,
            3 => DropReason::VlanStack,
            4 => DropReason::VlanSourceMismatch,
            5 => DropReason::Truncated,
            6 => DropReason::Malformed,
            7 => DropReason::Martian,
            8 => DropReason::Oversize,
            9 => DropReason::Fragment,
            10 => DropReason::FragmentTiny,
            11 => DropReason::FragmentOverlap,
            12 => DropReason::IpOptions,
            13 => DropReason::Ipv6Extension,
            14 => DropReason::TcpFlags,
            _ => return None,
        })
    }

    /// The name used in metrics, captures and reports.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::NoRule => "no_rule",
            DropReason::Denied => "denied",
            DropReason::VlanNotAllowed => "vlan_not_allowed",
            DropReason::VlanStack => "vlan_stack",
            DropReason::VlanSourceMismatch => "vlan_source_mismatch",
            DropReason::Truncated => "truncated",
            DropReason::Malformed => "malformed",
            DropReason::Martian => "martian",
            DropReason::Oversize => "oversize",
            DropReason::Fragment => "fragment",
            DropReason::FragmentTiny => "fragment_tiny",
            DropReason::FragmentOverlap => "fragment_overlap",
            DropReason::IpOptions => "ip_options",
            DropReason::Ipv6Extension => "ipv6_extension",
            DropReason::TcpFlags => "tcp_flags",
        }
    }
}

/// What is decided about one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// An `allow` rule matches; it is the first that does.
    Pass(RuleIndex),
    /// A `deny` rule matches; it is the first that does. The reason is [`DropReason::Denied`].
    Denied(RuleIndex),
    /// A step before the rules fails, or no rule matches ([`DropReason::NoRule`]).
    Drop(DropReason),
}

impl Decision {
    /// The drop reason; `None` when the frame passes.
    pub const fn reason(self) -> Option<DropReason> {
        match self {
            Decision::Pass(_) => None,
            Decision::Denied(_) => Some(DropReason::Denied),
            Decision::Drop(reason) => Some(reason),
        }
    }

    /// The credited rule; `None` when no rule decided.
    pub const fn rule(self) -> Option<RuleIndex> {
        match self {
            Decision::Pass(rule) | Decision::Denied(rule) => Some(rule),
            Decision::Drop(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_a_discriminant() {
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(DropReason::from_index(index as u32), Some(reason));
        }
        assert_eq!(DropReason::from_index(DropReason::ALL.len() as u32), None);
    }
}
