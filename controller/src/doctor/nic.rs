//! What the facts about one device mean.

mod neighbours;
mod offload;
mod queues;

use super::{Finding, MODES, XDP};
use crate::backend::Enforcement;
use crate::backend::facts::{HostFacts, Link, NicFacts};
use crate::ruleset::Mode;

/// ARPHRD_ETHER of `linux/if_arp.h`.
const ETHERNET: u16 = 1;

/// What a receive buffer of one page holds besides the packet: the headroom of XDP (256 bytes), `skb_shared_info` (320),
/// an Ethernet header and two tags (22). Drivers differ by some hundred bytes to either side.
const BUFFER_OVERHEAD: usize = 256 + 320 + 22;

/// Everything of one device. Where there is none, or none that a policy can judge, that is all there is to say.
pub(super) fn findings(facts: &NicFacts, host: &HostFacts) -> Vec<Finding> {
    let link = match &facts.link {
        Err(cause) => {
            return vec![Finding::unknown("device", "what this device is", cause).excluding(&MODES)];
        }
        Ok(None) => {
            let why = "a policy that names it is refused";
            return vec![
                Finding::warning("device", "there is no such device in this network namespace", why)
                    .excluding(&MODES)
                    .remedy("ip -br link"),
            ];
        }
        Ok(Some(link)) if link.kind != ETHERNET => {
            let why = "a policy judges Ethernet frames; name the device that carries them";
            return vec![
                Finding::warning(
                    "device",
                    format!("it carries no Ethernet frames (ARPHRD {})", link.kind),
                    why,
                )
                .excluding(&MODES)
                .remedy(format!("ip -d link show dev {}", facts.name)),
            ];
        }
        Ok(Some(link)) => link,
    };
    let mut findings = vec![device(facts, link), native(facts)];
    findings.extend(mtu(facts, link));
    findings.push(enforcement(facts));
    findings.extend(offload::findings(facts));
    findings.extend(queues::findings(facts, link, host));
    findings.extend(neighbours::findings(facts, link, host));
    findings
}

fn device(facts: &NicFacts, link: &Link) -> Finding {
    let name = &facts.name;
    let driver = match &facts.driver {
        Ok(driver) => format!("driver {driver}"),
        Err(cause) => format!("driver unknown: {}", cause.0),
    };
    if link.up {
        return Finding::ok("device", format!("Ethernet, {driver}, MTU {}", link.mtu));
    }
    Finding::note("device", format!("Ethernet, {driver}, MTU {}, down", link.mtu), "it receives nothing")
        .remedy(format!("ip link set dev {name} up"))
}

/// Whether the driver runs XDP by itself.
fn native(facts: &NicFacts) -> Finding {
    let check = "xdp";
    match &facts.xdp {
        Err(cause) => Finding::unknown(check, "whether the driver has native XDP", cause)
            .harmless("`perimeter apply` finds out: `mode: auto` takes generic XDP where native is refused"),
        Ok(features) if features.basic => Finding::ok(check, "the driver has native XDP"),
        Ok(_) => {
            let why = "generic XDP judges later, when the kernel has made a socket buffer, and is slower";
            Finding::warning(check, "the driver has no native XDP", why)
                .excluding(&[Mode::Native])
                .remedy(format!("ethtool -i {}", facts.name))
        }
    }
}

fn mtu(facts: &NicFacts, link: &Link) -> Option<Finding> {
    let check = "mtu";
    let room = facts.page_bytes.saturating_sub(BUFFER_OVERHEAD);
    let features = facts.xdp.as_ref().ok().filter(|features| features.basic)?;
    if features.frags {
        return Some(Finding::ok(check, "the driver hands over frames in several buffers: any MTU will do"));
    }
    if link.mtu as usize <= room {
        return Some(Finding::ok(check, format!("a frame of MTU {} fits one buffer", link.mtu)));
    }
    let what = format!("MTU {} is more than the {room} bytes that one buffer holds", link.mtu);
    let why = "the driver takes XDP for frames in one buffer only, and refuses it above that";
    Some(
        Finding::warning(check, what, why)
            .excluding(&[Mode::Native])
            .remedy(format!("ip link set dev {} mtu {room}", facts.name)),
    )
}

/// What judges its frames now.
fn enforcement(facts: &NicFacts) -> Finding {
    let check = "attached";
    let name = &facts.name;
    match &facts.enforcement {
        Err(cause) => Finding::unknown(check, "which XDP program is attached", cause),
        Ok(Enforcement::Off) => Finding::ok(check, "no XDP program is attached"),
        Ok(Enforcement::InForce(record)) => {
            let generation = record.generation;
            Finding::ok(
                check,
                format!("perimeter enforces generation {generation} ({})", record.engine.name()),
            )
        }
        Ok(Enforcement::OtherVersion(other)) => Finding::ok(
            check,
            format!("another version of perimeter (layout {}) enforces ({})", other.abi, other.engine.name()),
        ),
        Ok(Enforcement::Lost { why }) => {
            let what = format!("perimeter's enforcement is gone: {why}");
            Finding::warning(check, what, "frames are not judged").remedy("perimeter apply POLICY")
        }
        Ok(Enforcement::Foreign(program)) => {
            let what = format!("another XDP program is attached (id {}, \"{}\")", program.id, program.name);
            let why = "it is left alone; remove it with its own tool, with this command, or, where a link holds it, with \
                       `bpftool link detach id ID`";
            Finding::warning(check, what, why)
                .excluding(&XDP)
                .remedy(format!("ip link set dev {name} xdp off"))
        }
    }
}
