//! The order of the steps: frames with several faults are dropped for the first. The tables are made of arithmetic: VLAN
//! 10 and untagged frames are allowed, 192.0.0.0/16 and 2001:db8::/32 may speak, every rule but one lets everything pass.

use perimeter_classifier::abi::{group, setting};
use perimeter_classifier::classify::classify;
use perimeter_classifier::frame::Slice;
use perimeter_classifier::tables::Tables;
use perimeter_classifier::verdict::{Decision, DropReason};

const ZONES_SINGLE: u32 = 0x1_0000;
const ZONE: u32 = 0x2_0000;
const SPEAKERS: u32 = 0x3_0000;
const SOURCE_V4: u32 = 0x4_0000;
const SOURCE_V6: u32 = 0x6_0000;
const ROWS: u32 = 0x8_0000;
const ETHER_RULES: u32 = 0x9_0000;

/// Settings that the tests turn.
#[derive(Clone, Copy)]
struct Policy {
    sources: bool,
    stateless: bool,
    count_oversize: bool,
}

const STRICT: Policy = Policy { sources: true, stateless: false, count_oversize: false };
const LOOSE: Policy = Policy { sources: false, stateless: true, count_oversize: true };

impl Tables for Policy {
    fn setting(&self, index: usize) -> u32 {
        match index {
            setting::OUTER_TAG => 0x8100,
            setting::OVERSIZE_DROP => u32::from(!self.count_oversize),
            setting::FRAGMENTS_STATELESS => u32::from(self.stateless),
            setting::HAS_SOURCES => u32::from(self.sources),
            setting::ZONE_UNTAGGED => 1,
            setting::ZONES_SINGLE => ZONES_SINGLE,
            setting::ZONES => ZONE,
            setting::SPEAKERS => SPEAKERS,
            setting::SPEAKERS_STRIDE => 1,
            setting::SPEAKER_MASK => u32::MAX,
            setting::SOURCE_V4 => SOURCE_V4,
            setting::SOURCE_V6 => SOURCE_V6,
            setting::ETHER_RULES => ETHER_RULES,
            index if index == setting::GROUP + group::ROWS => ROWS,
            _ => 0,
        }
    }

    fn epoch(&self) -> u32 {
        0
    }

    fn word(&self, index: u32) -> u32 {
        match index {
            index if index == ZONES_SINGLE + 10 => 1,
            ZONE => 100,                               // mtu
            index if index == ZONE + 1 => 1,           // set of sources plus one
            SPEAKERS => 1 << 1,                        // class 1 speaks
            index if index == SOURCE_V4 + 0xc000 => 1, // 192.0.0.0/16
            index if index == SOURCE_V6 + 0x2001 => 1, // 2001::/16
            ROWS => 1,                                 // rule 0 on every packet
            ETHER_RULES => 1,                          // and on every other frame
            _ => 0,
        }
    }
}

fn judge(policy: Policy, frame: &[u8]) -> Decision {
    classify(&Slice(frame), &policy)
}

/// A TCP SYN from 192.0.2.1 to 198.51.100.7 on VLAN 10.
#[rustfmt::skip]
const SYN: [u8; 58] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 10, 8, 0,
    0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7,
    0xc0, 0, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0,
];

/// A neighbour advertisement of fe80::9 from 2001:db8::1 to ff02::1, untagged.
#[rustfmt::skip]
const ADVERTISEMENT: [u8; 78] = [
    0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd,
    0x60, 0, 0, 0, 0, 24, 58, 255,
    0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    136, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
];

/// An ARP request from 192.0.2.1 on VLAN 10.
#[rustfmt::skip]
const ARP: [u8; 46] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 10, 8, 6,
    0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9,
];

/// Each fault in the order of the steps: the first `n` are repaired, the rest are there.
fn in_order<const N: usize>(good: [u8; N], faults: &[(DropReason, &[(usize, u8)])]) {
    for (repaired, &(reason, _)) in faults.iter().enumerate() {
        let mut frame = good;
        for (_, changes) in faults[repaired..].iter().rev() {
            changes.iter().for_each(|&(at, byte)| frame[at] = byte);
        }
        assert_eq!(judge(STRICT, &frame), Decision::Drop(reason), "{repaired} repaired");
    }
    assert_eq!(judge(STRICT, &good), Decision::Pass(0));
}

#[test]
fn ipv4_faults_in_order() {
    use DropReason::*;
    let faults: [(DropReason, &[(usize, u8)]); 9] = [
        (Martian, &[(6, 3)]),
        (VlanNotAllowed, &[(15, 11)]),
        (Malformed, &[(18, 0x55)]),
        (IpOptions, &[(18, 0x46), (21, 40)]),
        (Martian, &[(34, 127)]),
        (VlanSourceMismatch, &[(30, 193)]),
        (Fragment, &[(24, 0x20), (21, 36)]),
        (Malformed, &[(50, 0x40)]),
        (TcpFlags, &[(51, 0)]),
    ];
    in_order(SYN, &faults);
}

#[test]
fn ipv6_faults_in_order() {
    use DropReason::*;
    let faults: [(DropReason, &[(usize, u8)]); 6] = [
        (Malformed, &[(14, 0x40)]),
        (Truncated, &[(19, 25)]),
        (Martian, &[(38, 0), (39, 0)]),
        (VlanSourceMismatch, &[(22, 0x30)]),
        (Malformed, &[(21, 254)]),
        (VlanSourceMismatch, &[(63, 0xc0)]),
    ];
    in_order(ADVERTISEMENT, &faults);
}

#[test]
fn arp_faults_in_order() {
    use DropReason::*;
    let faults: [(DropReason, &[(usize, u8)]); 3] =
        [(Malformed, &[(25, 3)]), (Martian, &[(32, 127)]), (VlanSourceMismatch, &[(32, 193)])];
    in_order(ARP, &faults);
    let mut probe = ARP;
    probe[32..36].fill(0);
    assert_eq!(judge(STRICT, &probe), Decision::Pass(0));
}

#[test]
fn size_goes_before_fragments_and_layer_4() {
    let mut frame = [0; 150];
    frame[..58].copy_from_slice(&SYN);
    frame[21] = 101;
    frame[24] = 0x20;
    frame[51] = 0;
    assert_eq!(judge(STRICT, &frame), Decision::Drop(DropReason::Oversize));
    frame[24] = 0x40;
    assert_eq!(judge(LOOSE, &frame), Decision::Drop(DropReason::TcpFlags));
    frame[51] = 2;
    assert_eq!(judge(LOOSE, &frame), Decision::Pass(0));
}

#[test]
fn frames_without_addresses_have_a_size_too() {
    let mut frame = [0; 14 + 101];
    frame[12..14].copy_from_slice(&[0x88, 0xf7]);
    assert_eq!(judge(STRICT, &frame), Decision::Drop(DropReason::Oversize));
    assert_eq!(judge(STRICT, &frame[..114]), Decision::Pass(0));
    assert_eq!(judge(LOOSE, &frame), Decision::Pass(0));
}

#[test]
fn sources_are_asked_for_but_for_the_exceptions() {
    let mut discover = SYN;
    discover[30..34].fill(0);
    discover[34..38].fill(255);
    assert_eq!(judge(STRICT, &discover), Decision::Pass(0));
    let mut link_local = ADVERTISEMENT;
    link_local[22..24].copy_from_slice(&[0xfe, 0x80]);
    assert_eq!(judge(STRICT, &link_local), Decision::Pass(0));
    link_local[20] = 47;
    assert_eq!(judge(STRICT, &link_local), Decision::Drop(DropReason::VlanSourceMismatch));
    assert_eq!(judge(LOOSE, &link_local), Decision::Pass(0));
}

#[test]
fn every_cut_of_a_frame_is_truncated() {
    for frame in [&SYN[..], &ADVERTISEMENT, &ARP] {
        for length in 0..frame.len() {
            let cut = judge(STRICT, &frame[..length]);
            assert_eq!(cut, Decision::Drop(DropReason::Truncated), "{length} of {}", frame.len());
        }
    }
}

#[test]
fn no_frame_panics() {
    // Every byte value at every position, at a few lengths.
    for good in [&SYN[..], &ADVERTISEMENT, &ARP] {
        let mut frame = [0; 78];
        frame[..good.len()].copy_from_slice(good);
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut changed = frame;
                changed[at] = byte;
                judge(STRICT, &changed[..good.len()]);
                judge(LOOSE, &changed);
            }
        }
    }
}
