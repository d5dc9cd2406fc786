//! Step 2: IPv6 and its extension headers.

use crate::oracle::plain::{open, open_with};
use crate::{Case, IP, Reason, check, dropped, zeros};
use perimeter::ruleset::{IpOptions, Ruleset};
use perimeter_classifier::verdict::Decision;

const TRUNCATED: Decision = dropped(Reason::Truncated);
const MALFORMED: Decision = dropped(Reason::Malformed);
const EXTENSION: Decision = dropped(Reason::Ipv6Extension);

const ADDRESSES: &str = "20010db8000000000000000000000001 20010db8000000000000000000000002";

/// An IPv6 packet with this first next header and this payload.
fn v6(next: u8, payload: &str) -> String {
    let length = payload.split_whitespace().collect::<String>().len() / 2;
    format!("86dd 60000000 {length:04x} {next:02x} 40 {ADDRESSES} {payload}")
}

/// A header of 8 bytes that names `next`; destination options, or routing of type 2 with nothing left.
fn eight(next: u8) -> String {
    format!("{next:02x}00 0200 00000000")
}

fn passing() -> Ruleset {
    open_with(|interface| interface.ip_options = IpOptions::Pass)
}

#[test]
fn fixed_headers() {
    check(
        &open(),
        &[
            ("whole", v6(253, "00"), IP),
            ("no next header, no payload", v6(59, ""), IP),
            ("no next header with payload", v6(59, "0000"), IP),
            ("payload length 0", v6(253, ""), MALFORMED),
            ("a jumbogram", v6(0, ""), MALFORMED),
            ("39 bytes", format!("86dd 6000 {}", zeros(37)), TRUNCATED),
            ("version 4", v6(253, "00").replacen("60000000", "40000000", 1), MALFORMED),
            ("traffic class and flow label", v6(253, "00").replacen("60000000", "6fffffff", 1), IP),
            ("payload beyond", format!("86dd 60000000 0002 fd40 {ADDRESSES} 00"), TRUNCATED),
            ("padding", format!("{} {}", v6(253, "00"), zeros(5)), IP),
        ],
    );
}

#[test]
fn the_walk_under_pass() {
    let chain = |count: usize| v6(60, &(eight(60).repeat(count - 1) + &eight(59)));
    let cases: [Case<'_>; 20] = [
        ("hop-by-hop first", v6(0, &eight(59)), IP),
        ("hop-by-hop second", v6(60, &(eight(0) + &eight(59))), EXTENSION),
        ("hop-by-hop twice", v6(0, &(eight(0) + &eight(59))), EXTENSION),
        ("a misplaced hop-by-hop is met before it is cut", v6(60, &eight(0)), EXTENSION),
        ("routing with nothing left", v6(43, &eight(59)), IP),
        ("routing type 0", v6(43, "3b00 0000 00000000"), EXTENSION),
        ("routing with one left", v6(43, "3b00 0201 00000000"), EXTENSION),
        ("routing cut goes before its type", v6(43, "3b01 0000 00000000"), TRUNCATED),
        ("two routing headers", v6(43, &(eight(43) + &eight(59))), IP),
        ("destination options", v6(60, &eight(59)), IP),
        ("sixteen bytes", v6(60, &format!("3b01 {}", zeros(14))), IP),
        ("sixteen said, fifteen there", v6(60, &format!("3b01 {}", zeros(13))), TRUNCATED),
        ("one byte", v6(60, "3b"), TRUNCATED),
        ("cut by the payload, not the frame", format!("{} {}", v6(60, "3b00"), zeros(20)), TRUNCATED),
        ("eight headers", chain(8), IP),
        ("a ninth header", chain(9), EXTENSION),
        ("a ninth header goes before its cut", v6(60, &eight(60).repeat(8)), EXTENSION),
        ("an eighth header cut", v6(60, &eight(60).repeat(7)), TRUNCATED),
        ("AH ends the walk", v6(60, &eight(51)), IP),
        ("mobility ends the walk", v6(60, &eight(135)), IP),
    ];
    check(&passing(), &cases);
}

#[test]
fn fragment_headers() {
    let atomic = |next: u8| format!("{next:02x}ff 0000 00000001");
    let cases: [Case<'_>; 8] = [
        ("atomic: its second byte is no length", v6(44, &atomic(59)), IP),
        ("the two reserved bits do not matter", v6(44, "3b00 0006 00000001"), IP),
        ("seven bytes", v6(44, "3b00 0000 000000"), TRUNCATED),
        ("two atomic ones", v6(44, &(atomic(44) + &atomic(59))), EXTENSION),
        ("the second is met before it is cut", v6(44, &atomic(44)), EXTENSION),
        ("the second far from the first", v6(44, &(atomic(60) + &eight(44) + &atomic(59))), EXTENSION),
        ("destination options after it", v6(44, &(atomic(60) + &eight(59))), IP),
        ("hop-by-hop after it", v6(44, &(atomic(0) + &eight(59))), EXTENSION),
    ];
    check(&passing(), &cases);
}

#[test]
fn a_later_fragment_ends_the_walk() {
    let later = |next: u8| v6(44, &format!("{next:02x}00 0010 00000001 ffff"));
    let fragment = dropped(Reason::Fragment);
    check(
        &open(),
        &[
            ("destination options would be cut", later(60), fragment),
            ("a second fragment header", later(44), fragment),
            ("hop-by-hop", later(0), fragment),
            ("routing", later(43), fragment),
            ("a first fragment is walked", v6(44, "3c00 0001 00000001 ffff"), TRUNCATED),
        ],
    );
}

#[test]
fn headers_under_drop() {
    let report = "8f00 0000 0000 0000";
    let alert = |head: &str| v6(0, &format!("{head}{report}"));
    check(
        &open(),
        &[
            ("MLD, PadN", alert("3a00 0502 0000 0100"), IP),
            ("MLD, two Pad1", alert("3a00 0502 0000 0000"), IP),
            ("any ICMPv6 type", v6(0, "3a00 0502 0000 0100 8000 0000 0000 0000"), IP),
            ("PadN before", alert("3a00 0100 0502 0000"), EXTENSION),
            ("another value", alert("3a00 0502 0001 0100"), EXTENSION),
            ("another option", alert("3a00 c202 0000 0100"), EXTENSION),
            ("another padding", alert("3a00 0502 0000 0001"), EXTENSION),
            ("another protocol", v6(0, "3b00 0502 0000 0100"), EXTENSION),
            ("UDP", v6(0, &format!("1100 0502 0000 0100 {report}")), EXTENSION),
            ("sixteen bytes", alert(&format!("3a01 0502 0000 0100 {}", zeros(8))), EXTENSION),
            (
                "a fragment header between",
                v6(0, &format!("2c00 0502 0000 0100 3a00 0000 00000001 {report}")),
                EXTENSION,
            ),
            ("routing", v6(43, &eight(59)), EXTENSION),
            ("destination options", v6(60, &eight(59)), EXTENSION),
            ("a fragment header is none of these", v6(44, "3b00 0000 00000001"), IP),
            ("cut goes before kind", v6(60, "3b00"), TRUNCATED),
            ("AH", v6(51, "3b04 0000"), IP),
        ],
    );
}
