//! What is replaced while somebody looks at it: a look takes more than one question, and an apply may come between two.

use std::path::Path;

use perimeter::backend::nft::Nft;
use perimeter::backend::{Backend, Enforcement, InForce};
use perimeter::ruleset::Ruleset;

use crate::world::World;

fn policy(port: u16) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: {{ mode: nft }} }}\nallow: [{{ id: one, service: udp/{port} }}]\n"
    )
}

fn ruleset(text: &str) -> Ruleset {
    let mut files = |name: &str| Err(std::io::Error::other(format!("{name} is not there")));
    let now = jiff::Timestamp::now();
    perimeter::policy::read("policy.yaml", text.as_bytes(), &mut files, now).ruleset.expect("it is valid")
}

/// Goal: an apply or a detach between two questions is not told as damage, and damage is. Method: the second question is
/// asked with the answer to the first from before the change.
#[test]
fn what_was_replaced_while_it_was_looked_at_is_no_drift() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let [first, second] = [8001, 8002].map(policy);
    let nft = Nft::new(Path::new(&world.places()[3]));
    let apply = |text: &str| -> InForce {
        world.ok(&["apply", &world.policy("policy.yaml", text), "--yes"]);
        match world.within("gw", || nft.observe("wan0")).unwrap().enforcement {
            Enforcement::InForce(record) => record,
            other => panic!("{other:?}"),
        }
    };
    let damage = |record: &InForce| {
        let ruleset = ruleset(&first);
        world.within("gw", || nft.inspect(&ruleset, 0, record)).unwrap()
    };
    let none: [&str; 0] = [];
    let before = apply(&first);
    assert_eq!(damage(&before), none);
    apply(&second);
    assert_eq!(damage(&before), none, "after an apply");
    world.ok(&["detach", "--yes", "--allow-open"]);
    assert_eq!(damage(&before), none, "after a detach");
    let now = apply(&first);
    let table = world.nft(&["list", "tables", "netdev"], "");
    let table = table.lines().find_map(|line| line.strip_prefix("table netdev ")).unwrap();
    world.nft(&["-f", "-"], &format!("flush chain netdev {table} allow.one\n"));
    let told = damage(&now);
    assert!(told.len() == 1 && told[0].contains("flushed"), "{told:?}");
}
