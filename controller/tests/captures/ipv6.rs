//! IPv6 headers and extension headers.

use super::build::{CLIENT6, L3, SERVER6, SYN, above, cut, ipv6, patched, tcp, trailed};
use super::{Capture, Frame, LENIENT, STRICT, dropped, pass};
use perimeter_classifier::verdict::DropReason::{Ipv6Extension, Malformed, NoRule, Truncated};

pub(crate) fn captures() -> Vec<Capture> {
    vec![
        Capture::new("ipv6-headers", STRICT, "IPv6 headers that lie.", headers()),
        Capture::new(
            "ipv6-extensions",
            STRICT,
            "Extension headers under `ip_options: drop`.",
            dropped_headers(),
        ),
        Capture::new(
            "ipv6-extensions-pass",
            LENIENT,
            "Extension headers under `ip_options: pass`.",
            walked(),
        ),
    ]
}

fn web() -> Vec<u8> {
    tcp(CLIENT6, SERVER6, (49_152, 443), SYN, &[])
}

fn headers() -> Vec<Frame> {
    let empty = |next| ipv6(CLIENT6, SERVER6, next, 64, &[]);
    vec![
        pass("web", "an honest one", web()),
        dropped(Truncated, "39 bytes", cut(web(), L3 + 39)),
        dropped(Malformed, "version 4 under IPv6's EtherType", patched(web(), L3, &[0x45])),
        dropped(Malformed, "payload length 0, TCP: a jumbogram or TSO", patched(web(), L3 + 4, &[0, 0])),
        dropped(Malformed, "payload length 0, hop-by-hop", empty(0)),
        dropped(NoRule, "payload length 0, no next header: well-formed", empty(59)),
        dropped(Truncated, "payload length 21 of 20", patched(web(), L3 + 4, &[0, 21])),
        dropped(Malformed, "payload length 19: TCP is a byte short", patched(web(), L3 + 4, &[0, 19])),
        pass("web", "padding after the payload", trailed(web(), &[0; 9])),
        pass(
            "web",
            "traffic class and flow label do not matter",
            patched(web(), L3, &[0x6f, 0xff, 0xff, 0xff]),
        ),
    ]
}

/// Extension headers, each of 8 bytes, before a TCP SYN; the first is the packet's next header.
fn chain(kinds: &[u8]) -> Vec<u8> {
    let syn = web();
    let mut payload = Vec::new();
    for at in 0..kinds.len() {
        let next = kinds.get(at + 1).copied().unwrap_or(6);
        let body: [u8; 6] = match kinds[at] {
            43 => [2, 0, 0, 0, 0, 0],
            44 => [0, 0, 0, 0, 0, 1],
            _ => [1, 4, 0, 0, 0, 0],
        };
        payload.extend([next, 0]);
        payload.extend(body);
    }
    payload.extend(above(&syn));
    ipv6(CLIENT6, SERVER6, kinds.first().copied().unwrap_or(6), 64, &payload)
}

/// The payload of the chain begins here.
const PAYLOAD: usize = L3 + 40;

fn dropped_headers() -> Vec<Frame> {
    vec![
        dropped(Ipv6Extension, "hop-by-hop", chain(&[0])),
        dropped(Ipv6Extension, "routing", chain(&[43])),
        dropped(Ipv6Extension, "destination options", chain(&[60])),
        pass("web", "an atomic fragment is none of these", chain(&[44])),
        dropped(Ipv6Extension, "destination options behind an atomic fragment", chain(&[44, 60])),
        dropped(Ipv6Extension, "hop-by-hop behind an atomic fragment", chain(&[44, 0])),
        dropped(Ipv6Extension, "two fragment headers", chain(&[44, 44])),
        dropped(Truncated, "destination options that do not end", patched(chain(&[60]), PAYLOAD + 1, &[200])),
        dropped(NoRule, "AH ends the walk", chain(&[51])),
        dropped(NoRule, "mobility ends the walk", chain(&[135])),
    ]
}

fn walked() -> Vec<Frame> {
    vec![
        pass("web", "hop-by-hop first", chain(&[0])),
        dropped(Ipv6Extension, "hop-by-hop second", chain(&[60, 0])),
        dropped(Ipv6Extension, "hop-by-hop twice", chain(&[0, 0])),
        pass("web", "routing of type 2 with nothing left", chain(&[43])),
        dropped(Ipv6Extension, "routing of type 0", patched(chain(&[43]), PAYLOAD + 2, &[0])),
        dropped(Ipv6Extension, "routing with a segment left", patched(chain(&[43]), PAYLOAD + 3, &[1])),
        pass("web", "the order of RFC 8200", chain(&[0, 60, 43, 44, 60])),
        pass("web", "eight headers", chain(&[60; 8])),
        dropped(Ipv6Extension, "nine headers", chain(&[60; 9])),
        dropped(Ipv6Extension, "two fragment headers, apart", chain(&[44, 60, 44])),
        dropped(Truncated, "a header that goes past the payload", patched(chain(&[60]), PAYLOAD + 1, &[3])),
        dropped(Truncated, "a header whose length is missing", ipv6(CLIENT6, SERVER6, 60, 64, &[6])),
        dropped(
            Truncated,
            "a fragment header of 7 bytes",
            ipv6(CLIENT6, SERVER6, 44, 64, &[6, 0, 0, 0, 0, 0, 0]),
        ),
        pass(
            "experiment",
            "no next header after options",
            ipv6(CLIENT6, SERVER6, 60, 64, &[59, 0, 1, 4, 0, 0, 0, 0]),
        ),
    ]
}
