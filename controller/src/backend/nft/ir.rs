//! A netdev table as data: what is rendered as text and what is sent to the kernel.
//!
//! Promises: everything here has one meaning in nft's language (`text`) and one in the kernel's (`netlink`), so that what
//! is printed is what is applied. Only what Linux 6.1 knows can be said. Values are bytes in network order.

/// One table: one interface of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// What people should know of it, a line each.
    pub about: Vec<String>,
    pub base: Base,
    pub chains: Vec<Chain>,
    pub sets: Vec<Set>,
    pub counters: Vec<Counter>,
}

/// The chain that meets the frames of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub device: String,
    /// What becomes of a frame that falls through: false drops it.
    pub accept: bool,
    pub rules: Vec<Rule>,
}

/// The name of the base chain in every table.
pub const BASE: &str = "ingress";

/// Before everything else on the hook.
pub const PRIORITY: i32 = -2_147_483_648;

/// A chain that others go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    pub rules: Vec<Rule>,
}

/// One rule: statements from left to right; a test that fails ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub statements: Vec<Statement>,
    /// At most [`COMMENT`] bytes, without a quotation mark.
    pub comment: Option<String>,
}

/// How long a comment may be (NFTNL_UDATA_COMMENT_MAXLEN).
pub const COMMENT: usize = 127;

/// A test or an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Field and number are compared as numbers in network order.
    Compare {
        field: Field,
        relation: Relation,
        value: Vec<u8>,
    },
    /// The field is less than `low` or more than `high`.
    Outside {
        field: Field,
        low: Vec<u8>,
        high: Vec<u8>,
    },
    /// The concatenated fields are, or are not, in a set.
    Member {
        fields: Vec<Field>,
        set: String,
        inside: bool,
    },
    /// The verdict that a map has for the concatenated fields; none ends the rule.
    Dispatch {
        fields: Vec<Field>,
        map: String,
    },
    /// The counter that a map has for the concatenated fields; none ends the rule.
    CountBy {
        fields: Vec<Field>,
        map: String,
    },
    /// A named counter.
    Count(String),
    /// More than so many frames a second have come here, but for those that were saved up.
    Beyond {
        rate: u32,
        burst: u32,
    },
    /// A message to a group of nfnetlink_log.
    Log {
        group: u16,
        prefix: String,
    },
    Verdict(Verdict),
}

/// How a field is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Equal,
    Differs,
    Below,
    Above,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    Accept,
    Drop,
    Goto(String),
    Jump(String),
    Return,
}

/// What can be read of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// EtherType after the tag that the kernel took off; 1 or 4 where there is a length.
    Protocol,
    /// Protocol of a packet whose lengths the kernel found right; no other packet has one.
    L4Protocol,
    /// Bytes after the EtherType and the tag that the kernel took off. In host order in the kernel.
    Length,
    /// Nanoseconds of UTC since 1970, compared only (Linux 5.4). In host order in the kernel.
    Time,
    /// The bits of [`Field::Length`] that the mask keeps.
    LengthBits(u32),
    /// `ip saddr` and its like: the rule must have compared [`Field::Protocol`].
    Ip4Source,
    Ip4Destination,
    Ip4Protocol,
    Ip6Source,
    Ip6Destination,
    /// The next header of the fixed header.
    Ip6Next,
    /// The first two and the next two bytes of layer 4.
    SourcePort,
    DestinationPort,
    /// The rule must have compared [`Field::L4Protocol`] with ICMP (ICMPv6).
    IcmpType,
    IcmpCode,
    Icmp6Type,
    Icmp6Code,
    /// Bytes of a header, by their place.
    Raw(Raw),
    /// A field but for its last so many bits, which read as zero: an address as the prefix that it is in.
    Prefix(Box<Field>, u32),
}

/// Where a header begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Header {
    /// The Ethernet header, with the tag that the kernel took off.
    Link,
    /// What follows the EtherType (and the tag that the kernel took off).
    Network,
    /// Layer 4, of a packet that has a [`Field::L4Protocol`] and is no later fragment.
    Transport,
}

/// Bytes of a header, `and`ed with `mask` where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub header: Header,
    /// In bytes, both.
    pub offset: u32,
    pub length: u32,
    pub mask: Option<Vec<u8>>,
}

impl Raw {
    pub fn whole(header: Header, offset: u32, length: u32) -> Field {
        Field::Raw(Raw { header, offset, length, mask: None })
    }

    pub fn masked(header: Header, offset: u32, mask: &[u8]) -> Field {
        Field::Raw(Raw { header, offset, length: mask.len() as u32, mask: Some(mask.to_vec()) })
    }
}

/// A set, or a map to verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    pub name: String,
    pub about: String,
    pub key: Vec<Part>,
    /// What elements have beside their keys.
    pub map: Option<Maps>,
    /// Elements are intervals; then there are at least two parts.
    pub interval: bool,
    pub elements: Vec<Element>,
}

impl Set {
    /// How many elements the kernel is told to make room for; not told, it keeps short keys as a map of bits, which is
    /// the fastest to ask.
    pub fn size(&self) -> Option<usize> {
        /// A map of bits for two bytes takes 16 KiB.
        const FEW: usize = 5;
        let short = self.key.iter().map(Part::length).sum::<usize>() <= 2 && self.key.len() == 1;
        let bits = short && self.map.is_none() && self.elements.len() >= FEW;
        (!bits).then(|| self.elements.len().max(1))
    }
}

/// What a map leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maps {
    Verdicts,
    Counters,
}

/// The type of one part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Ip4,
    Ip6,
    Service,
    Protocol,
    EtherType,
    IcmpType,
    IcmpCode,
    Icmp6Type,
    Icmp6Code,
    /// [`Field::Length`].
    Length,
    /// A number, as long as the field that is looked up.
    Raw {
        header: Header,
        offset: u32,
        length: u32,
    },
}

impl Part {
    /// In bytes.
    pub fn length(&self) -> usize {
        match self {
            Part::Ip4 | Part::Length => 4,
            Part::Ip6 => 16,
            Part::Service | Part::EtherType => 2,
            Part::Protocol | Part::IcmpType | Part::IcmpCode | Part::Icmp6Type | Part::Icmp6Code => 1,
            Part::Raw { length, .. } => *length as usize,
        }
    }
}

/// One element: an inclusive interval of each part of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// As numbers.
    pub key: Vec<(u128, u128)>,
    pub to: Option<To>,
}

/// What the key of an element leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    Verdict(Verdict),
    /// The name of a counter.
    Counter(String),
}

/// A named counter, and what it starts with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    pub name: String,
}

/// Short ways to say what rules are made of.
impl Rule {
    pub fn new(statements: Vec<Statement>) -> Rule {
        Rule { statements, comment: None }
    }

    pub fn with_comment(self, comment: impl Into<String>) -> Rule {
        Rule { comment: Some(comment.into()), ..self }
    }
}

impl Statement {
    pub fn equal(field: Field, value: &[u8]) -> Statement {
        Statement::Compare { field, relation: Relation::Equal, value: value.to_vec() }
    }

    pub fn differs(field: Field, value: &[u8]) -> Statement {
        Statement::Compare { field, relation: Relation::Differs, value: value.to_vec() }
    }

    pub fn below(field: Field, value: &[u8]) -> Statement {
        Statement::Compare { field, relation: Relation::Below, value: value.to_vec() }
    }

    pub fn above(field: Field, value: &[u8]) -> Statement {
        Statement::Compare { field, relation: Relation::Above, value: value.to_vec() }
    }

    pub fn goto(chain: impl Into<String>) -> Statement {
        Statement::Verdict(Verdict::Goto(chain.into()))
    }

    pub fn jump(chain: impl Into<String>) -> Statement {
        Statement::Verdict(Verdict::Jump(chain.into()))
    }
}
