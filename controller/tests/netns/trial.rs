//! Changes that undo themselves, and plans that hold.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, ip, udp};

const WEB: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";
const MAIL: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: mail, service: udp/2500 }]\n";

impl World {
    fn generation(&self) -> u64 {
        let said = self.perimeter(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        status["interfaces"][0]["generation"].as_u64().unwrap_or(0)
    }

    /// Waits until the generation is `wanted`; the time it took.
    fn reaches(&self, wanted: u64) -> Duration {
        let start = Instant::now();
        while self.generation() != wanted {
            assert!(start.elapsed() < Duration::from_secs(30), "generation {wanted} is never in force");
            std::thread::sleep(Duration::from_millis(20));
        }
        start.elapsed()
    }

    fn history(&self) -> Vec<String> {
        let lines = self.ok(&["history", "--json"]);
        let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone();
        lines.lines().map(|line| event(line).as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn what_is_not_confirmed_is_taken_back() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let (web, mail) = (world.policy("web.yaml", WEB), world.policy("mail.yaml", MAIL));
    world.ok(&["apply", &web, "--yes"]);
    let said = world.ok(&["apply", &mail, "--yes", "--confirm-within", "3s", "--ticket", "NET-7"]);
    assert!(said.contains("On trial until"), "{said}");
    assert_eq!(world.generation(), 2);
    let refused = world.perimeter(&["apply", &web, "--yes"]);
    assert!(refused.code == 1 && refused.err.contains("on trial"), "{refused:?}");
    let plan = world.ok(&["plan", &mail]);
    assert!(plan.starts_with("No changes.") && plan.contains("! generation 2 is on trial until "), "{plan}");
    assert_eq!(world.generation(), 2, "nothing else may change meanwhile");
    world.reaches(3);
    while world.history().last().unwrap() != "in_force" {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(world.ok(&["apply", &web]).starts_with("No changes."), "it is the policy of before");
    let wanted = ["begun", "in_force", "trial", "begun", "in_force", "reverting", "begun", "in_force"];
    assert_eq!(world.history(), wanted);
    assert!(world.ok(&["history"]).contains("[NET-7]"));
    assert_eq!(world.perimeter(&["confirm"]).code, 1, "it is too late");
}

/// Goal: what a trial no longer names is guarded again at its end. Method: from two interfaces to one, and from one to the
/// other.
#[test]
fn what_a_trial_has_ended_is_taken_back_too() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let both = world.policy("both.yaml", &WEB.replace("wan0:", "wan0: , wan1:"));
    let (first, other) =
        (world.policy("first.yaml", WEB), world.policy("other.yaml", &WEB.replace("wan0", "wan1")));
    for (before, trial) in [(&both, &first), (&first, &other)] {
        world.ok(&["apply", before, "--yes", "--allow-open"]);
        // The exit status, and what is enforced.
        let guarded = || -> (i32, Vec<String>) {
            let said = world.perimeter(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            let judged =
                status["interfaces"].as_array().unwrap().iter().filter(|one| one["enforced"] == true);
            (said.code, judged.map(|one| one["interface"].as_str().unwrap().to_owned()).collect())
        };
        let wanted = guarded();
        assert_eq!(wanted.0, 0);
        world.ok(&["apply", trial, "--yes", "--allow-open", "--confirm-within", "1s"]);
        assert_ne!(guarded().1, wanted.1);
        let deadline = Instant::now() + Duration::from_secs(20);
        while guarded() != wanted || world.json(&["status"])["trial"] != serde_json::Value::Null {
            assert!(Instant::now() < deadline, "{:?} instead of {wanted:?}", guarded());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn what_is_confirmed_stays() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    world.ok(&["apply", &world.policy("mail.yaml", MAIL), "--yes", "--confirm-within", "2s"]);
    assert_eq!(world.ok(&["confirm"]), "Generation 2 is kept.\n");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(world.generation(), 2);
    assert_eq!(world.perimeter(&["status"]).code, 0);
}

#[test]
fn a_first_policy_that_is_not_confirmed_leaves_nothing() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes", "--confirm-within", "2s"]);
    assert_eq!(world.generation(), 1);
    world.reaches(0);
    // It is noted right after.
    while world.history().last().unwrap() != "detached" {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_keeper_outlives_the_command_and_its_terminal() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    let mail = world.policy("mail.yaml", MAIL);
    let mut command = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", world.namespace("gw")))
        .arg(env!("CARGO_BIN_EXE_perimeter"))
        .args(world.places())
        .args(["apply", &mail, "--yes", "--confirm-within", "3s"])
        .process_group(0)
        .spawn()
        .unwrap();
    world.reaches(2);
    // What a terminal that goes away does, and worse.
    let group = format!("-{}", command.id());
    for signal in ["-HUP", "-KILL"] {
        let _ = Command::new("kill").args([signal, "--", &group]).status();
    }
    command.wait().unwrap();
    world.reaches(3);
    assert!(world.json(&["plan", &world.policy("web.yaml", WEB)])["changes"] == false);
}

#[test]
fn rollback_puts_an_old_policy_in_force_under_a_new_number() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let (web, mail) = (world.policy("web.yaml", WEB), world.policy("mail.yaml", MAIL));
    assert_eq!(world.perimeter(&["rollback", "--yes"]).code, 1, "there is nothing to go back to");
    world.ok(&["apply", &web, "--yes"]);
    world.ok(&["apply", &mail, "--yes"]);
    world.ok(&["rollback", "--yes"]);
    assert_eq!(world.generation(), 3);
    assert!(world.ok(&["apply", &web]).starts_with("No changes."));
    world.ok(&["rollback", "2", "--yes"]);
    assert!(world.ok(&["apply", &mail]).starts_with("No changes."));
    let unknown = world.perimeter(&["rollback", "77", "--yes"]);
    assert!(unknown.code == 1, "{unknown:?}");
    assert!(world.ok(&["show", "1"]).contains("udp/8000"));
    world.send("wan0", &udp([192, 0, 2, 1], 2500), 10);
    assert_eq!(world.settled("wan0", 10)["passed"]["packets"], 10);
}

#[test]
fn what_was_detached_during_a_trial_stays_detached() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let both = |text: &str| text.replace("wan0: ", "wan0: , wan1: ");
    let (web, mail) = (world.policy("web.yaml", &both(WEB)), world.policy("mail.yaml", &both(MAIL)));
    world.ok(&["apply", &web, "--yes"]);
    world.ok(&["apply", &mail, "--yes", "--confirm-within", "2s"]);
    world.ok(&["detach", "--interface", "wan0", "--yes", "--allow-open"]);
    world.reaches(3);
    while world.history().last().unwrap() != "in_force" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = world.json(&["status"]);
    let judged: Vec<_> =
        status["interfaces"].as_array().unwrap().iter().map(|one| &one["interface"]).collect();
    assert_eq!(judged, ["wan1"], "the later command decides: {status:#}");
}

#[test]
fn rollback_during_a_trial_ends_it_at_once() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    world.ok(&["apply", &world.policy("mail.yaml", MAIL), "--yes", "--confirm-within", "2s"]);
    world.ok(&["rollback", "--yes"]);
    assert_eq!(world.generation(), 3);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(world.generation(), 3, "the keeper has nothing left to do");
}

#[test]
fn a_plan_is_applied_as_reviewed_or_not_at_all() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let (web, mail) = (world.policy("web.yaml", WEB), world.policy("mail.yaml", MAIL));
    let file = world.policy("web.plan", "");
    let made = world.perimeter(&["plan", &web, "--out", &file]);
    let first = std::fs::read(&file).unwrap();
    world.perimeter(&["plan", &web, "--out", &file]);
    assert_eq!(std::fs::read(&file).unwrap(), first, "the same inputs give the same bytes");
    let digest = made.err.split_whitespace().last().unwrap();
    let shown = world.ok(&["show", &file]);
    assert!(shown.contains(digest) && shown.contains("udp/8000"), "{shown}");
    world.ok(&["apply", &file, "--yes"]);
    assert!(world.ok(&["apply", &web]).starts_with("No changes."));

    assert!(world.ok(&["apply", &file]).starts_with("No changes."), "it is done already");
    world.ok(&["apply", &mail, "--yes"]);
    let stale = world.perimeter(&["apply", &file, "--yes"]);
    assert!(stale.code == 1 && stale.err.contains("generation 2"), "{stale:?}");
    world.ok(&["apply", &web, "--yes"]);
    world.perimeter(&["plan", &mail, "--out", &file]);
    world.policy("mail.yaml", &MAIL.replace("2500", "2501"));
    let edited = world.perimeter(&["apply", &file, "--yes"]);
    assert!(edited.code == 1 && edited.err.contains("has been edited"), "{edited:?}");
    std::fs::remove_file(&mail).unwrap();
    world.ok(&["apply", &file, "--yes"]);
    world.send("wan0", &udp([192, 0, 2, 1], 2500), 5);
    assert_eq!(world.settled("wan0", 5)["passed"]["packets"], 5);
}

#[test]
fn history_tells_what_was_in_force_at_an_instant() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let before = jiff::Timestamp::now().to_string();
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    let between = jiff::Timestamp::now().to_string();
    world.ok(&["apply", &world.policy("mail.yaml", MAIL), "--yes"]);
    assert!(world.ok(&["history", "--at", &before]).contains("Nothing was enforced"));
    assert!(world.ok(&["history", "--at", &between]).contains("wan0  generation 1"));
    assert!(world.ok(&["history", "--at", "2099-01-01"]).contains("wan0  generation 2"));
}

#[test]
fn a_device_that_goes_keeps_no_other_from_going_back() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let both = |text: &str| text.replace("wan0:", "wan0: , wan1:");
    world.ok(&["apply", &world.policy("web.yaml", &both(WEB)), "--yes"]);
    world.ok(&["apply", &world.policy("mail.yaml", &both(MAIL)), "--yes", "--confirm-within", "3s"]);
    ip(&["-n", &world.namespace("gw"), "link", "del", "wan1"]);
    world.reaches(3);
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
    assert_eq!(world.settled("wan0", 5)["passed"]["packets"], 5, "the policy of before passes it");
}

#[test]
fn a_journal_that_cannot_be_read_for_a_while_ends_no_trial() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    world.ok(&["apply", &world.policy("mail.yaml", MAIL), "--yes", "--confirm-within", "3s"]);
    let journal = std::path::Path::new(&world.places()[1]).join("journal.jsonl");
    let aside = journal.with_extension("aside");
    std::fs::copy(&journal, &aside).unwrap();
    let nowhere = journal.with_extension("loop");
    std::os::unix::fs::symlink(&nowhere, &nowhere).unwrap();
    std::fs::rename(&nowhere, &journal).unwrap();
    std::os::unix::fs::symlink(&journal, &nowhere).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    std::fs::rename(&aside, &journal).unwrap();
    world.reaches(3);
}

#[test]
fn what_is_not_in_force_cannot_be_confirmed() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes", "--confirm-within", "1h"]);
    reboot(&world);
    let said = world.perimeter(&["confirm"]);
    assert!(said.code == 1 && said.err.contains("does not enforce it"), "{said:?}");
}

#[test]
fn a_boot_guards_the_devices_that_are_there() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let policy = world.policy("web.yaml", &WEB.replace("wan0:", "wan0: , wan1:"));
    world.ok(&["apply", &policy, "--yes"]);
    reboot(&world);
    ip(&["-n", &world.namespace("gw"), "link", "del", "wan1"]);
    let said = world.perimeter(&["restore"]);
    assert!(said.code == 2 && said.err.contains("wan1"), "{said:?}");
    assert_eq!(world.generation(), 2);
    let again = world.perimeter(&["restore"]);
    assert!(again.code == 2 && again.out.starts_with("No changes."), "{again:?}");
    assert!(!again.out.contains("switched off"), "nothing was done: {again:?}");
    world.add_pair("wan1");
    world.ok(&["restore"]);
    assert!(world.ok(&["apply", &policy]).starts_with("No changes."), "what was kept was the whole");
}

/// Goal: what was made to end one trial never ends another, nor what is kept. Method: the words that a timer would run,
/// with the end of another trial, with that of this one, and once more after it was confirmed.
#[test]
fn a_keeper_takes_back_its_own_trial_and_no_other() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    let mail = world.policy("mail.yaml", MAIL);
    // In a process of its own: it leaves the session and the folder that it is called in.
    let keeps = |generation: u64, until: &str| {
        let [now, before] = [generation, generation - 1].map(|number| number.to_string());
        let status = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", world.namespace("gw")))
            .arg(env!("CARGO_BIN_EXE_perimeter"))
            .args(world.places())
            .args(["keeper", "--generation", &now, "--before", &before, "--deadline", "0", "--until", until])
            .stdin(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
        world.generation()
    };
    let on_trial = || {
        world.ok(&["apply", &mail, "--yes", "--confirm-within", "1h"]);
        world.json(&["status"])["trial"]["until"].as_str().unwrap().to_owned()
    };
    let until = on_trial();
    assert_eq!(keeps(2, "2026-01-01T00:00:00Z"), 2, "a trial of this number, but not this one");
    assert_eq!(keeps(2, &until), 3, "this one");
    assert_eq!(keeps(2, &until), 3, "it is over");
    let until = on_trial();
    world.ok(&["confirm"]);
    assert_eq!(keeps(4, &until), 4, "what is kept stays");
}

/// Goal: nobody counts on a way back that is gone. Method: the keeper of a trial is killed long before its end.
#[test]
fn a_trial_that_nobody_takes_back_is_told_before_its_end() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("web.yaml", WEB), "--yes"]);
    let mail = world.policy("mail.yaml", MAIL);
    let told = world.ok(&["apply", &mail, "--yes", "--confirm-within", "1h"]);
    let status = world.perimeter(&["status"]);
    let time = |text: &str| text.split_once("n trial until ").unwrap().1[..8].to_owned();
    assert_eq!((time(&told), status.code), (time(&status.out), 0), "{told}{status:?}");
    assert_eq!(world.json(&["status"])["trial"]["keeper"], "process");
    for keeper in world.keepers() {
        kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    }
    assert!(world.keepers_are_gone());
    let lost = world.perimeter(&["status"]);
    assert!(lost.code == 2 && lost.out.contains("nobody is left to take it back"), "{lost:?}");
    world.ok(&["rollback", "--yes"]);
    assert_eq!(world.perimeter(&["status"]).code, 0);
}

/// What a boot leaves: neither program nor pin.
fn reboot(world: &World) {
    let places = world.places();
    assert!(Command::new("find").args([&places[3], "-type", "f", "-delete"]).status().unwrap().success());
}

#[test]
fn a_boot_brings_back_what_was_confirmed_last() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let web = world.policy("web.yaml", WEB);
    let nothing = world.perimeter(&["restore"]);
    assert!(nothing.code == 1 && nothing.err.contains("no generation was kept"), "{nothing:?}");
    world.ok(&["apply", &web, "--yes"]);
    world.ok(&["apply", &world.policy("mail.yaml", MAIL), "--yes", "--confirm-within", "1h"]);
    reboot(&world);
    assert_eq!(world.generation(), 0);
    world.ok(&["restore", "--wait", "5s"]);
    assert_eq!(world.generation(), 3);
    assert!(world.ok(&["apply", &web]).starts_with("No changes."), "not what was on trial");
}

#[test]
fn where_nothing_was_kept_a_boot_falls_back_to_the_way_in() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let fallback = world.policy("fallback.yaml", MAIL);
    let said = world.perimeter(&["restore", "--fallback", &fallback]);
    assert!(said.code == 2 && said.err.contains("falling back"), "{said:?}");
    assert_eq!(world.generation(), 1);
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
    assert_eq!(world.settled("wan0", 5)["dropped"]["packets"], 5);
}
