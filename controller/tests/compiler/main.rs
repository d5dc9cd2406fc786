//! The compiler on rule sets of real shape and size: exact against a linear scan, within its budget.

#[path = "../../../benches/src/shapes.rs"]
#[allow(unreachable_pub, reason = "shared with the benchmarks, where it is public")]
mod shapes;
mod trace;

#[path = "../oracle/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod oracle;

use perimeter::compile::{Budget, compile, compile_within};
use perimeter::ruleset::{AddressSet, Ruleset};
use perimeter::simulate::Model;
use shapes::Seed;

const MIB: usize = 1 << 20;

/// Hosts all over the address space.
fn scattered(count: usize) -> AddressSet {
    let mut random = shapes::Random(1);
    AddressSet::new((0..count).map(|_| random.draw() as u32).map(|host| (host, host)).collect(), Vec::new())
}

/// Compiles, then compares model and oracle on frames drawn from the rules and beside them.
fn exact(name: &str, ruleset: &Ruleset, frames: usize) {
    let image = compile(ruleset, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
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
    let mut ruleset = shapes::ruleset(Seed::Acl, 20);
    ruleset.rules[7].from = scattered(200_000);
    let error =
        compile_within(&ruleset, 0, Budget { words: MIB }).expect_err("200,000 scattered hosts in 4 MiB");
    assert_eq!(error.rules.first(), Some(&ruleset.rules[7].id));
    assert!(error.to_string().contains("4 MiB"), "{error}");
}

#[test]
fn a_million_scattered_hosts_fit() {
    let mut ruleset = shapes::ruleset(Seed::Acl, 20);
    ruleset.rules[7].from = scattered(1_000_000);
    exact("a million hosts", &ruleset, 100);
}
