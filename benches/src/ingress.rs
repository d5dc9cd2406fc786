//! One policy three times: as rules for perimeter, and as what somebody who knows nftables would write by hand for the rules
//! alone, and for the rules with what else the policy promises.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use perimeter::ruleset::{AddressSet, Ruleset, Service};

use crate::shapes::{Random, Seed, ruleset};

/// What the rules ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// A destination and a port: hashed.
    Exact,
    /// Source and destination prefixes, of one length each, and a port.
    Prefixes,
    /// Ranges of sources and destinations that are no prefixes, and a port.
    Ranges,
}

impl Asks {
    pub const ALL: [Asks; 3] = [Asks::Exact, Asks::Prefixes, Asks::Ranges];
}

/// A policy, what is written for it by hand, and frames that it allows.
pub struct Contest {
    pub ruleset: Ruleset,
    /// For `nft -f`: the table `hand`, on the device `lo`. Rules only: what they allow passes.
    pub by_hand: String,
    /// The same where no frame with a tag may pass, as the policy allows none: the least that keeps VLANs apart.
    pub untagged: String,
    /// The same with the checks of the policy that one can write in a line each: a source that is no group, no tag,
    /// options, fragments, lengths, martians, TCP flags; a counter for each.
    pub careful: String,
    pub frames: Vec<Vec<u8>>,
}

/// Frames that take turns.
const FRAMES: usize = 16;
/// 198.18.0.0 (RFC 2544), where rules have their destinations, and 10.0.0.0, where sources are.
const DESTINATIONS: u32 = 0xc612_0000;
const SOURCES: u32 = 0x0a00_0000;

type Span = (u32, u32);

/// The sources and destinations of rule number `place` among those with the same port.
fn addresses(asks: Asks, place: u32) -> (Span, Span) {
    let (from, to) = (SOURCES + (place << 8), DESTINATIONS + (place << 4));
    match asks {
        Asks::Exact => ((0, u32::MAX), (DESTINATIONS + place, DESTINATIONS + place)),
        Asks::Prefixes => ((from, from + 255), (to, to + 15)),
        Asks::Ranges => ((from + 3, from + 200), (to + 1, to + 14)),
    }
}

/// `count` rules, no two of which speak of the same frame.
pub fn contest(asks: Asks, count: usize) -> Contest {
    let mut ruleset = ruleset(Seed::Acl, count);
    ruleset.interfaces[0].name = "lo".into();
    let mut elements = String::new();
    let mut frames = Vec::new();
    let mut random = Random(7);
    let timed: Vec<usize> = (0..FRAMES).map(|_| random.below(count as u64) as usize).collect();
    for (number, rule) in ruleset.rules.iter_mut().enumerate() {
        let port = 1024 + (number % 50) as u16;
        let (from, to) = addresses(asks, (number / 50) as u32);
        rule.from = AddressSet::new(vec![from], Vec::new());
        rule.to = AddressSet::new(vec![to], Vec::new());
        rule.services =
            vec![Service { protocol: Some(6), destination_ports: Some((port, port)), ..Service::default() }];
        rule.ethertypes = Vec::new();
        let _ = match asks {
            Asks::Exact => write!(elements, "{} . {port},", Ipv4Addr::from_bits(to.0)),
            _ => write!(elements, "{} . {} . {port},", span(from), span(to)),
        };
        if timed.contains(&number) {
            frames.push(frame(from.0.max(SOURCES) + 9, to.1, port));
        }
    }
    let untagged = table(asks, &elements, "  @ll,96,16 != 0x0800 counter drop\n");
    let careful = table(asks, &elements, &checks());
    Contest { ruleset, by_hand: table(asks, &elements, ""), untagged, careful, frames }
}

fn span((low, high): Span) -> String {
    format!("{}-{}", Ipv4Addr::from_bits(low), Ipv4Addr::from_bits(high))
}

/// A set with a counter for each element, and one rule that looks it up after the `checks`.
fn table(asks: Asks, elements: &str, checks: &str) -> String {
    let (kind, flags, key) = match asks {
        Asks::Exact => ("ipv4_addr . inet_service", "", "ip daddr . tcp dport"),
        Asks::Prefixes | Asks::Ranges => {
            ("ipv4_addr . ipv4_addr . inet_service", "flags interval;", "ip saddr . ip daddr . tcp dport")
        }
    };
    format!(
        "table netdev hand {{\n set allowed {{ type {kind}; {flags} counter; elements = {{ {elements} }}; }}\n \
         chain ingress {{\n  type filter hook ingress device lo priority 0; policy drop;\n{checks}  \
         {key} @allowed accept\n  counter drop\n }}\n}}\n"
    )
}

/// Steps 1 to 6 of the verdict for what these frames can be, as nft says it.
fn checks() -> String {
    [
        "ether saddr & 01:00:00:00:00:00 != 00:00:00:00:00:00",
        "ether type != ip",
        "ip hdrlength != 5",
        "ip frag-off & 0x3fff != 0",
        "ip length != 40-1500",
        "ip saddr { 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3 }",
        "ip daddr { 0.0.0.0/8, 127.0.0.0/8, 240.0.0.0/4 }",
        "tcp doff < 5",
        "tcp doff > 5 ip length < 80",
        "tcp flags & (fin | syn | rst | ack) != { syn, rst, ack, fin | ack, syn | ack, rst | ack, fin | rst | ack }",
    ]
    .map(|check| format!("  {check} counter drop\n"))
    .concat()
}

/// A TCP segment of 64 bytes for another machine, so that the stack has no more to do with it.
fn frame(from: u32, to: u32, port: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(from.to_be_bytes());
    frame.extend(to.to_be_bytes());
    frame.extend([0xc0, 0]);
    frame.extend(port.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(64, 0);
    frame
}
