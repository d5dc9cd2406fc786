//! Devices vanish, return under their name, and move between network namespaces: it is told, and mended by an apply.

use crate::world::{World, ip, udp};

fn policy(mode: &str) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: {{ mode: {mode} }} }}\nallow: [{{ id: web, service: udp/8000 }}]\n"
    )
}

/// Applies, and finds everything as it was left and judged.
fn mended(world: &World, policy: &str) {
    world.ok(&["apply", policy, "--yes"]);
    assert_eq!(world.json(&["status"])["in_sync"], true);
    let before = world.counters("wan0")["dropped"]["packets"].as_u64().unwrap();
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 5);
    let dropped = world.settled("wan0", before + 5)["dropped"]["packets"].as_u64().unwrap();
    assert_eq!(dropped, before + 5);
}

#[test]
fn a_device_that_vanishes_is_told_and_judged_again_when_it_returns() {
    for mode in ["auto", "nft"] {
        let Some(world) = World::new(&["wan0"]) else { return };
        let policy = world.policy("a.yaml", &policy(mode));
        mended(&world, &policy);
        ip(&["-n", &world.namespace("gw"), "link", "del", "wan0"]);
        let gone = world.perimeter(&["status"]);
        assert!(gone.code == 2 && gone.out.contains("the device is gone"), "{mode}: {gone:?}");
        let plan = world.perimeter(&["plan", &policy]);
        assert!(plan.code == 1 && plan.err.contains("interface wan0 does not exist"), "{mode}: {plan:?}");
        world.add_pair("wan0");
        mended(&world, &policy);
    }
}

#[test]
fn a_device_that_leaves_the_namespace_is_told_and_is_judged_when_it_comes_back() {
    for mode in ["native", "nft"] {
        let Some(world) = World::new(&["wan0"]) else { return };
        let policy = world.policy("a.yaml", &policy(mode));
        mended(&world, &policy);
        let (gateway, outside) = (world.namespace("gw"), world.namespace("out"));
        ip(&["-n", &gateway, "link", "set", "wan0", "netns", &outside]);
        let left = world.perimeter(&["status"]);
        assert!(left.code == 2 && left.out.contains("the device is gone"), "{mode}: {left:?}");
        ip(&["-n", &outside, "link", "set", "wan0", "netns", &gateway]);
        ip(&["-n", &gateway, "link", "set", "wan0", "up"]);
        mended(&world, &policy);
    }
}
