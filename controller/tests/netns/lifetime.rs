//! What is enforced outlives the command, is never taken from others or given up silently, and is told truthfully.

use std::process::Command;

use crate::world::{World, ip, udp};

const MINIMUM: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";
const TWO: &str = "version: 1\ninterfaces: { wan0: , wan1: }\nallow: [{ id: web, service: udp/8000 }]\n";

fn bpftool(args: &[&str]) -> String {
    let output = Command::new("bpftool").args(args).output().expect("bpftool is installed");
    assert!(output.status.success(), "bpftool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Takes the program of an interface away, as somebody else would.
fn detach_behind_the_back(world: &World, interface: &str) {
    let path = world.pin(interface, "link");
    let link: serde_json::Value =
        serde_json::from_str(&bpftool(&["-j", "link", "show", "pinned", &path])).unwrap();
    bpftool(&["link", "detach", "id", &link["id"].to_string()]);
}

#[test]
fn applying_twice_changes_nothing_and_says_so() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", MINIMUM);
    let differs = world.perimeter(&["plan", &policy, "--detailed-exitcode"]);
    assert_eq!(differs.code, 2, "{differs:?}");
    world.ok(&["apply", &policy, "--yes"]);
    let again = world.ok(&["apply", &policy]);
    assert_eq!(again, "No changes. wan0 enforces generation 1 (native XDP), which is this policy.\n");
    assert_eq!(world.perimeter(&["plan", &policy, "--detailed-exitcode"]).code, 0);
    assert_eq!(world.json(&["status"])["in_sync"], true);
}

#[test]
fn without_an_answer_nothing_is_changed() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", MINIMUM);
    let said = world.perimeter(&["apply", &policy]);
    assert!(said.code == 1 && said.err.contains("--yes"), "{said:?}");
    assert_eq!(world.perimeter(&["status"]).code, 2);
}

#[test]
fn what_ends_enforcement_needs_to_be_allowed() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", TWO), "--yes"]);
    let shadow = MINIMUM.replace("wan0:", "wan0: { enforce: false }, wan1:");
    for change in [MINIMUM, &shadow] {
        let policy = world.policy("b.yaml", change);
        assert!(world.ok(&["plan", &policy]).starts_with("! wan"), "the first line says it");
        let said = world.perimeter(&["apply", &policy, "--yes"]);
        assert!(said.code == 1 && said.err.contains("--allow-open"), "{said:?}");
    }
    assert_eq!(world.perimeter(&["detach", "--yes"]).code, 1);
    assert_eq!(world.json(&["status"])["in_sync"], true, "nothing has changed");
    world.ok(&["apply", &world.policy("b.yaml", MINIMUM), "--yes", "--allow-open"]);
    let status = world.json(&["status"]);
    assert_eq!(status["interfaces"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["interfaces"][0]["generation"], 2);
}

#[test]
fn a_detach_behind_the_back_is_told_and_healed() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", MINIMUM);
    world.ok(&["apply", &policy, "--yes"]);
    detach_behind_the_back(&world, "wan0");
    let status = world.perimeter(&["status"]);
    assert!(status.code == 2 && status.out.contains("its program was detached"), "{status:?}");
    assert!(world.ok(&["plan", &policy]).contains("not enforced now: its program was detached"));
    world.ok(&["apply", &policy, "--yes"]);
    assert_eq!(world.json(&["status"])["interfaces"][0]["generation"], 2);
}

#[test]
fn a_device_made_anew_is_not_taken_for_the_old_one() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", MINIMUM);
    world.ok(&["apply", &policy, "--yes"]);
    ip(&["-n", &world.namespace("gw"), "link", "del", "wan0"]);
    let gone = world.perimeter(&["status"]);
    assert!(gone.code == 2 && gone.out.contains("the device is gone"), "{gone:?}");
    let said = world.perimeter(&["plan", &policy]);
    assert!(said.code == 1 && said.err.contains("interface wan0 does not exist"), "{said:?}");
    world.add_pair("wan0");
    assert_eq!(world.perimeter(&["status"]).code, 2);
    world.ok(&["apply", &policy, "--yes"]);
    assert_eq!(world.json(&["status"])["in_sync"], true);
}

#[test]
fn a_policy_whose_text_is_lost_is_shown_as_new() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    std::fs::remove_dir_all(format!("{}/generations", world.places()[1])).unwrap();
    let changed = world.policy("b.yaml", &MINIMUM.replace("8000", "8001"));
    let plan = world.ok(&["plan", &changed]);
    assert!(plan.contains("every rule is shown as new") && plan.contains("+ web"), "{plan}");
    world.ok(&["apply", &changed, "--yes"]);
    assert_eq!(world.json(&["status"])["interfaces"][0]["generation"], 2, "numbers only rise");
}

#[test]
fn somebody_elses_program_is_named_and_left_alone() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    // Another instance of perimeter is as foreign as any other program.
    let other = World::new(&[]).unwrap();
    let places = other.places();
    let policy = world.policy("a.yaml", MINIMUM);
    let said = world.perimeter_at(&places, &["apply", &policy, "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    for verb in ["plan", "apply"] {
        let said = world.perimeter(&[verb, &world.policy("b.yaml", TWO)]);
        assert!(said.code == 1 && said.err.contains("another XDP program is attached (id "), "{said:?}");
        assert!(said.err.contains("\"perimeter\""), "{said:?}");
    }
    assert_eq!(world.perimeter(&["status"]).code, 2);
    assert_eq!(world.perimeter_at(&places, &["status"]).code, 0, "it goes on undisturbed");
}

#[test]
fn where_the_driver_knows_no_xdp_generic_stands_in_and_the_reason_is_told() {
    let Some(world) = World::new(&[]) else { return };
    ip(&["-n", &world.namespace("gw"), "link", "add", "wan0", "type", "vxlan", "id", "5", "dstport", "4789"]);
    let native = world.policy("a.yaml", &MINIMUM.replace("wan0:", "wan0: { mode: native }"));
    let said = world.perimeter(&["apply", &native, "--yes"]);
    assert!(said.code == 1 && said.err.contains("native XDP was refused"), "{said:?}");
    let out = world.ok(&["apply", &world.policy("b.yaml", MINIMUM), "--yes"]);
    assert!(out.contains("(generic XDP, rules: 1; native XDP was refused: "), "{out}");
}

#[test]
fn when_one_of_two_interfaces_fails_the_other_goes_back() {
    let Some(world) = World::new(&["wan0"]) else { return };
    ip(&["-n", &world.namespace("gw"), "link", "add", "wan1", "type", "vxlan", "id", "5", "dstport", "4789"]);
    world.ok(&["apply", &world.policy("a.yaml", MINIMUM), "--yes"]);
    // wan1 cannot run native XDP, which shows only when it is asked to, after wan0 has switched.
    let both = world.policy("b.yaml", &TWO.replace("wan1:", "wan1: { mode: native }"));
    let said = world.perimeter(&["apply", &both, "--yes"]);
    assert!(said.code == 1 && said.err.contains("what was enforced before is enforced again"), "{said:?}");
    let status = world.json(&["status"]);
    assert_eq!(status["interfaces"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["interfaces"][0]["generation"], 1, "{status}");
    world.ok(&["apply", &world.policy("c.yaml", TWO), "--yes"]);
    let status = world.json(&["status"]);
    assert_eq!(
        (&status["interfaces"][0]["generation"], &status["interfaces"][1]["generation"]),
        (&3.into(), &3.into())
    );
}

#[test]
fn a_device_that_is_not_there_or_not_ethernet_is_refused() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let missing = world.perimeter(&["plan", &world.policy("a.yaml", TWO)]);
    assert!(missing.code == 1 && missing.err.contains("interface wan1 does not exist"), "{missing:?}");
    let lo = world.perimeter(&["plan", &world.policy("b.yaml", &MINIMUM.replace("wan0", "lo"))]);
    assert!(lo.code == 1 && lo.err.contains("lo is not an Ethernet device"), "{lo:?}");
}

#[test]
fn a_private_bpffs_is_refused_because_enforcement_would_end_with_the_shell() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let places = world.places();
    let script = format!(
        "mount -t bpf bpf /sys/fs/bpf && {} --state-dir {} --bpffs /sys/fs/bpf/perimeter apply {} --yes",
        env!("CARGO_BIN_EXE_perimeter"),
        places[1],
        world.policy("a.yaml", MINIMUM)
    );
    let output = Command::new("ip")
        .args(["netns", "exec", &world.namespace("gw"), "sh", "-c", &script])
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("nsenter --net=/run/netns/NAME"), "{err}");
    let elsewhere = [&places[..2], &["--bpffs".into(), "/tmp/perimeter".into()]].concat();
    let said = world.perimeter_at(&elsewhere, &["status"]);
    assert!(said.code == 1 && said.err.contains("mount -t bpf bpf /sys/fs/bpf"), "{said:?}");
}

#[test]
fn enforcement_outlives_the_process() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let places = world.places();
    let status = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", world.namespace("gw")))
        .arg(env!("CARGO_BIN_EXE_perimeter"))
        .args(&places)
        .args(["apply", &world.policy("a.yaml", MINIMUM), "--yes"])
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 10);
    assert_eq!(world.settled("wan0", 10)["dropped"]["packets"], 10);
}
