use std::collections::BTreeMap;

use super::*;
use crate::backend::memory::{Memory, Step as Fault};
use crate::backend::{Feature, Observed};
use crate::plan::Facts;
use crate::samples::{rule, ruleset};
use crate::state::{Author, Namespace};

struct World {
    backend: Memory,
    state: State,
    _dir: tempfile::TempDir,
}

const HERE: Namespace = Namespace { cookie: 1 };

fn occasion() -> Occasion {
    Occasion { at: jiff::Timestamp::UNIX_EPOCH, author: Author::default(), namespace: HERE }
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        World { backend: Memory::with_devices(&["wan0", "wan1"]), state: State::new(dir.path()), _dir: dir }
    }

    fn plan(&self, ruleset: &Ruleset) -> Plan {
        let mut names: Vec<String> = ruleset.interfaces.iter().map(|one| one.name.clone()).collect();
        let more = self.backend.enforced().unwrap().into_iter().filter(|name| !names.contains(name));
        names.extend(more.collect::<Vec<_>>());
        let observed: Vec<Observed> = names.iter().map(|name| self.backend.observe(name).unwrap()).collect();
        let sizes = vec![0; ruleset.interfaces.len()];
        Plan::new(ruleset, &sizes, Facts { observed: &observed, known: &BTreeMap::new() }).unwrap()
    }

    fn apply(&mut self, ruleset: &Ruleset) -> Result<Report, ApplyError> {
        let plan = self.plan(ruleset);
        let lock = self.state.lock().unwrap();
        let image = || Image { settings: [0; perimeter_classifier::abi::SETTINGS], words: vec![0; 8] };
        let order = Order {
            ruleset,
            images: ruleset.interfaces.iter().map(|_| image()).collect(),
            sources: &[],
            policy_file: "gateway.yaml",
            occasion: occasion(),
            trial: None,
            must_happen: false,
            partial: false,
        };
        apply(&mut self.backend, &self.state, &lock, &plan, order)
    }

    /// The generation of each enforced interface.
    fn generations(&self) -> Vec<(&str, u64)> {
        self.backend.in_force.iter().map(|(name, record)| (name.as_str(), record.generation)).collect()
    }
}

fn other(interfaces: &[&str]) -> Ruleset {
    let mut other = ruleset(interfaces);
    other.rules.push(rule("more", crate::ruleset::Action::Deny, &[0]));
    other
}

#[test]
fn an_apply_gives_every_interface_one_rising_number_and_a_second_changes_nothing() {
    let mut world = World::new();
    let first = ruleset(&["wan0", "wan1"]);
    assert_eq!(world.apply(&first).unwrap().generation, Some(1));
    assert!(!world.plan(&first).changes);
    assert_eq!(world.apply(&first).unwrap(), Report::default());
    assert_eq!(world.apply(&other(&["wan0", "wan1"])).unwrap().generation, Some(2));
    assert_eq!(world.generations(), [("wan0", 2), ("wan1", 2)]);
    assert_eq!(world.state.find(Digest::of(&first), 1).unwrap().unwrap().1, first);
}

#[test]
fn nothing_is_switched_before_everything_is_prepared() {
    let mut world = World::new();
    world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
    world.backend.fail.insert(Fault::Prepare("wan1".into()));
    let error = world.apply(&other(&["wan0", "wan1"])).unwrap_err();
    assert!(matches!(error, ApplyError::Unchanged(_)), "{error}");
    assert_eq!(world.generations(), [("wan0", 1), ("wan1", 1)]);
}

#[test]
fn a_failure_at_any_step_of_a_replacement_leaves_everything_as_it_was_and_a_second_apply_heals() {
    for fault in [Fault::Prepare("wan0".into()), Fault::Switch("wan0".into()), Fault::Switch("wan1".into())] {
        let mut world = World::new();
        world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
        world.backend.fail.insert(fault.clone());
        world.apply(&other(&["wan0", "wan1"])).unwrap_err();
        assert_eq!(world.generations(), [("wan0", 1), ("wan1", 1)], "{fault:?}");
        let journal = expected(&world.state.journal().unwrap(), HERE);
        assert_eq!((journal.settled.unwrap().generation, journal.begun), (1, None), "{fault:?}");
        let healed = world.apply(&other(&["wan0", "wan1"])).unwrap().generation.unwrap();
        assert_eq!(world.generations(), [("wan0", healed), ("wan1", healed)], "{fault:?}");
        assert!(!world.plan(&other(&["wan0", "wan1"])).changes);
    }
}

#[test]
fn a_first_apply_that_fails_restores_offloads_and_enforces_nothing() {
    for fault in [Fault::SwitchOff("wan1".into()), Fault::Switch("wan1".into()), Fault::Switch("wan0".into())]
    {
        let mut world = World::new();
        let on = |world: &World, name: &str| world.backend.devices[name].contains(&Feature::RxVlan);
        for device in world.backend.devices.values_mut() {
            device.insert(Feature::RxVlan);
        }
        world.backend.fail.insert(fault.clone());
        world.apply(&ruleset(&["wan0", "wan1"])).unwrap_err();
        assert!(world.generations().is_empty() && world.backend.slots.is_empty(), "{fault:?}");
        assert!(on(&world, "wan0") && on(&world, "wan1"), "{fault:?}");
        world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
        assert!(!on(&world, "wan0") && !on(&world, "wan1"), "{fault:?}");
    }
}

#[test]
fn an_interface_that_cannot_go_back_is_named_and_the_next_apply_converges() {
    let mut world = World::new();
    world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
    world.backend.fail.extend([Fault::Switch("wan1".into()), Fault::Revert("wan0".into())]);
    let error = world.apply(&other(&["wan0", "wan1"])).unwrap_err();
    assert!(matches!(&error, ApplyError::Stuck { stuck, .. } if stuck[0].0 == "wan0"), "{error}");
    assert_eq!(world.generations(), [("wan0", 2), ("wan1", 1)]);
    world.apply(&other(&["wan0", "wan1"])).unwrap();
    assert_eq!(world.generations(), [("wan0", 3), ("wan1", 3)]);
}

#[test]
fn an_interface_that_is_no_longer_named_is_detached_after_the_others_are_switched() {
    let mut world = World::new();
    world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
    world.backend.fail.insert(Fault::Lower("wan1".into()));
    let error = world.apply(&ruleset(&["wan0"])).unwrap_err();
    assert!(matches!(error, ApplyError::Unfinished { .. }), "{error}");
    assert_eq!(world.generations(), [("wan0", 2), ("wan1", 1)]);
    let report = world.apply(&ruleset(&["wan0"])).unwrap();
    assert_eq!(report.ended, [("wan1".to_owned(), Vec::new())]);
    assert_eq!(world.generations(), [("wan0", 2)]);
}

#[test]
fn a_failed_apply_says_which_offloads_it_left_off() {
    let mut world = World::new();
    world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
    let back_on = |world: &mut World| {
        for device in world.backend.devices.values_mut() {
            device.insert(Feature::RxVlan);
        }
    };
    // What is in force is better off without them: they are not switched on again.
    for (fault, policy, left) in [
        (Fault::Switch("wan0".into()), other(&["wan0", "wan1"]), "offloads of wan0 "),
        (Fault::SwitchOff("wan1".into()), ruleset(&["wan0", "wan1"]), "offloads of wan0 "),
    ] {
        back_on(&mut world);
        world.backend.fail.insert(fault.clone());
        let error = world.apply(&policy).unwrap_err();
        assert!(matches!(error, ApplyError::OffloadsOff { .. }), "{fault:?}: {error}");
        let says = error.to_string();
        assert!(says.contains(left) && says.contains("stay so: rxvlan"), "{fault:?}: {says}");
        assert!(!says.contains("nothing was changed") && !says.contains("wan1 were"), "{fault:?}: {says}");
    }
    back_on(&mut world);
    world.backend.fail.insert(Fault::Switch("wan1".into()));
    let says = world.apply(&other(&["wan0", "wan1"])).unwrap_err().to_string();
    assert!(says.contains("is enforced again") && says.contains("wan1 were switched off"), "{says}");
}

#[test]
fn a_detach_that_fails_half_way_does_not_say_that_nothing_was_changed() {
    let mut world = World::new();
    world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
    let observed: Vec<Observed> =
        ["wan0", "wan1"].iter().map(|name| world.backend.observe(name).unwrap()).collect();
    let plan = Plan::detach(&observed, &BTreeMap::new());
    let detach_all = |world: &mut World, plan: &Plan| {
        let lock = world.state.lock().unwrap();
        let ending = Ending { occasion: occasion(), must_happen: false };
        detach(&mut world.backend, (&world.state, &lock), plan, &ending)
    };
    world.backend.fail.insert(Fault::Lower("wan0".into()));
    let error = detach_all(&mut world, &plan).unwrap_err();
    assert!(matches!(error, ApplyError::Unchanged(_)), "{error}");
    assert_eq!(world.generations(), [("wan0", 1), ("wan1", 1)]);
    world.backend.fail.insert(Fault::Lower("wan1".into()));
    let error = detach_all(&mut world, &plan).unwrap_err();
    assert!(matches!(error, ApplyError::Unfinished { .. }), "{error}");
    assert_eq!(world.generations(), [("wan1", 1)]);
    let journal = expected(&world.state.journal().unwrap(), HERE);
    assert_eq!(journal.settled.unwrap().interfaces, ["wan1"]);
}

#[test]
fn a_failed_apply_leaves_what_an_earlier_one_had_pinned() {
    let mut world = World::new();
    world.apply(&ruleset(&["wan0"])).unwrap();
    world.backend.lost.insert("wan0".into());
    world.backend.fail.insert(Fault::Prepare("wan0".into()));
    world.apply(&other(&["wan0"])).unwrap_err();
    assert_eq!(world.generations(), [("wan0", 1)], "its pins and its counters stay");
    assert!(!world.backend.slots.is_empty());
}

/// A journal that cannot be written: its name is that of a folder.
#[test]
fn an_end_that_must_happen_happens_everywhere_though_it_cannot_be_noted() {
    let mut world = World::new();
    for device in world.backend.devices.values_mut() {
        device.insert(Feature::RxVlan);
    }
    world.apply(&ruleset(&["wan0", "wan1"])).unwrap();
    let journal = world.state.journal_path();
    std::fs::remove_file(&journal).unwrap();
    std::fs::create_dir(&journal).unwrap();
    let observed: Vec<Observed> =
        ["wan0", "wan1"].iter().map(|name| world.backend.observe(name).unwrap()).collect();
    let plan = Plan::detach(&observed, &BTreeMap::new());
    let lock = world.state.lock().unwrap();
    let ending = Ending { occasion: occasion(), must_happen: true };
    let error = detach(&mut world.backend, (&world.state, &lock), &plan, &ending).unwrap_err();
    assert!(matches!(error, ApplyError::State(_)), "{error}");
    assert!(world.generations().is_empty());
    assert!(world.backend.devices.values().all(|on| on.contains(&Feature::RxVlan)), "offloads are on again");
}
