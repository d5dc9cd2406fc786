//! Step 2: ARP and IPv4.

use crate::oracle::plain::{open, open_with};
use crate::{Case, IP, OTHER, Reason, check, dropped, zeros};
use perimeter::ruleset::IpOptions;
use perimeter_classifier::verdict::Decision;

const TRUNCATED: Decision = dropped(Reason::Truncated);
const MALFORMED: Decision = dropped(Reason::Malformed);
const OPTIONS: Decision = dropped(Reason::IpOptions);

#[test]
fn arp() {
    let arp = |head: &str| format!("0806 {head} 020000000001 c0000201 000000000000 c0000202");
    check(
        &open(),
        &[
            ("request", arp("0001 0800 06 04 0001"), OTHER),
            ("reply with padding", format!("{}{}", arp("0001 0800 06 04 0002"), zeros(18)), OTHER),
            ("27 bytes", format!("0806 {}", zeros(27)), TRUNCATED),
            ("short goes before wrong", "0806 0006".into(), TRUNCATED),
            ("operation 0", arp("0001 0800 06 04 0000"), MALFORMED),
            ("operation 3, reverse", arp("0001 0800 06 04 0003"), MALFORMED),
            ("operation 257", arp("0001 0800 06 04 0101"), MALFORMED),
            ("hardware 6", arp("0006 0800 06 04 0001"), MALFORMED),
            ("protocol IPv6", arp("0001 86dd 06 04 0001"), MALFORMED),
            ("hardware length", arp("0001 0800 08 04 0001"), MALFORMED),
            ("protocol length", arp("0001 0800 06 10 0001"), MALFORMED),
        ],
    );
}

/// The part of an IPv4 header after the fragment fields: TTL 0, protocol, checksum, addresses.
fn rest(protocol: u8) -> String {
    format!("00 {protocol:02x} 0000 c0000201 cb00710a")
}

#[test]
fn ipv4_headers() {
    let rest = rest(253);
    check(
        &open(),
        &[
            ("whole", format!("0800 45ff 0014 ffff 4000 {rest}"), IP),
            ("the reserved bit does not matter", format!("0800 4500 0014 0000 8000 {rest}"), IP),
            ("padding", format!("0800 4500 0014 0000 0000 {rest} {}", zeros(26)), IP),
            ("19 bytes", format!("0800 4500 {}", zeros(17)), TRUNCATED),
            ("no byte", "0800".into(), TRUNCATED),
            ("version 6", format!("0800 6500 0014 0000 0000 {rest}"), MALFORMED),
            ("version 0", format!("0800 0500 0014 0000 0000 {rest}"), MALFORMED),
            ("IHL 4", format!("0800 4400 0014 0000 0000 {rest}"), MALFORMED),
            ("total length 0", format!("0800 4500 0000 0000 0000 {rest}"), MALFORMED),
            ("total length 19", format!("0800 4500 0013 0000 0000 {rest}"), MALFORMED),
            ("total length under the header", format!("0800 4600 0017 0000 0000 {rest} 00000000"), MALFORMED),
            ("total length beyond", format!("0800 4500 0015 0000 0000 {rest}"), TRUNCATED),
            ("header beyond", format!("0800 4600 0018 0000 0000 {rest}"), TRUNCATED),
            ("the lie goes before the cut", format!("0800 4f00 0014 0000 0000 {rest}"), MALFORMED),
            ("a cut header has no options yet", format!("0800 4600 0018 0000 0000 {rest} 000000"), TRUNCATED),
        ],
    );
}

/// A packet of this protocol whose header has these options.
fn with_options(protocol: u8, options: &str) -> String {
    let words = options.split_whitespace().collect::<String>().len() / 8;
    let (first, length) = (0x45 + words, 20 + 4 * words);
    format!("0800 {first:02x}00 {length:04x} 0000 0000 {} {options}", rest(protocol))
}

#[test]
fn options_under_drop() {
    check(
        &open(),
        &[
            ("no-operations", with_options(253, "01010101"), OPTIONS),
            ("end of list", with_options(253, "00000000"), OPTIONS),
            ("IGMP router alert", with_options(2, "94040000"), IP),
            ("router alert beside UDP's number", with_options(253, "94040000"), OPTIONS),
            ("IGMP with another value", with_options(2, "94040001"), OPTIONS),
            ("IGMP with another option", with_options(2, "01010101"), OPTIONS),
            ("IGMP with a length of 8", with_options(2, "94080000 00000000"), OPTIONS),
            ("IGMP with more", with_options(2, "94040000 00000000"), OPTIONS),
            ("IGMP without options", with_options(2, ""), IP),
            ("a malformed option is an option", with_options(253, "94010000"), OPTIONS),
        ],
    );
}

#[test]
fn options_under_pass() {
    let cases: [Case<'_>; 19] = [
        ("no-operations", with_options(253, "01010101"), IP),
        ("record route", with_options(253, "07070400 00000001"), IP),
        ("router alert", with_options(253, "94040000"), IP),
        ("nothing after end of list is read", with_options(253, "01008301"), IP),
        ("an option that ends with the header", with_options(253, "01440300"), IP),
        ("length 0", with_options(253, "44000000"), MALFORMED),
        ("length 1", with_options(253, "44010000"), MALFORMED),
        ("length 2", with_options(253, "44020000"), IP),
        ("past the header", with_options(253, "44050000"), MALFORMED),
        ("past the header by one", with_options(253, "01440400"), MALFORMED),
        ("a missing length", with_options(253, "01010144"), MALFORMED),
        ("loose source route", with_options(253, "83030400"), OPTIONS),
        ("strict source route", with_options(253, "01890304"), OPTIONS),
        ("the length is judged before the type", with_options(253, "83010000"), MALFORMED),
        ("a source route past the header", with_options(253, "83050000"), MALFORMED),
        ("a source route without length", with_options(253, "01010183"), MALFORMED),
        ("the first fault counts: route", with_options(253, "83034483 01000000"), OPTIONS),
        ("the first fault counts: length", with_options(253, "44018303 04000000"), MALFORMED),
        ("forty bytes", with_options(253, &"01".repeat(40)), IP),
    ];
    check(&open_with(|interface| interface.ip_options = IpOptions::Pass), &cases);
}
