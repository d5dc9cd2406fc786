//! Step 6, and the way to step 7.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::entries::Kind;
use super::fragments::back;
use super::lengths::Halves;
use super::shape::Place;
use super::{lengths, lookup, neighbour};
use crate::backend::nft::ir::{Element, Field, Part, Raw, Rule, Statement};
use crate::ruleset::Family;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// FIN, SYN, RST and ACK.
const DECIDING: u8 = 0x17;
/// Their combinations that a TCP stack may send.
pub(super) const SENSIBLE: [u8; 7] = [0x02, 0x04, 0x10, 0x11, 0x12, 0x14, 0x15];
pub(super) const SYN_AND_ACK: u8 = 0x12;
pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;

/// Which part of a packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Whole,
    /// Whole, with a fragment header.
    Atomic,
    First,
}

/// Fewest bytes of payload that a protocol can have.
pub(super) fn shortest(family: Family, protocol: u8) -> u32 {
    match (family, protocol) {
        (_, TCP) => 20,
        (_, UDP) | (Family::V4, ICMP) => 8,
        (_, SCTP) => 12,
        (Family::V6, ICMPV6) => 4,
        _ => 0,
    }
}

/// Protocol by protocol.
pub(super) fn rules(build: &mut Build<'_>, zone: usize, place: Place, piece: Piece) -> Vec<Rule> {
    let icmp = if place.family == Family::V4 { ICMP } else { ICMPV6 };
    let mut rules = Vec::new();
    for protocol in [TCP, UDP, icmp, SCTP] {
        let chain = protocol_chain(build, zone, place, piece, protocol);
        rules.push(Rule::new(vec![Statement::equal(place.protocol(), &[protocol]), Statement::goto(chain)]));
    }
    let other = lookup::chain(build, zone, place, Kind::Other);
    rules.push(Rule::new(vec![Statement::goto(other)]));
    rules
}

/// Step 7 for later fragments.
pub(super) fn later(build: &mut Build<'_>, zone: usize, place: Place) -> Vec<Rule> {
    vec![Rule::new(vec![Statement::goto(lookup::chain(build, zone, place, Kind::Later))])]
}

fn protocol_chain(build: &mut Build<'_>, zone: usize, place: Place, piece: Piece, protocol: u8) -> String {
    let first = if piece == Piece::First { "first." } else { "" };
    let atomic = if piece == Piece::Atomic { "atomic." } else { "" };
    let name = format!("zone{zone}.{first}{atomic}{}.{}", word(protocol), place.name());
    build.chain(&name, |build| {
        let check = check(build, place, piece, protocol);
        let mut rules = vec![Rule::new(vec![Statement::jump(check)])];
        match protocol {
            TCP if lookup::asks_for_state(build, zone) => {
                let new = lookup::chain(build, zone, place, Kind::TcpNew);
                let established = lookup::chain(build, zone, place, Kind::TcpEstablished);
                let starts = Statement::equal(place.at_masked(13, &[SYN_AND_ACK]), &[SYN]);
                rules.push(Rule::new(vec![starts, Statement::goto(new)]));
                rules.push(Rule::new(vec![Statement::goto(established)]));
            }
            _ => {
                let kind = match protocol {
                    TCP => Kind::TcpNew,
                    UDP => Kind::Udp,
                    SCTP => Kind::Sctp,
                    _ => Kind::Icmp,
                };
                let next = lookup::chain(build, zone, place, kind);
                if protocol == ICMPV6 {
                    rules.extend(neighbour::rules(build, zone, place, piece));
                }
                rules.push(Rule::new(vec![Statement::goto(next)]));
            }
        }
        rules
    })
}

fn word(protocol: u8) -> &'static str {
    match protocol {
        TCP => "tcp",
        UDP => "udp",
        SCTP => "sctp",
        ICMP => "icmp",
        _ => "icmpv6",
    }
}

/// What holds of every packet of a protocol; returns where it is in order.
fn check(build: &mut Build<'_>, place: Place, piece: Piece, protocol: u8) -> String {
    let first = protocol == UDP && piece == Piece::First;
    let name = format!("{}{}.{}", if first { "first." } else { "" }, word(protocol), place.name());
    build.chain(&name, |build| {
        let short = vec![place.payload_below(shortest(place.family, protocol))];
        let mut rules = vec![build.fails(DropReason::Malformed, place.shape, short)];
        match protocol {
            TCP => rules.extend(tcp(build, place)),
            UDP => rules.extend(udp(build, place, first)),
            _ => {}
        }
        rules
    })
}

fn tcp(build: &mut Build<'_>, place: Place) -> Vec<Rule> {
    let offset = || place.at_masked(12, &[0xf0]);
    let mut rules =
        vec![build.fails(DropReason::Malformed, place.shape, vec![Statement::below(offset(), &[0x50])])];
    let short = build.chain(&format!("tcp.short.{}", place.name()), |build| {
        let beyond = |words: u8| {
            vec![Statement::equal(offset(), &[words << 4]), place.payload_below(u32::from(words) * 4)]
        };
        (6..=15).map(|words| build.fails(DropReason::Malformed, place.shape, beyond(words))).collect()
    });
    // With this much payload every data offset fits.
    rules.push(Rule::new(vec![place.payload_below(60), Statement::jump(short)]));
    let flags = place.at_masked(13, &[DECIDING]);
    let Field::Raw(Raw { header, offset, length, .. }) = flags else { return rules };
    let name =
        if place.shape.known() { "tcp.flags".to_owned() } else { format!("tcp.flags.{}", place.set_name()) };
    let set = build.set(
        &name,
        "FIN, SYN, RST and ACK as they may stand together",
        vec![Part::Raw { header, offset, length }],
        false,
        || {
            SENSIBLE
                .iter()
                .map(|&flags| Element { key: vec![(flags.into(), flags.into())], to: None })
                .collect()
        },
    );
    let flags = place.at_masked(13, &[DECIDING]);
    let odd = vec![Statement::Member { fields: vec![flags], set, inside: false }];
    rules.push(build.fails(DropReason::TcpFlags, place.shape, odd));
    rules
}

/// The length of a datagram lies within that of the packet, but for first fragments, whose packet goes on.
fn udp(build: &mut Build<'_>, place: Place, first: bool) -> Vec<Rule> {
    let short = vec![Statement::below(place.at(4, 2), &8u16.to_be_bytes())];
    let mut rules = vec![build.fails(DropReason::Malformed, place.shape, short)];
    if !first {
        let numbers = (&Halves::of(place.length_bytes()), &[place.at(4, 1), place.at(5, 1)]);
        let name = format!("udp.length.{}", place.set_name());
        rules.extend(lengths::within(build, &name, numbers, place.counted(), &back()));
        rules.push(build.fails(DropReason::Malformed, place.shape, Vec::new()));
    }
    rules
}
