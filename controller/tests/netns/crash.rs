//! perimeter is killed before every system call it makes, and every call fails in every plausible way: each interface
//! enforces the old policy or the new one, no forbidden frame passes, the next command converges, and nothing is left
//! behind.
//!
//! `strace` injects. Each scenario takes `PERIMETER_CRASH_POINTS` of its points, evenly spread, or `all`
//! (`scripts/crash-test.sh`).

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::world::{World, send, udp};

const OLD: &str = "version: 1\ninterfaces: { wan0: , wan1: }\n\
                   allow: [{ id: always, service: udp/8000 }, { id: old, service: udp/8001 }]\n";
const NEW: &str = "version: 1\ninterfaces: { wan0: , wan1: }\n\
                   allow: [{ id: always, service: udp/8000 }, { id: new, service: udp/8002 }]\n";
/// Neither policy allows it.
const FORBIDDEN: u16 = 9999;

/// What happens to a command on its way.
#[derive(Clone, Debug)]
enum Fault {
    /// Killed before its `nth` system call, which is after the one before.
    Kill { nth: usize },
    /// The `nth` call of this name fails.
    Error { call: String, nth: usize, errno: &'static str },
}

impl Fault {
    /// In the words of `strace -e`.
    fn inject(&self) -> String {
        match self {
            Fault::Kill { nth } => format!("inject=all:signal=KILL:when={nth}"),
            Fault::Error { call, nth, errno } => format!("inject={call}:error={errno}:when={nth}"),
        }
    }
}

/// How a system call may fail on a machine that is in trouble.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "bpf" => &["ENOMEM", "EPERM", "EBUSY", "EINVAL"],
        "openat" => &["EMFILE", "EIO"],
        "write" | "pwrite64" => &["ENOSPC", "EINTR"],
        "fsync" | "fdatasync" | "unlink" | "unlinkat" | "newfstatat" | "statx" | "read" => &["EIO"],
        "rename" | "renameat" | "renameat2" | "mkdir" | "mkdirat" => &["ENOSPC", "EROFS"],
        "ioctl" => &["EOPNOTSUPP", "EPERM"],
        "sendto" | "sendmsg" | "recvfrom" | "recvmsg" => &["ENOBUFS", "EINTR"],
        "mmap" | "brk" => &["ENOMEM"],
        "socket" => &["EMFILE"],
        "flock" => &["EINTR"],
        _ => &[],
    }
}

/// How many points of a scenario are tried; 0 for all.
fn sample() -> usize {
    match std::env::var("PERIMETER_CRASH_POINTS").as_deref() {
        Ok("all") => 0,
        Ok(number) => number.parse().expect("PERIMETER_CRASH_POINTS is a number, or `all`"),
        Err(_) => 4,
    }
}

/// The points of a command, from the calls of a clean run. What comes before the state directory is touched is the
/// loader's and the policy's reader's, and can change nothing.
fn points(calls: &[String]) -> Vec<Fault> {
    let first = calls.iter().position(|call| call == "bpf" || call == "flock").unwrap_or(0);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let nth = seen.entry(call).or_default();
        *nth += 1;
        if at < first {
            continue;
        }
        points.push(Fault::Kill { nth: at + 1 });
        let error = |errno: &&'static str| Fault::Error { call: call.clone(), nth: *nth, errno };
        points.extend(errors(call).iter().map(error));
    }
    match sample() {
        0 => points,
        wanted => {
            let step = (points.len() / wanted).max(1);
            points.into_iter().skip(step / 2).step_by(step).collect()
        }
    }
}

impl World {
    /// Runs the program under `strace` with these options.
    fn traced(&self, options: &[&str], args: &[&str]) -> std::process::Output {
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace("gw")))
            .args(["strace", "-qq"])
            .args(options)
            .arg(env!("CARGO_BIN_EXE_perimeter"))
            .args(self.places())
            .args(args)
            .output()
            .expect("strace and nsenter are installed")
    }

    /// The names of the system calls of a clean run, in order.
    fn calls(&self, args: &[&str]) -> Vec<String> {
        let log = self.policy("strace.log", "");
        let output = self.traced(&["-o", &log], args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().filter_map(|line| Some(line.split_once('(')?.0.to_owned())).collect()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.perimeter(&["status", "--json"]).out).unwrap()
    }

    /// The digest of the policy that each interface enforces; empty where it enforces none.
    fn enforced(&self) -> Vec<String> {
        let status = self.status();
        let digest = |name: &str| {
            let interfaces = status["interfaces"].as_array()?;
            let one = interfaces.iter().find(|one| one["interface"] == name)?;
            one["enforced"].as_bool()?.then(|| one["policy"].as_str().map(str::to_owned))?
        };
        ["wan0", "wan1"].map(|name| digest(name).unwrap_or_default()).to_vec()
    }

    /// Everything that is left in the kernel and on disk between two commands. Kernel objects without a pin, a link or a
    /// process that holds them do not exist, so that these are all.
    fn remains(&self) -> Vec<String> {
        let [_, state, _, bpf] = self.places();
        let list = |folder: &str, what: &[&str]| {
            let output =
                Command::new("find").arg(folder).args(what).args(["-printf", "%P\n"]).output().unwrap();
            let mut names: Vec<String> =
                String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
            names.sort();
            names
        };
        [list(&bpf, &["-type", "f"]), list(&state, &["-name", ".*", "-mindepth", "1"])].concat()
    }
}

/// A command, what is there before it, and what there may be after a fault in it.
struct Scenario<'a> {
    name: &'a str,
    /// Commands that make what is there before.
    before: &'a [&'a [&'a str]],
    command: &'a [&'a str],
    /// The command that converges after a fault.
    again: &'a [&'a str],
    /// Digests of which each interface enforces one after a fault.
    either: &'a [String],
    /// The digest that both enforce in the end.
    settled: &'a str,
}

/// Tries the points of a scenario.
fn try_all(world: &World, scenario: &Scenario<'_>) -> usize {
    let prepare = || scenario.before.iter().for_each(|command| drop(world.ok(command)));
    prepare();
    let calls = world.calls(scenario.command);
    world.ok(scenario.again);
    let clean = world.remains();
    let points = points(&calls);
    for fault in &points {
        prepare();
        let output = world.traced(&["-e", &fault.inject(), "-o", "/dev/null"], scenario.command);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let at = format!("{}: {fault:?}: {told}", scenario.name);
        for (interface, digest) in world.enforced().iter().enumerate() {
            assert!(scenario.either.contains(digest), "{at}: wan{interface} enforces {digest:?}");
        }
        let again = world.perimeter(scenario.again);
        assert_eq!(again.code, 0, "{at}: it does not converge: {again:?}");
        assert_eq!(world.enforced(), [scenario.settled, scenario.settled], "{at}: {again:?}");
        assert_eq!(world.remains(), clean, "{at}: something is left behind");
        // A panic is a defect however the machine is.
        assert!(!told.contains("panicked"), "{at}");
    }
    println!("{}: {} of {} system calls' points held", scenario.name, points.len(), calls.len());
    points.len()
}

/// Sends allowed and forbidden frames until `done`; how many of each.
fn sends(world: &World, done: &AtomicBool) -> u64 {
    let (mut sender, _) = world.channel("out", "wan0p");
    let (allowed, forbidden) = (udp([192, 0, 2, 1], 8000), udp([192, 0, 2, 1], FORBIDDEN));
    let mut sent = 0;
    while !done.load(Ordering::Relaxed) {
        for _ in 0..64 {
            send(&mut *sender, &allowed);
            send(&mut *sender, &forbidden);
        }
        sent += 64;
        // Some 50,000 frames a second.
        std::thread::sleep(Duration::from_millis(2));
    }
    sent
}

/// Ends the traffic, also where the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts forbidden frames that arrive behind the filter.
fn watches(world: &World, done: &AtomicBool, passed: &AtomicU64) {
    let (_, mut witness) = world.channel("gw", "wan0");
    while !done.load(Ordering::Relaxed) {
        if let Ok(frame) = witness.next()
            && frame.get(36..38) == Some(&FORBIDDEN.to_be_bytes())
        {
            passed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Goal: no fault leaves an interface without the old policy or the new one, nor lets a forbidden frame in. Method: faults
/// at the points of apply, rollback, confirm, while frames arrive; all are counted in the end.
#[test]
fn a_fault_at_any_point_leaves_the_old_policy_or_the_new_one() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let world = &world;
    let (old, new) = (world.policy("old.yaml", OLD), world.policy("new.yaml", NEW));
    let digest = |policy: &str| {
        world.ok(&["apply", policy, "--yes"]);
        world.enforced()[0].clone()
    };
    let (new_digest, old_digest) = (digest(&new), digest(&old));
    let either = [old_digest.clone(), new_digest.clone()];
    let apply_old: &[&str] = &["apply", &old, "--yes"];
    let apply_new: &[&str] = &["apply", &new, "--yes"];
    let on_trial: &[&str] = &["apply", &new, "--yes", "--confirm-within", "1h"];
    let scenarios = [
        Scenario {
            name: "apply",
            before: &[apply_old],
            command: apply_new,
            again: apply_new,
            either: &either,
            settled: &new_digest,
        },
        Scenario {
            name: "rollback",
            before: &[apply_old, apply_new],
            command: &["rollback", "--yes"],
            again: apply_old,
            either: &either,
            settled: &old_digest,
        },
        Scenario {
            name: "apply on trial",
            before: &[apply_old],
            command: on_trial,
            again: &["rollback", "2", "--yes"],
            either: &either,
            settled: &old_digest,
        },
    ];
    let (done, passed) = (AtomicBool::new(false), AtomicU64::new(0));
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| sends(world, &done));
        scope.spawn(|| watches(world, &done, &passed));
        let end = End(&done);
        let points: usize = scenarios.iter().map(|scenario| try_all(world, scenario)).sum();
        drop(end);
        let sent = sending.join().unwrap();
        println!("{points} points, {} frames", 2 * sent);
        sent
    });
    assert_eq!(passed.load(Ordering::Relaxed), 0, "a forbidden frame passed");
    let counters = world.settled("wan0", 2 * sent);
    assert_eq!(counters["received"]["packets"], 2 * sent, "{counters:#}");
    assert_eq!(counters["passed"]["packets"], sent, "an allowed frame was dropped: {counters:#}");
}

/// Goal: the first apply and the last detach leave nothing half done. Method: faults at their points.
#[test]
fn a_fault_in_the_first_apply_or_in_detach_converges() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let old = world.policy("old.yaml", OLD);
    let apply: &[&str] = &["apply", &old, "--yes"];
    let detach: &[&str] = &["detach", "--yes", "--allow-open"];
    world.ok(apply);
    let either = [world.enforced()[0].clone(), String::new()];
    let first = Scenario {
        name: "first apply",
        before: &[detach],
        command: apply,
        again: apply,
        either: &either,
        settled: &either[0],
    };
    let last = Scenario {
        name: "detach",
        before: &[apply],
        command: detach,
        again: detach,
        either: &either,
        settled: "",
    };
    let points: usize = [first, last].iter().map(|scenario| try_all(&world, scenario)).sum();
    println!("{points} points");
}
