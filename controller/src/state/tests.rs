use std::collections::BTreeSet;

use super::*;

fn occasion() -> Occasion {
    let author = Author { by: "alice".into(), session: Some(3), ticket: None };
    Occasion { at: jiff::Timestamp::UNIX_EPOCH, author, namespace: Namespace { cookie: 7 } }
}

fn record(generation: u64, ruleset: &Ruleset) -> Record {
    Record {
        generation,
        policy: Digest::of(ruleset),
        policy_file: "/etc/perimeter/gateway.yaml".into(),
        occasion: occasion(),
        interfaces: vec!["wan0".into()],
        files: vec!["lists/partners.txt".into()],
        version: "0".into(),
    }
}

fn event(what: What, interfaces: &[&str]) -> Event {
    Event {
        occasion: occasion(),
        interfaces: interfaces.iter().map(|name| (*name).to_owned()).collect(),
        what,
    }
}

#[test]
fn a_stored_generation_is_found_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(&dir.path().join("deep/state"));
    assert_eq!(state.newest().unwrap(), 0);
    let lock = state.lock().unwrap();
    let ruleset = Ruleset::default();
    let sources =
        [("gateway.yaml".into(), "version: 1\n".into()), ("lists/partners.txt".into(), "192.0.2.1\n".into())];
    state.store(&lock, &record(3, &ruleset), &ruleset, &sources).unwrap();
    assert_eq!(state.newest().unwrap(), 3);
    assert_eq!(state.find(Digest::of(&ruleset), 3).unwrap().unwrap(), (record(3, &ruleset), ruleset.clone()));
    assert_eq!(state.find(Digest::of(&ruleset), 9).unwrap().unwrap(), (record(3, &ruleset), ruleset));
    assert_eq!(state.find(Digest([1; 32]), 3).unwrap(), None);
    let kept = dir.path().join("deep/state/generations/00000003");
    assert_eq!(fs::read_to_string(kept.join("policy.yaml")).unwrap(), "version: 1\n");
    assert_eq!(fs::read_to_string(kept.join("files/1-partners.txt")).unwrap(), "192.0.2.1\n");
}

/// Goal: neither a generation that cannot be stored nor a crash while one is leaves anything behind, whatever is done next.
/// Method: a folder that is in the way; a draft from before.
#[test]
fn what_cannot_be_stored_leaves_no_draft() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let lock = state.lock().unwrap();
    let obstacle = dir.path().join("generations/00000003");
    fs::create_dir_all(obstacle.join("full")).unwrap();
    assert!(state.store(&lock, &record(3, &Ruleset::default()), &Ruleset::default(), &[]).is_err());
    assert!(!state.draft().exists());
    fs::remove_dir_all(obstacle).unwrap();
    drop(lock);
    fs::create_dir_all(state.draft().join("files")).unwrap();
    let _lock = state.lock().unwrap();
    assert!(!state.draft().exists());
    assert_eq!(state.newest().unwrap(), 0);
}

#[test]
fn a_changed_ruleset_file_is_no_longer_the_policy_of_that_digest() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let ruleset = Ruleset::default();
    state.store(&state.lock().unwrap(), &record(1, &ruleset), &ruleset, &[]).unwrap();
    let path = dir.path().join("generations/00000001/ruleset.json");
    fs::write(&path, fs::read_to_string(&path).unwrap() + " ").unwrap();
    assert_eq!(state.find(Digest::of(&ruleset), 1).unwrap(), None);
}

/// Goal: damage hides one copy of a policy and no other. Method: two generations of one content.
#[test]
fn a_policy_is_found_where_one_copy_of_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let ruleset = Ruleset::default();
    let lock = state.lock().unwrap();
    for generation in [1, 3] {
        state.store(&lock, &record(generation, &ruleset), &ruleset, &[]).unwrap();
    }
    fs::write(dir.path().join("generations/00000003/ruleset.json"), "{}").unwrap();
    assert_eq!(state.find(Digest::of(&ruleset), 3).unwrap().unwrap().0.generation, 1);
}

/// Goal: what `check` takes can be kept. Method: a list with the longest name there is, which has no room for a number.
#[test]
fn a_list_with_the_longest_name_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let longest = "\u{e9}".repeat(127);
    let sources = [("gateway.yaml".into(), "version: 1\n".into()), (longest.clone(), "192.0.2.1\n".into())];
    let record = Record { files: vec![longest], ..record(1, &Ruleset::default()) };
    state.store(&state.lock().unwrap(), &record, &Ruleset::default(), &sources).unwrap();
    assert_eq!(state.generation(1).unwrap().sources[1], sources[1]);
}

#[test]
fn only_one_may_change_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let held = state.lock().unwrap();
    assert!(matches!(state.lock(), Err(StateError::Busy(_))));
    drop(held);
    state.lock().unwrap();
}

#[test]
fn a_torn_line_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let lock = state.lock().unwrap();
    let first = event(What::Begun { generation: 1, policy: Digest([1; 32]), kept: None }, &["wan0"]);
    state.append(&lock, &first).unwrap();
    let path = dir.path().join("journal.jsonl");
    fs::write(&path, [&fs::read(&path).unwrap()[..], b"{\"by\":\"\xc3"].concat()).unwrap();
    let second = event(
        What::InForce { generation: 1, policy: Digest([1; 32]), guards: Vec::new(), partial: false },
        &["wan0"],
    );
    state.append(&lock, &second).unwrap();
    assert_eq!(state.journal().unwrap(), [first, second]);
}

#[test]
fn the_journal_tells_what_should_be_in_force() {
    let policy = Digest([1; 32]);
    let here = Namespace { cookie: 7 };
    let mut events = vec![
        event(What::Begun { generation: 1, policy, kept: None }, &["wan0", "wan1"]),
        event(What::InForce { generation: 1, policy, guards: Vec::new(), partial: false }, &["wan0", "wan1"]),
        event(What::Begun { generation: 2, policy, kept: None }, &["wan0"]),
    ];
    let crashed = expected(&events, here);
    assert_eq!(crashed.settled.as_ref().unwrap().generation, 1);
    assert_eq!(crashed.begun.unwrap().generation, 2);
    events.push(event(What::Failed { generation: 2, why: "no".into() }, &["wan0"]));
    events.push(event(What::Detached, &["wan1"]));
    let now = expected(&events, here);
    assert_eq!(now.settled.unwrap().interfaces, ["wan0"]);
    assert_eq!(now.begun, None);
    assert_eq!(expected(&events, Namespace { cookie: 8 }), Expected::default());
}

#[test]
fn a_stored_generation_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let ruleset = Ruleset::default();
    let record = record(3, &ruleset);
    let sources = vec![
        (record.policy_file.clone(), b"version: 1\n".to_vec()),
        ("lists/partners.txt".into(), b"192.0.2.1\n".to_vec()),
    ];
    state.store(&state.lock().unwrap(), &record, &ruleset, &sources).unwrap();
    assert_eq!(state.generation(3).unwrap(), Stored { record, ruleset, sources });
    assert!(matches!(state.generation(4), Err(StateError::NoGeneration { number: 4, .. })));
}

#[test]
fn old_generations_go_but_for_those_that_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::new(dir.path());
    let lock = state.lock().unwrap();
    let ruleset = Ruleset::default();
    for number in 1..=3 {
        let record = Record { files: Vec::new(), ..record(number, &ruleset) };
        state.store(&lock, &record, &ruleset, &[("p.yaml".into(), Vec::new())]).unwrap();
    }
    let day = jiff::Timestamp::UNIX_EPOCH + stored::KEPT_FOR;
    state.prune(&lock, &BTreeSet::from([1]), day).unwrap();
    assert_eq!(state.numbers().unwrap(), [3, 2, 1]);
    state.prune(&lock, &BTreeSet::from([1]), day + jiff::SignedDuration::from_secs(1)).unwrap();
    assert_eq!(state.numbers().unwrap(), [3, 1]);
}
