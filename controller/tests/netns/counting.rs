//! Frames on the wire are counted to the packet and to the byte: received = passed + dropped + would_drop, under the rule
//! or reason that the contract names, across an apply, in native and in generic mode, under nftables, and in shadow mode.

use crate::world::{World, tagged, udp};
use pnet_datalink::DataLinkReceiver;
use serde_json::Value;

const RULES: &str = "
allow:
  - { id: web, service: udp/8000 }
  - { id: lan, vlan: 10, service: udp/8000 }
deny:
  - { id: bad, from: 203.0.113.66 }
";

fn policy(settings: &str) -> String {
    format!("version: 1\ninterfaces:\n  wan0: {{ vlans: [untagged, 10]{settings} }}\n{RULES}")
}

/// A frame, how often it is sent, and what it is counted as.
type Case = (&'static str, Vec<u8>, u64);

fn cases() -> Vec<Case> {
    let allowed = udp([192, 0, 2, 1], 8000);
    let mut cut = udp([192, 0, 2, 1], 8000);
    cut.truncate(30);
    vec![
        ("no_rule", udp([192, 0, 2, 1], 9999), 70),
        ("denied", udp([203, 0, 113, 66], 8000), 60),
        ("vlan_not_allowed", tagged(&allowed, 20), 50),
        ("martian", udp([127, 0, 0, 1], 8000), 40),
        ("truncated", cut, 30),
        ("web", allowed.clone(), 1000),
        ("web", tagged(&allowed, 10), 200),
    ]
}

fn send_all(world: &World) -> u64 {
    let cases = cases();
    cases.iter().for_each(|(_, frame, count)| world.send("wan0", frame, *count));
    cases.iter().map(|(_, _, count)| count).sum()
}

/// Packets and bytes sent that are counted under `name`, times `rounds`.
fn sent(name: &str, rounds: u64) -> (u64, u64) {
    cases().iter().filter(|case| case.0 == name).fold((0, 0), |(packets, bytes), (_, frame, count)| {
        (packets + rounds * count, bytes + rounds * count * frame.len() as u64)
    })
}

fn total(value: &Value) -> (u64, u64) {
    (value["packets"].as_u64().unwrap(), value["bytes"].as_u64().unwrap())
}

fn expect(counters: &Value, rounds: u64, verdict: &str) {
    for reason in ["no_rule", "denied", "vlan_not_allowed", "martian", "truncated"] {
        let reasons = counters["reasons"].as_array().unwrap();
        let found = reasons.iter().find(|one| one["reason"] == reason && one["verdict"] == verdict).unwrap();
        assert_eq!(total(found), sent(reason, rounds), "{reason} in {counters:#}");
    }
    let rule = |id: &str| {
        let rules = counters["rules"].as_array().unwrap();
        total(rules.iter().find(|rule| rule["rule"] == id && rule["verdict"] == "pass").unwrap())
    };
    assert_eq!(rule("web"), sent("web", rounds), "{counters:#}");
    let part = |name: &str| total(&counters[name]);
    let sum =
        ["passed", "dropped", "would_drop"].map(part).into_iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert_eq!(part("received"), sum, "{counters:#}");
}

/// What went through is what is allowed.
fn only_allowed(witness: &mut dyn DataLinkReceiver) {
    let mut seen = 0;
    while let Ok(frame) = witness.next() {
        let port = frame.len() > 37 && frame[12..14] == [8, 0] && frame[36..38] == 8000u16.to_be_bytes();
        assert!(port || frame[12..14] != [8, 0], "a dropped frame went through: {frame:02x?}");
        seen += u64::from(port);
    }
    assert!(seen > 0, "nothing went through");
}

/// Where frames are judged.
#[derive(PartialEq)]
enum Judged {
    BeforeTaps,
    /// What a tap sees says nothing of what is dropped.
    BehindTaps,
}

fn counts_exactly(settings: &str, judged: &Judged) {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", &policy(settings)), "--yes"]);
    let (_, mut witness) = world.channel("gw", "wan0");
    let frames = send_all(&world);
    expect(&world.settled("wan0", frames), 1, "drop");
    if *judged == Judged::BeforeTaps {
        only_allowed(&mut *witness);
    }
    let more = policy(settings) + "  - { id: worse, from: 203.0.113.67 }\n";
    world.ok(&["apply", &world.policy("b.yaml", &more), "--yes"]);
    let frames = frames + send_all(&world);
    expect(&world.settled("wan0", frames), 2, "drop");
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert_eq!(world.json(&["counters"])["interfaces"].as_array().unwrap().len(), 0);
}

#[test]
fn native_mode_counts_every_frame() {
    counts_exactly(", mode: native", &Judged::BeforeTaps);
}

#[test]
fn generic_mode_counts_every_frame() {
    counts_exactly(", mode: generic", &Judged::BeforeTaps);
}

#[test]
fn nftables_counts_every_frame() {
    counts_exactly(", mode: nft", &Judged::BehindTaps);
}

#[test]
fn shadow_mode_passes_everything_and_counts_what_it_would_drop() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", &policy(", enforce: false")), "--yes"]);
    let (_, mut witness) = world.channel("gw", "wan0");
    let frames = send_all(&world);
    let counters = world.settled("wan0", frames);
    expect(&counters, 1, "would_drop");
    assert_eq!(total(&counters["dropped"]), (0, 0));
    let mut through = 0;
    while let Ok(frame) = witness.next() {
        through += u64::from(frame.len() > 37 && frame[36..38] == 9999u16.to_be_bytes());
    }
    assert_eq!(through, 70, "shadow mode drops nothing");
    assert!(world.ok(&["status"]).contains("shadow mode"), "status says that nothing is dropped");
}

#[test]
fn one_rule_can_be_asked_for() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", &policy("")), "--yes"]);
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
    world.settled("wan0", 5);
    let rules = world.json(&["counters", "--rule", "web"]);
    assert_eq!(rules["rules"][0]["packets"], 5, "{rules}");
    let said = world.perimeter(&["counters", "--rule", "wep"]);
    assert_eq!((said.code, said.err.contains("did you mean \"web\"?")), (1, true), "{said:?}");
}
