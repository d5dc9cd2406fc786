//! A last day that passes while a policy is in force: no change, no drift, and nothing comes back.

use std::process::Command;

use crate::world::{World, udp};

const POLICY: &str = "version: 1
interfaces: { wan0: { mode: MODE } }
allow:
  - { id: web, service: udp/8000 }
  - { id: visitors, service: udp/8001, expires: 2099-12-31 }
deny:
  - { id: bad, from: 10.9.0.0/16, expires: 2099-12-31 }
";

#[test]
fn the_same_policy_after_a_last_day_is_no_change() {
    for mode in ["native", "nft"] {
        let Some(world) = World::new(&["wan0"]) else { return };
        let policy = world.policy("a.yaml", &POLICY.replace("MODE", mode));
        let first = world.ok(&["plan", &policy]);
        assert!(first.contains("! visitors ends with 2099-12-31 (UTC): from then on the kernel"), "{first}");
        assert!(first.contains("! deny rule bad ends with 2099-12-31 (UTC): from then on what"), "{first}");
        world.ok(&["apply", &policy, "--yes"]);
        let after = world.perimeter(&["plan", &policy, "--at", "2100-01-01", "--detailed-exitcode"]);
        assert!(after.code == 0 && after.out.starts_with("No changes."), "{after:?}");
        assert!(after.out.contains("= wan0: rule visitors has expired (last day 2099-12-31)"), "{after:?}");
        // A change counts from what frames meet then.
        let shorter = world.policy("b.yaml", &POLICY.replace("MODE", mode).replace("8000", "8002"));
        let changed = world.ok(&["plan", &shorter, "--at", "2100-01-01"]);
        assert!(changed.contains("~ web") && changed.contains("0 removed"), "{changed}");
        assert_eq!(world.json(&["status"])["in_sync"], true);
    }
}

/// The map that holds the clock of the program of `wan0`.
fn clock(world: &World) -> String {
    let bpftool = |args: &[&str]| -> serde_json::Value {
        let output = Command::new("bpftool").arg("-j").args(args).output().expect("bpftool is installed");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let program = bpftool(&["prog", "show", "pinned", &world.pin("wan0", "program")]);
    let maps = program["map_ids"].as_array().unwrap().iter().map(ToString::to_string);
    let is_clock = |id: &String| bpftool(&["map", "show", "id", id])["name"] == "CLOCK";
    maps.into_iter().find(is_clock).expect("rules of the program expire")
}

#[test]
fn a_clock_that_was_ahead_is_told_and_nothing_comes_back_by_itself() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", &POLICY.replace("MODE", "native"));
    world.ok(&["apply", &policy, "--yes"]);
    world.send("wan0", &udp([192, 0, 2, 5], 8001), 1);
    assert_eq!(world.settled("wan0", 1)["passed"]["packets"], 1);
    // As if the clock had been in 2100: one instant has passed, and the next frame is to look at the time.
    let next_and_offset = ["0"; 16];
    let epoch = ["1", "0", "0", "0", "0", "0", "0", "0"];
    let map = clock(&world);
    let update = ["map", "update", "id", &map, "key", "0", "0", "0", "0", "value"];
    let status = Command::new("bpftool").args(update).args(next_and_offset).args(epoch).status().unwrap();
    assert!(status.success());
    world.send("wan0", &udp([192, 0, 2, 5], 8001), 3);
    let counters = world.settled("wan0", 4);
    assert_eq!(counters["passed"]["packets"], 1, "what has ended stays so: {counters}");
    let status = world.perimeter(&["status"]);
    let says = "the clock was ahead, so that rules have ended before their time: bad, visitors; apply again";
    assert!(status.code == 2 && status.out.contains(says), "{status:?}");
    world.ok(&["apply", &policy, "--yes"]);
    assert_eq!(world.json(&["status"])["in_sync"], true);
    world.send("wan0", &udp([192, 0, 2, 5], 8001), 1);
    assert_eq!(world.settled("wan0", 5)["passed"]["packets"], 2);
}
