//! What changes around an interface while it is enforced: told without being taken for drift, and without a gap.

use std::process::Command;

use crate::world::{World, ip, udp};

const MINIMUM: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";

/// A UDP packet to port 8000 of so many bytes.
fn packet(bytes: usize) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([192, 0, 2, 1], [203, 0, 113, 10], 64)
        .udp(40_000, 8000);
    let mut frame = Vec::new();
    builder.write(&mut frame, &vec![0; bytes - 28]).unwrap();
    frame
}

/// Goal: an MTU that is changed under enforcement opens nothing and is told. Method: packets of 1,500 and of 3,000 bytes
/// after it was raised, by each engine; then the policy follows.
#[test]
fn an_mtu_that_is_raised_opens_nothing_and_is_told() {
    for mode in ["native", "generic", "nft"] {
        let Some(world) = World::new(&["wan0"]) else { return };
        // What the other end merges is a note of its own.
        let off = ["-K", "wan0p", "tso", "off", "gso", "off", "tx-udp-segmentation", "off"];
        let run = || Command::new("ethtool").args(off).status().unwrap();
        assert!(world.within("out", run).success());
        let text = MINIMUM.replace("wan0:", &format!("wan0: {{ mode: {mode}, accounting: none }}"));
        let policy = world.policy("a.yaml", &text);
        world.ok(&["apply", &policy, "--yes"]);
        assert_eq!(world.json(&["status"])["interfaces"][0]["notes"], serde_json::json!([]));
        ip(&["-n", &world.namespace("out"), "link", "set", "wan0p", "mtu", "9000"]);
        ip(&["-n", &world.namespace("gw"), "link", "set", "wan0", "mtu", "9000"]);
        let words = "its MTU is 9,000 and the policy's 1,500: larger packets are dropped as oversize";
        assert!(world.ok(&["status"]).contains(words), "{mode}: it is as it was left, and told");
        let plan = world.ok(&["plan", &policy]);
        assert!(plan.starts_with("No changes.") && plan.contains(&format!("! wan0: {words}")), "{plan}");
        world.send("wan0", &packet(3000), 10);
        world.send("wan0", &packet(1500), 10);
        let counters = world.settled("wan0", 20);
        assert_eq!(
            (&counters["passed"]["packets"], &counters["dropped"]["packets"]),
            (&10.into(), &10.into())
        );
        let larger = text.replace(&format!("mode: {mode}"), &format!("mode: {mode}, mtu: 9000"));
        let larger = world.policy("b.yaml", &larger);
        assert!(!world.ok(&["plan", &larger]).contains("its MTU is"), "{mode}: they agree then");
        world.ok(&["apply", &larger, "--yes"]);
        world.send("wan0", &packet(3000), 10);
        assert_eq!(world.settled("wan0", 30)["passed"]["packets"], 20, "{mode}");
        assert_eq!(world.json(&["status"])["interfaces"][0]["notes"], serde_json::json!([]));
    }
}

/// Goal: `mode: auto` tells when the driver would run XDP by itself by now. Method: a veth device whose other end sends from
/// more queues than it receives by does not; then from one.
#[test]
fn an_engine_that_has_come_to_be_had_is_told_and_taken_when_it_is_asked_for() {
    let Some(world) = World::new(&[]) else { return };
    let (gateway, outside) = (world.namespace("gw"), world.namespace("out"));
    ip(&[
        "link",
        "add",
        "wan0",
        "netns",
        &gateway,
        "numrxqueues",
        "1",
        "type",
        "veth",
        "peer",
        "name",
        "wan0p",
        "netns",
        &outside,
        "numtxqueues",
        "2",
    ]);
    ip(&["-n", &gateway, "link", "set", "wan0", "up"]);
    ip(&["-n", &outside, "link", "set", "wan0p", "up"]);
    let queues = |count: &str| {
        let run = || Command::new("ethtool").args(["-L", "wan0p", "tx", count]).status().unwrap();
        assert!(world.within("out", run).success());
    };
    queues("2");
    let auto = world.policy("a.yaml", MINIMUM);
    assert!(
        world.ok(&["apply", &auto, "--yes"]).contains("(generic XDP, rules: 1; native XDP was refused: ")
    );
    let words = "generic XDP judges, though native XDP could now: `mode: native` changes over without a gap";
    assert!(!world.ok(&["plan", &auto]).contains(words));
    queues("1");
    let plan = world.ok(&["plan", &auto]);
    assert!(plan.starts_with("No changes.") && plan.contains(&format!("! wan0: {words}")), "{plan}");
    assert!(world.ok(&["status"]).contains(words));
    let native = world.policy("b.yaml", &MINIMUM.replace("wan0:", "wan0: { mode: native }"));
    world.ok(&["apply", &native, "--yes"]);
    world.ok(&["apply", &auto, "--yes"]);
    let status = world.json(&["status"]);
    let one = &status["interfaces"][0];
    assert_eq!((&one["engine"], &one["notes"]), (&"native".into(), &serde_json::json!([])), "auto keeps it");
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
    assert_eq!(world.settled("wan0", 5)["passed"]["packets"], 5);
}
