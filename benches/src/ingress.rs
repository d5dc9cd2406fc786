//! One policy twice: as rules for perimeter, and as the ruleset that somebody who knows nftables would write for it by hand.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use perimeter::ruleset::{AddressSet, Ruleset, Service};

use crate::shapes::{Random, Seed, ruleset};

/// What the rules ask for.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    /// A destination and a port: hashed.
    Exact,
    /// Source and destination prefixes and a port: intervals.
    Intervals,
}

/// A policy, what is written for it by hand, and frames that it allows.
pub struct Contest {
    pub ruleset: Ruleset,
    /// For `nft -f`: the table `hand`, on the device `lo`.
    pub by_hand: String,
    pub frames: Vec<Vec<u8>>,
}

/// Frames that take turns.
const FRAMES: usize = 16;
/// 198.18.0.0 (RFC 2544), where rules have their destinations, and 10.0.0.0, where sources are.
const DESTINATIONS: u32 = 0xc612_0000;
const SOURCES: u32 = 0x0a00_0000;

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
        let place = (number / 50) as u32;
        let (from, to) = match asks {
            Asks::Exact => ((0, u32::MAX), (DESTINATIONS + place, DESTINATIONS + place)),
            Asks::Intervals => {
                let from = SOURCES + (place << 8);
                let to = DESTINATIONS + (place << 4);
                ((from, from + 255), (to, to + 15))
            }
        };
        rule.from = AddressSet::new(vec![from], Vec::new());
        rule.to = AddressSet::new(vec![to], Vec::new());
        rule.services =
            vec![Service { protocol: Some(6), destination_ports: Some((port, port)), ..Service::default() }];
        rule.ethertypes = Vec::new();
        let to = |address| Ipv4Addr::from_bits(address);
        let _ = match asks {
            Asks::Exact => write!(elements, "{} . {port},", to(DESTINATIONS + place)),
            Asks::Intervals => {
                write!(elements, "{}/24 . {}/28 . {port},", to(from.0), to(DESTINATIONS + (place << 4)))
            }
        };
        if timed.contains(&number) {
            frames.push(frame(from.0.max(SOURCES) + 9, rule.to.v4()[0].1, port));
        }
    }
    Contest { ruleset, by_hand: by_hand(asks, &elements), frames }
}

/// A set with a counter for each element, and one rule that looks it up.
fn by_hand(asks: Asks, elements: &str) -> String {
    let (kind, flags, key) = match asks {
        Asks::Exact => ("ipv4_addr . inet_service", "", "ip daddr . tcp dport"),
        Asks::Intervals => {
            ("ipv4_addr . ipv4_addr . inet_service", "flags interval;", "ip saddr . ip daddr . tcp dport")
        }
    };
    format!(
        "table netdev hand {{\n set allowed {{ type {kind}; {flags} counter; elements = {{ {elements} }}; }}\n \
         chain ingress {{\n  type filter hook ingress device lo priority 0; policy drop;\n  {key} @allowed accept\n }}\n}}\n"
    )
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
