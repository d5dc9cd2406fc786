//! IPv6: its part of steps 2 to 4, and the way on.

use perimeter_classifier::verdict::DropReason;

use super::build::Build;
use super::fragments::back;
use super::layer4::{self, Piece};
use super::shape::{Place, Shape};
use super::{fragments, lengths};
use crate::backend::nft::ir::{Element, Field, Header, Part, Rule, Statement};

const LENGTH: u32 = 40;
const PAYLOAD_LENGTH: u32 = 4;
const NEXT_HEADER: u32 = 6;
const SOURCE: u32 = 8;
const DESTINATION: u32 = 24;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
/// Next headers behind which the kernel looks for the protocol.
const WALKED: [u8; 5] = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS];
/// Hop-by-hop headers that MLD needs (RFC 2711): ICMPv6 next, router alert 0, padded by an empty PadN or two Pad1.
const ALERTS: [[u8; 8]; 2] = [[58, 0, 5, 2, 0, 0, 1, 0], [58, 0, 5, 2, 0, 0, 0, 0]];
const LINK_LOCAL: ([u8; 2], [u8; 2]) = ([0xff, 0xc0], [0xfe, 0x80]);

fn next(shape: Shape) -> Field {
    shape.layer3(NEXT_HEADER, 1)
}

fn payload_length(shape: Shape) -> Field {
    shape.layer3(PAYLOAD_LENGTH, 2)
}

fn payload_below(shape: Shape, bytes: u16) -> Statement {
    Statement::below(payload_length(shape), &bytes.to_be_bytes())
}

/// The chain of IPv6 packets on a zone.
pub(super) fn zone(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.v6.{}", shape.name()), |build| {
        let (check, addresses) = (header(build, shape), addresses(build, shape));
        let mut rules =
            vec![Rule::new(vec![Statement::jump(check)]), Rule::new(vec![Statement::jump(addresses)])];
        if let Some(sources) = sources(build, zone, shape) {
            rules.push(Rule::new(vec![Statement::jump(sources)]));
        }
        let most = build.zones[zone].mtu - LENGTH;
        if build.drops_oversize() && most < 65_535 {
            let over = vec![Statement::above(payload_length(shape), &(most as u16).to_be_bytes())];
            rules.push(build.fails(DropReason::Oversize, shape, over));
        }
        let fragment = fragments::v6(build, zone, shape);
        rules.push(Rule::new(vec![Statement::equal(next(shape), &[FRAGMENT]), Statement::goto(fragment)]));
        let alert = build.chain(&format!("zone{zone}.v6.alert.{}", shape.name()), |build| {
            layer4::rules(build, zone, Place::v6(shape, 8), Piece::Whole)
        });
        rules.push(Rule::new(vec![Statement::equal(next(shape), &[HOP_BY_HOP]), Statement::goto(alert)]));
        rules.extend(layer4::rules(build, zone, Place::v6(shape, 0), Piece::Whole));
        rules
    })
}

/// Step 2; returns where the headers are in order.
fn header(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v6.{}", shape.name()), |build| {
        let mut rules = vec![build.fails(DropReason::Truncated, shape, vec![shape.shorter_than(LENGTH)])];
        for wrong in [
            vec![Statement::differs(shape.layer3_masked(0, &[0xf0]), &[0x60])],
            vec![
                Statement::equal(payload_length(shape), &[0, 0]),
                Statement::differs(next(shape), &[NO_NEXT_HEADER]),
            ],
        ] {
            rules.push(build.fails(DropReason::Malformed, shape, wrong));
        }
        let walk = build.chain(&format!("v6.walk.{}", shape.name()), |build| {
            let next = Statement::goto(extensions(build, shape));
            let payload = lengths::bytes(Header::Network, shape.shift() + PAYLOAD_LENGTH);
            let mut rules = lengths::in_frame(build, ("v6.length", shape), &payload, LENGTH, &next);
            rules.push(build.fails(DropReason::Truncated, shape, Vec::new()));
            rules
        });
        if shape.known() {
            for header in WALKED {
                rules.push(Rule::new(vec![Statement::equal(next(shape), &[header]), Statement::goto(&walk)]));
            }
            // The kernel knows a protocol where version and lengths are right, and only there.
            for half in
                [Statement::below(Field::L4Protocol, &[128]), Statement::above(Field::L4Protocol, &[127])]
            {
                rules.push(Rule::new(vec![half, back()]));
            }
            rules.push(build.fails(DropReason::Truncated, shape, Vec::new()));
        } else {
            rules.push(Rule::new(vec![Statement::goto(walk)]));
        }
        rules
    })
}

/// The extension headers; returns where there are none, a fragment header, or the one that MLD needs.
fn extensions(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v6.extensions.{}", shape.name()), |build| {
        let options = options(build, shape, 0);
        let fragment = fragment(build, shape);
        let alert = build.chain(&format!("v6.hop_by_hop.{}", shape.name()), |build| {
            let mut rules = vec![build.fails(DropReason::Truncated, shape, vec![payload_below(shape, 8)])];
            for alert in ALERTS {
                rules.push(Rule::new(vec![Statement::equal(shape.layer3(LENGTH, 8), &alert), back()]));
            }
            rules.push(Rule::new(vec![Statement::goto(&options)]));
            rules
        });
        let is = |header: u8, chain: &str| {
            Rule::new(vec![Statement::equal(next(shape), &[header]), Statement::goto(chain)])
        };
        vec![
            is(HOP_BY_HOP, &alert),
            is(FRAGMENT, &fragment),
            is(ROUTING, &options),
            is(DESTINATION_OPTIONS, &options),
        ]
    })
}

/// A header that is not let through, after `before` bytes of others: cut short, or refused.
fn options(build: &mut Build<'_>, shape: Shape, before: u32) -> String {
    build.chain(&format!("v6.options{before}.{}", shape.name()), |build| {
        let short = payload_below(shape, (before + 8) as u16);
        let mut rules = vec![build.fails(DropReason::Truncated, shape, vec![short])];
        let fields = [shape.layer3(LENGTH + before + 1, 1), payload_length(shape)];
        let name = format!("v6.extension{before}{}", shape.set_name());
        let whole = lengths::extension_within(build, &name, fields, before);
        rules.push(build.fails(DropReason::Ipv6Extension, shape, vec![whole]));
        rules.push(build.fails(DropReason::Truncated, shape, Vec::new()));
        rules
    })
}

/// A fragment header and what follows it; a later fragment ends the walk.
fn fragment(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v6.fragment_header.{}", shape.name()), |build| {
        let mut rules = vec![build.fails(DropReason::Truncated, shape, vec![payload_below(shape, 8)])];
        let later = Statement::differs(shape.layer3_masked(LENGTH + 2, &[0xff, 0xf8]), &[0, 0]);
        rules.push(Rule::new(vec![later, back()]));
        let behind = || shape.layer3(LENGTH, 1);
        for header in [HOP_BY_HOP, FRAGMENT] {
            rules.push(build.fails(
                DropReason::Ipv6Extension,
                shape,
                vec![Statement::equal(behind(), &[header])],
            ));
        }
        let options = options(build, shape, 8);
        for header in [ROUTING, DESTINATION_OPTIONS] {
            rules.push(Rule::new(vec![Statement::equal(behind(), &[header]), Statement::goto(&options)]));
        }
        rules
    })
}

/// The first half of step 3; returns where the addresses can be right.
fn addresses(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v6.addresses.{}", shape.name()), |build| {
        let mut rules = Vec::new();
        for embeds in embeds_v4(shape, DESTINATION) {
            rules.push(build.fails(DropReason::Martian, shape, embeds));
        }
        let multicast = |at: u32| Statement::equal(shape.layer3(at, 1), &[0xff]);
        rules.push(Rule::new(vec![
            Statement::equal(shape.layer3(SOURCE, 16), &[0; 16]),
            multicast(DESTINATION),
            back(),
        ]));
        for embeds in embeds_v4(shape, SOURCE) {
            rules.push(build.fails(DropReason::Martian, shape, embeds));
        }
        rules.push(build.fails(DropReason::Martian, shape, vec![multicast(SOURCE)]));
        rules
    })
}

/// ::/96 and ::ffff:0:0/96.
fn embeds_v4(shape: Shape, at: u32) -> [Vec<Statement>; 2] {
    let begins = |last: [u8; 2]| {
        let mut bytes = [0; 12];
        bytes[10..].copy_from_slice(&last);
        vec![Statement::equal(shape.layer3(at, 12), &bytes)]
    };
    [begins([0, 0]), begins([0xff, 0xff])]
}

/// The second half of step 3, where sources are set; returns where the source may speak.
fn sources(build: &mut Build<'_>, zone: usize, shape: Shape) -> Option<String> {
    let set = speakers(build, zone, shape, SOURCE)?;
    let number = build.zones[zone].sources_number;
    Some(build.chain(&format!("sources{number}.v6.{}", shape.name()), |build| {
        let unspecified = Statement::equal(shape.layer3(SOURCE, 16), &[0; 16]);
        let link_local = || Statement::equal(shape.layer3_masked(SOURCE, &LINK_LOCAL.0), &LINK_LOCAL.1);
        let icmp_behind = |header: u8| {
            let behind = Statement::equal(shape.layer3(LENGTH, 1), &[ICMPV6]);
            vec![link_local(), Statement::equal(next(shape), &[header]), behind, back()]
        };
        let mut rules = vec![
            Rule::new(vec![unspecified, back()]),
            Rule::new(vec![link_local(), Statement::equal(next(shape), &[ICMPV6]), back()]),
            Rule::new(icmp_behind(HOP_BY_HOP)),
            Rule::new(icmp_behind(FRAGMENT)),
            Rule::new(super::all([set, vec![back()]])),
        ];
        rules.push(build.fails(DropReason::VlanSourceMismatch, shape, Vec::new()));
        rules
    }))
}

/// The address at `at` is among the sources of the zone. The next header, which may be any, makes the key one of two
/// parts.
pub(super) fn speakers(build: &mut Build<'_>, zone: usize, shape: Shape, at: u32) -> Option<Vec<Statement>> {
    let sources = build.zones[zone].sources.clone()?;
    let number = build.zones[zone].sources_number;
    let named = shape.known() && at == SOURCE;
    let raw = |offset, length| Part::Raw { header: Header::Network, offset: shape.shift() + offset, length };
    let (name, key, fields) = if named {
        let name = format!("sources{number}.v6");
        (name, vec![Part::Protocol, Part::Ip6], vec![Field::Ip6Next, Field::Ip6Source])
    } else {
        let name = format!("sources{number}.v6.at{at}{}", shape.set_name());
        let fields = vec![next(shape), shape.layer3(at, 16)];
        (name, vec![raw(NEXT_HEADER, 1), raw(at, 16)], fields)
    };
    let set = build.set(&name, "who may speak", key, true, || {
        let span = |&(low, high): &(u128, u128)| Element { key: vec![(0, 255), (low, high)], to: None };
        sources.v6().iter().map(span).collect()
    });
    let context = if named { context(shape) } else { Vec::new() };
    Some(super::all([context, vec![Statement::Member { fields, set, inside: true }]]))
}

/// What a rule says before it uses nft's words for IPv6 fields.
pub(super) fn context(shape: Shape) -> Vec<Statement> {
    match shape.known() {
        true => vec![Statement::equal(Field::Protocol, &[0x86, 0xdd])],
        false => Vec::new(),
    }
}
