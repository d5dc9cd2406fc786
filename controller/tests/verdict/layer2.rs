//! Step 1.

use crate::oracle::plain::{entry, open, open_with};
use crate::{IP, MACS, OTHER, Reason, check, check_frame, dropped, hex, zeros};
use perimeter::ruleset::{Ruleset, VlanRange};

/// An IPv4 packet without payload, protocol 253, its EtherType before it.
const PACKET: &str = "0800 4500 0014 0000 0000 40fd 0000 c0000201 cb00710a";

fn with_vlans(outer_tag: u16) -> Ruleset {
    open_with(|interface| {
        interface.outer_tag = outer_tag;
        interface.vlans = vec![
            entry(VlanRange::Untagged),
            entry(VlanRange::Single { low: 20, high: 29 }),
            entry(VlanRange::Stacked { outer: 100, inner: 200 }),
        ];
    })
}

#[test]
fn frames_under_14_bytes_are_truncated() {
    for length in 0..14 {
        check_frame(&open(), "short", &hex(&zeros(length)), dropped(Reason::Truncated));
    }
    let lldp = hex(&format!("{MACS} 88cc"));
    check_frame(&open(), "14 bytes are enough for what needs no more", &lldp, OTHER);
}

#[test]
fn a_group_source_is_martian() {
    let frame = |mac: &str| hex(&format!("020000000002 {mac} {PACKET}"));
    check_frame(&open(), "group bit", &frame("010000000001"), dropped(Reason::Martian));
    check_frame(&open(), "broadcast", &frame("ffffffffffff"), dropped(Reason::Martian));
    check_frame(&open(), "local bit", &frame("fe0000000001"), IP);
    let beside = hex("020000000002 030000000001 8100 0fff");
    check_frame(&open(), "the source goes before the tags", &beside, dropped(Reason::Martian));
    check_frame(
        &open(),
        "a group destination is ordinary",
        &hex(&format!("ffffffffffff 020000000001 {PACKET}")),
        IP,
    );
}

#[test]
fn tags_as_they_are_met() {
    let third = |tpid: &str| format!("8100 0064 8100 00c8 {tpid}");
    check(
        &with_vlans(0x8100),
        &[
            ("a third tag", third("8100"), dropped(Reason::VlanStack)),
            ("a third tag of a provider", third("88a8"), dropped(Reason::VlanStack)),
            ("a third old provider's tag", third("9100"), dropped(Reason::VlanStack)),
            ("TPID at the end", "8100".into(), dropped(Reason::Truncated)),
            ("TCI alone", "8100 0014".into(), dropped(Reason::Truncated)),
            ("half an EtherType", "8100 0014 08".into(), dropped(Reason::Truncated)),
            ("second tag cut", "8100 0064 8100 00c8".into(), dropped(Reason::Truncated)),
            ("a wrong first tag and a cut second", "9100 0064 8100 00c8".into(), dropped(Reason::Truncated)),
            ("4095", format!("8100 0fff {PACKET}"), dropped(Reason::Malformed)),
            (
                "4095 is judged before the second tag is cut",
                "8100 0fff 8100".into(),
                dropped(Reason::Malformed),
            ),
            ("4095 inside", format!("8100 0064 8100 ffff {PACKET}"), dropped(Reason::Malformed)),
            ("4095 before the third tag", "8100 0fff 8100 0001 8100".into(), dropped(Reason::Malformed)),
            ("other provider TPIDs are EtherTypes", "9200 0014 0800".into(), dropped(Reason::NoRule)),
        ],
    );
}

#[test]
fn stacks_that_may_not_be() {
    check(
        &with_vlans(0x8100),
        &[
            ("priority outer", format!("8100 0000 8100 0014 {PACKET}"), dropped(Reason::VlanStack)),
            ("priority inner", format!("8100 0014 8100 0000 {PACKET}"), dropped(Reason::VlanStack)),
            ("two priority tags", format!("8100 0000 8100 0000 {PACKET}"), dropped(Reason::VlanStack)),
            ("lone 88a8", format!("88a8 0014 {PACKET}"), dropped(Reason::VlanStack)),
            ("lone 9100", format!("9100 0014 {PACKET}"), dropped(Reason::VlanStack)),
            ("lone priority 88a8", format!("88a8 0000 {PACKET}"), dropped(Reason::VlanStack)),
            ("inner 88a8", format!("8100 0064 88a8 00c8 {PACKET}"), dropped(Reason::VlanStack)),
            (
                "outer 88a8 where 8100 is set",
                format!("88a8 0064 8100 00c8 {PACKET}"),
                dropped(Reason::VlanStack),
            ),
            ("outer 8100", format!("8100 0064 8100 00c8 {PACKET}"), IP),
        ],
    );
    check(
        &with_vlans(0x88a8),
        &[
            ("outer 88a8", format!("88a8 0064 8100 00c8 {PACKET}"), IP),
            (
                "outer 8100 where 88a8 is set",
                format!("8100 0064 8100 00c8 {PACKET}"),
                dropped(Reason::VlanStack),
            ),
            ("lone 88a8 where 88a8 is set", format!("88a8 0014 {PACKET}"), dropped(Reason::VlanStack)),
            ("lone 8100 where 88a8 is set", format!("8100 0014 {PACKET}"), IP),
        ],
    );
    check(&with_vlans(0x9100), &[("outer 9100", format!("9100 0064 8100 00c8 {PACKET}"), IP)]);
}

#[test]
fn vlans_that_are_allowed() {
    check(
        &with_vlans(0x8100),
        &[
            ("untagged", PACKET.into(), IP),
            ("priority tag is untagged", format!("8100 e000 {PACKET}"), IP),
            ("first of a range", format!("8100 0014 {PACKET}"), IP),
            ("last of a range, PCP and DEI set", format!("8100 f01d {PACKET}"), IP),
            ("below", format!("8100 0013 {PACKET}"), dropped(Reason::VlanNotAllowed)),
            ("above", format!("8100 001e {PACKET}"), dropped(Reason::VlanNotAllowed)),
            ("outer alone", format!("8100 0064 {PACKET}"), dropped(Reason::VlanNotAllowed)),
            ("inner alone", format!("8100 00c8 {PACKET}"), dropped(Reason::VlanNotAllowed)),
            ("pair turned round", format!("8100 00c8 8100 0064 {PACKET}"), dropped(Reason::VlanNotAllowed)),
            ("single as a pair", format!("8100 0014 8100 0014 {PACKET}"), dropped(Reason::VlanNotAllowed)),
            ("judged before the length", "8100 0001 0002".into(), dropped(Reason::VlanNotAllowed)),
        ],
    );
    let tagged_only = open_with(|interface| interface.vlans.remove(0).label.clear());
    check(
        &tagged_only,
        &[
            ("untagged", PACKET.into(), dropped(Reason::VlanNotAllowed)),
            ("priority", format!("8100 2000 {PACKET}"), dropped(Reason::VlanNotAllowed)),
        ],
    );
}

#[test]
fn lengths() {
    check(
        &open_with(|interface| interface.mtu = 65_535),
        &[
            ("1,501", format!("05dd {}", zeros(1501)), dropped(Reason::Malformed)),
            ("1,535", format!("05ff {}", zeros(1535)), dropped(Reason::Malformed)),
            ("1,500", format!("05dc {}", zeros(1500)), OTHER),
            ("1,500 less one byte", format!("05dc {}", zeros(1499)), dropped(Reason::Truncated)),
            ("too long is judged first", "05dd".into(), dropped(Reason::Malformed)),
            ("0", format!("0000 {}", zeros(46)), dropped(Reason::Malformed)),
            ("2", format!("0002 {}", zeros(46)), dropped(Reason::Malformed)),
            ("3", "0003 e0e003".into(), OTHER),
            ("3 with a byte short", "0003 e0e0".into(), dropped(Reason::Truncated)),
            ("the first EtherType", "0600".into(), dropped(Reason::NoRule)),
            ("under a priority tag", "8100 0000 0003 e0e003".into(), OTHER),
        ],
    );
}

#[test]
fn snap_spanning_tree_and_llc() {
    let mut split = open();
    split.rules[1].ethertypes = vec![perimeter::ruleset::ether::SNAP];
    let snap = |kind: &str| format!("0008 aaaa03 00000c {kind}");
    check(
        &split,
        &[
            ("snap", snap("2000"), OTHER),
            ("snap with a length as type", snap("0001"), OTHER),
            ("snap of 7", "0007 aaaa03 00000c 20".into(), dropped(Reason::Malformed)),
            ("snap of 3", "0003 aaaa03 00000c 2000".into(), dropped(Reason::Malformed)),
            ("IPv4 in snap", snap("0800"), dropped(Reason::Malformed)),
            ("ARP in snap", snap("0806"), dropped(Reason::Malformed)),
            ("IPv6 in snap", snap("86dd"), dropped(Reason::Malformed)),
            ("a tag in snap", snap("8100"), dropped(Reason::Malformed)),
            ("a provider's tag in snap", snap("88a8"), dropped(Reason::Malformed)),
            ("an old provider's tag in snap", snap("9100"), dropped(Reason::Malformed)),
            ("AA AA 02 is llc", "0008 aaaa02 00000c 0800".into(), dropped(Reason::NoRule)),
            ("AA AB 03 is llc", "0008 aaab03 00000c 0800".into(), dropped(Reason::NoRule)),
        ],
    );
    split.rules[1].ethertypes = vec![perimeter::ruleset::ether::STP];
    check(
        &split,
        &[
            ("stp", format!("0026 424203 {}", zeros(43)), OTHER),
            ("42 42 decides", format!("0026 4242f3 {}", zeros(43)), OTHER),
            ("42 43 is llc", format!("0026 424303 {}", zeros(43)), dropped(Reason::NoRule)),
            ("snap is not stp", snap("010b"), dropped(Reason::NoRule)),
        ],
    );
}
