//! What is asked: one frame, in the words of the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ruleset::{Family, Service, TcpState, VlanId, ether};

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub vlan: VlanId,
    pub packet: Packet,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    Ip {
        addresses: Addresses,
        content: Content,
    },
    Arp {
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    /// An EtherType, or one of the keys in [`crate::ruleset::ether`].
    Other(u16),
}

/// Source and destination, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    V4 { from: Ipv4Addr, to: Ipv4Addr },
    V6 { from: Ipv6Addr, to: Ipv6Addr },
}

/// What stands above the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Tcp {
        source: u16,
        destination: u16,
        state: TcpState,
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
    /// Any other protocol, by number.
    Protocol(u8),
}

/// Words that do not describe one frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    #[error("{from} and {to} are of different families: a packet has one")]
    Families { from: IpAddr, to: IpAddr },
    #[error("every packet of that service is of the other family than {0}")]
    Family(IpAddr),
    #[error("that service is more than one packet: {0}")]
    Vague(&'static str),
    #[error("protocol {0} is an extension header in IPv6, not what a packet carries")]
    Extension(u8),
    #[error("a source port is for tcp, udp and sctp")]
    SourcePort,
    #[error("new and established are for tcp")]
    TcpState,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

impl Addresses {
    /// # Errors
    /// The two are of different families.
    pub fn new(from: IpAddr, to: IpAddr) -> Result<Self, QuestionError> {
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Ok(Addresses::V4 { from, to }),
            (IpAddr::V6(from), IpAddr::V6(to)) => Ok(Addresses::V6 { from, to }),
            _ => Err(QuestionError::Families { from, to }),
        }
    }

    pub fn family(self) -> Family {
        match self {
            Addresses::V4 { .. } => Family::V4,
            Addresses::V6 { .. } => Family::V6,
        }
    }

    pub fn from(self) -> IpAddr {
        match self {
            Addresses::V4 { from, .. } => from.into(),
            Addresses::V6 { from, .. } => from.into(),
        }
    }

    pub fn to(self) -> IpAddr {
        match self {
            Addresses::V4 { to, .. } => to.into(),
            Addresses::V6 { to, .. } => to.into(),
        }
    }
}

impl Packet {
    /// The packet of `service` from one address to another. `source_port` is 49152, `state` new where they are not given.
    ///
    /// # Errors
    /// The words describe no packet, or more than one.
    pub fn new(
        addresses: Addresses,
        service: &Service,
        source_port: Option<u16>,
        state: Option<TcpState>,
    ) -> Result<Self, QuestionError> {
        let family = addresses.family();
        if service.family.is_some_and(|other| other != family) {
            return Err(QuestionError::Family(addresses.from()));
        }
        let protocol = service.protocol.ok_or(QuestionError::Vague("name a protocol, such as tcp/443"))?;
        if source_port.is_some() && ![TCP, UDP, SCTP].contains(&protocol) {
            return Err(QuestionError::SourcePort);
        }
        if state.is_some() && protocol != TCP {
            return Err(QuestionError::TcpState);
        }
        let source = source_port.unwrap_or(49_152);
        let content = match protocol {
            TCP => {
                Content::Tcp { source, destination: port(service)?, state: state.unwrap_or(TcpState::New) }
            }
            UDP => Content::Udp { source, destination: port(service)? },
            SCTP => Content::Sctp { source, destination: port(service)? },
            ICMP | ICMPV6 if (protocol == ICMP) == (family == Family::V4) => {
                let icmp =
                    service.icmp.ok_or(QuestionError::Vague("name a type, such as icmp/echo-request"))?;
                Content::Icmp { kind: icmp.kind, code: icmp.code.unwrap_or(0) }
            }
            0 | 43 | 44 | 60 if family == Family::V6 => return Err(QuestionError::Extension(protocol)),
            other => Content::Protocol(other),
        };
        Ok(Packet::Ip { addresses, content })
    }
}

impl Packet {
    /// The key that `ethertype` conditions look at; `None` for IP.
    pub fn ether_key(self) -> Option<u16> {
        match self {
            Packet::Ip { .. } => None,
            Packet::Arp { .. } => Some(ether::ARP),
            Packet::Other(key) => Some(key),
        }
    }
}

/// The one destination port of a service.
fn port(service: &Service) -> Result<u16, QuestionError> {
    match service.destination_ports {
        Some((low, high)) if low == high => Ok(low),
        _ => Err(QuestionError::Vague("name one port, such as tcp/443")),
    }
}

impl Content {
    /// The IP protocol number.
    pub fn protocol(self, family: Family) -> u8 {
        match self {
            Content::Tcp { .. } => TCP,
            Content::Udp { .. } => UDP,
            Content::Sctp { .. } => SCTP,
            Content::Icmp { .. } if family == Family::V4 => ICMP,
            Content::Icmp { .. } => ICMPV6,
            Content::Protocol(number) => number,
        }
    }

    /// Source and destination port.
    pub fn ports(self) -> Option<(u16, u16)> {
        match self {
            Content::Tcp { source, destination, .. }
            | Content::Udp { source, destination }
            | Content::Sctp { source, destination } => Some((source, destination)),
            Content::Icmp { .. } | Content::Protocol(_) => None,
        }
    }

    /// Type and code.
    pub fn icmp(self) -> Option<(u8, u8)> {
        match self {
            Content::Icmp { kind, code } => Some((kind, code)),
            _ => None,
        }
    }

    pub fn tcp_state(self) -> Option<TcpState> {
        match self {
            Content::Tcp { state, .. } => Some(state),
            _ => None,
        }
    }

    /// The service in the words of the policy: `tcp/22`.
    pub fn words(self, family: Family) -> String {
        match (self, family) {
            (Content::Tcp { destination, .. }, _) => format!("tcp/{destination}"),
            (Content::Udp { destination, .. }, _) => format!("udp/{destination}"),
            (Content::Sctp { destination, .. }, _) => format!("sctp/{destination}"),
            (Content::Icmp { kind, code }, Family::V4) => format!("icmp/{kind}/{code}"),
            (Content::Icmp { kind, code }, Family::V6) => format!("icmpv6/{kind}/{code}"),
            (Content::Protocol(number), _) => format!("ip/{number}"),
        }
    }
}
