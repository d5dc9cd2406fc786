//! Devices are renamed under enforcement: it stays with the device, and ends only when the plan says so.

use crate::world::{World, ip, udp};

const MINIMUM: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";

fn rename(world: &World, from: &str, to: &str) {
    let gateway = world.namespace("gw");
    ip(&["-n", &gateway, "link", "set", from, "down"]);
    ip(&["-n", &gateway, "link", "set", from, "name", to]);
    ip(&["-n", &gateway, "link", "set", to, "up"]);
}

/// `wan0` is enforced, then renamed to `old0`; its peer is still `wan0p`.
fn renamed() -> Option<World> {
    let world = World::new(&["wan0"])?;
    world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    rename(&world, "wan0", "old0");
    Some(world)
}

#[test]
fn a_renamed_device_is_enforced_as_before_and_named() {
    let Some(world) = renamed() else { return };
    let said = world.perimeter(&["status"]);
    assert!(said.code == 2 && said.out.contains("that one is called old0 now"), "{said:?}");
    assert!(said.out.contains("old0   enforcing   native XDP   generation 1"), "{said:?}");
    let refused = world.perimeter(&["plan", &world.policy("a.yaml", MINIMUM)]);
    for told in [&said.out, &refused.err] {
        assert!(told.contains("rename it back (`ip link set old0 name wan0`)"), "{told}");
    }
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 5);
    assert_eq!(world.settled("wan0", 5)["dropped"]["packets"], 5, "it is judged under its new name");
}

#[test]
fn a_policy_that_names_the_new_name_takes_it_over_between_two_frames() {
    let Some(world) = renamed() else { return };
    let policy = world.policy("b.yaml", &MINIMUM.replace("wan0:", "old0:"));
    let plan = world.json(&["plan", &policy]);
    assert_eq!(
        (&plan["interfaces"][0]["step"], &plan["opens"]),
        (&"replace".into(), &false.into()),
        "{plan}"
    );
    world.ok(&["apply", &policy, "--yes"]);
    let status = world.json(&["status"]);
    assert_eq!((&status["in_sync"], status["interfaces"].as_array().unwrap().len()), (&true.into(), 1));
    let said = world.ok(&["detach", "--interface", "old0", "--yes", "--allow-open"]);
    assert!(said.contains("on again: rxvlan"), "its offloads were remembered: {said}");
    assert_eq!(world.perimeter(&["status"]).out, "No interface is enforced in this network namespace.\n");
}

#[test]
fn another_device_of_the_old_name_does_not_end_it_silently() {
    let Some(world) = renamed() else { return };
    let gateway = world.namespace("gw");
    ip(&[
        "link", "add", "wan0", "netns", &gateway, "type", "veth", "peer", "name", "new0p", "netns", &gateway,
    ]);
    ip(&["-n", &gateway, "link", "set", "wan0", "up"]);
    let policy = world.policy("a.yaml", MINIMUM);
    let said = world.perimeter(&["apply", &policy, "--yes"]);
    assert!(said.code == 1 && said.err.contains("--allow-open"), "{said:?}");
    assert!(said.out.starts_with("! old0 will no longer be enforced"), "{said:?}");
    // Both stand side by side where the policy names both.
    let both = world.policy("b.yaml", &MINIMUM.replace("wan0:", "wan0: , old0:"));
    world.ok(&["apply", &both, "--yes"]);
    let status = world.json(&["status"]);
    assert_eq!((&status["in_sync"], status["interfaces"].as_array().unwrap().len()), (&true.into(), 2));
    world.ok(&["apply", &policy, "--yes", "--allow-open"]);
    let status = world.json(&["status"]);
    assert_eq!((&status["in_sync"], &status["interfaces"][0]["interface"]), (&true.into(), &"wan0".into()));
    assert_eq!(status["interfaces"].as_array().unwrap().len(), 1);
}

#[test]
fn devices_that_swap_their_names_keep_what_judges_them() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let text = MINIMUM.replace("wan0:", "wan0: , wan1: { enforce: false }");
    let policy = world.policy("a.yaml", &text);
    world.ok(&["apply", &policy, "--yes"]);
    for (from, to) in [("wan0", "spare"), ("wan1", "wan0"), ("spare", "wan1")] {
        rename(&world, from, to);
    }
    let shadow = |name: &str| {
        let status = world.perimeter(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        let all = status["interfaces"].as_array().unwrap();
        let one = all.iter().find(|one| one["interface"] == name).unwrap();
        (one["in_sync"].as_bool().unwrap(), one["shadow"].as_bool().unwrap())
    };
    assert_eq!((shadow("wan0"), shadow("wan1")), ((false, true), (false, false)));
    // What was enforced as wan0 becomes the shadow.
    world.ok(&["apply", &policy, "--yes", "--allow-open"]);
    assert_eq!((shadow("wan0"), shadow("wan1")), ((true, false), (true, true)));
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert_eq!(world.perimeter(&["status"]).out, "No interface is enforced in this network namespace.\n");
}
