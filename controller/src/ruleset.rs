//! The canonical ruleset: the narrow waist between the policy language and everything that enforces it.
//!
//! Promises: names are resolved, lists expanded, `except` carried out, expired rules removed; rules stand in the order
//! in which they are credited (`deny` in file order, then `allow` in file order). Both backends, the model and the
//! oracle begin here, so that none of them can read the YAML differently. Refuses: nothing; a value of these types is
//! the product of validation.

mod address;
mod expiry;
mod labels;
mod service;
mod vlan;

use serde::{Deserialize, Serialize};

pub use address::AddressSet;
pub use labels::{OTHER, VlanLabels};
pub use service::{Family, Icmp, Service, TcpState};
pub use vlan::{VlanId, VlanRange};

/// A whole policy, resolved. Interfaces and VLANs stand in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    pub interfaces: Vec<Interface>,
    /// The named VLANs with what is said about them; they apply to a VLAN by its id, on every interface.
    pub vlans: Vec<Vlan>,
    /// `deny` rules in file order, then `allow` rules in file order. The index is the classifier's `RuleIndex`.
    pub rules: Vec<Rule>,
}

impl Ruleset {
    /// The ruleset as of `at`: without the rules whose last day (UTC) is over.
    pub fn as_of(mut self, at: jiff::Timestamp) -> Ruleset {
        self.rules.retain(|rule| rule.end().is_none_or(|end| end > at));
        self
    }

    /// When rules of an interface end, ascending, each instant once.
    pub fn instants(&self, interface: usize) -> Vec<jiff::Timestamp> {
        let here = self.rules.iter().filter(|rule| rule.interfaces.contains(&interface));
        let mut instants: Vec<jiff::Timestamp> = here.filter_map(Rule::end).collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// What the ruleset says of some of its interfaces.
    pub fn of_interfaces(mut self, is_kept: impl Fn(&str) -> bool) -> Ruleset {
        let mut kept = 0;
        let mut place = |one: &Interface| {
            kept += usize::from(is_kept(&one.name));
            is_kept(&one.name).then(|| kept - 1)
        };
        let places: Vec<Option<usize>> = self.interfaces.iter().map(&mut place).collect();
        self.interfaces.retain(|one| is_kept(&one.name));
        for rule in &mut self.rules {
            rule.interfaces = rule.interfaces.iter().filter_map(|&index| places[index]).collect();
        }
        self.rules.retain(|rule| !rule.interfaces.is_empty());
        self
    }
}

/// One enforced device and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub name: String,
    pub mode: Mode,
    /// `false`: shadow mode; what would be dropped is counted and passed.
    pub enforce: bool,
    /// Largest layer-3 size in bytes, where the VLAN sets none.
    pub mtu: u32,
    pub oversize: Oversize,
    pub fragments: Fragments,
    pub ip_options: IpOptions,
    /// TPID of the outer tag of a stacked pair.
    pub outer_tag: u16,
    /// Which VLANs may appear, in the order written; the label is the entry as written in the policy.
    pub vlans: Vec<VlanEntry>,
    /// Who may speak in frames whose VLAN has no sources of its own; `None` is anyone.
    pub sources: Option<AddressSet>,
    pub accounting: Accounting,
}

/// One entry of an interface's `vlans`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanEntry {
    pub label: String,
    pub range: VlanRange,
}

/// A named VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    pub name: String,
    pub id: VlanId,
    pub sources: Option<AddressSet>,
    pub mtu: Option<u32>,
}

/// How an interface is to be enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Auto,
    Native,
    Generic,
    Nft,
    /// XDP in front, nftables behind it.
    Both,
}

/// What happens to a frame over the MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Oversize {
    Drop,
    Count,
}

/// What happens to fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fragments {
    Drop,
    Stateless,
}

/// What happens to IPv4 options and to IPv6 hop-by-hop, routing and destination-options headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpOptions {
    Drop,
    Pass,
}

/// Which series beyond the basic counters an interface keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    pub vlan: bool,
    pub size: bool,
    pub fragments: bool,
    pub pmtu: bool,
    pub last_hit: bool,
}

impl Accounting {
    /// The basic counters alone.
    pub const NONE: Accounting =
        Accounting { vlan: false, size: false, fragments: false, pmtu: false, last_hit: false };

    /// Whether nothing is counted but the basic series.
    pub fn is_none(self) -> bool {
        !(self.vlan || self.size || self.fragments || self.pmtu || self.last_hit)
    }
}

/// Whether a rule lets through or keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Deny,
    Allow,
}

/// One rule. A frame matches when its interface and VLAN are covered and either
/// its EtherType key is among `ethertypes`, or it is an IP packet whose source is in `from`, whose destination is in
/// `to`, and which one of `services` matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub action: Action,
    /// Positions in [`Ruleset::interfaces`], ascending, never empty.
    pub interfaces: Vec<usize>,
    /// `None`: every VLAN the interface allows.
    pub vlans: Option<Vec<VlanRange>>,
    pub from: AddressSet,
    pub to: AddressSet,
    /// Alternatives, judged one by one; empty for a rule of EtherTypes only.
    pub services: Vec<Service>,
    /// Frames that are not IP: EtherTypes (0x0600 and above), or one of the keys in [`ether`]; ascending.
    pub ethertypes: Vec<u16>,
    pub log: bool,
    pub about: About,
    /// The rule's conditions as they were written, for people; not part of any verdict.
    pub written: Written,
    /// Line of the rule in the policy file, from 1; 0 if unknown. Not part of the digest.
    #[serde(skip)]
    pub line: usize,
}

impl Rule {
    /// From when on it matches nothing; see [`About::end`].
    pub fn end(&self) -> Option<jiff::Timestamp> {
        self.about.end()
    }

    /// Whether it matches as long as another rule does.
    pub fn outlasts(&self, other: &Rule) -> bool {
        self.end().is_none_or(|end| other.end().is_some_and(|other| other <= end))
    }
}

/// Keys in [`Rule::ethertypes`] for frames that have a length where others have an EtherType.
pub mod ether {
    /// IEEE 802.2 LLC frames that are neither SNAP nor spanning tree.
    pub const LLC: u16 = 1;
    /// SNAP frames (AA AA 03).
    pub const SNAP: u16 = 2;
    /// Spanning tree (42 42).
    pub const STP: u16 = 3;
    /// ARP, RFC 826.
    pub const ARP: u16 = 0x0806;
}

/// What people say about a rule; carried into plans, metrics and evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `YYYY-MM-DD`, the last day (UTC) on which the rule matches; see [`About::end`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl About {
    /// The midnight (UTC) after the last day.
    pub fn end(&self) -> Option<jiff::Timestamp> {
        self.expires.as_deref().map(expiry::end)
    }
}

/// A rule's conditions in the words of the policy, one string a key, lists joined by ", "; empty where omitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Written {
    pub interface: String,
    pub vlan: String,
    pub from: String,
    pub to: String,
    pub service: String,
    pub source_port: String,
    pub tcp: String,
    pub ethertype: String,
    pub bundle: String,
}
