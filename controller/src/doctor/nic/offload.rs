//! Offloads: after which a frame is not what was on the wire, or never comes by.

use crate::backend::facts::{NicFacts, Peer, Toggle};
use crate::doctor::{Finding, MODES, XDP};
use crate::ruleset::Mode;

/// An offload that falsifies frames. `apply` switches it off and reads it back.
struct Falsifier {
    /// The kernel's name, and that of `ethtool -K`.
    kernel: &'static str,
    option: &'static str,
    why: &'static str,
    /// Where it is in the way when it stays on.
    modes: &'static [Mode],
}

const FALSIFIERS: [Falsifier; 5] = [
    Falsifier {
        kernel: "rx-vlan-hw-parse",
        option: "rxvlan",
        why: "the 802.1Q tag is taken out of the frame before XDP sees it: tagged frames look untagged",
        modes: &XDP,
    },
    Falsifier {
        kernel: "rx-vlan-stag-hw-parse",
        option: "rx-vlan-stag-hw-parse",
        why: "the 802.1ad tag is taken out of the frame before XDP sees it",
        modes: &XDP,
    },
    Falsifier {
        kernel: "rx-lro",
        option: "lro",
        why: "the NIC merges packets, so that what is judged is not what was sent",
        modes: &MODES,
    },
    Falsifier {
        kernel: "rx-gro-hw",
        option: "rx-gro-hw",
        why: "the NIC merges packets, so that what is judged is not what was sent",
        modes: &MODES,
    },
    Falsifier {
        kernel: "rx-gro",
        option: "gro",
        why: "the kernel merges packets before nftables sees them; XDP comes before that",
        modes: &[Mode::Nft],
    },
];

/// How a virtual machine is started so that its host merges nothing: only that side can switch it off.
const HYPERVISOR: &str =
    "qemu-system-x86_64 -device virtio-net-pci,guest_tso4=off,guest_tso6=off,guest_ufo=off";

/// An offload that lets frames pass by.
struct Bypass {
    kernel: &'static str,
    what: &'static str,
    why: &'static str,
}

const BYPASSES: [Bypass; 2] = [
    Bypass {
        kernel: "hw-tc-offload",
        what: "the NIC may carry out tc's rules by itself",
        why: "what it forwards or redirects by itself never comes to XDP or nftables",
    },
    Bypass {
        kernel: "rx-vlan-filter",
        what: "the NIC drops VLANs that no device here asked for",
        why: "frames of those VLANs are not counted: a counter that stands still does not prove that nobody tries",
    },
];

pub(super) fn findings(facts: &NicFacts) -> Vec<Finding> {
    let mut findings = match &facts.offloads {
        Err(cause) => vec![Finding::unknown("offloads", "which offloads are on", cause)],
        Ok(toggles) => own(facts, toggles),
    };
    findings.extend(peer(facts));
    findings
}

fn own(facts: &NicFacts, toggles: &[Toggle]) -> Vec<Finding> {
    let name = &facts.name;
    let on = |kernel: &str| toggles.iter().find(|toggle| toggle.name == kernel).filter(|toggle| toggle.on);
    let mut findings = Vec::new();
    let mut off = Vec::new();
    for rule in &FALSIFIERS {
        // A kernel that does not know a feature has no driver that does it.
        match on(rule.kernel) {
            Some(toggle) => findings.push(falsifier(facts, rule, toggle.fixed)),
            None => off.push(rule.option),
        }
    }
    if !off.is_empty() {
        findings.push(Finding::ok("offloads", format!("off: {}", off.join(", "))));
    }
    for Bypass { kernel, what, why } in &BYPASSES {
        if on(kernel).is_some() {
            let finding = Finding::note(kernel, *what, *why);
            findings.push(finding.remedy(format!("ethtool -K {name} {kernel} off")));
        }
    }
    findings
}

/// An offload that is on.
fn falsifier(facts: &NicFacts, rule: &Falsifier, fixed: bool) -> Finding {
    let Falsifier { option, why, modes, .. } = rule;
    if fixed {
        let what = format!("{option} is on, and cannot be switched off here");
        let finding = Finding::warning(option, what, *why).excluding(modes);
        let virtual_machine = facts.driver.as_deref() == Ok("virtio_net") && rule.kernel == "rx-gro-hw";
        return if virtual_machine { finding.remedy(HYPERVISOR) } else { finding };
    }
    if !modes.contains(&Mode::Native) {
        return Finding::ok(option, format!("{option} is on; only `mode: nft` minds, and switches it off"));
    }
    let why = format!("{why}; `apply` switches it off, reads it back, and `detach` restores it");
    Finding::note(option, format!("{option} is on"), why)
        .remedy(format!("ethtool -K {} {option} off", facts.name))
}

/// What only the other side can switch off.
fn peer(facts: &NicFacts) -> Option<Finding> {
    let check = "peer";
    let why = "frames arrive merged or without their tag, and only that side can switch it off";
    let options = "tso off gso off tx-udp-segmentation off txvlan off tx-vlan-stag-hw-insert off";
    match &facts.peer {
        Ok(None) => None,
        Err(cause) => Some(Finding::unknown(check, "what the other end of this veth pair does", cause)),
        Ok(Some(Peer::Elsewhere)) => {
            let what = "unknown what the other end of this veth pair does: it is in a network namespace that has no name in \
                 /run/netns and no process here";
            let why = format!("where its tso, gso or txvlan is on, {why}");
            Some(Finding { unknown: true, ..Finding::warning(check, what, why) })
        }
        Ok(Some(Peer::Seen { name, harmful, .. })) if harmful.is_empty() => {
            Some(Finding::ok(check, format!("{name}, the other end, sends frames as they are")))
        }
        Ok(Some(Peer::Seen { name, enter, harmful, .. })) => {
            let what = format!("{name}, the other end, has {} on", harmful.join(", "));
            Some(Finding::warning(check, what, why).remedy(format!("{enter}ethtool -K {name} {options}")))
        }
    }
}
