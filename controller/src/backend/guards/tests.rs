//! Every way from some guards to others, and every step of it that can fail, watched frame by frame.

use std::rc::Rc;

use super::*;
use crate::backend::Wanted;
use crate::backend::memory::{Memory, Moment, Step};
use crate::digest::Digest;
use crate::ruleset::{Mode, Ruleset};
use crate::samples::ruleset;
use crate::tables::Image;

use Engine::{Generic, Native, Nft};

type World = Guards<Memory, Memory, Memory>;

const MODES: [Mode; 5] = [Mode::Auto, Mode::Native, Mode::Generic, Mode::Nft, Mode::Both];

/// A machine with `wan0`.
fn world() -> World {
    let device = || Memory::with_devices(&["wan0"]);
    let xdp = device();
    let mut nft = device();
    (nft.nft, nft.wire) = (true, Rc::clone(&xdp.wire));
    Guards { xdp, nft, offloads: device() }
}

fn target<'a>(ruleset: &'a Ruleset, generation: u64, wanted: Wanted) -> Target<'a> {
    let image = Image { settings: [0; perimeter_classifier::abi::SETTINGS], words: vec![0; 8] };
    Target { ruleset, index: 0, wanted, image, generation, policy: Digest::of(ruleset) }
}

/// Puts a generation in force as an apply of one interface does.
fn apply(world: &mut World, generation: u64, mode: Mode) -> Result<Switched, BackendError> {
    let ruleset = ruleset(&["wan0"]);
    let mut prepared = world.prepare(target(&ruleset, generation, Wanted::of(mode)))?;
    let switched = world.switch(&mut prepared)?;
    world.settle(&mut prepared)?;
    Ok(switched)
}

fn standing(world: &World) -> Moment {
    world.xdp.wire.borrow().now.get("wan0").cloned().unwrap_or_default()
}

/// The moments since the last call.
fn moments(world: &World) -> Vec<Moment> {
    world.xdp.wire.borrow_mut().moments.drain(..).map(|(_, moment)| moment).collect()
}

fn assert_no_gap(moments: &[Moment], what: &str) {
    for moment in moments {
        assert!(!moment.is_empty(), "nothing stands: {what}: {moments:?}");
        assert!(
            !(moment.contains_key(&Native) && moment.contains_key(&Generic)),
            "no device takes native and generic XDP at once: {what}: {moments:?}"
        );
    }
}

fn steps() -> Vec<(bool, Step)> {
    let name = || "wan0".to_owned();
    let each = |nft| {
        [Step::Prepare(name()), Step::Switch(name()), Step::Revert(name()), Step::Lower(name())]
            .map(move |step| (nft, step))
    };
    let front = [Step::StandAside(name()), Step::ComeBack(name())].map(|step| (false, step));
    each(false).into_iter().chain(each(true)).chain(front).collect()
}

#[test]
fn every_way_ends_where_the_mode_says_and_leaves_no_gap() {
    for from in MODES {
        for to in MODES {
            let mut world = world();
            apply(&mut world, 1, from).unwrap();
            moments(&world);
            let engines = apply(&mut world, 2, to).unwrap().engines;
            let what = format!("{from:?} to {to:?}");
            assert!(Wanted::of(to).accepts(&engines), "{what}: {engines:?}");
            let expected: Moment = engines.iter().map(|engine| (*engine, 2)).collect();
            assert_eq!(standing(&world), expected, "{what}");
            assert_no_gap(&moments(&world), &what);
            assert_eq!(world.observe("wan0").unwrap().engines(), engines, "{what}");
        }
    }
}

#[test]
fn a_failure_at_any_step_goes_back_without_a_gap_and_the_next_apply_converges() {
    for from in MODES {
        for to in MODES {
            for (nft, step) in steps() {
                let mut world = world();
                apply(&mut world, 1, from).unwrap();
                let before = standing(&world);
                moments(&world);
                let what = format!("{from:?} to {to:?}, {} {step:?}", if nft { "nftables" } else { "XDP" });
                if nft { &mut world.nft } else { &mut world.xdp }.fail.insert(step.clone());
                let result = apply(&mut world, 2, to);
                assert_no_gap(&moments(&world), &what);
                match (result, &step) {
                    // What fails only once the new guard stands leaves both: the new generation is in force.
                    (Err(_), Step::Lower(_)) => {
                        assert!(standing(&world).values().any(|one| *one == 2), "{what}")
                    }
                    (Err(_), _) => assert_eq!(standing(&world), before, "{what}"),
                    (Ok(_), _) => assert!(standing(&world).values().all(|one| *one == 2), "{what}"),
                }
                world.nft.fail.clear();
                world.xdp.fail.clear();
                let engines = apply(&mut world, 3, to).unwrap().engines;
                assert!(Wanted::of(to).accepts(&engines), "{what}: {engines:?}");
                let expected: Moment = engines.iter().map(|engine| (*engine, 3)).collect();
                assert_eq!(standing(&world), expected, "{what}");
                assert_no_gap(&moments(&world), &what);
            }
        }
    }
}

#[test]
fn two_failures_leave_something_standing() {
    for from in MODES {
        for to in MODES {
            for (first, one) in steps() {
                for (second, other) in steps() {
                    let mut world = world();
                    apply(&mut world, 1, from).unwrap();
                    moments(&world);
                    if first { &mut world.nft } else { &mut world.xdp }.fail.insert(one.clone());
                    if second { &mut world.nft } else { &mut world.xdp }.fail.insert(other.clone());
                    let _ = apply(&mut world, 2, to);
                    let what = format!("{from:?} to {to:?}, {one:?}, {other:?}");
                    assert_no_gap(&moments(&world), &what);
                    world.nft.fail.clear();
                    world.xdp.fail.clear();
                    apply(&mut world, 3, to).unwrap();
                    assert!(standing(&world).values().all(|one| *one == 3), "{what}");
                    assert_no_gap(&moments(&world), &what);
                }
            }
        }
    }
}

#[test]
fn an_interface_that_has_switched_goes_back_when_another_fails() {
    let ruleset = ruleset(&["wan0"]);
    for from in MODES {
        for to in MODES {
            let mut world = world();
            apply(&mut world, 1, from).unwrap();
            let before = standing(&world);
            moments(&world);
            let mut prepared = world.prepare(target(&ruleset, 2, Wanted::of(to))).unwrap();
            world.switch(&mut prepared).unwrap();
            world.revert(&mut prepared).unwrap();
            assert_eq!(standing(&world), before, "{from:?} to {to:?}");
            assert_no_gap(&moments(&world), &format!("{from:?} to {to:?} and back"));
        }
    }
}

#[test]
fn auto_takes_what_is_to_be_had_and_says_why() {
    for (refuses, engines) in
        [(vec![], vec![Native]), (vec![Native], vec![Generic]), (vec![Native, Generic], vec![Nft])]
    {
        let mut world = world();
        world.xdp.refuses = refuses.iter().copied().collect();
        let switched = apply(&mut world, 1, Mode::Auto).unwrap();
        assert_eq!(switched.engines, engines);
        let told: Vec<Engine> = switched.refused.iter().map(|one| one.engine).collect();
        assert_eq!(told, refuses);
    }
}

#[test]
fn what_a_mode_demands_and_the_device_refuses_is_an_error_that_changes_nothing() {
    for (mode, refuses) in [(Mode::Native, vec![Native]), (Mode::Both, vec![Native, Generic])] {
        let mut world = world();
        world.xdp.refuses = refuses.into_iter().collect();
        let error = apply(&mut world, 1, mode).unwrap_err().to_string();
        assert!(error.contains("native XDP was refused: it was made to refuse"), "{error}");
        assert!(error.contains("`mode: auto`"), "{error}");
        assert!(standing(&world).is_empty());
    }
}

#[test]
fn where_xdp_cannot_even_be_prepared_auto_goes_on_and_where_it_stands_nothing_changes() {
    let refused = |world: &mut World| {
        world.xdp.refuses = [Native, Generic].into();
        world.xdp.unavailable = true;
    };
    let mut fresh = world();
    refused(&mut fresh);
    assert_eq!(apply(&mut fresh, 1, Mode::Auto).unwrap().engines, [Nft]);
    let mut live = world();
    apply(&mut live, 1, Mode::Auto).unwrap();
    refused(&mut live);
    apply(&mut live, 2, Mode::Auto).unwrap_err();
    assert_eq!(standing(&live), Moment::from([(Native, 1)]));
    assert_eq!(apply(&mut live, 3, Mode::Nft).unwrap().engines, [Nft]);
}

#[test]
fn nftables_gets_frames_as_they_were_on_the_wire() {
    let mut world = world();
    world.offloads.devices.insert("wan0".into(), [Feature::Gro, Feature::RxVlan].into());
    apply(&mut world, 1, Mode::Nft).unwrap();
    assert_eq!(
        world.offloads.devices["wan0"],
        [Feature::RxVlan].into(),
        "a tag is told to it by other means"
    );
    assert_eq!(world.restore("wan0", &[Native]).unwrap(), [Feature::Gro]);
}

#[test]
fn both_count_and_both_end() {
    let mut world = world();
    apply(&mut world, 1, Mode::Both).unwrap();
    assert_eq!(world.counters().unwrap(), world.xdp.counters().unwrap(), "the same series of both is one");
    assert_eq!(world.enforced().unwrap(), ["wan0"]);
    world.detach("wan0").unwrap();
    assert!(standing(&world).is_empty() && world.counters().unwrap().is_empty());
}
