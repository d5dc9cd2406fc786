//! How many queues share the work, and what drivers ask of their number.

use crate::backend::facts::{Channels, HostFacts, Link, NicFacts, Peer};
use crate::doctor::Finding;
use crate::ruleset::Mode;

pub(super) fn findings(facts: &NicFacts, link: &Link, host: &HostFacts) -> Vec<Finding> {
    let check = "queues";
    let channels = match &facts.channels {
        Err(cause) => return vec![Finding::unknown(check, "how many queues receive", cause)],
        Ok(None) => {
            let what = format!("{} that receive, as the device was made", link.receive_queues);
            return vec![Finding::ok(check, what)];
        }
        Ok(Some(channels)) => channels,
    };
    let mut findings: Vec<Finding> =
        [amazon(facts, channels), veth(facts, channels)].into_iter().flatten().collect();
    findings.push(spread(facts, channels, host));
    findings
}

/// The ena driver gives XDP queues of its own, as many again (`ena_xdp_legal_queue_count`).
fn amazon(facts: &NicFacts, channels: &Channels) -> Option<Finding> {
    let half = channels.most_receive / 2;
    if facts.driver.as_deref() != Ok("ena") || channels.receive <= half {
        return None;
    }
    let what = format!("{} of {} queues are in use", channels.receive, channels.most_receive);
    let finding =
        Finding::warning("queues", what, "this driver takes native XDP with at most half of them in use");
    Some(finding.excluding(&[Mode::Native]).remedy(format!(
        "ethtool -L {} combined {}",
        facts.name,
        half.max(1)
    )))
}

/// A veth refuses native XDP where its other end sends from more queues than it receives with (`veth_xdp_set`).
fn veth(facts: &NicFacts, channels: &Channels) -> Option<Finding> {
    let Ok(Some(Peer::Seen { name, enter, send_queues: Some(send), .. })) = &facts.peer else { return None };
    if *send <= channels.receive {
        return None;
    }
    let what =
        format!("{name}, the other end, sends from {send} queues, and {} receive here", channels.receive);
    let finding = Finding::warning("queues", what, "a veth pair takes native XDP only where as many receive");
    Some(
        finding
            .excluding(&[Mode::Native])
            .remedy(format!("{enter}ethtool -L {name} tx {}", channels.receive)),
    )
}

/// Whether the work is shared among the CPUs.
fn spread(facts: &NicFacts, channels: &Channels, host: &HostFacts) -> Finding {
    let check = "queues";
    let Channels { receive, most_receive, combined, .. } = *channels;
    let cpus = match &host.memory.cpus {
        Err(cause) => return Finding::unknown(check, "how many CPUs could receive", cause),
        Ok(cpus) => *cpus,
    };
    let wanted = most_receive.min(cpus);
    if receive >= wanted {
        return Finding::ok(check, format!("{receive} that receive, of {most_receive}, for {cpus} CPUs"));
    }
    let which = if combined { "combined" } else { "rx" };
    let what = format!("{receive} that receive, of {most_receive}, for {cpus} CPUs");
    Finding::note(check, what, "one CPU judges all frames of a queue")
        .remedy(format!("ethtool -L {} {which} {wanted}", facts.name))
}
