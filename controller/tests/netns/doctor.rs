//! What `doctor` says of real devices in namespaces, and that it leaves everything as it was.

use std::process::Command;

use serde_json::Value;

use crate::world::{Said, World, ip};

const MINIMUM: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";

/// Runs a tool in the gateway, which must succeed.
fn tool(world: &World, words: &[&str]) -> String {
    let output = world.within("gw", || Command::new(words[0]).args(&words[1..]).output().unwrap());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `doctor --json` answers about these interfaces, and its exit status.
fn doctor(world: &World, interfaces: &[&str]) -> (i32, Value) {
    let said = world.perimeter(&[&["doctor", "--json"], interfaces].concat());
    assert!(said.err.is_empty(), "{said:?}");
    (said.code, serde_json::from_str(&said.out).unwrap())
}

/// The finding of the first interface about `check`.
fn finding<'v>(report: &'v Value, check: &str) -> &'v Value {
    let findings = report["interfaces"][0]["findings"].as_array().unwrap();
    findings.iter().find(|one| one["check"] == check).unwrap_or_else(|| panic!("no {check} in {report:#}"))
}

/// Everything that a command could have changed, as the kernel's own tools tell it.
fn picture(world: &World) -> String {
    let looks: [&[&str]; 4] = [
        &["ip", "-d", "link", "show"],
        &["ethtool", "-k", "wan0"],
        &["nft", "list", "ruleset"],
        &["tc", "qdisc", "show"],
    ];
    looks.map(|words| tool(world, words)).concat()
}

#[test]
fn a_good_veth_can_be_enforced_and_nothing_is_touched() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let before = picture(&world);
    let (code, report) = doctor(&world, &["wan0"]);
    assert_eq!((code, &report["ready"]), (0, &Value::Bool(true)), "{report:#}");
    assert_eq!(report["interfaces"][0]["modes"][0], "native");
    assert_eq!(finding(&report, "xdp")["severity"], "ok");
    let host = report["host"].as_array().unwrap();
    for check in ["rights", "kernel", "program", "jit", "bpffs", "nftables"] {
        let found = host.iter().find(|one| one["check"] == check).unwrap();
        assert_eq!(found["severity"], "ok", "{found}");
    }
    // The tags that veth keeps beside the frame are told, with the command that ends it.
    let rxvlan = finding(&report, "rxvlan");
    assert_eq!(
        (&rxvlan["severity"], &rxvlan["remedy"]),
        (&"note".into(), &"ethtool -K wan0 rxvlan off".into())
    );
    assert_eq!(picture(&world), before, "it has changed something");
    // What it says is so: the first mode it names is the one that `apply` gets.
    assert!(world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]).contains("(native XDP"));
    let (code, report) = doctor(&world, &["wan0"]);
    assert_eq!(code, 0, "{report:#}");
    assert!(finding(&report, "attached")["what"].as_str().unwrap().contains("generation 1 (native XDP)"));
}

#[test]
fn each_remedy_removes_its_finding() {
    let Some(world) = World::new(&[]) else { return };
    let gateway = world.namespace("gw");
    ip(&["-n", &gateway, "link", "add", "wan0", "type", "veth", "peer", "name", "wan0p"]);
    let (_, report) = doctor(&world, &["wan0"]);
    let findings = report["interfaces"][0]["findings"].as_array().unwrap().iter();
    let bad: Vec<&Value> = findings.filter(|one| one["severity"] != "ok").collect();
    let checks: Vec<&str> = bad.iter().map(|one| one["check"].as_str().unwrap()).collect();
    assert!(["device", "rxvlan", "peer"].iter().all(|check| checks.contains(check)), "{checks:?}");
    for found in bad {
        tool(&world, &found["remedy"].as_str().unwrap().split(' ').collect::<Vec<_>>());
    }
    let (code, report) = doctor(&world, &["wan0"]);
    assert_eq!(code, 0);
    for found in report["interfaces"][0]["findings"].as_array().unwrap() {
        assert_eq!(found["severity"], "ok", "{found}");
    }
}

#[test]
fn a_peer_that_cannot_be_seen_is_unknown_and_never_fine() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let outside = world.namespace("out");
    let held = std::fs::File::open(format!("/run/netns/{outside}")).unwrap();
    // Without its name, and without a process, only this descriptor keeps the namespace.
    ip(&["netns", "del", &outside]);
    let (_, report) = doctor(&world, &["wan0"]);
    let peer = finding(&report, "peer");
    assert_eq!((&peer["unknown"], &peer["severity"]), (&true.into(), &"warning".into()), "{peer}");
    drop(held);
}

#[test]
fn what_a_peer_elsewhere_does_is_told_with_a_command_that_ends_it() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let (_, report) = doctor(&world, &["wan0"]);
    let peer = finding(&report, "peer");
    assert!(peer["what"].as_str().unwrap().starts_with("wan0p, the other end, has "), "{peer}");
    let remedy = peer["remedy"].as_str().unwrap();
    let entered = format!("nsenter --net=/run/netns/{} ethtool -K wan0p ", world.namespace("out"));
    assert!(remedy.starts_with(&entered), "{remedy}");
    tool(&world, &remedy.split(' ').collect::<Vec<_>>());
    let (_, report) = doctor(&world, &["wan0"]);
    assert_eq!(finding(&report, "peer")["severity"], "ok");
}

/// The kernel refuses native XDP on a veth that receives with fewer queues than the other end sends from.
#[test]
fn too_few_queues_rule_native_out_as_the_kernel_does() {
    let Some(world) = World::new(&[]) else { return };
    let gateway = world.namespace("gw");
    let words = ["link", "add", "wan0", "numrxqueues", "1", "type", "veth", "peer", "name", "wan0p"];
    ip(&[&["-n", &gateway], &words[..], &["numtxqueues", "2"]].concat());
    tool(&world, &["ethtool", "-L", "wan0p", "tx", "2"]);
    let (code, report) = doctor(&world, &["wan0"]);
    assert_eq!((code, &report["interfaces"][0]["modes"][0]), (0, &"generic".into()), "{report:#}");
    let native = world.policy("a.yaml", &MINIMUM.replace("wan0:", "wan0: { mode: native }"));
    let said = world.perimeter(&["apply", &native, "--yes"]);
    assert!(said.code == 1 && said.err.contains("native XDP was refused"), "{said:?}");
    let remedy = report["interfaces"][0]["findings"].as_array().unwrap().iter();
    let remedy =
        remedy.filter(|one| one["check"] == "queues").find_map(|one| one["remedy"].as_str()).unwrap();
    tool(&world, &remedy.split(' ').collect::<Vec<_>>());
    assert_eq!(doctor(&world, &["wan0"]).1["interfaces"][0]["modes"][0], "native");
    world.ok(&["apply", &native, "--yes"]);
}

#[test]
fn a_driver_without_native_xdp_is_known_before_it_is_tried() {
    let Some(world) = World::new(&[]) else { return };
    ip(&["-n", &world.namespace("gw"), "link", "add", "wan0", "type", "vxlan", "id", "5", "dstport", "4789"]);
    let (code, report) = doctor(&world, &["wan0"]);
    assert_eq!((code, &report["interfaces"][0]["modes"][0]), (0, &"generic".into()), "{report:#}");
    assert_eq!(finding(&report, "xdp")["excludes"], serde_json::json!(["native"]));
}

#[test]
fn somebody_elses_program_rules_xdp_out() {
    let Some(world) = World::new(&["wan0"]) else { return };
    // Another instance of perimeter is as foreign as any other program.
    let other = World::new(&[]).unwrap();
    let said = world.perimeter_at(&other.places(), &["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    let (_, report) = doctor(&world, &["wan0"]);
    let attached = finding(&report, "attached");
    assert!(attached["what"].as_str().unwrap().contains("\"perimeter\""), "{attached}");
    let modes = report["interfaces"][0]["modes"].as_array().unwrap();
    assert!(!modes.contains(&"native".into()) && !modes.contains(&"generic".into()), "{modes:?}");
}

#[test]
fn who_else_judges_the_frames_is_named() {
    let Some(world) = World::new(&["wan0"]) else { return };
    tool(&world, &["tc", "qdisc", "add", "dev", "wan0", "clsact"]);
    let chain = "table netdev edge { chain in { type filter hook ingress device wan0 priority -500; }; }";
    tool(&world, &["nft", chain]);
    tool(&world, &["nft", "add table inet firewalld"]);
    let (code, report) = doctor(&world, &["wan0"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(finding(&report, "tc")["what"], "at tc's ingress: clsact");
    let what = finding(&report, "ingress")["what"].as_str().unwrap();
    assert_eq!(what, "nftables chains on it: netdev edge in (priority -500)");
    let others = report["host"].as_array().unwrap().iter().find(|one| one["check"] == "firewalls").unwrap();
    let what = others["what"].as_str().unwrap();
    assert!(what.contains("netdev edge") && what.contains("inet firewalld"), "{what}");
}

#[test]
fn a_device_that_is_not_there_or_not_ethernet_is_a_stop() {
    let Some(world) = World::new(&["wan0"]) else { return };
    ip(&["-n", &world.namespace("gw"), "tuntap", "add", "tun0", "mode", "tun"]);
    for (name, words) in [("tun0", "no Ethernet frames (ARPHRD 65534)"), ("wan9", "no such device")] {
        let (code, report) = doctor(&world, &[name]);
        let device = finding(&report, "device");
        assert_eq!((code, &device["severity"]), (2, &"stop".into()), "{report:#}");
        assert!(device["what"].as_str().unwrap().contains(words), "{device}");
    }
    let (_, report) = doctor(&world, &["wan9", "wan0"]);
    assert_eq!(report["interfaces"][1]["modes"][0], "native", "one does not spoil the other");
    // Left out, the interfaces are the Ethernet devices: neither tun0 nor lo.
    let (_, report) = doctor(&world, &[]);
    let names: Vec<&Value> =
        report["interfaces"].as_array().unwrap().iter().map(|one| &one["interface"]).collect();
    assert!(names.contains(&&"wan0".into()) && !names.iter().any(|name| **name == "tun0" || **name == "lo"));
}

#[test]
fn a_private_or_missing_bpffs_is_a_stop() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let places = world.places();
    let program = env!("CARGO_BIN_EXE_perimeter");
    let doctor = format!("{program} --state-dir {} --bpffs /sys/fs/bpf/perimeter doctor wan0", places[1]);
    let inside = format!("mount -t bpf bpf /sys/fs/bpf && {doctor}");
    let output = Command::new("ip")
        .args(["netns", "exec", &world.namespace("gw"), "sh", "-c", &inside])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is private to this shell") && text.contains("$ nsenter --net="), "{text}");
    let elsewhere = [&places[..2], &["--bpffs".into(), "/tmp/perimeter".into()]].concat();
    let Said { code, out, .. } = world.perimeter_at(&elsewhere, &["doctor", "wan0"]);
    assert!(code == 2 && out.contains("does not lie on a bpf file system"), "{out}");
}

/// Without rights much is unknown, and the first finding says what to do.
#[test]
fn without_rights_it_says_what_is_missing() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let output = world.within("gw", || {
        let program = env!("CARGO_BIN_EXE_perimeter");
        let words = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", program];
        Command::new("setpriv").args(words).args(["doctor", "--json", "wan0"]).output().unwrap()
    });
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ready"]), (Some(2), &false.into()), "{report:#}");
    assert_eq!(report["host"][0]["check"], "rights");
    assert_eq!(report["host"][0]["remedy"], "sudo perimeter doctor");
}
