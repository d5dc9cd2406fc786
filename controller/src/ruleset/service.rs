//! What a rule asks of the packet above the addresses.

use serde::{Deserialize, Serialize};

/// Which IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    V4,
    V6,
}

/// One alternative: every condition that is present must hold. All absent: any IP packet.
///
/// `destination_ports`, `source_ports`, `icmp` and `tcp` are conditions on layer 4. A later fragment has none of these
/// fields: an `allow` rule matches it only through an alternative without such conditions, a `deny` rule's count as
/// met. A written range is a condition even where it covers everything (`tcp/0-65535`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// IP protocol number: IPv4 protocol, or the header that ends the IPv6 walk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// Inclusive; only beside protocol 6, 17 or 132.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_ports: Option<(u16, u16)>,
    /// Inclusive; only beside protocol 6, 17 or 132.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ports: Option<(u16, u16)>,
    /// Only beside (V4, 1) or (V6, 58).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Icmp>,
    /// Only beside protocol 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpState>,
}

/// ICMP or ICMPv6 type, and code where one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Icmp {
    #[serde(rename = "type")]
    pub kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

/// Where in a TCP connection a segment claims to be (stateless, and therefore only a claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TcpState {
    /// SYN set, ACK clear.
    New,
    /// ACK or RST set.
    Established,
}

impl Service {
    /// Whether this alternative asks for something that a later fragment does not carry.
    pub fn has_layer4_condition(&self) -> bool {
        self.destination_ports.is_some()
            || self.source_ports.is_some()
            || self.icmp.is_some()
            || self.tcp.is_some()
    }
}
