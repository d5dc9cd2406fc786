//! perimeter is killed before every system call it makes, and every call fails in every plausible way: each interface
//! enforces the old policy or the new one, no forbidden frame passes, the next command converges, and nothing is left
//! behind.
//!
//! Each scenario takes `PERIMETER_CRASH_POINTS` of its points, evenly spread, the kills before each call that
//! changes something (`changes`), or `all` (`scripts/crash-test.sh`); with `PERIMETER_CRASH_SCENARIO`, that one alone.

mod fault;
pub(crate) mod frames;
mod left;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::remains::Remains;
use crate::world::{Said, World};
use fault::{Fault, is_wanted, points};
use frames::{End, sends};

const INTERFACES: [&str; 2] = ["wan0", "wan1"];

/// A policy for both interfaces: one service that every policy allows, and one more. No policy allows port 9999.
fn policy(mode: &str, port: u16) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: , wan1: {{ mode: {mode} }} }}\n\
         allow: [{{ id: always, service: udp/8000 }}, {{ id: now-{port}, service: udp/{port} }}]\n"
    )
}

/// A command, what is there before it, and what there may be after a fault in it. In commands `NOW` and `BEFORE` stand for
/// the number of the generation in force and of the one before it, `UNTIL` for the end of the trial.
struct Scenario<'a> {
    name: &'a str,
    /// Commands that make what is there before.
    before: &'a [&'a [&'a str]],
    /// Whether the keepers that those have left are killed.
    orphan: bool,
    command: &'a [&'a str],
    /// Digests of which each interface enforces one after a fault.
    either: &'a [String],
    /// The digest that both enforce where the command says that it was done.
    done: &'a str,
    /// The command that converges after a fault.
    again: &'a [&'a str],
    /// What that says instead where there is nothing left to do; it must, where the command has said that it was done.
    moot: Option<&'a str>,
    /// The digest that both enforce in the end.
    settled: &'a str,
}

impl World {
    fn status(&self) -> (i32, Value) {
        let said = self.perimeter(&["status", "--json"]);
        (said.code, serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}")))
    }

    /// The digest of the policy that each interface enforces; empty where it enforces none.
    fn enforced(&self) -> Vec<String> {
        digests(&self.status().1)
    }

    /// The words of a command, with numbers for `NOW` and `BEFORE`.
    fn words(&self, command: &[&str]) -> Vec<String> {
        let is_asked = |word: &&str| ["NOW", "BEFORE", "UNTIL"].contains(word);
        let status = if command.iter().any(is_asked) { self.status().1 } else { Value::Null };
        let now = || status["interfaces"][0]["generation"].as_u64().unwrap();
        let word = |word: &&str| match *word {
            "NOW" => now().to_string(),
            "BEFORE" => (now() - 1).to_string(),
            "UNTIL" => status["trial"]["until"].as_str().unwrap().to_owned(),
            word => word.to_owned(),
        };
        command.iter().map(word).collect()
    }

    /// Makes what a scenario begins with; its command and the command that converges.
    fn prepare(&self, scenario: &Scenario<'_>) -> [Vec<String>; 2] {
        scenario.before.iter().for_each(|command| drop(self.ok(command)));
        if scenario.orphan {
            for keeper in self.keepers() {
                kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
            }
        }
        [scenario.command, scenario.again].map(|command| self.words(command))
    }

    fn perimeter_words(&self, words: &[String]) -> Said {
        self.perimeter(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Tries one fault. What is left in the end is compared with `clean`.
    fn tries(&self, scenario: &Scenario<'_>, fault: &Fault, clean: &Remains) {
        let [command, again] = self.prepare(scenario);
        let output = self.traced(&["-e", &fault.inject(), "-o", "/dev/null"], &command);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let at = format!("{}: {fault:?}: {told}", scenario.name);
        // A panic is a defect however the machine is.
        assert!(!told.contains("panicked"), "{at}");
        let (code, status) = self.status();
        let enforced = digests(&status);
        for (interface, digest) in INTERFACES.iter().zip(&enforced) {
            assert!(scenario.either.contains(digest), "{at}: {interface} enforces {digest:?}");
        }
        // What a detach has ended is no longer asked for.
        let is_mixed = enforced[0] != enforced[1] && !scenario.done.is_empty();
        assert!(!is_mixed || code == 2, "{at}: status does not tell that the interfaces differ: {status:#}");
        if output.status.success() {
            assert_eq!(enforced, [scenario.done; 2], "{at}: it says that it was done");
        }
        let again = self.perimeter_words(&again);
        match scenario.moot {
            Some(moot) if again.code != 0 || output.status.success() => {
                assert!(again.err.contains(moot), "{at}: {again:?}");
            }
            _ => assert_eq!(again.code, 0, "{at}: it does not converge: {again:?}"),
        }
        let (_, status) = self.status();
        assert_eq!(digests(&status), [scenario.settled; 2], "{at}: {again:?}");
        self.assert_clean(&at, &status, clean);
    }

    /// Nothing is there that should not be, nothing is missing, and the record of what was done is whole.
    fn assert_clean(&self, at: &str, status: &Value, clean: &Remains) {
        assert!(self.keepers_are_gone(), "{at}: a keeper is left");
        let remains = self.remains();
        let faults = remains.faults(&engines(status), clean);
        assert_eq!(faults, [""; 0], "{at}: {remains:#?}");
        // A keeper goes on where its policy cannot be stored, which the check tells too: here it is about the seals.
        let checked = self.perimeter(&["history", "--check", "--json"]);
        assert!(
            checked.out.contains("findings") && !checked.out.contains("journal.jsonl"),
            "{at}: {checked:?}"
        );
    }

    /// Tries the points of a scenario; how many those are.
    fn tries_all(&self, scenario: &Scenario<'_>) -> usize {
        if !is_wanted(scenario.name) {
            return 0;
        }
        let began = Instant::now();
        let [command, again] = self.prepare(scenario);
        let trace = self.trace(&command);
        let calls: Vec<&str> = trace.lines().collect();
        let again = self.perimeter_words(&again);
        assert!(again.code == 0 || scenario.moot.is_some(), "{}: {again:?}", scenario.name);
        let clean = self.remains();
        self.assert_clean(scenario.name, &self.status().1, &clean);
        let points = points(&calls);
        points.iter().for_each(|fault| self.tries(scenario, fault, &clean));
        let (name, took) = (scenario.name, began.elapsed().as_secs());
        println!("{name}: {} of {} system calls' points held ({took} s)", points.len(), calls.len());
        points.len()
    }

    /// Tries scenarios while frames arrive, and looks what became of the frames.
    fn tries_under_load(&self, scenarios: &[Scenario<'_>]) {
        self.witness(&INTERFACES);
        let done = AtomicBool::new(false);
        let (points, sent) = std::thread::scope(|scope| {
            let sending = scope.spawn(|| sends(self, &INTERFACES, &done));
            let end = End(&done);
            let points: usize = scenarios.iter().map(|scenario| self.tries_all(scenario)).sum();
            drop(end);
            (points, sending.join().unwrap())
        });
        println!("{points} points, {sent:?}, {} frames a second", sent.rate(INTERFACES.len()));
        for interface in INTERFACES {
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.seen(interface)[0] != sent.each && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            // On a machine that is held up, the ring between the two ends runs over; the other end counts that, of both kinds.
            let overrun = self.overrun(interface);
            let [allowed, forbidden] = self.seen(interface);
            assert_eq!(forbidden, 0, "{interface}: a forbidden frame passed");
            assert!(
                allowed <= sent.each && allowed + overrun >= sent.each,
                "{interface}: of {} allowed frames {allowed} came, {overrun} did not reach it",
                sent.each
            );
        }
    }
}

/// What a status says of the policy that each interface enforces.
fn digests(status: &Value) -> Vec<String> {
    let digest = |name: &str| {
        let interfaces = status["interfaces"].as_array()?;
        let one = interfaces.iter().find(|one| one["interface"] == name)?;
        one["enforced"].as_bool()?.then(|| one["policy"].as_str().map(str::to_owned))?
    };
    INTERFACES.map(|name| digest(name).unwrap_or_default()).to_vec()
}

/// What a status says of the engines that judge each interface.
fn engines(status: &Value) -> BTreeMap<String, Vec<String>> {
    let words = |one: &Value| serde_json::from_value(one["engines"].clone()).unwrap();
    let named = |one: &Value| (one["interface"].as_str().unwrap().to_owned(), words(one));
    status["interfaces"].as_array().unwrap().iter().map(named).collect()
}

/// Two policies, and the digests by which the kernel tells them.
struct Policies {
    files: [String; 2],
    digests: [String; 2],
}

impl Policies {
    /// Writes the policies, and puts one after the other in force: the second stays.
    fn new(world: &World, texts: [String; 2]) -> Policies {
        let files = [world.policy("new.yaml", &texts[1]), world.policy("old.yaml", &texts[0])];
        let digests = files.each_ref().map(|file| {
            world.ok(&["apply", file, "--yes"]);
            world.enforced()[0].clone()
        });
        let ([new_file, old_file], [new, old]) = (files, digests);
        Policies { files: [old_file, new_file], digests: [old, new] }
    }
}

/// Goal: no fault leaves an interface without the old policy or the new one, nor lets a forbidden frame in. Method: faults
/// at the points of every command that changes something, and of the keeper, while frames arrive; all are counted.
#[test]
fn a_fault_at_any_point_leaves_the_old_policy_or_the_new_one() {
    let Some(world) = World::new(&INTERFACES) else { return };
    let Policies { files: [old, new], digests } =
        Policies::new(&world, [8001, 8002].map(|port| policy("auto", port)));
    let apply_old: &[&str] = &["apply", &old, "--yes"];
    let apply_new: &[&str] = &["apply", &new, "--yes"];
    let on_trial: &[&str] = &["apply", &new, "--yes", "--confirm-within", "1h"];
    let back: &[&str] = &["rollback", "BEFORE", "--yes"];
    let [is_old, is_new] = digests.each_ref().map(String::as_str);
    let apply = Scenario {
        name: "apply",
        before: &[apply_old],
        orphan: false,
        command: apply_new,
        either: &digests,
        done: is_new,
        again: apply_new,
        moot: None,
        settled: is_new,
    };
    let scenarios = [
        Scenario {
            name: "rollback",
            before: &[apply_old, apply_new],
            command: &["rollback", "--yes"],
            done: is_old,
            again: apply_old,
            settled: is_old,
            ..apply
        },
        Scenario {
            name: "apply on trial",
            command: on_trial,
            again: &["rollback", "NOW", "--yes"],
            settled: is_old,
            ..apply
        },
        Scenario {
            name: "confirm",
            before: &[apply_old, on_trial],
            command: &["confirm"],
            again: &["confirm"],
            moot: Some("there is nothing to confirm"),
            ..apply
        },
        Scenario {
            name: "keeper",
            before: &[apply_old, on_trial],
            orphan: true,
            command: &[
                "keeper",
                "--generation",
                "NOW",
                "--before",
                "BEFORE",
                "--deadline",
                "0",
                "--until",
                "UNTIL",
            ],
            done: is_old,
            again: back,
            settled: is_old,
            ..apply
        },
        apply,
    ];
    world.tries_under_load(&scenarios);
}

/// Goal: the same where nftables judges, and where an interface passes from one engine to the other. Method: the same.
#[test]
fn a_fault_at_any_point_leaves_a_guard_standing_whichever_engine_it_is() {
    let Some(world) = World::new(&INTERFACES) else { return };
    let texts = [policy("nft", 8001), policy("nft", 8002)];
    let Policies { files: [old, new], digests: [is_old, is_new] } = Policies::new(&world, texts);
    let xdp = world.policy("xdp.yaml", &policy("native", 8001));
    let apply_old: &[&str] = &["apply", &old, "--yes"];
    let apply_new: &[&str] = &["apply", &new, "--yes"];
    let apply_xdp: &[&str] = &["apply", &xdp, "--yes"];
    world.ok(apply_xdp);
    let is_xdp = world.enforced()[0].clone();
    let (nft, moved) = ([is_old, is_new.clone()], [is_xdp.clone(), is_new.clone()]);
    let apply = Scenario {
        name: "apply with nftables",
        before: &[apply_old],
        orphan: false,
        command: apply_new,
        either: &nft,
        done: &is_new,
        again: apply_new,
        moot: None,
        settled: &is_new,
    };
    let to_nft = Scenario { name: "from XDP to nftables", before: &[apply_xdp], either: &moved, ..apply };
    let to_xdp = Scenario {
        name: "from nftables to XDP",
        before: &[apply_new],
        command: apply_xdp,
        either: &moved,
        done: &is_xdp,
        again: apply_xdp,
        settled: &is_xdp,
        ..apply
    };
    world.tries_under_load(&[to_nft, to_xdp, apply]);
}

/// Goal: a machine that has no thread left to give is told of, not panicked at, and nothing is changed that cannot be
/// finished. Method: every start of a thread fails, of which some are needed to look at the other ends of the veth pairs.
#[test]
fn without_a_thread_to_be_had_commands_say_so() {
    let Some(world) = World::new(&INTERFACES) else { return };
    let (old, new) =
        (world.policy("old.yaml", &policy("auto", 8001)), world.policy("new.yaml", &policy("auto", 8002)));
    world.ok(&["apply", &old, "--yes"]);
    let enforced = world.enforced();
    for command in [&["apply", &new, "--yes"][..], &["plan", &new], &["status"]] {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let inject = "inject=clone,clone3:error=EAGAIN";
        let output = world.traced(&["-e", inject, "-o", "/dev/null"], &command);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(!output.status.success() && !told.contains("panicked"), "{command:?}: {told}");
        assert!(
            told.contains("the offloads of its other end cannot be read (Resource temp"),
            "{command:?}: {told}"
        );
        assert_eq!(world.enforced(), enforced, "{command:?}");
    }
}

/// Goal: the first apply and the last detach leave nothing half done. Method: faults at their points.
#[test]
fn a_fault_in_the_first_apply_or_in_detach_converges() {
    let Some(world) = World::new(&INTERFACES) else { return };
    let old = world.policy("old.yaml", &policy("auto", 8001));
    let apply: &[&str] = &["apply", &old, "--yes"];
    let detach: &[&str] = &["detach", "--yes", "--allow-open"];
    world.ok(apply);
    let either = [world.enforced()[0].clone(), String::new()];
    let first = Scenario {
        name: "first apply",
        before: &[detach],
        orphan: false,
        command: apply,
        either: &either,
        done: &either[0],
        again: apply,
        moot: None,
        settled: &either[0],
    };
    let last = Scenario {
        name: "detach",
        before: &[apply],
        command: detach,
        done: "",
        again: detach,
        settled: "",
        ..first
    };
    let points: usize = [last, first].iter().map(|scenario| world.tries_all(scenario)).sum();
    println!("{points} points");
}
