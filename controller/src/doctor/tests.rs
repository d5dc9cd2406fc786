//! Goal: each fact leads to the right finding. Method: facts of a good machine with a good NIC, one of them changed.

use std::path::PathBuf;

use super::*;
use crate::backend::facts::{
    Bpffs, Chain, Channels, Clock, Flowtable, Folder, KernelFeature, Link, Memory, Nftables, Peer, Probe,
    Rights, Toggle, Trial, XdpFeatures,
};
use crate::backend::{Enforcement, Engine, Foreign, InForce};
use crate::digest::Digest;

const NFT: &[Mode] = &[Mode::Nft];
const NATIVE: &[Mode] = &[Mode::Native];
const NONE: &[Mode] = &[];

fn unknown<T>() -> Fact<T> {
    Err(Unknown("it is dark".into()))
}

fn machine() -> HostFacts {
    let features =
        [KernelFeature::FrozenMaps, KernelFeature::SharedMaps, KernelFeature::Xdp, KernelFeature::Frags];
    HostFacts {
        kernel: "6.18.44".into(),
        rights: Ok(Rights { root: true, missing: Vec::new(), user_namespace: false }),
        probes: features.into_iter().map(|feature| Probe { feature, answer: Ok(Ok(())) }).collect(),
        trial: Ok(Ok(Trial { instructions: 68_000, compiled: true, right: true })),
        btf: true,
        timed: Ok(false),
        lockdown: Ok("none".into()),
        memory: Memory { available: Ok(8 << 30), cgroup: Ok(None), memlock: Some(8 << 20), cpus: Ok(4) },
        pins: ("/sys/fs/bpf/perimeter".into(), Ok(Bpffs::Lasting)),
        state: Folder {
            path: PathBuf::from("/var/lib/perimeter"),
            exists: true,
            mode: Ok(0o700),
            owner: Ok(0),
            writable: Ok(()),
            temporary: Ok(false),
            free: Ok(8 << 30),
        },
        clock: Clock { now: "2026-11-21T12:00:00Z".parse().unwrap(), kept: Ok(true), recorded: Ok(None) },
        nftables: Ok(Nftables {
            netdev: Ok(()),
            tells: Ok(()),
            tables: Vec::new(),
            chains: Vec::new(),
            flowtables: Vec::new(),
        }),
        legacy: Ok(Vec::new()),
    }
}

fn toggle(name: &str, on: bool, fixed: bool) -> Toggle {
    Toggle { name: name.into(), on, fixed }
}

fn device() -> NicFacts {
    let link = Link { index: 3, kind: 1, up: true, mtu: 1500, receive_queues: 4, ..Link::default() };
    NicFacts {
        name: "wan0".into(),
        link: Ok(Some(link)),
        driver: Ok("igb".into()),
        xdp: Ok(XdpFeatures { basic: true, frags: true }),
        offloads: Ok(vec![toggle("rx-vlan-hw-parse", false, false), toggle("rx-gro", true, false)]),
        peer: Ok(None),
        channels: Ok(Some(Channels { receive: 4, most_receive: 8, send: 4, combined: true })),
        enforcement: Ok(Enforcement::Off),
        tc: Ok(Vec::new()),
        page_bytes: 4096,
    }
}

/// The only finding about `check` that is not well.
fn only<'f>(findings: &'f [Finding], check: &str) -> &'f Finding {
    let found: Vec<&Finding> = findings.iter().filter(|one| one.severity != Severity::Ok).collect();
    assert!(found.len() == 1 && found[0].check == check, "{check}: {found:#?}");
    found[0]
}

#[test]
fn nothing_is_wrong_with_a_good_machine_and_a_good_nic() {
    let report = diagnose(&machine(), &Ok(vec![device()]));
    assert!(report.ready);
    assert_eq!(report.interfaces[0].modes, MODES);
    let all = report.host.iter().chain(&report.interfaces[0].findings);
    for finding in all {
        assert_eq!((finding.severity, finding.unknown), (Severity::Ok, false), "{finding:?}");
        assert_eq!((&finding.why, &finding.remedy, finding.excludes.len()), (&None, &None, 0), "{finding:?}");
    }
}

type HostCase = (&'static str, Severity, &'static [Mode], fn(&mut HostFacts));

/// What is changed, and what is then found: nothing else.
const HOST: &[HostCase] = &[
    ("rights", Severity::Stop, &MODES, |facts| facts.rights.as_mut().unwrap().root = false),
    ("rights", Severity::Stop, &MODES, |facts| {
        facts.rights.as_mut().unwrap().missing = vec!["CAP_NET_ADMIN"]
    }),
    ("rights", Severity::Warning, &XDP, |facts| facts.rights.as_mut().unwrap().user_namespace = true),
    ("rights", Severity::Warning, NONE, |facts| facts.rights = unknown()),
    ("kernel", Severity::Warning, &XDP, |facts| facts.probes[3].answer = Ok(Err("Invalid argument".into()))),
    ("kernel", Severity::Warning, NONE, |facts| facts.probes[0].answer = unknown()),
    ("program", Severity::Warning, &XDP, |facts| facts.trial = Ok(Err("the verifier refuses it".into()))),
    ("program", Severity::Warning, &XDP, |facts| facts.trial = unknown()),
    ("program", Severity::Warning, &XDP, |facts| {
        facts.trial = Ok(Ok(Trial { instructions: 0, compiled: true, right: false }));
    }),
    ("jit", Severity::Warning, NONE, |facts| {
        facts.trial = Ok(Ok(Trial { instructions: 0, compiled: false, right: true }));
    }),
    ("btf", Severity::Note, NONE, |facts| facts.btf = false),
    ("timing", Severity::Note, NONE, |facts| facts.timed = Ok(true)),
    ("timing", Severity::Note, NONE, |facts| facts.timed = unknown()),
    ("lockdown", Severity::Note, NONE, |facts| facts.lockdown = Ok("confidentiality".into())),
    ("lockdown", Severity::Note, NONE, |facts| facts.lockdown = unknown()),
    ("memory", Severity::Warning, NONE, |facts| facts.memory.available = Ok(60 << 20)),
    ("memory", Severity::Warning, NONE, |facts| facts.memory.cpus = unknown()),
    ("cgroup", Severity::Warning, NONE, |facts| facts.memory.cgroup = Ok(Some(1 << 20))),
    ("cgroup", Severity::Note, NONE, |facts| facts.memory.cgroup = unknown()),
    ("memlock", Severity::Warning, NONE, |facts| facts.kernel = "5.10.0-8-amd64".into()),
    ("bpffs", Severity::Note, NONE, |facts| facts.pins.1 = Ok(Bpffs::NotMounted)),
    ("bpffs", Severity::Stop, &MODES, |facts| facts.pins.1 = Ok(Bpffs::Private)),
    ("bpffs", Severity::Stop, &MODES, |facts| facts.pins.1 = Ok(Bpffs::Other)),
    ("bpffs", Severity::Warning, NONE, |facts| facts.pins.1 = unknown()),
    ("state", Severity::Stop, &MODES, |facts| facts.state.writable = Err("Read-only file system".into())),
    ("state", Severity::Warning, NONE, |facts| facts.state.mode = Ok(0o777)),
    ("state", Severity::Warning, NONE, |facts| facts.state.owner = Ok(1000)),
    ("state", Severity::Warning, NONE, |facts| facts.state.temporary = Ok(true)),
    ("state", Severity::Warning, NONE, |facts| facts.state.free = Ok(1 << 20)),
    ("state", Severity::Warning, NONE, |facts| facts.state.free = unknown()),
    ("clock", Severity::Warning, NONE, |facts| facts.clock.now = "1970-01-01T00:03:00Z".parse().unwrap()),
    ("clock", Severity::Warning, NONE, |facts| {
        facts.clock.recorded = Ok(Some("2026-12-01T00:00:00Z".parse().unwrap()));
    }),
    ("clock", Severity::Note, NONE, |facts| facts.clock.kept = Ok(false)),
    ("clock", Severity::Warning, NONE, |facts| facts.clock.recorded = unknown()),
    ("nftables", Severity::Warning, NFT, |facts| facts.nftables = unknown()),
    ("nftables", Severity::Warning, NFT, |facts| {
        facts.nftables.as_mut().unwrap().netdev = Err("Operation not supported".into());
    }),
    ("nftables", Severity::Warning, NONE, |facts| {
        facts.nftables.as_mut().unwrap().tells = Err("Invalid argument".into());
    }),
    ("firewalls", Severity::Note, NONE, |facts| facts.legacy = Ok(vec!["iptables filter".into()])),
    ("firewalls", Severity::Note, NONE, |facts| {
        facts.nftables.as_mut().unwrap().tables = vec!["inet firewalld".into()];
    }),
    ("firewalls", Severity::Warning, NONE, |facts| facts.legacy = unknown()),
    ("instances", Severity::Note, NONE, |facts| {
        facts.nftables.as_mut().unwrap().tables = vec!["netdev perimeter-00c0ffee/wan0".into()];
    }),
];

#[test]
fn tables_of_perimeter_are_not_somebody_elses() {
    let mut facts = machine();
    let tables = ["netdev perimeter/wan0", "netdev perimeter-00c0ffee/wan0", "netdev perimeterish/wan0"];
    facts.nftables.as_mut().unwrap().tables = tables.map(str::to_owned).to_vec();
    let report = diagnose(&facts, &Ok(Vec::new()));
    let what = |check: &str| report.host.iter().find(|one| one.check == check).map(|one| one.what.as_str());
    assert_eq!(what("firewalls"), Some("others filter too: netdev perimeterish/wan0"));
    let other = "another instance of perimeter has tables here: netdev perimeter-00c0ffee/wan0";
    assert_eq!(what("instances"), Some(other));
}

#[test]
fn each_fact_of_the_machine_leads_to_its_finding() {
    for (check, severity, excludes, change) in HOST {
        let mut facts = machine();
        change(&mut facts);
        let report = diagnose(&facts, &Ok(vec![device()]));
        let finding = only(&report.host, check);
        assert_eq!((finding.severity, finding.excludes.as_slice()), (*severity, *excludes), "{finding:?}");
        assert_eq!(report.ready, *severity != Severity::Stop, "{finding:?}");
        assert!(finding.unknown || finding.why.is_some(), "it does not say why it matters: {finding:?}");
    }
}

type NicCase = (&'static str, Severity, &'static [Mode], fn(&mut NicFacts));

fn link(facts: &mut NicFacts) -> &mut Link {
    facts.link.as_mut().unwrap().as_mut().unwrap()
}

const NIC: &[NicCase] = &[
    ("device", Severity::Stop, &MODES, |facts| facts.link = unknown()),
    ("device", Severity::Stop, &MODES, |facts| facts.link = Ok(None)),
    ("device", Severity::Stop, &MODES, |facts| link(facts).kind = 65_534),
    ("device", Severity::Note, NONE, |facts| link(facts).up = false),
    ("xdp", Severity::Warning, NATIVE, |facts| facts.xdp = Ok(XdpFeatures { basic: false, frags: false })),
    ("xdp", Severity::Note, NONE, |facts| facts.xdp = unknown()),
    ("mtu", Severity::Warning, NATIVE, |facts| {
        facts.xdp = Ok(XdpFeatures { basic: true, frags: false });
        link(facts).mtu = 9000;
    }),
    ("attached", Severity::Warning, NONE, |facts| facts.enforcement = unknown()),
    ("attached", Severity::Warning, NONE, |facts| {
        facts.enforcement = Ok(Enforcement::Lost { why: "gone".into() })
    }),
    ("attached", Severity::Warning, &XDP, |facts| {
        facts.enforcement = Ok(Enforcement::Foreign(Foreign { id: 42, name: "xdp_dispatcher".into() }));
    }),
    ("offloads", Severity::Warning, NONE, |facts| facts.offloads = unknown()),
    ("rxvlan", Severity::Note, NONE, |facts| {
        facts.offloads = Ok(vec![toggle("rx-vlan-hw-parse", true, false)])
    }),
    ("rxvlan", Severity::Warning, &XDP, |facts| {
        facts.offloads = Ok(vec![toggle("rx-vlan-hw-parse", true, true)]);
    }),
    ("lro", Severity::Note, NONE, |facts| facts.offloads = Ok(vec![toggle("rx-lro", true, false)])),
    ("lro", Severity::Stop, &MODES, |facts| facts.offloads = Ok(vec![toggle("rx-lro", true, true)])),
    ("gro", Severity::Warning, NFT, |facts| facts.offloads = Ok(vec![toggle("rx-gro", true, true)])),
    ("hw-tc-offload", Severity::Note, NONE, |facts| {
        facts.offloads = Ok(vec![toggle("hw-tc-offload", true, false)]);
    }),
    ("peer", Severity::Warning, NONE, |facts| facts.peer = Ok(Some(Peer::Elsewhere))),
    ("peer", Severity::Warning, NONE, |facts| facts.peer = unknown()),
    ("peer", Severity::Warning, NONE, |facts| {
        let harmful = vec!["tx-tcp-segmentation".into()];
        facts.peer =
            Ok(Some(Peer::Seen { name: "wan0p".into(), enter: String::new(), harmful, send_queues: None }));
    }),
    ("queues", Severity::Warning, NATIVE, |facts| {
        facts.peer = Ok(Some(Peer::Seen {
            name: "wan0p".into(),
            enter: String::new(),
            harmful: Vec::new(),
            send_queues: Some(5),
        }));
    }),
    ("queues", Severity::Warning, NATIVE, |facts| {
        facts.driver = Ok("ena".into());
        facts.channels = Ok(Some(Channels { receive: 5, most_receive: 8, send: 5, combined: true }));
    }),
    ("queues", Severity::Note, NONE, |facts| {
        facts.channels = Ok(Some(Channels { receive: 1, most_receive: 8, send: 1, combined: true }));
    }),
    ("queues", Severity::Warning, NONE, |facts| facts.channels = unknown()),
    ("layer", Severity::Note, NONE, |facts| link(facts).software = Some("vlan".into())),
    ("layer", Severity::Note, &[Mode::Generic], |facts| link(facts).software = Some("bond".into())),
    ("layer", Severity::Note, &[Mode::Generic], |facts| link(facts).software = Some("ifb".into())),
    ("member", Severity::Note, NONE, |facts| link(facts).controller = Some(("bond0".into(), "bond".into()))),
    ("sriov", Severity::Warning, NONE, |facts| link(facts).virtual_functions = 4),
    ("tc", Severity::Note, NONE, |facts| facts.tc = Ok(vec!["clsact".into()])),
    ("tc", Severity::Warning, NONE, |facts| facts.tc = unknown()),
];

#[test]
fn each_fact_of_a_device_leads_to_its_finding() {
    for (check, severity, excludes, change) in NIC {
        let mut facts = device();
        change(&mut facts);
        let report = diagnose(&machine(), &Ok(vec![facts]));
        let nic = &report.interfaces[0];
        let finding = only(&nic.findings, check);
        assert_eq!((finding.severity, finding.excludes.as_slice()), (*severity, *excludes), "{finding:?}");
        let left: Vec<Mode> = MODES.into_iter().filter(|mode| !excludes.contains(mode)).collect();
        assert_eq!((&nic.modes, report.ready), (&left, !left.is_empty()), "{finding:?}");
        assert!(finding.unknown || finding.why.is_some(), "it does not say why it matters: {finding:?}");
    }
}

#[test]
fn what_is_in_force_is_no_obstacle() {
    let mut facts = device();
    facts.enforcement = Ok(Enforcement::InForce(InForce {
        interface: "wan0".into(),
        engine: Engine::Native,
        generation: 7,
        policy: Digest([0; 32]),
        enforce: true,
        abi: 1,
        program_id: 9,
        table_bytes: 4096,
    }));
    let report = diagnose(&machine(), &Ok(vec![facts]));
    let attached = report.interfaces[0].findings.iter().find(|one| one.check == "attached").unwrap();
    assert_eq!(attached.what, "perimeter enforces generation 7 (native XDP)");
}

/// A machine that takes no XDP, and a NIC that merges in a way nftables cannot have: each alone leaves a mode.
#[test]
fn what_is_harmless_alone_stops_together() {
    let mut host = machine();
    host.trial = Ok(Err("refused".into()));
    let mut nic = device();
    nic.offloads = Ok(vec![toggle("rx-gro", true, true)]);
    let report = diagnose(&host, &Ok(vec![nic]));
    assert_eq!(only(&report.host, "program").severity, Severity::Warning);
    assert_eq!(only(&report.interfaces[0].findings, "gro").severity, Severity::Stop);
    assert!(!report.ready);
}

#[test]
fn chains_and_flowtables_are_told_where_they_are() {
    let mut host = machine();
    let nftables = host.nftables.as_mut().unwrap();
    let devices = vec!["wan0".to_owned()];
    nftables.chains = vec![Chain { name: "netdev edge in".into(), devices: devices.clone(), priority: -500 }];
    nftables.flowtables = vec![Flowtable { name: "inet edge fast".into(), devices, hardware: true }];
    let elsewhere = NicFacts { name: "lan0".into(), ..device() };
    let report = diagnose(&host, &Ok(vec![device(), elsewhere]));
    let checks = |at: usize| {
        let findings = report.interfaces[at].findings.iter();
        findings.filter(|one| one.severity != Severity::Ok).map(|one| one.check).collect::<Vec<_>>()
    };
    assert_eq!(checks(0), ["ingress", "flowtable"]);
    assert!(checks(1).is_empty());
}

#[test]
fn devices_that_are_not_listed_are_told() {
    let report = diagnose(&machine(), &unknown());
    assert!(only(&report.host, "interfaces").unknown);
    let report = diagnose(&machine(), &Ok(Vec::new()));
    assert_eq!(only(&report.host, "interfaces").severity, Severity::Note);
}

#[test]
fn people_read_what_why_and_a_command() {
    let mut facts = device();
    facts.offloads = Ok(vec![toggle("rx-lro", true, true)]);
    link(&mut facts).up = false;
    let mut out = Vec::new();
    human(&diagnose(&machine(), &Ok(vec![facts])), false, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let (_, nic) = text.split_once("\nwan0   ").unwrap();
    let expected = "\
cannot be enforced
  note     device    Ethernet, driver igb, MTU 1500, down
                     it receives nothing
                     $ ip link set dev wan0 up
";
    assert!(nic.starts_with(expected), "{nic}");
    assert!(nic.contains("  stop     lro       lro is on, and cannot be switched off here\n"), "{nic}");
    assert!(
        nic.ends_with("\nEnforcement is stopped (stops: 1, warnings: 0, notes: 1, unknown: 0).\n"),
        "{nic}"
    );
}
