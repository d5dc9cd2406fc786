//! What a kill leaves although there is nothing to change afterwards: the next command takes it away all the same.

use super::fault::Fault;
use crate::world::World;

fn policy(mode: &str, port: u16) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: {{ mode: {mode} }} }}\nallow: [{{ id: now, service: udp/{port} }}]\n"
    )
}

/// The last call with these words.
fn last(calls: &[&str], words: &[&str]) -> usize {
    let is_wanted = |call: &&str| words.iter().all(|word| call.contains(word));
    calls.iter().rposition(is_wanted).unwrap_or_else(|| panic!("no call with {words:?}"))
}

/// Kills an apply before the call that `at` chooses from the trace of a clean run. That must leave something; what says
/// that there is nothing to change, with the policy that is in force then, must take it away.
fn goes_with_the_next_command(mode: &str, at: impl Fn(&[&str]) -> usize, in_force: InForce) {
    let Some(world) = World::new(&["wan0"]) else { return };
    let [old, new] = [8001, 8002].map(|port| world.policy(&format!("{port}.yaml"), &policy(mode, port)));
    let apply = |file: &str| ["apply", file, "--yes"].map(str::to_owned);
    world.ok(&["apply", &new, "--yes"]);
    world.ok(&["apply", &old, "--yes"]);
    let trace = world.trace(&apply(&new));
    let calls: Vec<&str> = trace.lines().collect();
    let clean = world.remains();
    world.ok(&["apply", &old, "--yes"]);
    let fault = Fault::kill(&calls, at(&calls));
    let output = world.traced(&["-e", &fault.inject(), "-o", "/dev/null"], &apply(&new));
    assert!(!output.status.success(), "{fault:?} did not kill it");
    assert_ne!(world.remains(), clean, "{fault:?} left nothing");
    let again = if in_force == InForce::Old { &old } else { &new };
    let said = world.ok(&["apply", again, "--yes"]);
    assert!(said.contains("No changes"), "{said}");
    assert_eq!(world.remains(), clean, "{fault:?} left something for good");
}

/// The policy that a kill leaves in force.
#[derive(PartialEq, Eq)]
enum InForce {
    Old,
    New,
}

/// Goal: a generation that is written and does not count yet goes. Method: a kill before it gets its name.
#[test]
fn a_draft_goes_with_the_next_command() {
    goes_with_the_next_command("native", |calls| last(calls, &["rename", "generations"]), InForce::Old);
}

/// Goal: the pin of the program to come becomes that of the program in force. Method: a kill right after the link runs it.
#[test]
fn a_program_that_runs_already_is_pinned_as_that_by_the_next_command() {
    goes_with_the_next_command("native", |calls| last(calls, &["BPF_LINK_UPDATE"]) + 1, InForce::New);
}

/// Goal: a table holds one generation. Method: a kill before the one that no rule leads to any more is cleared away.
#[test]
fn a_generation_in_nftables_that_was_replaced_goes_with_the_next_command() {
    goes_with_the_next_command("nft", |calls| last(calls, &["sendto(", "BATCH_BEGIN"]), InForce::New);
}
