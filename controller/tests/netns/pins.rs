//! Pins that somebody removes or replaces under enforcement: the kernel keeps what a program holds, so that it is told, read
//! all the same, and pinned again by the next apply, with every count.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use perimeter::backend::xdp::sys::{self, MapSpec};
use serde_json::Value;

use crate::serve::{Agent, enforced};
use crate::world::{World, udp};

const POLICY: &str =
    "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000, log: true }]\n";

/// What is pinned beside the link, and needed.
const PINS: [&str; 7] =
    ["counter-keys", "cpu_counters", "events", "gates", "marks", "reader", "interfaces/wan0/program"];

/// How many frames that pass go with one that is dropped.
const PASSED: u64 = 3;

impl World {
    /// The file of a pin of wan0's instance.
    fn pinned(&self, name: &str) -> PathBuf {
        let link = self.pin("wan0", "link");
        Path::new(&link).ancestors().nth(3).unwrap().join(name)
    }

    /// Sends frames into wan0 and waits until `rounds` of these have been counted in all; nothing else may have been.
    fn round(&self, rounds: u64) {
        self.send("wan0", &udp([192, 0, 2, 1], 8000), PASSED);
        self.send("wan0", &udp([192, 0, 2, 1], 9999), 1);
        self.assert_counted(rounds);
    }

    fn assert_counted(&self, rounds: u64) {
        let counters = self.settled("wan0", (PASSED + 1) * rounds);
        let passed = PASSED * rounds;
        assert_eq!(counters["received"]["packets"], (PASSED + 1) * rounds, "{counters}");
        assert_eq!(counters["passed"]["packets"], passed, "{counters}");
        let web = counters["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == "web");
        assert_eq!(web.unwrap()["packets"], passed, "{counters}");
    }

    /// That `status` and `plan` tell of this drift, and nothing is untrue meanwhile.
    fn assert_told(&self, policy: &str, drift: &str, rounds: u64) {
        let said = self.perimeter(&["status"]);
        assert!(said.code == 2 && said.out.contains(&format!("! {drift}; apply again")), "{drift}: {said:?}");
        assert!(said.out.contains(&format!("passed {}", PASSED * rounds)), "{said:?}");
        let status = self.status_now();
        assert_eq!((&status["in_sync"], &status["interfaces"][0]["enforced"]), (&false.into(), &true.into()));
        assert_eq!(status["interfaces"][0]["drift"].as_array().unwrap().len(), 1, "{status}");
        let plan = self.perimeter(&["plan", policy, "--detailed-exitcode"]);
        assert!(plan.code == 2 && plan.out.contains(&format!("! {drift}: it is made anew")), "{plan:?}");
        let report = self.json(&["report"]);
        assert_eq!(report["interfaces"][0]["counters"]["received"]["packets"], (PASSED + 1) * rounds);
    }

    /// How many events were told, and not.
    fn events(&self) -> Value {
        self.status_now()["events"].clone()
    }

    /// What `status` says, whatever its exit status.
    fn status_now(&self) -> Value {
        let said = self.perimeter(&["status", "--json"]);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"))
    }

    /// Puts another map, of the same layout, where one is pinned.
    fn replace_map(&self, name: &str) {
        let path = self.pinned(name);
        let info = sys::map_info(sys::open_pin(&path).unwrap().as_fd()).unwrap();
        let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
        assert_eq!(info.kind, kind as u32);
        let (value_size, entries) = (info.value_size, info.entries);
        // BPF_F_MMAPABLE, as the counters.
        let other = sys::map_create(MapSpec { name: &info.name, kind, value_size, entries, flags: 1 << 10 });
        fs::remove_file(&path).unwrap();
        sys::pin(other.unwrap().as_fd(), &path).unwrap();
    }
}

/// Goal: each pin that is gone is told by name, no figure is untrue meanwhile, and an apply of the same policy mends it with
/// every count. Method: each is removed in turn, with frames before, meanwhile and after.
#[test]
fn a_pin_that_is_gone_is_told_and_mended() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", POLICY);
    world.ok(&["apply", &policy, "--yes"]);
    let other = world.policy("b.yaml", &POLICY.replace("8000", "8000-8001"));
    for policy in [&other, &policy] {
        world.ok(&["apply", policy, "--yes"]);
    }
    let clean = world.remains();
    world.round(1);
    for (name, rounds) in PINS.iter().zip((1..).step_by(2)) {
        let path = world.pinned(name);
        let events = world.events();
        fs::remove_file(&path).unwrap();
        world.assert_told(&policy, &format!("the pin {} is gone", path.display()), rounds);
        assert_eq!(world.events(), events, "{name}");
        world.round(rounds + 1);
        world.ok(&["apply", &policy, "--yes"]);
        assert_eq!(world.json(&["status"])["in_sync"], true, "{name}");
        assert_eq!(world.remains(), clean, "{name}");
        world.round(rounds + 2);
        assert!(world.ok(&["apply", &policy, "--yes"]).contains("No changes."), "{name}");
    }
}

/// Goal: a pin of another map, or of another program, is told, and nothing is read from it or counted there after an apply.
#[test]
fn a_pin_of_something_else_is_told_and_mended() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", POLICY);
    world.ok(&["apply", &policy, "--yes"]);
    world.round(1);
    for (name, rounds) in ["cpu_counters", "marks"].iter().zip(1..) {
        world.replace_map(name);
        let path = world.pinned(name);
        let drift = format!("the pin {} is of another map than the one in use", path.display());
        world.assert_told(&policy, &drift, rounds);
        world.ok(&["apply", &policy, "--yes"]);
        world.round(rounds + 1);
    }
    let (program, previous) = (world.pin("wan0", "program"), world.pin("wan0", "previous"));
    fs::rename(&previous, &program).unwrap();
    let drift = format!("the pin {program} is of another program than the one that runs");
    world.assert_told(&policy, &drift, 3);
    world.ok(&["apply", &policy, "--yes"]);
    assert_eq!(world.json(&["status"])["in_sync"], true);
    world.assert_counted(3);
}

/// Goal: an apply of another policy takes up what the program holds, also where it ends that program; no rule is credited with
/// what another has counted.
#[test]
fn another_policy_keeps_what_was_counted() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    world.round(1);
    let changed = "allow: [{ id: new, service: udp/7000 }, { id: web,";
    let changed = POLICY.replace("allow: [{ id: web,", changed);
    let gone = || PINS.map(|name| fs::remove_file(world.pinned(name)).unwrap());
    gone();
    world.ok(&["apply", &world.policy("b.yaml", &changed), "--yes"]);
    world.assert_counted(1);
    world.round(2);
    assert_eq!(world.json(&["counters", "--rule", "new"])["rules"][0]["packets"], 0);
    gone();
    world.ok(&["apply", &world.policy("c.yaml", &changed.replace("wan0:", "wan0: { mode: nft }")), "--yes"]);
    world.assert_counted(2);
    world.round(3);
}

#[test]
fn the_agent_tells_it_at_once() {
    let text = POLICY.replace("wan0:", "wan0: , lan0:");
    let Some(world) = enforced(&text) else { return };
    let agent = Agent::start(&world, &[]);
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200);
    world.round(1);
    let path = world.pinned("cpu_counters");
    fs::remove_file(&path).unwrap();
    let all = agent.scrape(&world);
    assert_eq!(all["perimeter_policy_in_sync"], 0.0);
    assert_eq!(all["perimeter_enforced{interface=\"wan0\"}"], 1.0);
    let passed = "perimeter_packets_total{interface=\"wan0\",verdict=\"pass\",reason=\"\"}";
    assert_eq!(all[passed], PASSED as f64);
    let (status, why) = agent.get(&world, "/readyz", &[]);
    assert!(status == 503 && why.contains(&path.display().to_string()), "{status} {why}");
    world.ok(&["apply", &world.policy("a.yaml", &text), "--yes"]);
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200);
    assert_eq!(agent.scrape(&world)[passed], PASSED as f64);
}
