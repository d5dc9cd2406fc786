//! The compiler on rule sets of real shape and size: exact against a linear scan, within its budget.

#[path = "../../../benches/src/shapes.rs"]
#[allow(unreachable_pub, reason = "shared with the benchmarks, where it is public")]
mod shapes;
mod trace;

#[path = "../generate/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each test binary uses its part")]
mod generate;
#[path = "../oracle/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod oracle;

use perimeter::compile::{Budget, Scheme, compile, compile_spread, compile_within};
use perimeter::ruleset::{AddressSet, Ruleset, VlanEntry, VlanRange};
use perimeter::simulate::Model;
use perimeter::tables::Image;
use shapes::Seed;
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Compiles, then compares model and oracle on frames drawn from the rules and beside them.
fn exact(name: &str, ruleset: &Ruleset, frames: usize) {
    let image = compile(ruleset, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
    exact_tables(name, ruleset, image, frames);
}

/// Compares tables and oracle.
fn exact_tables(name: &str, ruleset: &Ruleset, image: Image, frames: usize) {
    println!(
        "{name}: {} rules, {} KiB, {} groups",
        ruleset.rules.len(),
        image.size_bytes() / 1024,
        image.settings[perimeter_classifier::abi::setting::GROUP_COUNT]
    );
    assert!(image.size_bytes() < 256 * MIB);
    let model = Model::from(image);
    let mut passed = 0;
    for (number, frame) in trace::frames(ruleset, 7).take(frames).enumerate() {
        let decision = model.judge(&frame);
        assert_eq!(
            decision,
            oracle::judge(ruleset, 0, &frame),
            "{name}, seed 7, frame {number}: {frame:02x?}; `cargo test -p perimeter --test compiler`"
        );
        passed += usize::from(decision.reason().is_none());
    }
    assert!(
        passed * 5 > frames,
        "{name}: only {passed} of {frames} frames pass, the test looks at too little"
    );
}

#[test]
fn small_sets_of_every_shape_are_exact() {
    for seed in [Seed::Acl, Seed::Firewall, Seed::Ipc] {
        for rules in [10, 100, 1_000] {
            exact(&format!("{seed:?} {rules}"), &shapes::ruleset(seed, rules), 2_000);
        }
    }
}

#[test]
fn sets_of_ten_thousand_rules_are_exact_and_fit() {
    for seed in [Seed::Acl, Seed::Firewall, Seed::Ipc] {
        exact(&format!("{seed:?} 10000"), &shapes::ruleset(seed, 10_000), 1_000);
    }
}

/// Goal: however the rules are spread, the verdicts are the same, with the sources that may speak as well: entries of tries
/// that hold a class for each group, and records. Method: one set in every way.
#[test]
fn every_way_to_spread_rules_is_exact() {
    for (seed, speakers) in [(Seed::Acl, false), (Seed::Firewall, true), (Seed::Ipc, true)] {
        let mut ruleset = shapes::ruleset(seed, 1_000);
        if speakers {
            ruleset.interfaces[0].sources = Some(AddressSet::new(vec![(0, 0xbfff_ffff)], Vec::new()));
        }
        for scheme in Scheme::ALL {
            let image = compile_spread(&ruleset, 0, scheme).expect("1,000 rules are within the budget");
            exact_tables(&format!("{seed:?} {scheme:?}"), &ruleset, image, 1_000);
        }
    }
}

#[test]
fn classbench_sets_are_exact_and_fit() {
    for name in ["acl1_1k", "fw1_1k"] {
        match shapes::classbench(name) {
            Some(ruleset) => exact(name, &ruleset, 4_000),
            None => println!("skipped: ../shared/classbench/{name} is not here"),
        }
    }
}

#[test]
fn the_same_ruleset_gives_the_same_bytes() {
    let ruleset = shapes::ruleset(Seed::Firewall, 300);
    assert_eq!(compile(&ruleset, 0), compile(&ruleset, 0));
}

#[test]
fn what_exceeds_the_budget_names_its_rules() {
    let ruleset = shapes::scattered(200_000);
    let error =
        compile_within(&ruleset, 0, Budget { words: MIB }).expect_err("200,000 scattered hosts in 4 MiB");
    assert_eq!(error.rules.first(), Some(&ruleset.rules[7].id));
    assert!(error.to_string().contains("4 MiB"), "{error}");
}

#[test]
fn a_million_scattered_hosts_fit() {
    exact("a million hosts", &shapes::scattered(1_000_000), 100);
}

/// Work of this thread; a busy machine does not lengthen it.
fn worked() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds = schedule.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first field is time on a processor"))
}

/// Overlapping prefixes of every length in every rule: a product of classes once took minutes here.
#[test]
fn ten_thousand_adversarial_rules_compile_in_seconds() {
    let ruleset = shapes::adversarial(10_000);
    let before = worked();
    let model = Model::new(&ruleset, 0).expect("within the budget");
    let took = worked() - before;
    assert!(took < Duration::from_secs(30), "took {took:?} of an unoptimized compiler");
    let mut rng = generate::Rng::with_seed(11);
    for _ in 0..500 {
        let frame = generate::frame(&mut rng, &ruleset, 0);
        assert_eq!(model.judge(&frame), oracle::judge(&ruleset, 0, &frame), "{frame:02x?}");
    }
}

/// A product of VLANs and services that no table holds is told at once, and by whose fault.
#[test]
fn too_many_vlans_times_services_are_refused_soon() {
    let mut ruleset = shapes::adversarial(10_000);
    let trunk = VlanRange::Single { low: 1, high: 4094 };
    ruleset.interfaces[0].vlans = vec![VlanEntry { label: "1-4094".into(), range: trunk }];
    for (number, rule) in (0u16..).zip(&mut ruleset.rules) {
        let low = 1 + number % 4000;
        rule.vlans = Some(vec![VlanRange::Single { low, high: low + number % 60 }]);
    }
    let before = worked();
    let error = compile(&ruleset, 0).expect_err("4,000 VLANs times 20,000 services");
    assert!(worked() - before < Duration::from_secs(20), "took {:?}", worked() - before);
    assert_eq!(error.rules.len(), 5, "{error}");
}
