//! Offloads that would falsify the frame, on the interface and on the other end of its veth pair, in whatever network
//! namespace that is: switched off, watched, restored.

use std::process::Command;

use crate::world::{World, ip, tagged, udp};

const MINIMUM: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";

fn ethtool(world: &World, side: &str, words: &[&str]) -> String {
    let run = || Command::new("ethtool").args(words).output().expect("ethtool is installed");
    let output = world.within(side, run);
    assert!(output.status.success(), "ethtool {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The device, the side it is on, its feature, and how the plan names that.
const TAGS: [(&str, &str, &str, &str); 4] = [
    ("wan0", "gw", "rx-vlan-offload", "rxvlan"),
    ("wan0", "gw", "rx-vlan-stag-hw-parse", "rx-vlan-stag-hw-parse"),
    ("wan0p", "out", "tx-vlan-offload", "txvlan of the veth peer"),
    ("wan0p", "out", "tx-vlan-stag-hw-insert", "tx-vlan-stag-hw-insert of the veth peer"),
];

#[test]
fn they_are_switched_off_watched_and_restored_on_both_ends() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let all_are = |state: &str| {
        for (device, side, feature, _) in TAGS {
            let says = ethtool(&world, side, &["-k", device]);
            assert!(says.contains(&format!("{feature}: {state}\n")), "{feature} is not {state}: {says}");
        }
    };
    all_are("on");
    let policy = world.policy("a.yaml", MINIMUM);
    let plan = world.ok(&["plan", &policy]);
    world.ok(&["apply", &policy, "--yes"]);
    all_are("off");
    for (device, side, feature, name) in TAGS {
        assert!(plan.contains(&format!("offload {name}: on -> off")), "{name} is not in {plan}");
        ethtool(&world, side, &["-K", device, feature, "on"]);
        let status = world.perimeter(&["status"]);
        assert!(status.code == 2 && status.out.contains(&format!("{name} is on again")), "{status:?}");
        assert!(world.ok(&["apply", &policy, "--yes"]).contains("the generation in force stays"));
    }
    assert_eq!(world.json(&["status"])["interfaces"][0]["generation"], 1);
    // A boot's command mends them as well.
    ethtool(&world, "gw", &["-K", "wan0", "rx-vlan-offload", "on"]);
    world.ok(&["restore"]);
    all_are("off");
    assert_eq!(world.json(&["status"])["interfaces"][0]["generation"], 1);
    let said = world.ok(&["detach", "--yes", "--allow-open"]);
    assert!(TAGS.iter().all(|(_, _, _, name)| said.contains(name)), "{said}");
    all_are("on");
}

/// A bridge takes the tag of what it forwards out of the frame; a device with txvlan leaves it there.
fn send_through_a_bridge(world: &World, frame: &[u8], count: u64) {
    let outside = world.namespace("out");
    ip(&[
        "link", "add", "lan0", "netns", &outside, "type", "veth", "peer", "name", "lan0p", "netns", &outside,
    ]);
    ip(&["-n", &outside, "link", "add", "br0", "type", "bridge"]);
    for port in ["lan0", "wan0p"] {
        ip(&["-n", &outside, "link", "set", port, "master", "br0"]);
    }
    for device in ["lan0", "lan0p", "br0"] {
        ip(&["-n", &outside, "link", "set", device, "up"]);
    }
    let (mut sender, _) = world.channel("out", "lan0p");
    (0..count).for_each(|_| crate::world::send(&mut *sender, frame));
}

fn reason(counters: &serde_json::Value, reason: &str) -> u64 {
    let reasons = counters["reasons"].as_array().unwrap();
    let found = reasons.iter().find(|one| one["reason"] == reason && one["verdict"] == "drop").unwrap();
    found["packets"].as_u64().unwrap()
}

#[test]
fn a_tag_beside_the_frame_is_never_judged_as_untagged() {
    for mode in ["native", "generic"] {
        let Some(world) = World::new(&["wan0"]) else { return };
        let text = MINIMUM.replace("wan0:", &format!("wan0: {{ mode: {mode} }}"));
        world.ok(&["apply", &world.policy("a.yaml", &text), "--yes"]);
        send_through_a_bridge(&world, &tagged(&udp([192, 0, 2, 1], 8000), 10), 20);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while reason(&world.counters("wan0"), "vlan_not_allowed") < 20 {
            assert!(std::time::Instant::now() < deadline, "{mode}: {:#}", world.counters("wan0"));
        }
        assert_eq!(world.counters("wan0")["passed"]["packets"], 0, "{mode}");
    }
}

/// Goal: no device's frames are judged without the tag that the kernel took out before: generic XDP is refused there.
/// Method: a bridge as the policy's interface, tagged and untagged frames to one of its ports.
#[test]
fn generic_xdp_is_refused_where_the_tag_is_taken_out_before() {
    let Some(world) = World::new(&["port"]) else { return };
    let gateway = world.namespace("gw");
    ip(&["-n", &gateway, "link", "add", "wan0", "type", "bridge"]);
    ip(&["-n", &gateway, "link", "set", "port", "master", "wan0"]);
    ip(&["-n", &gateway, "link", "set", "wan0", "up"]);
    let generic = world.policy("a.yaml", &MINIMUM.replace("wan0:", "wan0: { mode: generic }"));
    let said = world.perimeter(&["apply", &generic, "--yes"]);
    assert!(said.code == 1 && said.err.contains("whose outer tag the kernel has taken out"), "{said:?}");
    let out = world.ok(&["apply", &world.policy("b.yaml", MINIMUM), "--yes"]);
    assert!(out.contains("(nftables, rules: ") && out.contains("would pass as untagged"), "{out}");
    let mut frame = udp([192, 0, 2, 1], 8000);
    // To everyone, so that the bridge takes it up.
    frame[..6].fill(0xff);
    world.send("port", &tagged(&frame, 10), 20);
    world.send("port", &frame, 30);
    let counted = || {
        let counters = world.counters("wan0");
        (reason(&counters, "vlan_not_allowed"), counters["passed"]["packets"].as_u64().unwrap())
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while counted() != (20, 30) {
        assert!(std::time::Instant::now() < deadline, "{:?}", counted());
    }
}

#[test]
fn an_end_that_cannot_be_seen_is_refused() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let outside = world.namespace("out");
    let held = std::fs::File::open(format!("/run/netns/{outside}")).unwrap();
    // Without its name, and without a process, only this descriptor keeps the namespace.
    ip(&["netns", "del", &outside]);
    let said = world.perimeter(&["plan", &world.policy("a.yaml", MINIMUM)]);
    assert!(said.code == 1 && said.err.contains("the offloads of its other end cannot be read"), "{said:?}");
    assert!(said.err.contains("ip netns attach"), "{said:?}");
    drop(held);
}

#[test]
fn an_end_that_merges_packets_is_a_finding() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", MINIMUM);
    let plan = world.ok(&["plan", &policy]);
    assert!(plan.contains("wan0p, the other end of wan0, merges packets (tx-tcp-segmentation"), "{plan}");
    ethtool(&world, "out", &["-K", "wan0p", "tso", "off", "gso", "off", "tx-udp-segmentation", "off"]);
    assert!(!world.ok(&["plan", &policy]).contains("merges packets"));
    ethtool(&world, "out", &["-K", "wan0p", "tx-udp-segmentation", "on"]);
    assert!(world.ok(&["plan", &policy]).contains("merges packets (tx-udp-segmentation)"));
    let generic = world.policy("b.yaml", &MINIMUM.replace("wan0:", "wan0: { mode: generic }"));
    world.ok(&["apply", &generic, "--yes"]);
    let told = world.ok(&["plan", &generic, "--detailed-exitcode"]);
    let command = format!("`nsenter --net=/run/netns/{} ethtool -K wan0p tso", world.namespace("out"));
    assert!(told.starts_with("No changes.") && told.contains(&command), "{told}");
    assert!(world.ok(&["status"]).contains(&command));
}
