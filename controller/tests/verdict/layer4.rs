//! Step 6.

use crate::oracle::plain::{addresses, open, open_with};
use crate::{Case, IP, Reason, check, dropped, zeros};
use perimeter_classifier::verdict::Decision;

const MALFORMED: Decision = dropped(Reason::Malformed);
const FLAGS: Decision = dropped(Reason::TcpFlags);
const MISMATCH: Decision = dropped(Reason::VlanSourceMismatch);

const V6_ADDRESSES: &str = "20010db8000000000000000000000001 20010db8000000000000000000000002";

fn bytes(text: &str) -> usize {
    text.split_whitespace().collect::<String>().len() / 2
}

fn v4(protocol: u8, payload: &str) -> String {
    let length = 20 + bytes(payload);
    format!("0800 4500 {length:04x} 0000 0000 40{protocol:02x} 0000 c0000201 cb00710a {payload}")
}

fn v6(protocol: u8, hop_limit: u8, payload: &str) -> String {
    let length = bytes(payload);
    format!("86dd 60000000 {length:04x} {protocol:02x}{hop_limit:02x} {V6_ADDRESSES} {payload}")
}

/// 20 bytes of TCP with this word of data offset and flags.
fn tcp(offset_and_flags: &str) -> String {
    format!("c00001bb 00000000 00000000 {offset_and_flags} 0000 0000 0000")
}

#[test]
fn payloads_under_the_smallest_header() {
    for (protocol, least, rest) in [(6, 20, &tcp("5010")[..]), (132, 12, &zeros(12)), (1, 8, &zeros(8))] {
        let whole = rest.split_whitespace().collect::<String>();
        assert_eq!(whole.len(), least * 2);
        check(
            &open(),
            &[
                ("enough", v4(protocol, &whole), IP),
                ("a byte short", v4(protocol, &whole[2..]), MALFORMED),
                ("nothing", v4(protocol, ""), MALFORMED),
            ],
        );
    }
    check(
        &open(),
        &[
            ("UDP 8", v4(17, "c0000035 0008 0000"), IP),
            ("UDP 7", v4(17, "c0000035 0008 00"), MALFORMED),
            ("ICMPv6 4", v6(58, 64, "80000000"), IP),
            ("ICMPv6 3", v6(58, 64, "800000"), MALFORMED),
            ("ICMPv6's number in IPv4", v4(58, ""), IP),
            ("ICMP's number in IPv6", v6(1, 64, "00"), IP),
            ("padding is not payload", format!("{} {}", v4(6, "00"), zeros(26)), MALFORMED),
            ("others have no least", v4(47, ""), IP),
            ("nor has AH", v6(51, 64, "06"), IP),
        ],
    );
}

#[test]
fn tcp_headers() {
    let cases: [Case<'_>; 7] = [
        ("data offset 4", v4(6, &tcp("4010")), MALFORMED),
        ("data offset 0", v4(6, &tcp("0010")), MALFORMED),
        ("data offset 6 of 20 bytes", v4(6, &tcp("6010")), MALFORMED),
        ("data offset 6 of 24 bytes", v4(6, &format!("{} 00000000", tcp("6010"))), IP),
        ("data offset 15 of 60 bytes", v4(6, &format!("{} {}", tcp("f010"), zeros(40))), IP),
        ("the offset goes before the flags", v4(6, &tcp("4000")), MALFORMED),
        ("the same in IPv6", v6(6, 64, &tcp("4010")), MALFORMED),
    ];
    check(&open(), &cases);
}

#[test]
fn every_combination_of_tcp_flags() {
    for flags in 0..=255u8 {
        let set = |bit: u8| flags & bit != 0;
        let (fin, syn, rst, ack) = (set(0x01), set(0x02), set(0x04), set(0x10));
        let none = !(syn || ack || rst);
        let expected = if none || (syn && fin) || (syn && rst) || (fin && !ack) { FLAGS } else { IP };
        check(&open(), &[("flags", v4(6, &tcp(&format!("50{flags:02x}"))), expected)]);
    }
    check(
        &open(),
        &[
            ("SYN", v4(6, &tcp("5002")), IP),
            ("SYN ACK ECE CWR", v4(6, &tcp("50d2")), IP),
            ("RST", v4(6, &tcp("5004")), IP),
            ("FIN ACK", v4(6, &tcp("5011")), IP),
            ("nothing", v4(6, &tcp("5000")), FLAGS),
            ("PSH URG", v4(6, &tcp("5028")), FLAGS),
            ("FIN", v4(6, &tcp("5001")), FLAGS),
            ("SYN FIN", v4(6, &tcp("5003")), FLAGS),
            ("SYN RST ACK", v4(6, &tcp("5016")), FLAGS),
            ("RST FIN", v4(6, &tcp("5005")), FLAGS),
            ("RST FIN ACK", v4(6, &tcp("5015")), IP),
            ("the four low reserved bits", v4(6, &tcp("5f10")), IP),
        ],
    );
}

#[test]
fn udp_lengths() {
    check(
        &open(),
        &[
            ("7", v4(17, "c0000035 0007 0000"), MALFORMED),
            ("0", v4(17, "c0000035 0000 0000"), MALFORMED),
            ("9 of 8", v4(17, "c0000035 0009 0000"), MALFORMED),
            ("8 of 10", v4(17, "c0000035 0008 0000 0000"), IP),
            ("0 in IPv6", v6(17, 64, "c0000035 0000 0000"), MALFORMED),
            (
                "beyond the payload, within the padding",
                format!("{} 00", v4(17, "c0000035 0009 0000")),
                MALFORMED,
            ),
        ],
    );
}

/// A neighbour-discovery message of this type and length, zeros after the first 4 bytes.
fn nd(kind: u8, length: usize) -> String {
    format!("{kind:02x}000000{}", zeros(length - 4))
}

#[test]
fn neighbour_discovery() {
    for (kind, least) in [(133, 8), (134, 16), (135, 24), (137, 40)] {
        let with_code = nd(kind, least).replacen("00", "01", 1);
        let with_fragment = format!("3a00 0000 00000001 {}", nd(kind, least));
        check(
            &open(),
            &[
                ("whole", v6(58, 255, &nd(kind, least)), IP),
                ("longer", v6(58, 255, &nd(kind, least + 8)), IP),
                ("a byte short", v6(58, 255, &nd(kind, least - 1)), MALFORMED),
                ("hop limit 254", v6(58, 254, &nd(kind, least)), MALFORMED),
                ("hop limit 0", v6(58, 0, &nd(kind, least)), MALFORMED),
                ("code 1", v6(58, 255, &with_code), MALFORMED),
                ("in an atomic fragment", v6(44, 255, &with_fragment), MALFORMED),
                ("the types in IPv4 are nothing", v4(58, &nd(kind, 4)), IP),
            ],
        );
    }
    check(
        &open(),
        &[("132 is not ND", v6(58, 1, &nd(132, 4)), IP), ("138 is not ND", v6(58, 1, &nd(138, 4)), IP)],
    );
}

#[test]
fn advertised_targets() {
    let advert = |target: &str| v6(58, 255, &format!("8800000000000000 {target}"));
    let link_local = "fe800000000000000000000000000001";
    let last = "febfffffffffffffffffffffffffffff";
    let beyond = "fec00000000000000000000000000000";
    let own = "20010db8000000000000000000000009";
    let other = "20010db9000000000000000000000009";
    let cases = [
        ("link-local", advert(link_local), IP),
        ("the last link-local", advert(last), IP),
        ("beyond link-local", advert(beyond), MISMATCH),
        ("among the sources", advert(own), IP),
        ("not among them", advert(other), MISMATCH),
        ("unspecified", advert(&zeros(16)), MISMATCH),
        ("a solicitation's target is free", v6(58, 255, &format!("8700000000000000 {other}")), IP),
        ("23 bytes go before", v6(58, 255, &nd(136, 23)), MALFORMED),
    ];
    check(&open_with(|interface| interface.sources = Some(addresses(&["2001:db8::/32"]))), &cases);
    check(&open(), &[("anyone where there are no sources", advert(other), IP)]);
    let v4_only = open_with(|interface| interface.sources = Some(addresses(&["192.0.2.0/24"])));
    let from_link_local = advert(own).replacen("20010db8000000000000000000000001", link_local, 1);
    check(&v4_only, &[("sources of the other family are set too", from_link_local, MISMATCH)]);
}
