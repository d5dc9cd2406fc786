use super::*;
use crate::samples::{interface, rule};

fn ruleset() -> Ruleset {
    Ruleset {
        interfaces: vec![interface("wan0", true), interface("lan0", false)],
        vlans: Vec::new(),
        rules: vec![
            rule("bad", Action::Deny, &[0, 1]),
            rule("web", Action::Allow, &[0]),
            rule("arp", Action::Allow, &[1]),
        ],
    }
}

#[test]
fn a_series_keeps_its_slot_over_every_later_ruleset() {
    let ruleset = ruleset();
    let wanted = [series(&ruleset, 0), series(&ruleset, 1)].concat();
    let mut slots = allocate(&Slots::new(), &wanted).unwrap();
    assert_eq!(slots.len(), 15 + 2 + 15 + 2);
    assert!(slots.values().all(|&slot| slot >= FIRST_SLOT));
    let before = slots.clone();
    assert!(allocate(&slots, &wanted).unwrap().is_empty());
    let mut more = ruleset.clone();
    more.rules.insert(0, rule("worse", Action::Deny, &[0]));
    slots.extend(allocate(&slots, &series(&more, 0)).unwrap());
    assert!(before.iter().all(|(series, slot)| slots[series] == *slot));
    assert_eq!(slots.len(), before.len() + 1);
}

#[test]
fn a_binding_finds_the_slot_of_each_rule_and_reason() {
    let ruleset = ruleset();
    let slots = allocate(&Slots::new(), &[series(&ruleset, 0), series(&ruleset, 1)].concat()).unwrap();
    let binding = bind(&slots, &ruleset, 1, Counted::All);
    assert_eq!(binding.rules[1], 0, "web is not on lan0");
    let shadow = Series {
        interface: "lan0".into(),
        outcome: Outcome::WouldDrop,
        subject: Subject::Reason(DropReason::NoRule),
    };
    assert_eq!(binding.reasons[DropReason::NoRule as usize], slots[&shadow]);
    let denied = Series {
        interface: "lan0".into(),
        outcome: Outcome::WouldDrop,
        subject: Subject::Rule(Action::Deny, "bad".into()),
    };
    assert_eq!(binding.rules[0], slots[&denied]);
}

#[test]
fn in_front_of_nftables_what_is_let_through_is_named_and_adds_to_nothing() {
    let ruleset = ruleset();
    let all = |index| {
        let of = [series, account_series, handed_on].map(|of| of(&ruleset, index));
        of.concat()
    };
    let slots = allocate(&Slots::new(), &[all(0), all(1)].concat()).unwrap();
    let named = |slot: u32| {
        slots.iter().find(|(_, given)| **given == slot).map(|(series, _)| series.clone()).unwrap()
    };
    let (alone, front) = (bind(&slots, &ruleset, 0, Counted::All), bind(&slots, &ruleset, 0, Counted::Kept));
    assert_eq!((front.reasons, front.rules[0]), (alone.reasons, alone.rules[0]), "what it drops");
    let web = Subject::Rule(Action::Allow, "web".into());
    assert_eq!(named(front.rules[1]).subject, Subject::HandedOn(web.into()), "what it lets through");
    assert_eq!(front.rules[2], 0, "another's rule");
    assert_eq!(front.vlans[1], alone.vlans[1], "what it drops of a VLAN");
    assert!(matches!(named(front.vlans[0]).subject, Subject::HandedOn(_)));
    assert_eq!((front.vlans[2], front.sizes, front.pmtu), (alone.vlans[2], alone.sizes, alone.pmtu));
    let shadow = bind(&slots, &ruleset, 1, Counted::Kept);
    let let_through = |slot: &u32| {
        matches!(named(*slot).subject, Subject::HandedOn(_)) && named(*slot).outcome == Outcome::WouldDrop
    };
    assert!(shadow.reasons.iter().all(let_through), "shadow mode lets everything through");
    let counts: Counts =
        slots.keys().map(|series| (series.clone(), Count { packets: 1, ..Count::default() })).collect();
    let counted = all(0).len() - account_series(&ruleset, 0).len() - handed_on(&ruleset, 0).len();
    assert_eq!(report(&counts)[1].received.packets, counted as u64);
    let vlans = accounting(&counts, &Switches::new())[1].vlans.clone().unwrap();
    assert!(vlans.iter().all(|vlan| (vlan.passed.packets, vlan.dropped.packets) == (1, 1)));
}

#[test]
fn a_full_table_names_the_rules_that_nothing_uses() {
    let ruleset = ruleset();
    let old = |number: u32| Series {
        interface: "wan0".into(),
        outcome: Outcome::Pass,
        subject: Subject::Rule(Action::Allow, format!("old-{number}")),
    };
    let taken: Slots = (FIRST_SLOT..COUNTER_SLOTS - 3).map(|slot| (old(slot), slot)).collect();
    let error = allocate(&taken, &series(&ruleset, 0)).unwrap_err();
    assert_eq!(error.wanted, 17 - 3);
    let text = error.to_string();
    assert!(text.contains("14 more are needed") && text.contains("old-1, old-10"), "{text}");
}

#[test]
fn received_is_passed_and_dropped_and_would_drop() {
    let ruleset = ruleset();
    let slots = allocate(&Slots::new(), &[series(&ruleset, 0), series(&ruleset, 1)].concat()).unwrap();
    let counts: Counts = slots
        .into_iter()
        .map(|(series, slot)| {
            (series, Count { packets: u64::from(slot), bytes: 60 * u64::from(slot), ..Count::default() })
        })
        .collect();
    let all = report(&counts);
    assert_eq!(
        all.iter().map(|interface| interface.interface.as_str()).collect::<Vec<_>>(),
        ["lan0", "wan0"]
    );
    let whole: u64 = all.iter().map(|interface| interface.received.packets).sum();
    assert_eq!(whole, (1..=34u64).sum::<u64>());
    for interface in all {
        let parts = [interface.passed, interface.dropped, interface.would_drop];
        assert_eq!(interface.received.packets, parts.iter().map(|part| part.packets).sum::<u64>());
        assert_eq!(interface.reasons.len(), 15);
        let reasons: u64 = interface.reasons.iter().map(|reason| reason.packets).sum();
        assert_eq!(reasons, interface.dropped.packets + interface.would_drop.packets);
        assert_eq!(interface.rules.len(), 2);
    }
}
