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
    calls.iter().rposition(|call| has(call, words)).unwrap_or_else(|| panic!("no call with {words:?}"))
}

fn has(call: &str, words: &[&str]) -> bool {
    words.iter().all(|word| call.contains(word))
}

/// How often a kill may miss its call: a command asks again where the kernel says that a list was cut through by a change,
/// and from there on its calls have other numbers than those of the clean run.
const MISSES: usize = 10;

/// Kills an apply of `new` while `old` is in force, before the last call with these words.
fn kills_before(words: &[&str], world: &World, old: &str, new: &str) {
    let apply = |file: &str| ["apply", file, "--yes"].map(str::to_owned);
    let log = world.policy("killed.log", "");
    for _ in 0..MISSES {
        world.ok(&["apply", old, "--yes"]);
        let trace = world.trace(&apply(new));
        let calls: Vec<&str> = trace.lines().collect();
        world.ok(&["apply", old, "--yes"]);
        let fault = Fault::kill(&calls, last(&calls, words));
        world.traced(&["-e", &fault.inject(), "-o", &log], &apply(new));
        let killed = std::fs::read_to_string(&log).unwrap();
        let end: Vec<&str> = killed.lines().rev().take(2).collect();
        if end[0].contains("killed by SIGKILL") && has(end[1], words) {
            return;
        }
        println!("{fault:?} came before another call: {end:?}");
    }
    panic!("no kill of {MISSES} came before {words:?}");
}

/// Kills an apply before the last call with these words. That must leave something; what says that there is nothing to
/// change, with the policy that is in force then, must take it away.
fn goes_with_the_next_command(mode: &str, words: &[&str], in_force: InForce) {
    let Some(world) = World::new(&["wan0"]) else { return };
    let [old, new] = [8001, 8002].map(|port| world.policy(&format!("{port}.yaml"), &policy(mode, port)));
    world.ok(&["apply", &new, "--yes"]);
    world.ok(&["apply", &old, "--yes"]);
    let clean = world.remains();
    kills_before(words, &world, &old, &new);
    assert_ne!(world.remains(), clean, "a kill before {words:?} left nothing");
    let again = if in_force == InForce::Old { &old } else { &new };
    let said = world.ok(&["apply", again, "--yes"]);
    assert!(said.contains("No changes"), "{said}");
    assert_eq!(world.remains(), clean, "a kill before {words:?} left something for good");
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
    goes_with_the_next_command("native", &["rename(", "generations"], InForce::Old);
}

/// Goal: the pin of the program to come becomes that of the program in force. Method: a kill after the link runs it,
/// before the pin of its predecessor and before its own gets the new name.
#[test]
fn a_program_that_runs_already_is_pinned_as_that_by_the_next_command() {
    goes_with_the_next_command("native", &["rename(", "/program", "/previous"], InForce::New);
    goes_with_the_next_command("native", &["rename(", "/next", "/program"], InForce::New);
}

/// Goal: a table holds one generation. Method: a kill before the one that no rule leads to any more is cleared away.
#[test]
fn a_generation_in_nftables_that_was_replaced_goes_with_the_next_command() {
    goes_with_the_next_command("nft", &["sendto(", "BATCH_BEGIN"], InForce::New);
}

/// Goal: who undoes an apply that died gets what was in force before it, and not what was before that. Method: a kill between
/// the link and the note that it runs; the policy that was killed is another, and that of two before.
#[test]
fn what_is_undone_after_a_kill_is_what_was_killed() {
    for killed in [8003, 8001] {
        let Some(world) = World::new(&["wan0"]) else { return };
        let file = |port: u16| world.policy(&format!("{port}.yaml"), &policy("native", port));
        world.ok(&["apply", &file(8001), "--yes"]);
        let (old, new) = (file(8002), file(killed));
        kills_before(&["rename(", "/next", "/program"], &world, &old, &new);
        let plan = world.ok(&["plan", &old]);
        assert!(plan.contains("opens  untagged: any -> any udp/8002"), "the link runs the new one: {plan}");
        world.ok(&["rollback", "--yes"]);
        assert!(world.ok(&["plan", &old]).starts_with("No changes"), "{killed}");
    }
}
