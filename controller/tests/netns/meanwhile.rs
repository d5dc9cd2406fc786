//! Who looks while somebody changes things: a change is no drift, what was interrupted is, and a process that hangs hides
//! nothing for long.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use perimeter::state::{LONGEST, State};
use serde_json::Value;

use crate::crash::frames::End;
use crate::modes::{policy, run, table};
use crate::serve::{Agent, enforced, within};
use crate::world::{World, program};

/// Every change from one mode to another, one after the other.
const ORDER: [&str; 13] = [
    "native", "generic", "native", "nft", "native", "both", "generic", "nft", "generic", "both", "nft",
    "both", "native",
];

/// What `status` says, and its exit status.
fn status(world: &World) -> (i32, Value) {
    let said = world.perimeter(&["status", "--json"]);
    (said.code, serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}")))
}

/// Goal: no look at a change of mode finds drift. Method: every change, while `status` and the agent are asked again and again.
#[test]
fn a_change_of_mode_is_no_drift_while_it_runs() {
    let Some(world) = enforced(&policy(ORDER[0])) else { return };
    let agent = Agent::start(&world, &[]);
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200);
    let done = AtomicBool::new(false);
    let (looks, answers) = std::thread::scope(|scope| {
        let (world, agent, done) = (&world, &agent, &done);
        let looking = scope.spawn(move || {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                let (code, told) = status(world);
                assert!(code == 0 && told["interfaces"][0]["drift"] == serde_json::json!([]), "{told:#}");
                looks += 1;
            }
            looks
        });
        let asking = scope.spawn(move || {
            let mut answers = 0;
            while !done.load(Ordering::Relaxed) {
                let (code, why) = agent.get(world, "/readyz", &[]);
                assert_eq!(code, 200, "{why}");
                answers += 1;
            }
            answers
        });
        let end = End(done);
        for mode in &ORDER[1..] {
            world.ok(&["apply", &world.policy("b.yaml", &policy(mode)), "--yes"]);
        }
        drop(end);
        (looking.join().unwrap(), asking.join().unwrap())
    });
    let (said, _) = agent.stop();
    assert!(!said.lines().any(|line| line.starts_with("! ")), "{said}");
    println!("{looks} looks of status, {answers} answers of the agent, no drift");
    assert!(looks >= ORDER.len() && answers >= ORDER.len(), "{looks} and {answers}");
}

/// Goal: what a killed apply leaves is drift at once. Method: one is killed before it notes that it is done.
#[test]
fn an_apply_that_was_killed_is_told_at_once() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let [generic, native] = ["generic", "native"].map(|mode| world.policy(mode, &policy(mode)));
    let strace = |options: &[&str]| {
        let mut command = within(&world, "strace");
        command.args(["-qq"]).args(options).arg(program()).args(world.places());
        command.args(["apply", &native, "--yes"]).output().unwrap()
    };
    world.ok(&["apply", &generic, "--yes"]);
    let log = world.policy("strace.log", "");
    assert!(strace(&["-e", "trace=fsync", "-o", &log]).status.success());
    let notes = std::fs::read_to_string(&log).unwrap().matches("fsync(").count();
    world.ok(&["apply", &generic, "--yes"]);
    let killed = strace(&["-e", &format!("inject=fsync:signal=KILL:when={}", notes - 1), "-o", "/dev/null"]);
    assert!(!killed.status.success(), "{killed:?}");
    let (code, told) = status(&world);
    assert!(code == 2 && told["change"].is_null(), "{told:#}");
    assert!(told["interfaces"][0]["drift"].to_string().contains("apply again"), "{told:#}");
    world.ok(&["apply", &native, "--yes"]);
    assert_eq!(status(&world).0, 0);
}

/// Goal: damage hides behind a change for as long as one may take. Method: a table is deleted while the lock is held; then as
/// if it were held for long; then without it.
#[test]
fn a_writer_that_hangs_hides_nothing_for_long() {
    let Some(world) = enforced(&policy("both")) else { return };
    let agent = Agent::start(&world, &[]);
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200);
    let place = &world.places()[1];
    let lock = State::new(Path::new(place)).lock().unwrap();
    let (name, _) = table(&world);
    run(&world, &["nft", "delete", "table", "netdev", &name]);
    let (code, told) = status(&world);
    let change = &told["change"]["pid"];
    assert_eq!((code, change.as_u64()), (0, Some(u64::from(std::process::id()))), "{told:#}");
    assert_eq!((&told["in_sync"], &told["interfaces"][0]["drift"]), (&false.into(), &serde_json::json!([])));
    assert_eq!(agent.get(&world, "/readyz", &[]).0, 200, "it keeps to what held before");
    // As if it were held for long.
    let file = File::options().append(true).open(Path::new(place).join("lock")).unwrap();
    file.set_modified(SystemTime::now() - LONGEST - Duration::from_secs(5)).unwrap();
    let is_told = |of_change: bool| {
        let (code, told) = status(&world);
        let drift = told["interfaces"][0]["drift"].to_string();
        assert!(code == 2 && drift.contains("nftables no longer stands behind native XDP"), "{told:#}");
        assert_eq!(told["change"].is_object(), of_change, "{told:#}");
        let (code, why) = agent.get(&world, "/readyz", &[]);
        assert!(code == 503 && why.contains("nftables no longer stands behind native XDP"), "{code}: {why}");
    };
    is_told(true);
    let plan = world.ok(&["plan", &world.policy("a.yaml", &policy("both"))]);
    assert!(plan.contains("a change is under way (process "), "{plan}");
    drop(lock);
    is_told(false);
    world.ok(&["apply", &world.policy("a.yaml", &policy("both")), "--yes"]);
    assert_eq!((status(&world).0, agent.get(&world, "/readyz", &[]).0), (0, 200));
}
