use super::*;
use crate::backend::{Enforcement, Feature, Foreign, InForce, Offload, OtherVersion};
use crate::samples::{observed, record};
use crate::state::Trial;

const POLICY: Digest = Digest([7; 32]);

fn in_force(interface: &str, generation: u64) -> Enforcement {
    Enforcement::InForce(record(interface, POLICY, generation))
}

fn enforced(generation: u64, interfaces: &[&str]) -> Enforced {
    let interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
    Enforced { generation, policy: POLICY, interfaces, guards: Vec::new() }
}

fn judge(observed: &[Observed], expected: &Expected) -> Status {
    status(observed, expected, &BTreeMap::new(), &[])
}

fn text(status: &Status) -> String {
    let mut out = Vec::new();
    human(status, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_was_put_in_force_and_is_in_force_is_in_sync() {
    let expected = Expected { settled: Some(enforced(3, &["wan0"])), begun: None };
    let status = judge(&[observed("wan0", in_force("wan0", 3))], &expected);
    assert!(status.in_sync);
    assert!(
        text(&status).contains("wan0   enforcing   native XDP   generation 3   in sync with policy 07070707")
    );
}

#[test]
fn nothing_enforced_is_not_in_sync() {
    let status = judge(&[], &Expected::default());
    assert!(!status.in_sync && text(&status).contains("No interface is enforced"));
}

#[test]
fn every_kind_of_drift_is_told() {
    let expected = Expected { settled: Some(enforced(3, &["wan0", "wan1", "wan2", "wan3"])), begun: None };
    let mut offload = observed("wan3", in_force("wan3", 3));
    offload.offloads =
        [Feature::RxVlan, Feature::Lro].map(|feature| Offload { feature, on: true, fixed: false }).to_vec();
    offload.obstacles = vec!["its member wan7 has rxvlan on".into()];
    let other = OtherVersion { engine: Engine::Generic, abi: 99, program_id: 7 };
    let facts = [
        observed("wan0", in_force("wan0", 2)),
        observed("wan1", Enforcement::Lost { why: "its program was detached".into() }),
        observed("wan2", Enforcement::Foreign(Foreign { id: 42, name: "xdp_pass".into() })),
        offload,
        observed("wan4", in_force("wan4", 3)),
        observed("wan5", Enforcement::OtherVersion(other)),
        observed("wan6", in_force("wan0", 3)),
    ];
    let status = judge(&facts, &expected);
    let says = text(&status);
    for words in [
        "generation 3 was put in force last",
        "! its program was detached; apply again",
        "(id 42, \"xdp_pass\")",
        "offload rxvlan is on again",
        "offload lro is on again",
        "! its member wan7 has rxvlan on",
        "the state directory does not know of it",
        "! it was called wan0 when that was put in force, and is judged as wan0",
        "wan5   enforcing   generic XDP\n",
        "another version of perimeter enforces here (ABI 99); apply again",
    ] {
        assert!(says.contains(words), "{words:?} is not in\n{says}");
    }
    assert!(status.interfaces.iter().all(|one| !one.in_sync));
}

#[test]
fn a_crash_half_way_is_drift_and_a_crash_before_the_note_is_not() {
    let expected = Expected {
        settled: Some(enforced(3, &["wan0", "wan1"])),
        begun: Some(enforced(4, &["wan0", "wan1"])),
    };
    let facts = |first, second| {
        [observed("wan0", in_force("wan0", first)), observed("wan1", in_force("wan1", second))]
    };
    assert!(judge(&facts(3, 3), &expected).in_sync);
    assert!(!judge(&facts(4, 3), &expected).in_sync);
    assert!(judge(&facts(4, 4), &expected).in_sync);
}

fn nft(generation: u64) -> Enforcement {
    match in_force("wan0", generation) {
        Enforcement::InForce(record) => Enforcement::InForce(InForce { engine: Engine::Nft, ..record }),
        other => other,
    }
}

/// What is said of an interface with these guards under a policy of this mode.
fn says(mode: crate::ruleset::Mode, front: Enforcement, behind: Enforcement) -> (bool, String) {
    let mut ruleset = crate::samples::ruleset(&["wan0"]);
    ruleset.interfaces[0].mode = mode;
    let applied =
        Applied { at: jiff::Timestamp::UNIX_EPOCH, by: "alice".into(), policy_file: "a.yaml".into() };
    let known = BTreeMap::from([(POLICY, Known::new(ruleset, applied, jiff::Timestamp::UNIX_EPOCH))]);
    let expected = Expected { settled: Some(enforced(3, &["wan0"])), begun: None };
    let one = Observed { behind, ..observed("wan0", front) };
    let status = status(&[one], &expected, &known, &[]);
    (status.in_sync, text(&status))
}

#[test]
fn the_guards_are_those_that_the_mode_asks_for_or_it_is_drift() {
    use crate::ruleset::Mode;
    let (sync, text) = says(Mode::Both, in_force("wan0", 3), nft(3));
    assert!(sync && text.contains("native XDP and nftables   generation 3"), "{text}");
    let lost = Enforcement::Lost { why: "its program was detached".into() };
    for (mode, front, behind, words) in [
        (Mode::Both, in_force("wan0", 3), Enforcement::Off, "nftables no longer stands behind native XDP"),
        (Mode::Both, lost.clone(), nft(3), "`mode: both` asks for XDP, and only nftables judges"),
        (Mode::Auto, lost, nft(3), "XDP judges nothing: its program was detached"),
        (
            Mode::Auto,
            in_force("wan0", 3),
            nft(3),
            "native XDP and nftables judge, and `mode: auto` asks for another",
        ),
        (Mode::Nft, in_force("wan0", 3), Enforcement::Off, "`mode: nft` asks for another"),
        (Mode::Both, in_force("wan0", 3), nft(2), "generation 3 was put in force last"),
    ] {
        let (sync, text) = says(mode, front, behind);
        assert!(!sync && text.contains(words), "{words:?} is not in\n{text}");
    }
}

#[test]
fn a_renamed_device_is_told_with_one_remedy() {
    let expected = Expected { settled: Some(enforced(3, &["wan0"])), begun: None };
    let why = "the device is gone; that one is called ren0 now, and is enforced as before".to_owned();
    let gone =
        Observed { device: crate::backend::Device::Missing, ..observed("wan0", Enforcement::Lost { why }) };
    let status = judge(&[gone, observed("ren0", in_force("wan0", 3))], &expected);
    let remedy =
        "rename it back (`ip link set ren0 name wan0`), or write ren0 into the policy and apply that";
    let drift: Vec<&[String]> = status.interfaces.iter().map(|one| one.drift.as_slice()).collect();
    let before = format!("that one is called ren0 now, and is enforced as before; {remedy}");
    let now = format!("it was called wan0 when that was put in force, and is judged as wan0; {remedy}");
    assert_eq!(drift, [[before], [now]]);
}

#[test]
fn what_only_the_other_end_can_mend_is_told_and_is_no_drift() {
    let expected = Expected { settled: Some(enforced(3, &["wan0"])), begun: None };
    let findings = vec!["peer0, the other end of wan0, merges packets".to_owned()];
    let one = Observed { findings, ..observed("wan0", in_force("wan0", 3)) };
    let status = judge(&[one], &expected);
    assert!(status.in_sync && text(&status).contains("! peer0, the other end of wan0, merges packets"));
}

#[test]
fn why_an_interface_has_its_engine_is_kept() {
    let mut last = enforced(3, &["wan0"]);
    last.guards
        .push(crate::state::Guard { interface: "wan0".into(), why: "native XDP was refused: no".into() });
    let expected = Expected { settled: Some(last), begun: None };
    let status = judge(&[observed("wan0", in_force("wan0", 3))], &expected);
    assert!(
        status.in_sync && text(&status).contains("\n       native XDP was refused: no\n"),
        "{}",
        text(&status)
    );
}

#[test]
fn a_trial_is_told_and_one_that_nobody_takes_back_is_not_in_sync() {
    let expected = Expected { settled: Some(enforced(3, &["wan0"])), begun: None };
    let until: jiff::Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let trial =
        Trial { generation: 3, before: None, until, interfaces: vec!["wan0".into()], back: Vec::new() };
    let at = |seconds, keeper| {
        let status = judge(&[observed("wan0", in_force("wan0", 3))], &expected);
        let now = until + jiff::SignedDuration::from_secs(seconds);
        status.with_trial(Some(TrialStatus::new(&trial, keeper, now)))
    };
    for keeper in [Keeper::Process, Keeper::Timer] {
        let (on, late) = (at(1, Some(keeper)), at(3, Some(keeper)));
        assert!(
            on.in_sync
                && text(&on).contains("Generation 3 is on trial until 12:00:00 UTC: `perimeter confirm`")
        );
        assert!(!late.in_sync && text(&late).contains("! generation 3 was to be taken back at 12:00:00 UTC"));
    }
    let lost = at(-60, None);
    let words = "! generation 3 is on trial until 12:00:00 UTC, and nobody is left to take it back then: its keeper was \
                 killed; `perimeter rollback` does it now, `perimeter confirm` keeps it";
    assert!(!lost.in_sync && text(&lost).contains(words), "{}", text(&lost));
}
