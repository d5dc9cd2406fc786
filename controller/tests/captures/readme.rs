//! `pcaps/README.md`, written from the captures.

use super::{Capture, Verdict};
use std::fmt::Write as _;

const HEAD: &str = "\
# Captures and what becomes of each frame

Every capture has one theme, a policy it is judged under, and `NAME.expected.jsonl`: the verdict on each frame, as the
oracle of `controller/tests/oracle` tells it from the contract. All of it is made by a program, from addresses that
belong to nobody (RFC 5737, RFC 3849); no byte comes from anybody's network.

    cargo run -p perimeter --example make_pcaps            # writes this folder again, byte for byte
    cargo test -p perimeter --test pcaps                   # is it the same; do oracle, model and intent agree
    perimeter replay pcaps/strict.yaml pcaps/tcp-flags.pcap --expect pcaps/tcp-flags.expected.jsonl

The frames and their intents stand in `controller/tests/captures`. Files in pcap and pcapng; MACs are local
(`02:...`); checksums are right except where a frame is about something that is wrong.
";

/// The whole text.
pub(crate) fn readme(captures: &[Capture]) -> String {
    let mut text = HEAD.to_owned();
    let frames: usize = captures.iter().map(|capture| capture.frames.len()).sum();
    let _ = writeln!(text, "\n{} captures, {frames} frames.", captures.len());
    for capture in captures {
        let _ = writeln!(
            text,
            "\n## {}\n\n{} Policy: `{}`.\n",
            capture.file_name(),
            capture.about,
            capture.policy
        );
        let _ = writeln!(text, "| frame | what it is | verdict |\n| --- | --- | --- |");
        for (frame, number) in capture.frames.iter().zip(1..) {
            let _ = writeln!(text, "| {number} | {} | {} |", frame.intent, words(frame.verdict));
        }
    }
    text
}

fn words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass(rule) => format!("pass, `{rule}`"),
        Verdict::Denied(rule) => format!("`denied`, `{rule}`"),
        Verdict::Drop(reason) => format!("`{}`", reason.name()),
    }
}
