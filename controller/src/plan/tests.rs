mod guards;

use super::*;
use crate::backend::nft::divergence;
use crate::backend::{Device, Engine, Foreign, InForce, Offload};
use crate::ruleset::{About, Action, AddressSet, Interface, Mode, Rule};
use crate::samples::{observed, record, rule, ruleset};

/// A generation on the first interface of its ruleset.
fn in_force(ruleset: &Ruleset, generation: u64) -> Enforcement {
    in_force_as(0, ruleset, generation)
}

fn in_force_as(interface: usize, ruleset: &Ruleset, generation: u64) -> Enforcement {
    let Interface { name, enforce, .. } = &ruleset.interfaces[interface];
    Enforcement::InForce(InForce { enforce: *enforce, ..record(name, Digest::of(ruleset), generation) })
}

fn known(ruleset: &Ruleset) -> BTreeMap<Digest, Known> {
    let applied = Applied {
        at: "2026-11-20T14:02:00Z".parse().unwrap(),
        by: "alice".into(),
        policy_file: "gateway.yaml".into(),
    };
    BTreeMap::from([(Digest::of(ruleset), Known::new(ruleset.clone(), applied, now()))])
}

fn now() -> jiff::Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn plan(ruleset: &Ruleset, observed: &[Observed], known: &BTreeMap<Digest, Known>) -> Plan {
    let sizes = vec![4096; ruleset.interfaces.len()];
    Plan::new(ruleset, &sizes, Facts { observed, known }).unwrap()
}

fn text(plan: &Plan) -> String {
    let mut out = Vec::new();
    human(plan, Detail::Brief, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_policy_in_force_is_no_change() {
    let ruleset = ruleset(&["wan0"]);
    let plan = plan(&ruleset, &[observed("wan0", in_force(&ruleset, 8))], &known(&ruleset));
    assert!(!plan.changes && !plan.opens && !plan.makes_generation());
    let says = "No changes. wan0 enforces generation 8 (native XDP), which is this policy.\n";
    assert_eq!(text(&plan), says);
}

#[test]
fn a_rule_that_ends_by_itself_is_told_with_what_that_opens() {
    let mut ruleset = ruleset(&["wan0"]);
    ruleset.rules.insert(0, rule("bad", Action::Deny, &[0]));
    for rule in &mut ruleset.rules {
        rule.about.expires = Some("2027-06-30".into());
    }
    let first = plan(&ruleset, &[observed("wan0", Enforcement::Off)], &BTreeMap::new());
    let second = plan(&ruleset, &[observed("wan0", in_force(&ruleset, 8))], &known(&ruleset));
    assert!(!second.changes);
    for plan in [first, second] {
        let says = text(&plan);
        assert!(
            says.contains("! arp ends with 2027-06-30 (UTC): from then on the kernel matches it no"),
            "{says}"
        );
        let opens = "! deny rule bad ends with 2027-06-30 (UTC): from then on what it keeps out passes";
        assert!(says.contains(opens), "{says}");
    }
}

#[test]
fn the_same_policy_after_a_last_day_is_no_change() {
    let mut stored = ruleset(&["wan0"]);
    stored.rules.push(Rule { about: expiring("2026-11-20"), ..rule("visitors", Action::Allow, &[0]) });
    let facts = [observed("wan0", in_force(&stored, 8))];
    let read_again = stored.clone().as_of(now());
    assert_ne!(Digest::of(&read_again), Digest::of(&stored));
    let unchanged = plan(&read_again, &facts, &known(&stored));
    assert!(!unchanged.changes, "{unchanged:?}");
    let says = text(&unchanged);
    let ended = "= wan0: rule visitors has expired (last day 2026-11-20): it matches nothing";
    assert!(says.starts_with("No changes.") && says.contains(ended), "{says}");
    // Another change does not show it as removed: frames do not meet it any more.
    let mut other = read_again.clone();
    other.interfaces[0].mtu = 9000;
    let changed = plan(&other, &facts, &known(&stored));
    assert!(changed.changes && text(&changed).contains("0 removed"), "{}", text(&changed));
    // Asked for once more, with a later day.
    let mut longer = stored.clone();
    longer.rules[1].about = expiring("2026-12-31");
    let added = text(&plan(&longer, &facts, &known(&stored)));
    assert!(added.contains("+ visitors") && added.contains("1 added"), "{added}");
}

fn expiring(day: &str) -> About {
    About { expires: Some(day.into()), ..About::default() }
}

#[test]
fn a_first_apply_shows_every_rule_and_setting() {
    let ruleset = ruleset(&["wan0"]);
    let plan = plan(&ruleset, &[observed("wan0", Enforcement::Off)], &BTreeMap::new());
    assert_eq!(plan.interfaces[0].step, Step::Start);
    let says = text(&plan);
    assert!(says.contains("wan0  (not enforced now)"), "{says}");
    assert!(says.contains("mtu 1500") && says.contains("+ arp"), "{says}");
    assert!(says.contains("1 added, 0 changed, 0 removed"), "{says}");
}

#[test]
fn rules_are_compared_one_by_one_and_field_by_field() {
    let old = Ruleset {
        rules: vec![rule("arp", Action::Allow, &[0]), rule("old", Action::Deny, &[0])],
        ..ruleset(&["wan0"])
    };
    let mut new = Ruleset {
        rules: vec![rule("arp", Action::Allow, &[0]), rule("new", Action::Allow, &[0])],
        ..old.clone()
    };
    new.rules[0].about.owner = Some("netops".into());
    new.interfaces[0].mtu = 9000;
    let plan = plan(&new, &[observed("wan0", in_force(&old, 7))], &known(&old));
    let says = text(&plan);
    for line in [
        "wan0  (native XDP, generation 7, applied 2026-11-20 14:02 by alice)",
        "  ~ mtu: 1500 -> 9000",
        "    ~ arp  owner: none -> netops",
        "    + new  ",
        "    - old  deny ",
        "Tables: 2 KiB -> 4 KiB.   Rules: 1 added, 1 changed, 1 removed.",
    ] {
        assert!(says.contains(line), "{line:?} is not in\n{says}");
    }
}

#[test]
fn a_network_that_moves_under_the_same_words_is_a_change() {
    let mut old = ruleset(&["wan0"]);
    old.rules[0].services = vec![Default::default()];
    old.rules[0].written.from = "office".into();
    old.rules[0].from = AddressSet::new(vec![(0x0a00_0000, 0x0a00_00ff)], Vec::new());
    let mut new = old.clone();
    new.rules[0].from = AddressSet::new(vec![(0x0a00_0000, 0x0a00_01ff)], Vec::new());
    let plan = plan(&new, &[observed("wan0", in_force(&old, 1))], &known(&old));
    let fields = &plan.interfaces[0].groups[0].rules[0].fields;
    assert_eq!(fields[0].after, "office, which gains 10.0.1.0/24");
}

#[test]
fn a_policy_whose_text_is_lost_is_said_to_be_so() {
    let (old, new) = (ruleset(&["wan0", "wan1"]), ruleset(&["wan0"]));
    let facts = [observed("wan0", in_force(&old, 3)), observed("wan1", in_force_as(1, &old, 3))];
    let plan = plan(&new, &facts, &BTreeMap::new());
    assert!(plan.interfaces[0].unknown);
    assert!(text(&plan).contains("every rule is shown as new"));
}

#[test]
fn a_device_renamed_since_is_judged_by_settings_of_its_old_name_and_replaced() {
    let ruleset = ruleset(&["wan0", "wan1"]);
    let known = known(&ruleset);
    let swapped =
        [observed("wan0", in_force_as(1, &ruleset, 3)), observed("wan1", in_force_as(0, &ruleset, 3))];
    let replaced = plan(&ruleset, &swapped, &known);
    assert!(replaced.interfaces.iter().all(|one| one.step == Step::Replace), "{replaced:?}");
    assert!(text(&replaced).contains(", put in force as wan1)"), "{}", text(&replaced));
}

#[test]
fn a_policy_of_the_old_name_of_a_device_is_told_the_new_one() {
    let ruleset = ruleset(&["wan0"]);
    let gone = Observed { device: Device::Missing, ..observed("wan0", Enforcement::Off) };
    let renamed = observed("ren0", in_force_as(0, &ruleset, 3));
    let refused = |facts: &[Observed]| {
        let facts = Facts { observed: facts, known: &known(&ruleset) };
        Plan::new(&ruleset, &[1], facts).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let told = "wan0 is called ren0 now, and is enforced as before; rename it back (`ip link set ren0 name wan0`), or write \
                ren0 into the policy and apply that";
    assert_eq!(refused(&[gone.clone(), renamed]), [told]);
    assert!(refused(&[gone])[0].starts_with("interface wan0 does not exist"));
}

#[test]
fn what_only_another_side_can_mend_is_told_beside_no_changes() {
    let ruleset = ruleset(&["wan0"]);
    let findings = vec!["peer0, the other end of wan0, merges packets".to_owned()];
    let facts = [Observed { findings, ..observed("wan0", in_force_as(0, &ruleset, 3)) }];
    let plan = plan(&ruleset, &facts, &known(&ruleset));
    assert!(!plan.changes && text(&plan).contains("! wan0: peer0, the other end of wan0, merges packets"));
}

#[test]
fn another_version_keeps_judging_until_it_is_replaced_and_its_end_is_told() {
    let other = crate::backend::OtherVersion { engine: Engine::Native, abi: 99, program_id: 7 };
    let facts = [observed("wan0", Enforcement::OtherVersion(other))];
    let mut ruleset = ruleset(&["wan0"]);
    let replaced = plan(&ruleset, &facts, &BTreeMap::new());
    assert_eq!((replaced.interfaces[0].step, replaced.opens), (Step::Replace, false));
    let says = text(&replaced);
    assert!(says.contains("wan0  (native XDP, by another version of perimeter (ABI 99))"), "{says}");
    assert!(says.contains("cannot be read by this version: every rule is shown as new"), "{says}");
    assert_eq!(Plan::detach(&facts, &BTreeMap::new()).interfaces[0].opens, Some(Opening::Detached));
    ruleset.interfaces[0].enforce = false;
    assert_eq!(plan(&ruleset, &facts, &BTreeMap::new()).interfaces[0].opens, Some(Opening::ShadowMode));
    ruleset.interfaces[0].mode = Mode::Generic;
    let changed = plan(&ruleset, &facts, &BTreeMap::new());
    assert!(text(&changed).contains("guard: native XDP -> generic XDP"), "{}", text(&changed));
}

#[test]
fn what_ends_enforcement_is_the_first_line() {
    let (old, mut new) = (ruleset(&["wan0", "wan1"]), ruleset(&["wan0"]));
    let facts = [observed("wan0", in_force(&old, 3)), observed("wan1", in_force_as(1, &old, 3))];
    let gone = plan(&new, &facts, &known(&old));
    assert_eq!(gone.interfaces[1].opens, Some(Opening::NoLongerNamed));
    assert!(gone.opens && text(&gone).starts_with("! wan1 will no longer be enforced"), "{}", text(&gone));
    new.interfaces[0].enforce = false;
    let shadow = plan(&new, &facts[..1], &known(&old));
    assert_eq!(shadow.interfaces[0].opens, Some(Opening::ShadowMode));
    let first = plan(&new, &[observed("wan0", Enforcement::Off)], &BTreeMap::new());
    assert!(!first.opens, "nothing was enforced before");
}

/// The section on what a change means.
fn means(old: Option<&Ruleset>, new: &Ruleset) -> String {
    let (now, known) =
        old.map_or_else(|| (Enforcement::Off, BTreeMap::new()), |old| (in_force(old, 3), known(old)));
    let mut plan = plan(new, &[observed("wan0", now)], &known);
    plan.tell(new, &[crate::compile::compile(new, 0).unwrap()], &known).unwrap();
    text(&plan).split("What it means\n").nth(1).unwrap().to_owned()
}

/// Goal: the moment at which frames begin to be dropped, or no longer are, is never told as no change. Method: every change of
/// shadow mode, with policies that judge alike.
#[test]
fn a_change_of_shadow_mode_is_told_as_what_it_is() {
    let enforcing = ruleset(&["wan0"]);
    let mut shadow = enforcing.clone();
    shadow.interfaces[0].enforce = false;
    let mut renamed = shadow.clone();
    renamed.rules[0].about.description = Some("other words".into());
    let cases = [
        (Some(&enforcing), &shadow, "wan0: everything will pass: shadow mode counts"),
        (Some(&shadow), &enforcing, "in shadow mode; what no rule passes will be dropped"),
        (
            Some(&shadow),
            &renamed,
            "shadow mode drops nothing, now and then; of what it counts as dropped:\n  wan0: no change",
        ),
        (None, &shadow, "everything passes, now and then"),
        (None, &enforcing, "everything passes now; what no rule passes will be dropped"),
    ];
    for (old, new, words) in cases {
        let means = means(old, new);
        assert!(means.contains(words), "{words:?} is not in {means:?}");
        assert_eq!(means.contains("no change in meaning"), words.contains("no change"), "{means}");
    }
}

/// Goal: what nftables cannot judge is told where it comes to judge and where it no longer does. Method: both ways, with and
/// without such frames.
#[test]
fn a_change_of_engine_is_told_by_the_frames_that_feel_it() {
    use crate::ruleset::IpOptions;
    let mut xdp = ruleset(&["wan0"]);
    xdp.interfaces[0].mode = Mode::Native;
    let of = |mode, options| {
        let mut ruleset = xdp.clone();
        (ruleset.interfaces[0].mode, ruleset.interfaces[0].ip_options) = (mode, options);
        ruleset
    };
    let plain = means(Some(&xdp), &of(Mode::Nft, IpOptions::Drop));
    assert!(plain.contains("no change in meaning"), "{plain}");
    let passing = of(Mode::Native, IpOptions::Pass);
    for mode in [Mode::Nft, Mode::Both] {
        let closes = means(Some(&passing), &of(mode, IpOptions::Pass));
        assert!(closes.contains("wan0: closes what rules pass of IPv4 options under"), "{closes}");
        assert!(closes.contains("everything else is judged as before"), "{closes}");
    }
    let mut length = xdp.clone();
    length.rules[0].ethertypes = vec![0x42];
    assert_eq!(divergence::felt(&length, 0), [&divergence::LENGTH_BEHIND_TAG]);
    let by_nft = observed("wan0", {
        let Enforcement::InForce(record) = in_force(&of(Mode::Nft, IpOptions::Pass), 3) else { return };
        Enforcement::InForce(InForce { engine: Engine::Nft, ..record })
    });
    let plan = plan(&passing, &[by_nft], &BTreeMap::new());
    assert!(plan.interfaces[0].engine.as_ref().unwrap().opens, "{:?}", plan.interfaces[0].engine);
}

#[test]
fn half_an_apply_gets_one_new_number_for_all() {
    let (old, new) =
        (Ruleset { rules: Vec::new(), ..ruleset(&["wan0", "wan1"]) }, ruleset(&["wan0", "wan1"]));
    let facts = [observed("wan0", in_force(&new, 4)), observed("wan1", in_force_as(1, &old, 3))];
    let plan = plan(&new, &facts, &[known(&old), known(&new)].into_iter().flatten().collect());
    assert!(plan.interfaces.iter().all(|one| one.step == Step::Replace));
    assert!(text(&plan).contains("the same rules (1), under the number"), "{}", text(&plan));
}

/// Goal: no line of a plan is a rule's own. Method: texts that a generation of an older version may hold, new and changed.
#[test]
fn texts_of_rules_stay_on_their_lines() {
    let mut forging = ruleset(&["wan0"]);
    forging.rules[0].about.owner = Some("x]\n\nNo changes. wan0 enforces generation 1\u{1b}[8m".into());
    let new = text(&plan(&forging, &[observed("wan0", Enforcement::Off)], &BTreeMap::new()));
    let before = ruleset(&["wan0"]);
    let changed = text(&plan(&forging, &[observed("wan0", in_force(&before, 1))], &known(&before)));
    for told in [new, changed] {
        assert!(told.contains("x]\\n\\nNo changes. wan0 enforces generation 1\\u{1b}[8m"), "{told}");
        assert!(
            !told.lines().any(|line| line.starts_with("No changes")) && !told.contains('\u{1b}'),
            "{told}"
        );
    }
}

#[test]
fn every_refusal_is_told_at_once() {
    let ruleset = ruleset(&["wan0", "wan1"]);
    let mut fixed = observed("wan1", Enforcement::Foreign(Foreign { id: 42, name: "xdp_dispatcher".into() }));
    fixed.offloads = vec![
        Offload { feature: Feature::Lro, on: true, fixed: true },
        Offload { feature: Feature::Gro, on: true, fixed: true },
    ];
    let mut missing = observed("wan0", Enforcement::Off);
    missing.device = Device::Missing;
    let facts = [missing, fixed];
    let refusals =
        Plan::new(&ruleset, &[0; 2], Facts { observed: &facts, known: &BTreeMap::new() }).unwrap_err();
    let says: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    assert_eq!(says.len(), 3, "GRO is behind XDP and harms nothing: {says:?}");
    assert!(says[1].contains("id 42, \"xdp_dispatcher\"") && says[1].contains("`mode: nft`"), "{}", says[1]);
    assert!(says[2].contains("lro is on"), "{}", says[2]);
}

/// Goal: merging that a NIC or somebody switches on under a live policy is undone without a new generation; what is only worth
/// knowing is told. Method: facts as of a NIC that has LRO and GRO-HW, which no device of the tests on the wire has.
#[test]
fn what_was_switched_on_since_is_switched_off_and_the_generation_stays() {
    let ruleset = ruleset(&["wan0", "wan1"]);
    let on = |feature| Offload { feature, on: true, fixed: false };
    let offloads = [Feature::RxVlan, Feature::Lro, Feature::GroHw, Feature::Gro].map(on).to_vec();
    let merging = Observed { offloads, ..observed("wan0", in_force(&ruleset, 8)) };
    let large = Observed { mtu: Some(9000), ..observed("wan1", in_force_as(1, &ruleset, 8)) };
    let plan = plan(&ruleset, &[merging, large], &known(&ruleset));
    assert!(plan.changes && !plan.makes_generation());
    let says = text(&plan);
    for line in ["~ offload rxvlan: on -> off", "~ offload lro: on -> off", "~ offload rx-gro-hw: on -> off"]
    {
        assert!(says.contains(line), "{says}");
    }
    assert!(!says.contains("offload gro:"), "it merges behind XDP: {says}");
    assert!(says.contains("! wan1: its MTU is 9,000 and the policy's 1,500"), "{says}");
}

/// As recorded of a bond of two veth devices (Linux 6.1): generic XDP would not see its tags, native may be had.
#[test]
fn a_bond_takes_native_xdp_where_generic_is_refused() {
    let refused = |engine| crate::backend::Refused { engine, reason: "no".into() };
    let takes = |mode, engines: &[Engine]| {
        let mut ruleset = ruleset(&["wan0"]);
        ruleset.interfaces[0].mode = mode;
        let refused = engines.iter().copied().map(refused).collect();
        let facts = [Observed { refused, ..observed("wan0", Enforcement::Off) }];
        Plan::new(&ruleset, &[0], Facts { observed: &facts, known: &BTreeMap::new() }).is_ok()
    };
    assert!(takes(Mode::Native, &[Engine::Generic]) && takes(Mode::Both, &[Engine::Generic]));
    assert!(!takes(Mode::Generic, &[Engine::Generic]));
    assert!(!takes(Mode::Native, &[Engine::Native, Engine::Generic]));
}

#[test]
fn detach_ends_every_interface() {
    let ruleset = ruleset(&["wan0"]);
    let plan = Plan::detach(&[observed("wan0", in_force(&ruleset, 2))], &known(&ruleset));
    assert_eq!((plan.interfaces[0].step, plan.opens), (Step::End, true));
    assert!(text(&plan).starts_with("! wan0 will no longer be enforced"));
}

#[test]
fn a_plan_that_only_leaves_interfaces_alone_changes_nothing() {
    let (both, one) = (ruleset(&["wan0", "wan1"]), ruleset(&["wan0"]));
    let facts = [observed("wan0", in_force(&one, 2)), observed("wan1", in_force_as(1, &both, 1))];
    let mut plan = plan(&one, &facts, &known(&one));
    assert!(plan.changes && plan.opens);
    plan.leave_alone(&["wan1".to_owned()]);
    assert!(!plan.changes && !plan.opens, "{plan:?}");
}

#[test]
fn what_is_left_of_a_lost_guard_counts_as_enforcement_that_ends() {
    let ruleset = ruleset(&["wan0"]);
    let lost = || observed("wan0", Enforcement::Lost { why: "its record is gone".into() });
    let ending = Plan::detach(&[lost()], &known(&ruleset));
    assert!(ending.opens, "a table without its record may still keep everything out");
    let again = plan(&ruleset, &[lost()], &known(&ruleset));
    assert!(!again.opens, "what is put in force again opens nothing");
}
