//! A metric family while it is put together: a name, what it means, and its series.
//!
//! Promises: what is told is what was added since the family was begun. The names and labels of thousands of series are the
//! same at each scrape, and are taken over from the last one instead of being made again.

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Where families begin, and what the last ones of each name have told.
#[derive(Default)]
pub(super) struct Families {
    told: BTreeMap<String, Vec<Metric>>,
}

impl Families {
    /// What only rises, as long as the kernel counts.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Family {
        self.begin(name, help, MetricType::COUNTER)
    }

    /// What may rise and fall.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family {
        self.begin(name, help, MetricType::GAUGE)
    }

    /// What is sorted by size.
    pub(super) fn histogram(&mut self, name: &'static str, help: &'static str) -> Family {
        self.begin(name, help, MetricType::HISTOGRAM)
    }

    fn begin(&mut self, name: &'static str, help: &'static str, kind: MetricType) -> Family {
        Family { name, help, kind, series: self.told.remove(name).unwrap_or_default(), added: 0 }
    }

    /// Takes back what was told, for the next of its name.
    pub(super) fn take_back(&mut self, family: &mut MetricFamily) {
        self.told.insert(family.name().to_owned(), family.take_metric());
    }
}

/// One name with all its series.
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// Those of this time, then what is left of the last.
    series: Vec<Metric>,
    added: usize,
}

impl Family {
    /// Adds one series of a histogram: the upper end of each bucket but the last, which has none, with what is up to it;
    /// then the sum of all sizes.
    pub(super) fn add_sizes(
        &mut self,
        labels: &[(&str, &str)],
        cumulative: impl Iterator<Item = (Option<u32>, u64)>,
        sum: u64,
    ) {
        let (mut buckets, mut count) = (Vec::new(), 0);
        for (end, frames) in cumulative {
            count = frames;
            if let Some(end) = end {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(f64::from(end));
                bucket.set_cumulative_count(frames);
                buckets.push(bucket);
            }
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum as f64);
        self.next(labels).set_histogram(histogram);
    }

    /// Adds one series. Values over 2^53 lose their last digits, as all do in Prometheus.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            self.next(labels).set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            self.next(labels).set_gauge(gauge);
        }
    }

    /// The next series, which has no value yet or an old one.
    fn next(&mut self, labels: &[(&str, &str)]) -> &mut Metric {
        let at = self.added;
        self.added += 1;
        match self.series.get(at) {
            Some(told) if is_labelled(told, labels) => {}
            Some(_) => self.series[at] = labelled(labels),
            None => self.series.push(labelled(labels)),
        }
        &mut self.series[at]
    }

    /// The family as it is written out; none where it has no series.
    pub(super) fn finish(mut self) -> Option<MetricFamily> {
        self.series.truncate(self.added);
        if self.series.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.series);
        Some(family)
    }
}

fn is_labelled(metric: &Metric, labels: &[(&str, &str)]) -> bool {
    let pairs = metric.get_label().iter().map(|pair| (pair.name(), pair.value()));
    pairs.eq(labels.iter().copied())
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
