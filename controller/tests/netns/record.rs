//! What an auditor checks: that the record of what was done is what was written.

use std::fs;
use std::path::PathBuf;

use crate::world::{Said, World};

const POLICY: &str = "version: 1\ninterfaces: { wan0: }\nallow: [{ id: web, service: udp/8000 }]\n";

impl World {
    fn state(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.places()[1]).join(name)
    }

    fn audit(&self, seal: &[&str]) -> Said {
        self.perimeter(&[&["history", "--check"], seal].concat())
    }
}

/// Goal: what was changed behind perimeter's back in the record is told, and what was not is not. Method: the journal and a
/// stored policy edited, and the journal without its end, which only a seal from elsewhere tells.
#[test]
fn a_record_that_was_changed_is_told() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let empty = world.audit(&[]);
    assert!(empty.code == 0 && empty.out.starts_with("0 records"), "{empty:?}");
    world.ok(&["apply", &world.policy("one.yaml", POLICY), "--yes", "--ticket", "NET-7"]);
    let changed = POLICY.replace("8000", "8001");
    world.ok(&["apply", &world.policy("two.yaml", &changed), "--yes", "--confirm-within", "60s"]);
    world.ok(&["confirm"]);
    let checked = world.json(&["history", "--check"]);
    assert_eq!((&checked["records"], &checked["generations"]), (&6.into(), &2.into()), "{checked}");
    let seal = checked["last"].as_str().unwrap();
    let whole = world.audit(&[seal]);
    assert!(whole.code == 0 && whole.out.contains("up to there nothing was changed"), "{whole:?}");

    let journal = world.state("journal.jsonl");
    let written = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, written.replacen("NET-7", "NET-8", 1)).unwrap();
    let told = world.audit(&[]);
    assert!(told.code == 2 && told.out.contains("line 1 does not go on"), "{told:?}");

    let last = written.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&journal, &written[..last]).unwrap();
    assert_eq!(world.audit(&[]).code, 0);
    let cut = world.audit(&[seal]);
    assert!(cut.code == 2 && cut.out.contains("no record has the seal"), "{cut:?}");

    fs::write(&journal, &written).unwrap();
    for (file, from, to) in
        [("ruleset.json", "8000", "9000"), ("policy.yaml", "web", "www"), ("record.json", "NET-7", "NET-8")]
    {
        let path = world.state("generations/00000001").join(file);
        let kept = fs::read_to_string(&path).unwrap();
        assert!(kept.contains(from), "{kept}");
        fs::write(&path, kept.replace(from, to)).unwrap();
        let told = world.audit(&[seal]);
        assert!(
            told.code == 2 && told.out.contains("generation 1 is not what was put in force"),
            "{file}: {told:?}"
        );
        // Nor is it shown without a word, or put in force as if it were whole.
        let said = [world.perimeter(&["show", "1"]), world.perimeter(&["rollback", "--yes"])];
        assert!(said.iter().all(|said| said.code != 0), "{file}: {said:?}");
        fs::write(&path, kept).unwrap();
    }
    assert_eq!(world.json(&["status"])["interfaces"][0]["generation"], 2);
    assert_eq!((world.audit(&[seal]).code, world.perimeter(&["show", "1"]).code), (0, 0));
    fs::rename(world.state("generations/00000001"), world.state("elsewhere")).unwrap();
    let told = world.audit(&[]);
    assert!(told.code == 2 && told.out.contains("generation 1 is not kept any more"), "{told:?}");
}
