//! Step 7.

use super::build::{ACK, CLIENT, CLIENT6, RST, SERVER, SERVER6, SYN, on_vlan, tcp, udp};
use super::{Capture, Frame, STRICT, denied, dropped, pass};
use perimeter_classifier::verdict::DropReason::{NoRule, VlanSourceMismatch};

pub(crate) fn captures() -> Vec<Capture> {
    vec![
        Capture::new("ports", STRICT, "Destination and source ports at the edges of rules.", ports()),
        Capture::new("tcp-states", STRICT, "Rules that ask for `new` or `established`.", states()),
        Capture::new("deny-beats-allow", STRICT, "Deny rules, wherever they stand.", denials()),
    ]
}

fn ports() -> Vec<Frame> {
    let to = |port| tcp(CLIENT, SERVER, (49_152, port), SYN, &[]);
    vec![
        pass("web", "80", to(80)),
        dropped(NoRule, "79", to(79)),
        dropped(NoRule, "81", to(81)),
        pass("web", "443", to(443)),
        pass("web", "udp/443", udp(CLIENT, SERVER, (49_152, 443), &[])),
        dropped(NoRule, "udp/80", udp(CLIENT, SERVER, (49_152, 80), &[])),
        pass("names", "dns over TCP", to(53)),
        pass("names", "dns over UDP", udp(CLIENT, SERVER, (49_152, 53), &[])),
        dropped(
            NoRule,
            "the last address of the network, plus one",
            tcp(CLIENT, "203.0.113.16", (49_152, 80), SYN, &[]),
        ),
        pass("web", "the last address of the network", tcp(CLIENT, "203.0.113.15", (49_152, 80), SYN, &[])),
        pass("web", "the first address of the network", tcp(CLIENT, "203.0.113.0", (49_152, 80), SYN, &[])),
        dropped(NoRule, "the address before", tcp(CLIENT, "203.0.112.255", (49_152, 80), SYN, &[])),
        pass(
            "web",
            "IPv6, the last of the /64",
            tcp(CLIENT6, "2001:db8:113:0:ffff:ffff:ffff:ffff", (1, 80), SYN, &[]),
        ),
        dropped(NoRule, "IPv6, the next /64", tcp(CLIENT6, "2001:db8:113:1::", (1, 80), SYN, &[])),
        dropped(NoRule, "port 0", to(0)),
        dropped(NoRule, "port 65,535", to(65_535)),
    ]
}

fn states() -> Vec<Frame> {
    let answer = |from: u16, to: u16, flags| tcp(CLIENT, SERVER, (from, to), flags, &[]);
    vec![
        pass("answers", "SYN ACK from 443", answer(443, 40_000, SYN | ACK)),
        pass("answers", "ACK from 80", answer(80, 32_768, ACK)),
        pass("answers", "RST from 80", answer(80, 60_999, RST)),
        dropped(NoRule, "SYN from 443 is no answer", answer(443, 40_000, SYN)),
        dropped(NoRule, "ACK from 444", answer(444, 40_000, ACK)),
        dropped(NoRule, "ACK to 61,000", answer(443, 61_000, ACK)),
        dropped(NoRule, "ACK to 32,767", answer(443, 32_767, ACK)),
        pass("fresh", "SYN to 9000", answer(49_152, 9000, SYN)),
        pass("fresh", "SYN to 9009, IPv6", tcp(CLIENT6, SERVER6, (49_152, 9009), SYN, &[])),
        dropped(NoRule, "SYN ACK to 9000 is not new", answer(49_152, 9000, SYN | ACK)),
        dropped(NoRule, "ACK to 9000 is not new", answer(49_152, 9000, ACK)),
        dropped(NoRule, "RST to 9000 is not new", answer(49_152, 9000, RST)),
    ]
}

fn denials() -> Vec<Frame> {
    let web = |from: &str, to: &str| tcp(from, to, (49_152, 443), SYN, &[]);
    vec![
        denied(
            "neighbours-from-hell",
            "the first address of the denied network",
            web("198.51.100.64", SERVER),
        ),
        denied("neighbours-from-hell", "the last", web("198.51.100.127", SERVER)),
        pass("web", "the address before", web("198.51.100.63", SERVER)),
        pass("web", "the address after", web("198.51.100.128", SERVER)),
        denied("neighbours-from-hell", "IPv6", web("2001:db8:51:bad::1", SERVER6)),
        denied(
            "neighbours-from-hell",
            "to where no rule allows anything: denied is the reason, not no_rule",
            web("198.51.100.66", "192.0.2.9"),
        ),
        denied("no-telnet", "telnet to a server", tcp(CLIENT, SERVER, (49_152, 23), SYN, &[])),
        denied("no-telnet", "its other port, over IPv6", tcp(CLIENT6, SERVER6, (49_152, 2323), SYN, &[])),
        denied(
            "neighbours-from-hell",
            "two deny rules match: the first is credited",
            tcp("198.51.100.66", SERVER, (1, 23), SYN, &[]),
        ),
        dropped(NoRule, "port 24", tcp(CLIENT, SERVER, (49_152, 24), SYN, &[])),
        denied(
            "no-telnet",
            "telnet by a manager, on VLAN 10",
            on_vlan(10, tcp("10.0.10.7", SERVER, (49_152, 23), SYN, &[])),
        ),
        dropped(
            VlanSourceMismatch,
            "from a denied address on VLAN 10: the source goes before the rules",
            on_vlan(10, web("198.51.100.66", SERVER)),
        ),
    ]
}
