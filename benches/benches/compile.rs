//! From text to tables in user space: reading a policy, compiling rule sets of real and of hostile shape.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use perimeter::compile::compile;
use perimeter::policy;
use perimeter::ruleset::Ruleset;
use perimeter_bench::shapes::{self, Seed};

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(200));
    let mut bench = |name: &str, ruleset: &Ruleset| {
        group.bench_with_input(BenchmarkId::new(name, ruleset.rules.len()), ruleset, |bencher, ruleset| {
            bencher.iter(|| black_box(compile(ruleset, 0)).expect("within the budget"));
        });
    };
    for seed in [Seed::Acl, Seed::Firewall, Seed::Ipc] {
        for rules in [10, 100, 1_000, 10_000] {
            bench(&format!("{seed:?}").to_lowercase(), &shapes::ruleset(seed, rules));
        }
    }
    for rules in [1_000, 10_000] {
        bench("adversarial", &shapes::adversarial(rules));
    }
    bench("a million hosts", &shapes::scattered(1_000_000));
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let text = policy_text(10_000);
    let mut no_files = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let mut group = criterion.benchmark_group("read");
    group.sample_size(10);
    group.bench_function("YAML of 10000 rules", |bencher| {
        bencher.iter(|| {
            let reading = policy::read("bench.yaml", text.as_bytes(), &mut no_files, Default::default());
            reading.ruleset.expect("a policy without a mistake")
        });
    });
    group.finish();
}

/// A policy of `count` rules, each with its own prefixes and port.
fn policy_text(count: u32) -> String {
    let mut text = String::from("version: 1\ninterfaces:\n  wan0:\nallow:\n");
    for number in 0..count {
        let (a, b) = (number >> 8 & 0xff, number & 0xff);
        let _ = writeln!(text, "  - id: rule-{number}\n    from: 198.{a}.{b}.0/24\n    to: 203.0.113.{b}");
        let _ = writeln!(text, "    service: [https, tcp/{}]\n    owner: netops", 1024 + number % 60_000);
    }
    text
}

criterion_group!(benches, compiling, reading);
criterion_main!(benches);
