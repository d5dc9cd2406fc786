//! The engine of an interface changes while it enforces: nothing forbidden passes, nothing allowed is lost, nothing that
//! was counted is forgotten, and what fails goes back.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use aya_obj::generated::bpf_insn;
use perimeter::backend::xdp::sys::{self, ProgramSpec, XdpPath};
use perimeter_classifier::abi::ABI_VERSION;

use crate::traffic::Traffic;
use crate::world::{World, ip, udp};

const MODES: [&str; 4] = ["native", "generic", "nft", "both"];

pub(crate) fn policy(mode: &str) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: {{ mode: {mode} }} }}\nallow: [{{ id: web, service: udp/8000 }}]\n"
    )
}

/// Two interfaces with a mode each.
fn two(first: &str, second: &str) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: {{ mode: {first} }}, wan1: {{ mode: {second} }} }}\n\
         allow: [{{ id: web, service: udp/8000 }}]\n"
    )
}

/// Runs a program of the machine in the gateway.
pub(crate) fn run(world: &World, words: &[&str]) -> String {
    let output = world.within("gw", || Command::new(words[0]).args(&words[1..]).output().unwrap());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn engines(world: &World, at: usize) -> serde_json::Value {
    world.json(&["status"])["interfaces"][at]["engines"].clone()
}

/// What a mode has come to on a veth.
fn expected(mode: &str) -> serde_json::Value {
    match mode {
        "both" => serde_json::json!(["native", "nft"]),
        "auto" => serde_json::json!(["native"]),
        mode => serde_json::json!([mode]),
    }
}

#[test]
fn every_change_of_mode_under_traffic_lets_nothing_through_and_loses_nothing() {
    for from in MODES {
        let Some(world) = World::new(&["wan0"]) else { return };
        let traffic = Traffic::new(&world, "wan0");
        for to in MODES.into_iter().filter(|to| *to != from) {
            world.ok(&["apply", &world.policy("a.yaml", &policy(from)), "--yes"]);
            let next = world.policy("b.yaml", &policy(to));
            let seen = traffic.during(&world, || {
                let out = world.ok(&["apply", &next, "--yes"]);
                assert!(out.contains("guard: "), "{from} to {to}: {out}");
            });
            assert!(seen.sent > 200, "{from} to {to}: {seen:?}");
            assert_eq!(seen.forbidden, 0, "{from} to {to}: a forbidden frame passed: {seen:?}");
            assert_eq!(seen.allowed, seen.sent, "{from} to {to}: an allowed frame was lost: {seen:?}");
            assert_eq!(engines(&world, 0), expected(to), "{from} to {to}");
        }
    }
}

#[test]
fn a_stand_in_that_was_not_needed_leaves_no_table() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", &policy("auto")), "--yes"]);
    assert_eq!(
        (engines(&world, 0), run(&world, &["nft", "list", "ruleset"])),
        (expected("auto"), String::new())
    );
}

#[test]
fn counters_go_on_over_every_change_of_mode() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let (mut web, mut refused) = (0, 0);
    let order =
        ["native", "nft", "both", "generic", "both", "nft", "generic", "native", "both", "native", "nft"];
    for mode in order {
        world.ok(&["apply", &world.policy("a.yaml", &policy(mode)), "--yes"]);
        world.send("wan0", &udp([192, 0, 2, 1], 8000), 7);
        world.send("wan0", &udp([192, 0, 2, 1], 9999), 3);
        (web, refused) = (web + 7, refused + 3);
        let counters = world.settled("wan0", web + refused);
        assert_eq!(counters["rules"][0]["packets"], web, "{mode}: {counters:#}");
        assert_eq!(counters["rules"][0]["bytes"], web * 60, "{mode}: {counters:#}");
        assert_eq!(counters["received"]["packets"], web + refused, "{mode}: {counters:#}");
        assert_eq!(counters["dropped"]["packets"], refused, "{mode}: {counters:#}");
    }
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert_eq!(world.json(&["counters"])["interfaces"].as_array().unwrap().len(), 0);
    assert!(!run(&world, &["nft", "list", "ruleset"]).contains("perimeter"), "nothing is left of it");
}

#[test]
fn plan_and_status_say_which_guard_stands_and_what_happens_on_the_way() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let plan = world.ok(&["plan", &world.policy("a.yaml", &policy("auto"))]);
    assert!(plan.contains("+ guard: native XDP\n"), "{plan}");
    world.ok(&["apply", &world.policy("a.yaml", &policy("generic")), "--yes"]);
    let plan = world.ok(&["plan", &world.policy("b.yaml", &policy("native"))]);
    assert!(plan.contains("~ guard: generic XDP -> native XDP; nftables stands in between"), "{plan}");
    let json = world.json(&["plan", &world.policy("b.yaml", &policy("both"))]);
    let guard = &json["interfaces"][0]["guard"];
    assert_eq!(
        (&guard["mode"], &guard["engines"]),
        (&"both".into(), &serde_json::json!(["native", "nft"])),
        "{json}"
    );
    world.ok(&["apply", &world.policy("b.yaml", &policy("both")), "--yes"]);
    let again = world.ok(&["apply", &world.policy("b.yaml", &policy("both")), "--yes"]);
    assert!(again.starts_with("No changes. wan0 enforces generation 2 (native XDP and nftables)"), "{again}");
    assert!(world.ok(&["status"]).contains("enforcing   native XDP and nftables   generation 2"));
}

#[test]
fn one_apply_covers_both_engines_and_goes_back_as_one() {
    let Some(world) = World::new(&["wan0"]) else { return };
    ip(&["-n", &world.namespace("gw"), "link", "add", "wan1", "type", "vxlan", "id", "5", "dstport", "4789"]);
    world.ok(&["apply", &world.policy("a.yaml", &two("native", "nft")), "--yes"]);
    assert_eq!((engines(&world, 0), engines(&world, 1)), (expected("native"), expected("nft")));
    // wan1 cannot run native XDP, which shows only when it is asked to, after wan0 has switched.
    for first in ["nft", "generic", "both"] {
        let traffic = Traffic::new(&world, "wan0");
        let seen = traffic.during(&world, || {
            let said = world.perimeter(&["apply", &world.policy("b.yaml", &two(first, "native")), "--yes"]);
            assert!(
                said.code == 1 && said.err.contains("what was enforced before is enforced again"),
                "{said:?}"
            );
        });
        assert_eq!((seen.forbidden, seen.allowed), (0, seen.sent), "{first}: {seen:?}");
        let status = world.json(&["status"]);
        assert_eq!(status["in_sync"], true, "{first}: {status:#}");
        assert_eq!(
            (engines(&world, 0), engines(&world, 1)),
            (expected("native"), expected("nft")),
            "{first}"
        );
        assert_eq!(status["interfaces"][0]["generation"], 1, "{first}");
    }
    world.ok(&["apply", &world.policy("c.yaml", &two("nft", "generic")), "--yes"]);
    assert_eq!((engines(&world, 0), engines(&world, 1)), (expected("nft"), expected("generic")));
}

#[test]
fn nftables_is_handed_frames_as_they_were_and_the_offloads_come_back() {
    let Some(world) = World::new(&["wan0"]) else { return };
    run(&world, &["ethtool", "-K", "wan0", "gro", "on"]);
    let is = |on: &str| {
        run(&world, &["ethtool", "-k", "wan0"]).contains(&format!("generic-receive-offload: {on}"))
    };
    let nft = world.policy("a.yaml", &policy("nft"));
    let plan = world.ok(&["plan", &nft]);
    assert!(plan.contains("offload gro: on -> off") && !plan.contains("rxvlan"), "{plan}");
    world.ok(&["apply", &nft, "--yes"]);
    assert!(is("off"));
    run(&world, &["ethtool", "-K", "wan0", "gro", "on"]);
    let status = world.perimeter(&["status"]);
    assert!(status.code == 2 && status.out.contains("offload gro is on again"), "{status:?}");
    world.ok(&["apply", &nft, "--yes"]);
    assert!(is("off"));
    let native = world.policy("b.yaml", &policy("native"));
    assert!(world.ok(&["plan", &native]).contains("offload gro: off -> on"));
    assert!(world.ok(&["apply", &native, "--yes"]).contains("on again: gro"));
    assert!(is("on"));
    world.ok(&["apply", &nft, "--yes"]);
    assert!(is("off"));
    assert!(world.ok(&["detach", "--yes", "--allow-open"]).contains("on again: gro"));
    assert!(is("on"));
}

/// Runs a command of perimeter in the gateway without the right to bpf().
fn without_bpf(world: &World, args: &[&str]) -> (bool, String) {
    let namespace = format!("--net=/run/netns/{}", world.namespace("gw"));
    let lacking = "--bounding-set=-bpf,-perfmon,-sys_admin";
    let output = Command::new("nsenter")
        .args([&namespace, "setpriv", lacking, env!("CARGO_BIN_EXE_perimeter")])
        .args(world.places())
        .args(args)
        .output()
        .unwrap();
    let says = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), says)
}

#[test]
fn where_bpf_is_forbidden_auto_takes_nftables_and_says_why() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let auto = world.policy("a.yaml", &policy("auto"));
    let (_, plan) = without_bpf(&world, &["plan", &auto]);
    assert!(
        plan.contains("+ guard: nftables; native XDP was refused: the kernel loads no XDP program"),
        "{plan}"
    );
    let (done, out) = without_bpf(&world, &["apply", &auto, "--yes"]);
    assert!(done && out.contains("(nftables, rules: 1; native XDP was refused: "), "{out}");
    let (done, out) = without_bpf(&world, &["status"]);
    assert!(done && out.contains("enforcing   nftables") && out.contains("native XDP was refused"), "{out}");
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 5);
    assert_eq!(world.settled("wan0", 5)["dropped"]["packets"], 5);
    let (done, out) = without_bpf(&world, &["apply", &world.policy("b.yaml", &policy("both")), "--yes"]);
    assert!(!done && out.contains("native XDP was refused: the kernel loads no"), "{out}");
    assert_eq!(engines(&world, 0), expected("nft"));
    // Where it may, it still stays with what it has chosen, until it is told otherwise.
    assert!(world.ok(&["apply", &auto, "--yes"]).starts_with("No changes."));
    world.ok(&["apply", &world.policy("b.yaml", &policy("native")), "--yes"]);
    assert_eq!(engines(&world, 0), expected("native"));
}

/// A program of somebody else's that lets everything pass, attached in the generic way while the descriptor is held.
fn pass_on(device: &str) -> OwnedFd {
    let word = |code, imm| bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm,
    };
    // r0 = XDP_PASS; exit.
    let spec = ProgramSpec {
        name: "other",
        instructions: &[word(0xb7, 2), word(0x95, 0)],
        license: c"GPL",
        flags: 0,
    };
    let program = sys::program_load(spec, None).unwrap();
    let index = pnet_datalink::interfaces().into_iter().find(|one| one.name == device).unwrap().index;
    sys::link_create(program.as_fd(), index, XdpPath::Generic).unwrap()
}

#[test]
fn where_a_device_above_runs_a_program_auto_takes_nftables() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let gateway = world.namespace("gw");
    ip(&["-n", &gateway, "link", "add", "br0", "type", "bridge"]);
    ip(&["-n", &gateway, "link", "set", "wan0", "master", "br0"]);
    let _above = world.within("gw", || pass_on("br0"));
    let out = world.ok(&["apply", &world.policy("a.yaml", &policy("auto")), "--yes"]);
    assert!(out.contains("(nftables, rules: 1; ") && out.contains("a device above it"), "{out}");
}

#[test]
fn another_program_stays_and_nftables_judges_behind_it() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let other = World::new(&[]).unwrap();
    let first = world.policy("a.yaml", &policy("native"));
    assert_eq!(world.perimeter_at(&other.places(), &["apply", &first, "--yes"]).code, 0);
    let said = world.perimeter(&["apply", &world.policy("b.yaml", &policy("auto")), "--yes"]);
    assert!(said.code == 1 && said.err.contains("or write `mode: nft`"), "{said:?}");
    let out = world.ok(&["apply", &world.policy("b.yaml", &policy("nft")), "--yes"]);
    assert!(out.contains("meets the frames before nftables does"), "{out}");
    assert_eq!(engines(&world, 0), expected("nft"));
    assert_eq!(world.perimeter_at(&other.places(), &["status"]).code, 0, "it goes on undisturbed");
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert_eq!(world.perimeter_at(&other.places(), &["status"]).code, 0, "it goes on undisturbed");
}

/// The one netdev table of the gateway, and its text.
pub(crate) fn table(world: &World) -> (String, String) {
    let tables = run(world, &["nft", "list", "tables", "netdev"]);
    let name = tables.lines().next().unwrap().trim_start_matches("table netdev ").to_owned();
    let text = run(world, &["nft", "-a", "list", "table", "netdev", &name]);
    (name, text)
}

/// The name of the chain or map whose listing has a line with these words, and that line.
fn holder(text: &str, words: &str) -> (String, String) {
    let mut name = String::new();
    for line in text.lines() {
        let mut parts = line.split_whitespace();
        if let (Some("chain" | "map"), Some(found)) = (parts.next(), parts.next()) {
            name = found.to_owned();
        }
        if line.contains(words) {
            return (name, line.trim().to_owned());
        }
    }
    panic!("{words:?} is not in\n{text}");
}

/// Deletes the rule that says what a table enforces.
fn delete_record(world: &World) {
    let (name, text) = table(world);
    let (chain, rule) = holder(&text, "comment \"perimeter ");
    run(
        world,
        &["nft", "delete", "rule", "netdev", &name, &chain, "handle", rule.rsplit(' ').next().unwrap()],
    );
}

#[test]
fn a_table_that_does_not_say_what_it_is_falls_when_another_engine_takes_over() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", &policy("nft")), "--yes"]);
    delete_record(&world);
    let said = world.perimeter(&["detach", "--yes"]);
    assert!(
        said.code == 1 && said.err.contains("--allow-open"),
        "what is left may keep something out: {said:?}"
    );
    let other = policy("native").replace("8000", "8001");
    world.ok(&["apply", &world.policy("b.yaml", &other), "--yes"]);
    assert!(!table(&world).1.contains("hook ingress"), "it judges no longer");
    assert_eq!(world.perimeter(&["status"]).code, 0);
}

#[test]
fn a_table_of_another_version_counts_as_enforced_and_is_replaced() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let a = world.policy("a.yaml", &policy("nft"));
    world.ok(&["apply", &a, "--yes"]);
    let (name, text) = table(&world);
    let (chain, rule) = holder(&text, "comment \"perimeter ");
    let (rule, handle) = rule.trim().rsplit_once(" # handle ").unwrap();
    let older = rule.replace(&format!("abi={ABI_VERSION} "), "abi=1 ");
    assert_ne!(older, rule);
    run(&world, &["nft", "replace", "rule", "netdev", &name, &chain, "handle", handle, &older]);

    let said = world.perimeter(&["status"]);
    assert!(
        said.code == 2 && said.out.contains("another version of perimeter enforces here (ABI 1)"),
        "{said:?}"
    );
    let said = world.perimeter(&["detach", "--yes"]);
    assert!(said.code == 1 && said.err.contains("--allow-open"), "{said:?}");
    world.ok(&["apply", &a, "--yes"]);
    assert_eq!(world.perimeter(&["status"]).code, 0);
}

#[test]
fn a_table_that_is_changed_behind_the_back_is_told_by_name_and_mended() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = world.policy("a.yaml", &policy("nft"));
    world.ok(&["apply", &policy, "--yes"]);
    let told_and_mended = |words: &[&str]| {
        let status = world.perimeter(&["status"]);
        let all = words.iter().all(|words| status.out.contains(words));
        assert!(status.code == 2 && all, "{words:?} are not all in {status:?}");
        assert_eq!(world.perimeter(&["plan", &policy, "--detailed-exitcode"]).code, 2);
        world.ok(&["apply", &policy, "--yes"]);
        let status = world.perimeter(&["status"]);
        assert_eq!(status.code, 0, "{status:?}");
    };
    let nft = |words: &[&str]| drop(run(&world, &[&["nft"], words].concat()));

    nft(&["flush", "table", "netdev", &table(&world).0]);
    told_and_mended(&["its nftables table was flushed"]);

    let (name, text) = table(&world);
    let (chain, rule) = holder(&text, "counter name \"drop.reason.martian\"");
    nft(&["delete", "rule", "netdev", &name, &chain, "handle", rule.rsplit(' ').next().unwrap()]);
    told_and_mended(&["drop.martian is gone or was edited: `counter name \"drop.reason.martian\""]);
    let (name, text) = table(&world);
    let (chain, _) = holder(&text, "counter name \"drop.reason.martian\"");
    nft(&["flush", "chain", "netdev", &name, &chain]);
    told_and_mended(&["was flushed: 1 of its chains"]);

    let (name, text) = table(&world);
    let (map, _) = holder(&text, "8000 : \"pass.allow.web\"");
    nft(&["delete", "element", "netdev", &name, &map, "{ 8000 }"]);
    nft(&["add", "element", "netdev", &name, &map, "{ 9999 : \"pass.allow.web\" }"]);
    told_and_mended(&["element 8000 is gone from", "element 9999 was added to", "for rule web"]);

    let (name, _) = table(&world);
    nft(&["add", "chain", "netdev", &name, "ingress", "{ policy accept; }"]);
    told_and_mended(&["chain ingress lets through what no rule decides"]);

    delete_record(&world);
    told_and_mended(&["the first rule of its nftables table is gone"]);

    nft(&["delete", "table", "netdev", &table(&world).0]);
    told_and_mended(&["nothing is attached"]);
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 4);
    assert_eq!(world.settled("wan0", 4)["dropped"]["packets"], 4);
}
