//! What comes back after a trial, and after a boot: README, "Undone by itself".

use std::process::Command;
use std::time::{Duration, Instant};

use crate::world::World;

const ONE: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";
const MAIL: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: mail, service: udp/2500 }]\n";

fn two(text: &str) -> String {
    text.replace("wan0: }", "wan0: , wan1: }")
}

impl World {
    /// The interfaces that are enforced.
    fn guarded(&self) -> Vec<String> {
        let status: serde_json::Value =
            serde_json::from_str(&self.perimeter(&["status", "--json"]).out).unwrap();
        let judged = status["interfaces"].as_array().unwrap().iter().filter(|one| one["enforced"] == true);
        judged.map(|one| one["interface"].as_str().unwrap().to_owned()).collect()
    }

    fn is_on_trial(&self) -> bool {
        let status: serde_json::Value =
            serde_json::from_str(&self.perimeter(&["status", "--json"]).out).unwrap();
        !status["trial"].is_null()
    }

    /// Waits until the trial is over.
    fn decided(&self) {
        let start = Instant::now();
        while self.is_on_trial() {
            assert!(start.elapsed() < Duration::from_secs(20), "the trial never ends: {:?}", self.guarded());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn on_trial(&self, policy: &str, within: &str) {
        self.ok(&["apply", policy, "--yes", "--allow-open", "--confirm-within", within]);
    }

    fn open(&self, interface: &str) {
        self.ok(&["detach", "--interface", interface, "--yes", "--allow-open"]);
    }
}

#[test]
fn what_a_trial_has_ended_comes_back_though_the_rest_was_detached() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    world.ok(&["apply", &world.policy("two.yaml", &two(ONE)), "--yes"]);
    world.on_trial(&world.policy("one.yaml", ONE), "2s");
    world.open("wan0");
    assert!(world.guarded().is_empty() && world.is_on_trial());
    world.decided();
    assert_eq!(world.guarded(), ["wan1"]);
}

#[test]
fn whoever_detaches_everything_decides_the_trial() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    world.ok(&["apply", &world.policy("two.yaml", &two(ONE)), "--yes"]);
    world.on_trial(&world.policy("one.yaml", ONE), "1h");
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert!(world.guarded().is_empty() && !world.is_on_trial());
    assert_eq!(world.perimeter(&["restore"]).code, 1, "nothing is kept");
}

#[test]
fn what_was_detached_before_a_trial_stays_so_after_it_and_over_a_boot() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    world.ok(&["apply", &world.policy("two.yaml", &two(ONE)), "--yes"]);
    world.open("wan1");
    let mail = world.policy("mail.yaml", MAIL);
    world.on_trial(&mail, "1s");
    world.decided();
    assert_eq!(world.guarded(), ["wan0"], "at the deadline");
    world.on_trial(&mail, "1h");
    world.ok(&["rollback", "--yes"]);
    assert_eq!((world.guarded(), world.is_on_trial()), (vec!["wan0".to_owned()], false), "by rollback");
    let places = world.places();
    assert!(Command::new("find").args([&places[3], "-type", "f", "-delete"]).status().unwrap().success());
    world.ok(&["restore"]);
    assert_eq!(world.guarded(), ["wan0"], "after a boot");
}

#[test]
fn a_boot_brings_nothing_back_that_was_detached() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    world.ok(&["apply", &world.policy("two.yaml", &two(ONE)), "--yes"]);
    world.open("wan1");
    world.ok(&["restore"]);
    assert_eq!(world.guarded(), ["wan0"]);
    assert!(world.ok(&["restore"]).starts_with("No changes."), "once is enough");
}

/// Goal: a trial of what was in force before, drift mended, is decided like any other. Method: a chain that is not perimeter's
/// in its table of nftables; the end of the trial, and the same by hand.
#[test]
fn a_trial_that_says_what_was_before_it_ends_too() {
    for (within, said) in [("1s", "generation 2 stays: it says what was before it"), ("1h", "confirmed")] {
        let Some(world) = World::new(&["wan0"]) else { return };
        let policy = world.policy("one.yaml", &ONE.replace("wan0: ", "wan0: { mode: nft } "));
        world.ok(&["apply", &policy, "--yes"]);
        let tables = nft(&world, &["list", "tables", "netdev"]);
        nft(&world, &["add", "chain", "netdev", tables.trim_end().rsplit(' ').next().unwrap(), "foreign"]);
        world.on_trial(&policy, within);
        if within == "1h" {
            let kept = world.ok(&["rollback", "--yes"]);
            assert!(kept.contains("Generation 2 is kept: it says the same."), "{kept}");
        }
        world.decided();
        assert!(world.ok(&["history"]).contains(said));
        assert_eq!(world.guarded(), ["wan0"]);
    }
}

fn nft(world: &World, words: &[&str]) -> String {
    let net = format!("--net=/run/netns/{}", world.namespace("gw"));
    let output = Command::new("nsenter").arg(net).arg("nft").args(words).output().unwrap();
    assert!(output.status.success(), "nft {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn nobody_goes_back_to_what_is_on_trial() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("one.yaml", ONE), "--yes"]);
    world.on_trial(&world.policy("mail.yaml", MAIL), "1h");
    let said = world.perimeter(&["rollback", "2", "--yes"]);
    assert!(said.code == 1 && said.err.contains("on trial: `perimeter confirm` keeps it"), "{said:?}");
    assert!(world.is_on_trial());
    world.ok(&["rollback", "1", "--yes"]);
    assert!(!world.is_on_trial());
}

/// Goal: a disk that takes no note keeps no gate closed that was open, and the note is made up for. Method: a journal that can
/// be read only, for longer than the trial.
#[test]
fn what_cannot_be_noted_at_the_deadline_is_done_at_once_and_noted_later() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    world.on_trial(&world.policy("two.yaml", &two(ONE)), "1s");
    let journal = format!("{}/journal.jsonl", world.places()[1]);
    let mount = |words: &[&str]| assert!(Command::new("mount").args(words).status().unwrap().success());
    mount(&["--bind", &journal, &journal]);
    let read_only = Unmounts(journal.clone());
    mount(&["-o", "remount,bind,ro", &journal]);
    let pins = || [world.pin("wan0", "link"), world.pin("wan1", "link")];
    let start = Instant::now();
    while pins().iter().any(|pin| !pin.is_empty()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", pins());
        std::thread::sleep(Duration::from_millis(30));
    }
    assert!(world.is_on_trial(), "nothing could be noted");
    drop(read_only);
    world.decided();
    assert_eq!(world.ok(&["history"]).matches("enforcement ended").count(), 2);
}

/// The keeper may be looking at it just then.
struct Unmounts(String);

impl Drop for Unmounts {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &self.0]).status();
    }
}
