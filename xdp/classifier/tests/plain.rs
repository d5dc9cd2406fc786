//! A frame that is read at a glance gets the decision of the walk: every frame one byte away from a plain one, and every
//! cut. The tables are made of arithmetic; zones, address classes and service classes all show in the rule.

use perimeter_classifier::abi::{group, port, setting};
use perimeter_classifier::classify::{at_a_glance, walk};
use perimeter_classifier::frame::Slice;
use perimeter_classifier::learned::Judged;
use perimeter_classifier::tables::Tables;
use perimeter_classifier::verdict::{Decision, DropReason};

const LINE: u32 = 1 << 16;
const ZONES_SINGLE: u32 = LINE;
const ZONES: u32 = 2 * LINE;
const SPEAKERS: u32 = 3 * LINE;
const SOURCE_V4: u32 = 4 * LINE;
const DESTINATION_V4: u32 = 5 * LINE;
const PORTS: u32 = 6 * LINE;
const SOURCE_PORTS: u32 = 7 * LINE;
const PAIRS: u32 = 8 * LINE;
const CONTEXTS: u32 = 9 * LINE;
const ROWS: u32 = 10 * LINE;

/// Whether `sources` are set, and the MTU: one everywhere, or in the records.
#[derive(Clone, Copy)]
struct Policy {
    sources: bool,
    mtu: u32,
}

impl Tables for Policy {
    fn setting(&self, index: usize) -> u32 {
        const GROUP: usize = setting::GROUP;
        const TCP: usize = setting::PORTS;
        const UDP: usize = setting::PORTS + port::WORDS;
        const TABLES: [(usize, u32); 22] = [
            (setting::OUTER_TAG, 0x8100),
            (setting::OVERSIZE_DROP, 1),
            (setting::ZONE_UNTAGGED, 1),
            (setting::ZONES_SINGLE, ZONES_SINGLE),
            (setting::ZONES, ZONES),
            (setting::SPEAKERS, SPEAKERS),
            (setting::SPEAKERS_STRIDE, 1),
            (setting::SPEAKER_MASK, u32::MAX),
            (setting::SOURCE_V4, SOURCE_V4),
            (setting::DESTINATION_V4, DESTINATION_V4),
            (setting::SERVICE_CLASSES, 16),
            (setting::DENY_RULES, 2),
            (TCP + port::DESTINATION, PORTS),
            (TCP + port::OPENING, PORTS + 1),
            (UDP + port::DESTINATION, PORTS + 2),
            (UDP + port::SOURCE, SOURCE_PORTS),
            (GROUP + group::PAIRS, PAIRS),
            (GROUP + group::PAIRS_STRIDE, 8),
            (GROUP + group::ROWS, ROWS),
            (GROUP + group::ROWS_STRIDE, 64),
            (GROUP + group::CONTEXTS, CONTEXTS),
            (setting::GROUP_COUNT, 1),
        ];
        match index {
            setting::HAS_SOURCES => self.sources.into(),
            setting::MTU => self.mtu,
            _ => TABLES.iter().find(|(at, _)| *at == index).map_or(0, |(_, value)| *value),
        }
    }

    fn epoch(&self) -> u32 {
        0
    }

    fn word(&self, index: u32) -> u32 {
        let at = index % LINE;
        match index - at {
            ZONES_SINGLE => u32::from(at % 7 == 3 && at != 0xfff) * (at % 3 + 1),
            ZONES => [41, 1][at as usize % 2],
            SPEAKERS => 0b10110,
            SOURCE_V4 | DESTINATION_V4 => at % 5,
            PORTS | SOURCE_PORTS => at % 4 + 1,
            PAIRS => at % 9,
            CONTEXTS => at % 64,
            ROWS => (at * 7 + 5) % 11,
            _ => at % 16,
        }
    }
}

/// VLAN 10, TCP from 192.0.2.1 to 198.51.100.7, port 22.
#[rustfmt::skip]
const SEGMENT: [u8; 62] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 10, 8, 0,
    0x45, 0, 0, 41, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7,
    0xc0, 0, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4,
];

/// The segment, an opening one, and a datagram; each tagged and not.
fn plain_frames() -> Vec<Vec<u8>> {
    let mut opening = SEGMENT.to_vec();
    opening[51] = 0x02;
    let mut datagram = SEGMENT.to_vec();
    datagram[27] = 17;
    datagram[43] = 21;
    let untagged = |frame: &Vec<u8>| [&frame[..12], &frame[16..]].concat();
    let tagged = vec![SEGMENT.to_vec(), opening, datagram];
    tagged.iter().map(untagged).chain(tagged.clone()).collect()
}

/// Asserts that the walk agrees, and tells whether the frame was read at a glance.
fn is_plain(policy: Policy, frame: &[u8]) -> bool {
    let walked = walk(&Slice(frame), &policy);
    let pass = |rule, label| Judged::labelled(Decision::Pass(rule), label);
    let Some(judged) = at_a_glance(&Slice(frame), &policy, pass, Judged::labelled) else { return false };
    assert_eq!(judged, walked, "{frame:02x?}");
    let decision = judged.decision;
    assert!(
        matches!(decision, Decision::Pass(_) | Decision::Denied(_) | Decision::Drop(DropReason::NoRule)),
        "only the rules decide at a glance: {frame:02x?}"
    );
    true
}

#[test]
fn every_frame_one_byte_from_a_plain_one() {
    for policy in [
        Policy { sources: false, mtu: 1500 },
        Policy { sources: true, mtu: 0 },
        Policy { sources: true, mtu: 27 },
    ] {
        let mut plain = 0;
        for frame in plain_frames() {
            for at in 0..frame.len() {
                for byte in 0..=255 {
                    let mut changed = frame.clone();
                    changed[at] = byte;
                    plain += u32::from(is_plain(policy, &changed));
                }
            }
        }
        assert_eq!(plain > 0, policy.mtu != 27, "an IPv4 header and a UDP header are 28 bytes");
    }
}

#[test]
fn every_cut_and_every_total_length() {
    let policy = Policy { sources: false, mtu: 1500 };
    for frame in plain_frames() {
        assert!(is_plain(policy, &frame));
        for length in 0..frame.len() {
            is_plain(policy, &frame[..length]);
        }
        let at = if frame[12] == 0x81 { 20 } else { 16 };
        for total_length in 0..=u16::MAX {
            let mut changed = frame.clone();
            changed[at..at + 2].copy_from_slice(&total_length.to_be_bytes());
            is_plain(policy, &changed);
        }
    }
}
