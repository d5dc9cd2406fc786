//! The captures of `pcaps/`: what each shows, frame by frame, and the verdict that the contract gives.
//!
//! Promises: deterministic; the same source gives the same bytes. The verdicts are written here by hand, beside the
//! intent of each frame; `make_pcaps` writes those of the oracle, and a test holds both and the model against them.
//! Nothing is copied from anybody's network: addresses are those of RFC 5737 and RFC 3849.

mod build;
mod files;
mod fragments;
mod gateway;
mod ipv4;
mod ipv6;
mod layer2;
mod layer4;
mod neighbours;
mod readme;
mod rules;
mod vlans;

pub(crate) use files::{expectations, file, policy};
pub(crate) use readme::readme;

use perimeter_classifier::verdict::DropReason;

/// One file of `pcaps/`.
pub(crate) struct Capture {
    /// Without the extension.
    pub(crate) name: &'static str,
    pub(crate) format: Format,
    /// Path of the policy from the project's root.
    pub(crate) policy: &'static str,
    pub(crate) about: &'static str,
    pub(crate) frames: Vec<Frame>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Pcap,
    Pcapng,
}

/// One frame, why it is there, and the verdict of the contract.
pub(crate) struct Frame {
    pub(crate) intent: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) verdict: Verdict,
}

/// A verdict in the words of `replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass(&'static str),
    Denied(&'static str),
    Drop(DropReason),
}

pub(crate) const STRICT: &str = "pcaps/strict.yaml";
pub(crate) const LENIENT: &str = "pcaps/lenient.yaml";
pub(crate) const PROVIDER: &str = "pcaps/provider.yaml";
pub(crate) const GATEWAY: &str = "rules/gateway.yaml";

/// Every capture, in the order of the README.
pub(crate) fn all() -> Vec<Capture> {
    [
        gateway::captures(),
        layer2::captures(),
        vlans::captures(),
        neighbours::captures(),
        ipv4::captures(),
        ipv6::captures(),
        fragments::captures(),
        layer4::captures(),
        rules::captures(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Capture {
    pub(crate) fn new(
        name: &'static str,
        policy: &'static str,
        about: &'static str,
        frames: Vec<Frame>,
    ) -> Self {
        Capture { name, format: Format::Pcap, policy, about, frames }
    }

    /// The file's name in `pcaps/`.
    pub(crate) fn file_name(&self) -> String {
        let extension = if self.format == Format::Pcap { "pcap" } else { "pcapng" };
        format!("{}.{extension}", self.name)
    }
}

fn pass(rule: &'static str, intent: &'static str, bytes: Vec<u8>) -> Frame {
    Frame { intent, bytes, verdict: Verdict::Pass(rule) }
}

fn denied(rule: &'static str, intent: &'static str, bytes: Vec<u8>) -> Frame {
    Frame { intent, bytes, verdict: Verdict::Denied(rule) }
}

fn dropped(reason: DropReason, intent: &'static str, bytes: Vec<u8>) -> Frame {
    Frame { intent, bytes, verdict: Verdict::Drop(reason) }
}
