//! Step 5 under both settings, and what step 7 makes of later fragments.

use super::build::{
    CLIENT, CLIENT6, L3, SERVER, SERVER6, SYN, above, icmp, icmpv6_message, ipv4_with, ipv6, tcp, udp,
};
use super::{Capture, Frame, LENIENT, STRICT, denied, dropped, pass};
use perimeter_classifier::verdict::DropReason::{Fragment, FragmentTiny, Malformed, NoRule, TcpFlags};

/// More fragments, in the word of flags and offset.
const MF: u16 = 0x2000;
/// A source whose SNMP is denied under `lenient.yaml`.
const SNOOP: &str = "198.51.100.66";

pub(crate) fn captures() -> Vec<Capture> {
    vec![
        Capture::new("fragments", STRICT, "Fragments under `fragments: drop`.", strict()),
        Capture::new(
            "fragments-stateless",
            LENIENT,
            "Fragments under `fragments: stateless`, and the rules they meet.",
            stateless(),
        ),
        Capture::new("fragments-tiny", LENIENT, "Fragments that hide or split layer 4.", tiny()),
        Capture::new("fragments-impossible", LENIENT, "Fragments that no datagram has.", impossible()),
    ]
}

/// An IPv4 fragment: offset in units of 8 bytes.
fn piece(from: &str, protocol: u8, offset: u16, more: u16, payload: &[u8]) -> Vec<u8> {
    ipv4_with(from, SERVER, protocol, more | offset, &[], payload)
}

/// An IPv6 fragment: offset in units of 8 bytes.
fn piece6(protocol: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let fields = (offset << 3 | u16::from(more)).to_be_bytes();
    let header = [protocol, 0, fields[0], fields[1], 0, 0, 0, 7];
    ipv6(CLIENT6, SERVER6, 44, 64, &[&header[..], payload].concat())
}

fn datagram() -> Vec<u8> {
    above(&udp(CLIENT, SERVER, (49_152, 53), &[0x61; 40])).to_vec()
}

fn syn() -> Vec<u8> {
    above(&tcp(CLIENT, SERVER, (49_152, 443), SYN, &[0; 4])).to_vec()
}

fn strict() -> Vec<Frame> {
    let data = datagram();
    vec![
        dropped(Fragment, "UDP, the first", piece(CLIENT, 17, 0, MF, &data[..24])),
        dropped(Fragment, "UDP, the middle", piece(CLIENT, 17, 3, MF, &data[24..40])),
        dropped(Fragment, "UDP, the last", piece(CLIENT, 17, 5, 0, &data[40..])),
        pass("names", "the whole datagram, DF set", piece(CLIENT, 17, 0x4000, 0, &data)),
        dropped(Fragment, "IPv6, the first", piece6(17, 0, true, &data[..24])),
        dropped(Fragment, "IPv6, the last", piece6(17, 3, false, &data[24..])),
        pass(
            "names",
            "IPv6, an atomic fragment",
            piece6(17, 0, false, above(&udp(CLIENT6, SERVER6, (49_152, 53), &[0; 8]))),
        ),
        dropped(Fragment, "a tiny fragment is a fragment", piece(CLIENT, 6, 0, MF, &syn()[..8])),
        dropped(Malformed, "13 bytes and more to come", piece(CLIENT, 17, 0, MF, &data[..13])),
        dropped(Fragment, "IPv6, later: the header it names is not walked", piece6(60, 9, false, &[0xff; 8])),
    ]
}

fn stateless() -> Vec<Frame> {
    let (data, syn) = (datagram(), syn());
    let snmp = above(&udp(SNOOP, SERVER, (49_152, 161), &[0; 24])).to_vec();
    vec![
        pass("datagrams", "UDP, the first: it has ports", piece(CLIENT, 17, 0, MF, &data[..24])),
        pass("datagrams", "UDP, the middle: the bare word matches", piece(CLIENT, 17, 3, MF, &data[24..40])),
        pass("datagrams", "UDP, the last", piece(CLIENT, 17, 5, 0, &data[40..])),
        pass("web", "TCP, the first", piece(CLIENT, 6, 0, MF, &syn)),
        dropped(NoRule, "TCP, the last: `web` asks for a port", piece(CLIENT, 6, 3, 0, &syn)),
        denied("no-snmp", "SNMP, the first, from where it is denied", piece(SNOOP, 17, 0, MF, &snmp[..24])),
        denied(
            "no-snmp",
            "any later UDP from there: the condition counts as met",
            piece(SNOOP, 17, 3, 0, &snmp[24..]),
        ),
        pass("datagrams", "other UDP from there, the first", piece(SNOOP, 17, 0, MF, &data[..24])),
        pass(
            "ping",
            "an echo request, the first",
            piece(CLIENT, 1, 0, MF, &above(&icmp(CLIENT, SERVER, 8, 0, &[0; 16]))[..16]),
        ),
        dropped(NoRule, "an echo request, the last: `ping` asks for a type", piece(CLIENT, 1, 2, 0, &[0; 8])),
        pass("datagrams", "IPv6, the first", piece6(17, 0, true, &data[..24])),
        pass("datagrams", "IPv6, the last", piece6(17, 3, false, &data[24..])),
        pass("experiment", "IPv6, later: 59 is its protocol", piece6(59, 2, false, &[0; 8])),
        dropped(NoRule, "IPv6, later: destination options are its protocol", piece6(60, 2, false, &[0; 8])),
    ]
}

fn tiny() -> Vec<Frame> {
    let (data, syn) = (datagram(), syn());
    let echo = icmpv6_message(CLIENT6, SERVER6, 128, 0, &[0; 4]);
    let behind_options = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &[]].concat();
    vec![
        dropped(
            FragmentTiny,
            "TCP, 16 bytes: no flags and no ports to trust",
            piece(CLIENT, 6, 0, MF, &syn[..16]),
        ),
        pass("web", "TCP, 24 bytes", piece(CLIENT, 6, 0, MF, &syn[..24])),
        dropped(
            FragmentTiny,
            "TCP at 8 bytes: it would rewrite the flags",
            piece(CLIENT, 6, 1, 0, &syn[8..]),
        ),
        pass("datagrams", "UDP, 8 bytes", piece(CLIENT, 17, 0, MF, &data[..8])),
        dropped(FragmentTiny, "UDP, nothing", piece(CLIENT, 17, 0, MF, &[])),
        pass("datagrams", "UDP at 8 bytes, in IPv4", piece(CLIENT, 17, 1, 0, &data[8..])),
        dropped(FragmentTiny, "UDP at 8 bytes, in IPv6", piece6(17, 1, false, &data[8..])),
        dropped(FragmentTiny, "SCTP, 8 bytes", piece(CLIENT, 132, 0, MF, &[0; 8])),
        dropped(FragmentTiny, "ICMP, nothing", piece(CLIENT, 1, 0, MF, &[])),
        pass("ping", "ICMPv6, 8 bytes", piece6(58, 0, true, &echo)),
        dropped(
            FragmentTiny,
            "IPv6, destination options and no UDP behind",
            piece6(60, 0, true, &behind_options),
        ),
        pass("experiment", "protocol 253 has no header to hide", piece(CLIENT, 253, 0, MF, &[])),
    ]
}

fn impossible() -> Vec<Frame> {
    let data = datagram();
    let mut no_flags = syn();
    no_flags[13] = 0;
    let mut over = syn();
    over[12] = 0x70;
    let mut short = data.clone();
    short[4..6].copy_from_slice(&[0, 7]);
    let mut long = data.clone();
    long[4..6].copy_from_slice(&[0x20, 0]);
    vec![
        dropped(Malformed, "12 bytes and more to come", piece(CLIENT, 17, 0, MF, &data[..12])),
        dropped(Malformed, "an end past 65,535: the ping of death", piece(CLIENT, 1, 0x1ffd, 0, &[0; 8])),
        pass("datagrams", "an end at 65,535", piece(CLIENT, 17, 0x1ffd, 0, &[0; 3])),
        dropped(Malformed, "IPv6, an end past 65,535", piece6(17, 0x1fff, false, &[0; 8])),
        pass("datagrams", "IPv6, an end at 65,535", piece6(17, 0x1fff, false, &[0; 7])),
        dropped(TcpFlags, "a first fragment of TCP without flags", piece(CLIENT, 6, 0, MF, &no_flags)),
        dropped(
            Malformed,
            "a first fragment whose TCP header ends behind it",
            piece(CLIENT, 6, 0, MF, &over),
        ),
        dropped(Malformed, "a first fragment with a UDP length of 7", piece(CLIENT, 17, 0, MF, &short[..24])),
        pass(
            "datagrams",
            "a first fragment with the UDP length of the whole",
            piece(CLIENT, 17, 0, MF, &long[..24]),
        ),
        dropped(Malformed, "the same length without more to come", piece(CLIENT, 17, 0, 0, &long[..24])),
        dropped(Malformed, "a neighbour solicitation in fragments", neighbour_in_fragments()),
    ]
}

fn neighbour_in_fragments() -> Vec<u8> {
    let message = icmpv6_message("fe80::7", SERVER6, 135, 0, &[0; 20]);
    let mut frame = piece6(58, 0, true, &message);
    frame[L3 + 7] = 255;
    frame
}
