//! What the facts about the machine mean.

mod kernel;
mod places;

use perimeter_classifier::abi::{COUNTER_SLOTS, Counter};

use super::{Finding, MODES, XDP};
use crate::backend::facts::{Clock, HostFacts, Memory, Nftables, Rights};
use crate::backend::nft::{instance, owner};
use crate::compile::GOOD_WORDS;
use crate::ruleset::Mode;

/// Tables that the compiler aims to stay below, twice: the generation in force, and the next.
const TABLES: u64 = 2 * (GOOD_WORDS * size_of::<u32>()) as u64;
/// The row of one CPU in the counters map.
const COUNTERS: u64 = COUNTER_SLOTS as u64 * size_of::<Counter>() as u64;
/// Before this the program was not written, so that no clock that is right says so.
const WRITTEN: &str = "2026-01-01T00:00:00Z";

/// Everything that is not of one device.
pub(super) fn findings(facts: &HostFacts) -> Vec<Finding> {
    let mut findings = vec![rights(facts)];
    findings.extend(kernel::findings(facts));
    findings.extend(memory(&facts.memory, &facts.kernel));
    findings.extend(places::findings(facts));
    findings.push(clock(&facts.clock));
    findings.extend(firewalls(facts));
    findings
}

fn rights(facts: &HostFacts) -> Finding {
    let check = "rights";
    let Rights { root, missing, user_namespace } = match &facts.rights {
        Ok(rights) => rights,
        Err(cause) => return Finding::unknown(check, "what this process may do", cause),
    };
    let why = "loading and attaching programs, and asking the kernel what it enforces, is for root";
    if !root {
        return Finding::warning(check, "this is not run as root", why)
            .excluding(&MODES)
            .remedy("sudo perimeter doctor");
    }
    if !missing.is_empty() {
        let why =
            format!("{why} with every capability; a container or unit has to be given them when it starts");
        return Finding::warning(check, format!("root lacks {}", missing.join(", ")), why).excluding(&MODES);
    }
    if *user_namespace {
        let why =
            "programs are loaded with rights in the first user namespace only; run it outside the container";
        return Finding::warning(check, "this is root of a user namespace", why).excluding(&XDP);
    }
    Finding::ok(check, "root, with the capabilities that it takes")
}

fn memory(facts: &Memory, kernel: &str) -> Vec<Finding> {
    let cpus = match &facts.cpus {
        Ok(cpus) => *cpus,
        Err(cause) => return vec![Finding::unknown("memory", "how many CPUs there may be", cause)],
    };
    let needed = COUNTERS * u64::from(cpus).next_power_of_two() + TABLES;
    let need =
        format!("counters for {cpus} CPUs and two generations of tables can take {} MiB", needed >> 20);
    let mut findings = vec![match &facts.available {
        Err(cause) => Finding::unknown("memory", "how much memory is free", cause),
        Ok(bytes) if *bytes < needed => {
            Finding::warning("memory", format!("{} MiB are available", bytes >> 20), need.clone())
                .remedy("free -m")
        }
        Ok(bytes) => Finding::ok("memory", format!("{} MiB are available; {need}", bytes >> 20)),
    }];
    findings.push(match &facts.cgroup {
        Err(cause) => Finding::unknown("cgroup", "whether a cgroup limits this process", cause).harmless(
            "where one does, tables count against it, and `apply` fails whole when they do not fit",
        ),
        Ok(Some(left)) if *left < needed => {
            let why = format!("tables count against the cgroup of the shell that applies them; {need}");
            Finding::warning("cgroup", format!("this cgroup may take {} MiB more", left >> 20), why)
                .remedy("systemd-run --scope -p MemoryMax=infinity perimeter apply POLICY")
        }
        Ok(_) => Finding::ok("cgroup", "no limit that tables would meet"),
    });
    // Before 5.11 maps counted as locked memory.
    if let (Some(limit), Some((5, ..11) | (..5, _))) = (facts.memlock, kernel::version(kernel)) {
        let why = format!("this kernel counts maps as locked memory; {need}");
        if limit < needed {
            let what = format!("{} MiB may be locked", limit >> 20);
            findings.push(Finding::warning("memlock", what, why).remedy("ulimit -l unlimited"));
        }
    }
    findings
}

fn clock(facts: &Clock) -> Finding {
    let check = "clock";
    let written = WRITTEN.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let why = "rules that expire do so by this clock";
    let set = "timedatectl set-ntp true";
    let shown = |at: &jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    if facts.now < written {
        return Finding::warning(check, format!("it is {} here, which is long ago", shown(&facts.now)), why)
            .remedy(set);
    }
    match (&facts.recorded, &facts.kept) {
        (Ok(Some(newest)), _) if *newest > facts.now => {
            let what = format!("it is {}, before the newest record of {}", shown(&facts.now), shown(newest));
            Finding::warning(check, what, why).remedy(set)
        }
        (Err(cause), _) => Finding::unknown(check, "what was recorded last", cause),
        (_, Err(cause)) => {
            Finding::unknown(check, "whether something keeps the clock right", cause).harmless(why)
        }
        (_, Ok(false)) => {
            let what = format!("it is {}, and nothing keeps the clock right", shown(&facts.now));
            Finding::note(check, what, why).remedy(set)
        }
        (_, Ok(true)) => Finding::ok(check, format!("it is {}, kept right", shown(&facts.now))),
    }
}

/// Tables of perimeter that another instance has made, which has a bpf file system of its own.
fn instances(own: &str, nftables: &Nftables) -> Option<Finding> {
    let others = nftables.tables.iter().filter(|table| owner(table).is_some_and(|owner| owner != own));
    let others: Vec<&str> = others.map(String::as_str).collect();
    (!others.is_empty()).then(|| {
        let what = format!("another instance of perimeter has tables here: {}", others.join(", "));
        let why =
            "it has a `--bpffs` of its own; a frame passes only what every instance that judges it allows";
        Finding::note("instances", what, why).remedy("nft list tables netdev")
    })
}

fn firewalls(facts: &HostFacts) -> Vec<Finding> {
    let (nftables, mut others) = match &facts.nftables {
        Err(cause) => {
            return vec![
                Finding::unknown("nftables", "what nftables can do and holds", cause).excluding(&[Mode::Nft]),
            ];
        }
        Ok(nftables) => {
            let foreign = nftables.tables.iter().filter(|table| owner(table).is_none());
            (nftables, foreign.cloned().collect::<Vec<_>>())
        }
    };
    let mut findings = vec![match (&nftables.netdev, &nftables.tells) {
        (Ok(()), Ok(())) => Finding::ok("nftables", "the kernel takes tables of the netdev family"),
        (Ok(()), Err(error)) => {
            let why = "where nftables judges alone nobody is told of drops and of `log: true`";
            Finding::warning("nftables", format!("it cannot tell of frames: {error}"), why)
                .remedy("modprobe -a nfnetlink_log nft_log nft_limit")
        }
        (Err(error), _) => {
            let why = "`mode: nft` judges there; a kernel with CONFIG_NF_TABLES_NETDEV has it";
            Finding::warning("nftables", format!("no table of the netdev family is taken: {error}"), why)
                .excluding(&[Mode::Nft])
                .remedy("modprobe nf_tables")
        }
    }];
    findings.extend(instances(&instance(&facts.pins.0), nftables));
    match &facts.legacy {
        Err(cause) => findings.push(Finding::unknown("firewalls", "whether iptables has tables", cause)),
        Ok(legacy) => others.extend(legacy.iter().cloned()),
    }
    findings.push(if others.is_empty() {
        Finding::ok("firewalls", "no table of others in nftables or iptables in this network namespace")
    } else {
        let why =
            "they come after perimeter: what it passes they may still drop, what it drops they never see";
        Finding::note("firewalls", format!("others filter too: {}", others.join(", ")), why)
            .remedy("nft list ruleset")
    });
    findings
}
