//! The declared divergences of nftables, a frame for each: allowed by the oracle, dropped by the ingress chain, declared.

use crate::nft::can_judge;
use crate::oracle;
use crate::oracle::plain::{entry, open_with};
use perimeter::backend::nft::divergence::{self, Divergence};
use perimeter::backend::nft::judge::Judge;
use perimeter::ruleset::{IpOptions, Ruleset, VlanRange};
use perimeter_classifier::verdict::{Decision, DropReason};

/// A class, a frame in it that the policy allows, and why nftables drops it; `None` where the kernel does so before the hook.
type Case = (&'static Divergence, Vec<u8>, Option<DropReason>);

/// Everything is allowed that a setting can allow.
fn lenient() -> Ruleset {
    open_with(|interface| {
        interface.ip_options = IpOptions::Pass;
        interface.vlans = vec![entry(VlanRange::Untagged), entry(VlanRange::Single { low: 10, high: 10 })];
    })
}

fn frame(after_addresses: &[&[u8]]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], after_addresses.concat().as_slice()].concat()
}

const TAG: [u8; 4] = [0x81, 0, 0, 10];

/// Protocol 253 (RFC 3692) with a word of no-operations.
fn options() -> Vec<u8> {
    let header = [0x46, 0, 0, 28, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1, 1, 1, 1, 1];
    frame(&[&[8, 0], &header, &[0; 4]])
}

/// Protocol 253 behind a header of destination options that are padding.
fn extension() -> Vec<u8> {
    let address = |last| [[0x20, 1, 0xd, 0xb8], [0; 4], [0; 4], [0, 0, 0, last]].concat();
    let header = [[0x60, 0, 0, 0, 0, 12, 60, 64].as_slice(), &address(1), &address(2)].concat();
    frame(&[&[0x86, 0xdd], &header, &[253, 0, 1, 4, 0, 0, 0, 0], &[0; 4]])
}

fn cases() -> Vec<Case> {
    vec![
        (&divergence::TAG_CUT, frame(&[&TAG, &[0x88, 0xcc, 0]]), None),
        (&divergence::LENGTH_BEHIND_TAG, frame(&[&TAG, &[0, 3, 0xe0, 0xe0, 3]]), Some(DropReason::Malformed)),
        (&divergence::IPV4_OPTIONS, options(), Some(DropReason::IpOptions)),
        (&divergence::IPV6_EXTENSIONS, extension(), Some(DropReason::Ipv6Extension)),
    ]
}

#[test]
fn each_class_has_a_frame_that_is_allowed_and_that_nftables_drops() {
    let classes: Vec<&str> = cases().iter().map(|case| case.0.id).collect();
    assert_eq!(classes, divergence::ALL.map(|class| class.id), "a frame for each class");
    if !can_judge() {
        return;
    }
    let ruleset = lenient();
    let mut judge = Judge::new(&ruleset, 0).expect("namespaces can be made here");
    for (class, frame, reason) in cases() {
        let passes = oracle::judge(&ruleset, 0, &frame);
        assert!(matches!(passes, Decision::Pass(_)), "{}: {passes:?}", class.id);
        assert_eq!(divergence::of(&frame, &ruleset.interfaces[0]), Some(class));
        let judged = judge.judge(&frame).expect("the device takes the frame");
        assert_eq!(judged, reason.map(Decision::Drop), "{}", class.id);
    }
}

#[test]
fn the_table_in_the_readme_is_the_list() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("it is there");
    let rows: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| class | frames |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let row = |class: &Divergence| {
        let frames = class.what.strip_prefix("frames ").unwrap_or(class.what);
        format!("| `{}` | {frames} | {} |", class.id, class.then)
    };
    assert_eq!(rows, divergence::ALL.iter().map(row).collect::<Vec<_>>());
}
