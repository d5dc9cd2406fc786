//! ARP: its part of steps 2 to 4, and its rule.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::ether::{decide, oversize};
use super::shape::Shape;
use crate::backend::nft::ir::{Element, Field, Header, Part, Rule, Statement, Verdict};
use crate::ruleset::ether;

const LENGTH: u32 = 28;
/// Hardware and protocol type, both address lengths.
const ETHERNET_AND_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const OPERATION: u32 = 6;
const SENDER: u32 = 14;
const REPLY: u16 = 2;

/// The chain of ARP packets on a zone.
pub(super) fn zone(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.arp.{}", shape.name()), |build| {
        let check = header(build, shape);
        let mut rules = vec![Rule::new(vec![Statement::jump(check)])];
        if let Some(speakers) = speakers(build, zone, shape) {
            let tests = vec![Statement::differs(shape.layer3(SENDER, 4), &[0; 4]), speakers];
            rules.push(build.fails(DropReason::VlanSourceMismatch, shape, tests));
        }
        rules.extend(oversize(build, zone, shape));
        let verdict = decide(build, zone, ether::ARP, shape);
        rules.push(Rule::new(vec![Statement::Verdict(verdict)]));
        rules
    })
}

/// What holds on every zone.
fn header(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("arp.{}", shape.name()), |build| {
        let operation = || shape.layer3(OPERATION, 2);
        let mut rules = vec![build.fails(DropReason::Truncated, shape, vec![shape.shorter_than(LENGTH)])];
        for wrong in [
            Statement::differs(shape.layer3(0, 6), &ETHERNET_AND_IPV4),
            Statement::equal(operation(), &0u16.to_be_bytes()),
            Statement::above(operation(), &REPLY.to_be_bytes()),
        ] {
            rules.push(build.fails(DropReason::Malformed, shape, vec![wrong]));
        }
        // 0.0.0.0 probes for an address (RFC 5227).
        rules.push(Rule::new(vec![
            Statement::equal(shape.layer3(SENDER, 4), &[0; 4]),
            Statement::Verdict(Verdict::Return),
        ]));
        for wrong in martian_first_bytes(&shape.layer3(SENDER, 1), 224) {
            rules.push(build.fails(DropReason::Martian, shape, vec![wrong]));
        }
        rules
    })
}

/// An IPv4 address begins with 0, 127, or `end` and above.
pub(super) fn martian_first_bytes(first: &Field, end: u8) -> [Statement; 3] {
    [
        Statement::equal(first.clone(), &[0]),
        Statement::equal(first.clone(), &[127]),
        Statement::above(first.clone(), &[end - 1]),
    ]
}

/// The sender is not among the sources of the zone. The operation, which is 1 or 2, makes the key one of two parts.
fn speakers(build: &mut Build<'_>, zone: usize, shape: Shape) -> Option<Statement> {
    let sources = build.zones[zone].sources.clone()?;
    let part = |offset: u32, length: u32| Part::Raw {
        header: Header::Network,
        offset: shape.shift() + offset,
        length,
    };
    let name = format!("sources{}.arp{}", build.zones[zone].sources_number, shape.set_name());
    let key = vec![part(OPERATION, 2), part(SENDER, 4)];
    let set = build.set(&name, "senders of ARP", key, true, || {
        let span =
            |&(low, high): &(u32, u32)| Element { key: vec![(1, 2), (low.into(), high.into())], to: None };
        sources.v4().iter().map(span).collect()
    });
    let fields = vec![shape.layer3(OPERATION, 2), shape.layer3(SENDER, 4)];
    Some(Statement::Member { fields, set, inside: false })
}
