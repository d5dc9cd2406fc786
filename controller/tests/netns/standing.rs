//! A table can be right in every rule and meet no frame: nothing says that it enforces then, and an apply mends it.

use crate::modes::{policy, run, table};
use crate::world::{World, drained, ip, udp};

/// `wan0` under this mode, with frames that come out behind it.
fn enforced(mode: &str) -> Option<(World, String)> {
    let world = World::new(&["wan0", "wan1"])?;
    let file = world.policy("a.yaml", &policy(mode));
    world.ok(&["apply", &file, "--yes"]);
    Some((world, file))
}

/// Frames of a port that no rule allows which come out behind the guards, of five.
fn pass(world: &World) -> u64 {
    let mut behind = world.behind("wan0", 0x0800);
    world.send("wan0", &udp([192, 0, 2, 1], 9999), 5);
    drained(&mut *behind)
}

fn status(world: &World) -> (i32, String) {
    let said = world.perimeter(&["status"]);
    (said.code, said.out)
}

fn told(world: &World, words: &str) {
    let (code, out) = status(world);
    assert!(code == 2 && out.contains(words), "{words:?} is not told, {code}: {out}");
}

fn sleep(world: &World) {
    let (name, _) = table(world);
    run(world, &["nft", "add", "table", "netdev", &name, "{ flags dormant; }"]);
}

/// Goal: a table that sleeps is told of and woken by whatever applies next. Method: each way to apply, and frames.
#[test]
fn a_table_that_sleeps_enforces_nothing_and_is_woken() {
    let Some((world, nft)) = enforced("nft") else { return };
    sleep(&world);
    told(&world, "its nftables table is dormant");
    assert_eq!(pass(&world), 5, "the kernel lets everything through");
    world.ok(&["apply", &nft, "--yes"]);
    assert_eq!((status(&world).0, pass(&world)), (0, 0));
    // Behind XDP, and as what is left of a mode before.
    for mode in ["both", "native"] {
        world.ok(&["apply", &world.policy("b.yaml", &policy(mode)), "--yes"]);
        sleep(&world);
        assert_eq!(status(&world).0, if mode == "both" { 2 } else { 0 }, "{mode}");
        world.ok(&["apply", &nft, "--yes"]);
        assert_eq!((status(&world).0, pass(&world)), (0, 0), "{mode}");
    }
}

/// Goal: a base chain that stands elsewhere too, or is not the first, is told and made anew. Method: as a person would.
#[test]
fn a_base_chain_that_stands_otherwise_is_told_and_made_anew() {
    let Some((world, nft)) = enforced("nft") else { return };
    let (name, text) = table(&world);
    let devices = "{ type filter hook ingress devices = { wan1 } priority -2147483648; }";
    run(&world, &["nft", "add", "chain", "netdev", &name, "ingress", devices]);
    told(&world, "its base chain also stands on wan1");
    assert_eq!(pass(&world), 0);
    world.ok(&["apply", &nft, "--yes"]);
    assert_eq!((status(&world).0, pass(&world)), (0, 0));
    assert_eq!(table(&world).1.lines().nth(1), text.lines().nth(1), "the rules are those");

    let listed = run(&world, &["nft", "list", "table", "netdev", &name]);
    let late = listed.replacen("priority -2147483648", "priority 7", 1);
    assert_ne!(late, listed);
    world.nft(&["-f", "-"], &format!("delete table netdev {name}\n{late}"));
    told(&world, "its base chain has priority 7");
    world.ok(&["apply", &nft, "--yes"]);
    assert_eq!((status(&world).0, pass(&world)), (0, 0));
}

#[test]
fn what_was_put_into_a_table_is_told_by_name() {
    let Some((world, nft)) = enforced("nft") else { return };
    let (name, _) = table(&world);
    run(&world, &["nft", "add", "set", "netdev", &name, "friends", "{ type ipv4_addr; }"]);
    told(&world, "set friends was added");
    world.ok(&["apply", &nft, "--yes"]);
    // The generation lies in the other place now, where a name says nothing of who gave it.
    let hook = "{ type filter hook ingress device wan0 priority 7; }";
    run(&world, &["nft", "add", "chain", "netdev", &table(&world).0, "beside", hook]);
    told(&world, "chain beside was added");
    world.ok(&["apply", &nft, "--yes"]);
    assert!(!table(&world).1.contains("beside"));
    run(&world, &["nft", "insert", "rule", "netdev", &table(&world).0, "ingress", "accept"]);
    told(&world, "a rule that perimeter did not write stands before those");
    world.ok(&["apply", &nft, "--yes"]);
    assert_eq!((status(&world).0, pass(&world)), (0, 0));
}

/// Goal: an edited table is never in sync, whatever became of the state directory. Method: damage the policy that is kept, and
/// let everything through.
#[test]
fn without_its_policy_a_table_is_not_in_sync() {
    let Some((world, nft)) = enforced("nft") else { return };
    let kept = format!("{}/generations/00000001/ruleset.json", world.places()[1]);
    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap() + " ").unwrap();
    let (chain, rule) = ("ingress", "accept");
    run(&world, &["nft", "add", "rule", "netdev", &table(&world).0, chain, rule]);
    told(&world, "whether its nftables table was edited cannot be told");
    assert_eq!(world.perimeter(&["plan", &nft, "--detailed-exitcode"]).code, 2);
    world.ok(&["apply", &nft, "--yes"]);
    assert_eq!((status(&world).0, pass(&world)), (0, 0));
}

/// Goal: since Linux 6.16 nftables leaves a device that is renamed; what is told then is true, and what is advised helps.
#[test]
fn a_device_that_is_renamed_away_from_nftables_is_told_with_what_helps() {
    let Some((world, _)) = enforced("nft") else { return };
    let gateway = world.namespace("gw");
    ip(&["-n", &gateway, "link", "set", "wan0", "name", "ren0"]);
    let (code, out) = status(&world);
    let follows = out.contains("its base chain stands on ren0");
    assert!(code == 2 && (follows || out.contains("if it was renamed it is open until")), "{code}: {out}");
    ip(&["-n", &gateway, "link", "set", "ren0", "name", "wan0"]);
    assert_eq!((status(&world).0, pass(&world)), (0, 0));
}
