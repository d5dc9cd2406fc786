//! Whether a base chain meets the frames that a device receives, and in which ways it stands otherwise than perimeter put it.
//!
//! Promises: pure. Only what meets the frames counts as enforced: a table that sleeps, or a chain on another hook, does not,
//! however right its rules are.

use super::ir::PRIORITY;
use super::read::Hook;

/// `NF_NETDEV_INGRESS`.
const INGRESS: u32 = 0;

/// Why no frame that `interface` receives meets the chain; `None` where all do.
pub(super) fn idle(hook: &Hook, interface: &str, is_dormant: bool) -> Option<String> {
    if is_dormant {
        return Some("its nftables table is dormant: none of its rules meets a frame".to_owned());
    }
    if hook.number != INGRESS {
        return Some("its base chain stands on another hook than that of frames that come in".to_owned());
    }
    if hook.offloaded {
        return Some("its base chain is left to the NIC (flag `offload`)".to_owned());
    }
    if hook.devices.iter().any(|device| device == interface) {
        return None;
    }
    Some(match hook.devices.as_slice() {
        [] => "its base chain stands on no device: the device was removed, or made anew".to_owned(),
        others => format!("its base chain stands on {}, and not on {interface}", others.join(", ")),
    })
}

/// Whether the chain stands as it was put there: what is not can only be made anew.
pub(super) fn is_as_written(hook: &Hook, interface: &str) -> bool {
    idle(hook, interface, false).is_none() && astray(hook, interface).is_empty()
}

/// In which ways a chain that meets the frames of `interface` stands otherwise than it was put there.
pub(super) fn astray(hook: &Hook, interface: &str) -> Vec<String> {
    let others: Vec<&str> =
        hook.devices.iter().map(String::as_str).filter(|device| *device != interface).collect();
    let mut astray = Vec::new();
    if !others.is_empty() {
        astray.push(format!("its base chain also stands on {}", others.join(", ")));
    }
    if hook.priority != PRIORITY {
        astray.push(format!("its base chain has priority {} instead of {PRIORITY}", hook.priority));
    }
    astray
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(devices: &[&str]) -> Hook {
        let devices = devices.iter().map(|&device| device.to_owned()).collect();
        Hook { devices, number: INGRESS, accept: false, priority: PRIORITY, offloaded: false }
    }

    #[test]
    fn a_chain_that_meets_no_frame_is_idle_and_says_why() {
        let good = hook(&["wan0"]);
        assert!(idle(&good, "wan0", false).is_none() && is_as_written(&good, "wan0"));
        let cases = [
            (good.clone(), true, "dormant"),
            (Hook { number: 1, ..good.clone() }, false, "another hook"),
            (Hook { offloaded: true, ..good }, false, "left to the NIC"),
            (hook(&[]), false, "stands on no device"),
            (hook(&["ren0"]), false, "stands on ren0, and not on wan0"),
            (hook(&["wan*"]), false, "stands on wan*, and not on wan0"),
        ];
        for (hook, is_dormant, word) in cases {
            let why = idle(&hook, "wan0", is_dormant).unwrap_or_default();
            assert!(why.contains(word), "{hook:?}: {why}");
            assert!(is_dormant || !is_as_written(&hook, "wan0"), "{hook:?}");
        }
    }

    #[test]
    fn a_chain_that_stands_otherwise_is_told_and_made_anew() {
        let more = hook(&["wan1", "wan0"]);
        assert_eq!(astray(&more, "wan0"), ["its base chain also stands on wan1"]);
        let late = Hook { priority: 7, ..hook(&["wan0"]) };
        assert!(astray(&late, "wan0")[0].contains("priority 7"), "{late:?}");
        for hook in [more, late] {
            assert!(idle(&hook, "wan0", false).is_none() && !is_as_written(&hook, "wan0"), "{hook:?}");
        }
    }
}
