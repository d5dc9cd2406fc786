//! IPv4: its part of steps 2 to 4, and the way on.

use perimeter_classifier::verdict::DropReason;

use super::arp::martian_first_bytes;
use super::build::Build;
use super::shape::{Place, Shape};
use super::{fragments, layer4, lengths};
use crate::backend::nft::ir::{Element, Field, Header, Part, Rule, Statement, Verdict};

const LENGTH: u32 = 20;
const VERSION_AND_IHL: u32 = 0;
const TOTAL_LENGTH: u32 = 2;
pub(super) const FRAGMENT: u32 = 6;
const PROTOCOL: u32 = 9;
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const OPTIONS: u32 = 20;
const IGMP: u8 = 2;
/// The one options field that IGMP may always carry (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
/// Version 4 and five words; six words.
const PLAIN: u8 = 0x45;
const ONE_OPTION: u8 = 0x46;
pub(super) const MF_OR_OFFSET: [u8; 2] = [0x3f, 0xff];
pub(super) const OFFSET: [u8; 2] = [0x1f, 0xff];

/// The chain of IPv4 packets on a zone.
pub(super) fn zone(build: &mut Build<'_>, zone: usize, shape: Shape) -> String {
    build.chain(&format!("zone{zone}.v4.{}", shape.name()), |build| {
        let (check, addresses) = (header(build, shape), addresses(build, shape));
        let mut rules =
            vec![Rule::new(vec![Statement::jump(check)]), Rule::new(vec![Statement::jump(addresses)])];
        if let Some(sources) = sources(build, zone, shape) {
            rules.push(Rule::new(vec![
                Statement::differs(shape.layer3(SOURCE, 4), &[0; 4]),
                Statement::jump(sources),
            ]));
        }
        if build.drops_oversize() && build.zones[zone].mtu < 65_535 {
            let mtu = build.zones[zone].mtu as u16;
            let over = vec![Statement::above(shape.layer3(TOTAL_LENGTH, 2), &mtu.to_be_bytes())];
            rules.push(build.fails(DropReason::Oversize, shape, over));
        }
        let fragment = fragments::v4(build, zone, shape);
        rules.push(Rule::new(vec![
            Statement::differs(shape.layer3_masked(FRAGMENT, &MF_OR_OFFSET), &[0, 0]),
            Statement::goto(fragment),
        ]));
        rules.extend(layer4::rules(build, zone, Place::v4(shape), layer4::Piece::Whole));
        rules
    })
}

/// Step 2; returns where the header is in order.
fn header(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v4.{}", shape.name()), |build| {
        let first = |mask: u8| shape.layer3_masked(VERSION_AND_IHL, &[mask]);
        let total = || shape.layer3(TOTAL_LENGTH, 2);
        let mut rules = vec![build.fails(DropReason::Truncated, shape, vec![shape.shorter_than(LENGTH)])];
        for wrong in [
            vec![Statement::differs(first(0xf0), &[0x40])],
            vec![Statement::below(first(0x0f), &[5])],
            vec![Statement::below(total(), &(LENGTH as u16).to_be_bytes())],
        ] {
            rules.push(build.fails(DropReason::Malformed, shape, wrong));
        }
        let long = build.chain(&format!("v4.words.{}", shape.name()), |build| {
            let words = 6..=15u8;
            let shorter = |words: u8| {
                let bytes = u16::from(words) * 4;
                vec![Statement::equal(first(0x0f), &[words]), Statement::below(total(), &bytes.to_be_bytes())]
            };
            words.map(|words| build.fails(DropReason::Malformed, shape, shorter(words))).collect()
        });
        rules.push(Rule::new(vec![Statement::above(first(0x0f), &[5]), Statement::jump(long)]));
        let options = options(build, shape);
        rules.extend(whole(build, shape, &options));
        rules
    })
}

/// Goes to `next` where the packet lies within the frame; truncated otherwise.
fn whole(build: &mut Build<'_>, shape: Shape, next: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    if shape.known() {
        // The kernel knows a protocol where version and lengths are right, and only there.
        for half in [Statement::below(Field::L4Protocol, &[128]), Statement::above(Field::L4Protocol, &[127])]
        {
            rules.push(Rule::new(vec![half, Statement::goto(next)]));
        }
    } else {
        let total = lengths::bytes(Header::Network, shape.shift() + TOTAL_LENGTH);
        rules.extend(lengths::in_frame(build, ("v4.length", shape), &total, 0, &Statement::goto(next)));
    }
    rules.push(build.fails(DropReason::Truncated, shape, Vec::new()));
    rules
}

/// Options; returns where there are none, or those of IGMP.
fn options(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v4.options.{}", shape.name()), |build| {
        let first = || shape.layer3(VERSION_AND_IHL, 1);
        let back = || Statement::Verdict(Verdict::Return);
        let alert = vec![
            Statement::equal(first(), &[ONE_OPTION]),
            Statement::equal(shape.layer3(PROTOCOL, 1), &[IGMP]),
            Statement::equal(shape.layer3(OPTIONS, 4), &ROUTER_ALERT),
            back(),
        ];
        vec![
            Rule::new(vec![Statement::equal(first(), &[PLAIN]), back()]),
            Rule::new(alert).with_comment("IGMP with a router alert"),
            build.fails(DropReason::IpOptions, shape, Vec::new()),
        ]
    })
}

/// The first half of step 3; returns where the addresses can be right.
fn addresses(build: &mut Build<'_>, shape: Shape) -> String {
    build.chain(&format!("v4.addresses.{}", shape.name()), |build| {
        let source = build.chain(&format!("v4.source.{}", shape.name()), |build| {
            let unspecified = || Statement::equal(shape.layer3(SOURCE, 4), &[0; 4]);
            let destination = shape.layer3(DESTINATION, 1);
            let mut rules = vec![Rule::new(vec![
                unspecified(),
                Statement::above(destination.clone(), &[223]),
                Statement::below(destination, &[240]),
                Statement::Verdict(Verdict::Return),
            ])];
            rules.push(Rule::new(vec![
                unspecified(),
                Statement::equal(shape.layer3(DESTINATION, 4), &[255; 4]),
                Statement::Verdict(Verdict::Return),
            ]));
            rules.push(build.fails(DropReason::Martian, shape, Vec::new()));
            rules
        });
        let mut rules: Vec<Rule> = martian_first_bytes(&shape.layer3(SOURCE, 1), 224)
            .into_iter()
            .map(|wrong| Rule::new(vec![wrong, Statement::jump(&source)]))
            .collect();
        for wrong in martian_first_bytes(&shape.layer3(DESTINATION, 1), 240) {
            let not_broadcast = Statement::differs(shape.layer3(DESTINATION, 4), &[255; 4]);
            rules.push(build.fails(DropReason::Martian, shape, vec![wrong, not_broadcast]));
        }
        rules
    })
}

/// The second half of step 3, where sources are set; returns where the source is among them.
fn sources(build: &mut Build<'_>, zone: usize, shape: Shape) -> Option<String> {
    let set = speakers(build, zone, shape)?;
    let number = build.zones[zone].sources_number;
    Some(build.chain(&format!("sources{number}.v4.{}", shape.name()), |build| {
        let mut rules = vec![Rule::new(super::all([set, vec![Statement::Verdict(Verdict::Return)]]))];
        rules.push(build.fails(DropReason::VlanSourceMismatch, shape, Vec::new()));
        rules
    }))
}

/// The source is among those of the zone. The protocol, which may be any, makes the key one of two parts.
pub(super) fn speakers(build: &mut Build<'_>, zone: usize, shape: Shape) -> Option<Vec<Statement>> {
    let sources = build.zones[zone].sources.clone()?;
    let number = build.zones[zone].sources_number;
    let raw = |offset, length| Part::Raw { header: Header::Network, offset: shape.shift() + offset, length };
    let (name, key, fields) = if shape.known() {
        let name = format!("sources{number}.v4");
        (name, vec![Part::Protocol, Part::Ip4], vec![Field::L4Protocol, Field::Ip4Source])
    } else {
        let name = format!("sources{number}.v4.{}", shape.name());
        let fields = vec![shape.layer3(PROTOCOL, 1), shape.layer3(SOURCE, 4)];
        (name, vec![raw(PROTOCOL, 1), raw(SOURCE, 4)], fields)
    };
    let set = build.set(&name, "who may speak", key, true, || {
        let span =
            |&(low, high): &(u32, u32)| Element { key: vec![(0, 255), (low.into(), high.into())], to: None };
        sources.v4().iter().map(span).collect()
    });
    Some(super::all([context(shape), vec![Statement::Member { fields, set, inside: true }]]))
}

/// What a rule says before it uses nft's words for IPv4 fields.
pub(super) fn context(shape: Shape) -> Vec<Statement> {
    match shape.known() {
        true => vec![Statement::equal(Field::Protocol, &[0x08, 0x00])],
        false => Vec::new(),
    }
}
