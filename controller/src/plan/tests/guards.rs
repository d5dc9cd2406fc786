//! Which guards a plan asks for, in which order they come and go, and the offloads that follow them.

use super::*;

#[test]
fn another_program_does_not_keep_nftables_away() {
    let mut ruleset = ruleset(&["wan0"]);
    ruleset.interfaces[0].mode = Mode::Nft;
    let foreign = observed("wan0", Enforcement::Foreign(Foreign { id: 42, name: "balancer".into() }));
    let plan = plan(&ruleset, &[foreign], &BTreeMap::new());
    assert_eq!(plan.interfaces[0].guard.as_ref().unwrap().engines, [Engine::Nft]);
}

/// An interface with these guards, native or generic XDP in front and nftables behind.
fn guarded(ruleset: &Ruleset, engines: &[Engine]) -> Observed {
    let record = |engine: Engine| match in_force(ruleset, 8) {
        Enforcement::InForce(record) => Enforcement::InForce(InForce { engine, ..record }),
        other => other,
    };
    let find = |nft: bool| engines.iter().find(|engine| (**engine == Engine::Nft) == nft);
    let side = |nft| find(nft).map_or(Enforcement::Off, |engine| record(*engine));
    Observed { behind: side(true), ..observed("wan0", side(false)) }
}

#[test]
fn a_change_of_engine_is_shown_with_the_order_of_its_steps() {
    let mut old = ruleset(&["wan0"]);
    old.interfaces[0].mode = Mode::Generic;
    let change = |from: &[Engine], to: Mode| {
        let mut new = old.clone();
        new.interfaces[0].mode = to;
        text(&plan(&new, &[guarded(&old, from)], &known(&old)))
    };
    for (from, to, line) in [
        (
            Engine::Native,
            Mode::Nft,
            "guard: native XDP -> nftables; the new one stands before the old one falls",
        ),
        (Engine::Generic, Mode::Native, "guard: generic XDP -> native XDP; nftables stands in between"),
        (Engine::Generic, Mode::Auto, "guard: generic XDP -> native XDP; nftables stands in between"),
        (Engine::Native, Mode::Both, "guard: native XDP -> native XDP and nftables; the new one stands"),
        (Engine::Nft, Mode::Both, "guard: nftables -> native XDP and nftables; the new one stands"),
    ] {
        let says = change(&[from], to);
        assert!(says.contains(line), "{line:?} is not in\n{says}");
    }
}

#[test]
fn auto_stays_with_the_engine_that_it_has() {
    let ruleset = ruleset(&["wan0"]);
    let mut next = ruleset.clone();
    next.interfaces[0].mtu = 9000;
    for engine in [Engine::Native, Engine::Generic] {
        let same = plan(&ruleset, &[guarded(&ruleset, &[engine])], &known(&ruleset));
        assert!(!same.changes, "{engine:?}");
        let changed = plan(&next, &[guarded(&ruleset, &[engine])], &known(&ruleset));
        let guard = changed.interfaces[0].guard.clone().unwrap();
        assert_eq!((guard.engines.as_slice(), guard.wanted().xdp[0]), (&[engine][..], engine));
    }
    // Offloads that would harm a better engine are no change either.
    let mut behind = guarded(&ruleset, &[Engine::Nft]);
    behind.offloads = vec![Offload { feature: Feature::RxVlan, on: true, fixed: false }];
    assert!(!plan(&ruleset, &[behind], &known(&ruleset)).changes);
}

#[test]
fn a_guard_that_is_left_over_or_missing_is_put_right() {
    let mut ruleset = ruleset(&["wan0"]);
    let both = [Engine::Native, Engine::Nft];
    let left = plan(&ruleset, &[guarded(&ruleset, &both)], &known(&ruleset));
    assert_eq!(left.interfaces[0].step, Step::Replace);
    assert!(text(&left).contains("guard: native XDP and nftables -> native XDP"), "{}", text(&left));
    ruleset.interfaces[0].mode = Mode::Both;
    assert!(!plan(&ruleset, &[guarded(&ruleset, &both)], &known(&ruleset)).changes);
    for missing in [&both[..1], &both[1..]] {
        assert!(plan(&ruleset, &[guarded(&ruleset, missing)], &known(&ruleset)).changes, "{missing:?}");
    }
}

#[test]
fn damage_is_named_and_mended() {
    let mut ruleset = ruleset(&["wan0"]);
    ruleset.interfaces[0].mode = Mode::Nft;
    let mut fact = guarded(&ruleset, &[Engine::Nft]);
    fact.damage = vec!["rule web is gone".into()];
    let plan = plan(&ruleset, &[fact], &known(&ruleset));
    assert_eq!(plan.interfaces[0].step, Step::Replace);
    assert!(text(&plan).contains("! rule web is gone: it is made anew"), "{}", text(&plan));
}

#[test]
fn offloads_follow_the_engine() {
    let mut ruleset = ruleset(&["wan0"]);
    let on = |feature| Offload { feature, on: true, fixed: false };
    let offloads = vec![on(Feature::RxVlan), on(Feature::Gro)];
    let fact = Observed { offloads, ..observed("wan0", Enforcement::Off) };
    let off = |mode, ruleset: &mut Ruleset| {
        ruleset.interfaces[0].mode = mode;
        plan(ruleset, std::slice::from_ref(&fact), &BTreeMap::new()).interfaces[0].switch_off.clone()
    };
    assert_eq!(off(Mode::Native, &mut ruleset), [Feature::RxVlan]);
    assert_eq!(off(Mode::Nft, &mut ruleset), [Feature::Gro]);
    assert_eq!(off(Mode::Both, &mut ruleset), [Feature::RxVlan, Feature::Gro]);
    let old = ruleset.clone();
    ruleset.interfaces[0].mode = Mode::Native;
    let mut fact = guarded(&old, &[Engine::Native, Engine::Nft]);
    fact.switched_off = vec![Feature::RxVlan, Feature::Gro];
    let plan = plan(&ruleset, &[fact], &known(&old));
    assert_eq!(plan.interfaces[0].switch_on, [Feature::Gro]);
    assert!(text(&plan).contains("offload gro: off -> on"), "{}", text(&plan));
}

#[test]
fn an_offload_that_came_back_is_a_change_without_a_generation() {
    let ruleset = ruleset(&["wan0"]);
    let mut fact = observed("wan0", in_force(&ruleset, 8));
    fact.offloads = vec![Offload { feature: Feature::RxVlan, on: true, fixed: false }];
    let plan = plan(&ruleset, &[fact], &known(&ruleset));
    assert!(plan.changes && !plan.makes_generation());
    assert!(text(&plan).contains("offload rxvlan: on -> off"), "{}", text(&plan));
}
