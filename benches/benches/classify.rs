//! The model's verdict on one frame, by shape and size of the rule set.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use perimeter::simulate::Model;
use perimeter_bench::shapes::Seed;
use perimeter_bench::{frame, ruleset};
use perimeter_classifier::verdict::Decision;

fn classifying(criterion: &mut Criterion) {
    let frame = frame();
    let mut group = criterion.benchmark_group("classify");
    group.sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
    for seed in [Seed::Acl, Seed::Firewall, Seed::Ipc] {
        for rules in [10, 100, 1_000, 10_000] {
            let model = Model::new(&ruleset(seed, rules), 0).expect("within the budget");
            assert_eq!(model.judge(&frame), Decision::Pass(rules as u32 / 2));
            let id = BenchmarkId::new(format!("{seed:?}").to_lowercase(), rules);
            group.bench_function(id, |bencher| bencher.iter(|| model.judge(black_box(&frame))));
        }
    }
    group.finish();
}

criterion_group!(benches, classifying);
criterion_main!(benches);
