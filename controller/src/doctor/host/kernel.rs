//! What the kernel takes, and what it does to programs.

use crate::backend::facts::{HostFacts, KernelFeature, Trial};
use crate::doctor::{Finding, XDP};

/// Instructions that the verifier walks at most (`BPF_COMPLEXITY_LIMIT_INSNS`, Linux 5.2).
const VERIFIER_LIMIT: u32 = 1_000_000;

pub(super) fn findings(facts: &HostFacts) -> Vec<Finding> {
    let mut findings = features(facts);
    findings.extend(trial(facts));
    findings.extend([btf(facts.btf), timing(facts), lockdown(facts)]);
    findings
}

/// Major and minor version in a release such as `6.18.44-generic`.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// What it is, and since when kernels have it.
fn words(feature: KernelFeature) -> (&'static str, &'static str) {
    match feature {
        KernelFeature::FrozenMaps => ("maps that nobody can change", "5.2"),
        KernelFeature::SharedMaps => ("the maps of counters and events", "5.8, of more than 4 MiB since 6.0"),
        KernelFeature::Xdp => ("XDP programs", "4.8"),
        KernelFeature::Frags => ("XDP programs for frames in several buffers", "5.18"),
    }
}

fn features(facts: &HostFacts) -> Vec<Finding> {
    let check = "kernel";
    let mut findings = Vec::new();
    let mut unknown = None;
    for probe in &facts.probes {
        let (name, since) = words(probe.feature);
        match &probe.answer {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => {
                let why = format!(
                    "the program cannot do without; Linux has it since {since}, perimeter needs 6.0, or 5.18 on up to 4 CPUs"
                );
                let what = format!("Linux {} refuses {name}: {refusal}", facts.kernel);
                findings.push(Finding::warning(check, what, why).excluding(&XDP).remedy("uname -r"));
            }
            Err(cause) => unknown = unknown.or(Some(cause)),
        }
    }
    if let Some(cause) = unknown {
        findings.push(Finding::unknown(check, &format!("what Linux {} can do", facts.kernel), cause));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            check,
            "it makes frozen maps, maps for each CPU, and XDP programs for any frame",
        ));
    }
    findings
}

fn trial(facts: &HostFacts) -> Vec<Finding> {
    let check = "program";
    let Trial { instructions, compiled, right } = match &facts.trial {
        Err(cause) => {
            let unknown = Finding::unknown(check, "whether the kernel takes the program", cause);
            return vec![unknown.excluding(&XDP)];
        }
        Ok(Err(refusal)) => {
            let why = "without its program there is no XDP; `perimeter -v replay --engine xdp` shows the verifier's log";
            return vec![Finding::warning(check, format!("it was tried: {refusal}"), why).excluding(&XDP)];
        }
        Ok(Ok(trial)) => trial,
    };
    let mut findings = vec![if *right {
        let walked = match instructions {
            0 => String::new(),
            _ => format!(", {instructions} instructions verified of {VERIFIER_LIMIT} at most"),
        };
        Finding::ok(check, format!("it was loaded, and judges{walked}"))
    } else {
        let why = "a frame that its policy passes was dropped, or the reverse: the kernel does not run it as it is written";
        Finding::warning(check, "it was loaded, and judges wrongly", why).excluding(&XDP)
    }];
    findings.push(match compiled {
        true => Finding::ok("jit", "programs become machine code"),
        false => {
            Finding::warning("jit", "programs are interpreted", "each frame takes about ten times as long")
                .remedy("sysctl -w net.core.bpf_jit_enable=1")
        }
    });
    findings
}

fn btf(published: bool) -> Finding {
    match published {
        true => Finding::ok("btf", "the kernel publishes its types"),
        false => {
            let why = "perimeter does without them; bpftool and other programs may not";
            Finding::note("btf", "the kernel does not publish its types (CONFIG_DEBUG_INFO_BTF)", why)
        }
    }
}

fn timing(facts: &HostFacts) -> Finding {
    match &facts.timed {
        Err(cause) => Finding::unknown("timing", "whether the kernel times every run of a program", cause)
            .harmless("where it does, each frame takes some 20 ns longer"),
        Ok(false) => Finding::ok("timing", "runs of programs are not timed"),
        Ok(true) => Finding::note(
            "timing",
            "the kernel times every run of a program",
            "each frame takes some 20 ns longer",
        )
        .remedy("sysctl -w kernel.bpf_stats_enabled=0"),
    }
}

fn lockdown(facts: &HostFacts) -> Finding {
    match facts.lockdown.as_deref() {
        Err(cause) => Finding::unknown("lockdown", "whether the kernel is locked down", cause)
            .harmless("the finding `program` tells whether that is in the way"),
        Ok("none") => Finding::ok("lockdown", "the kernel is not locked down"),
        Ok("integrity") => Finding::ok("lockdown", "integrity, which concerns no XDP program"),
        Ok(word) => {
            let why = "programs may not read the kernel's memory; this one does not";
            Finding::note("lockdown", format!("the kernel is locked down: {word}"), why)
        }
    }
}
