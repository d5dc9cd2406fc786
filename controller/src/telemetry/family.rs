//! A metric family while it is put together: a name, what it means, and its series.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// One name with all its series.
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<Metric>,
}

impl Family {
    /// What only rises, as long as the kernel counts.
    pub(super) fn counter(name: &'static str, help: &'static str) -> Family {
        Family { name, help, kind: MetricType::COUNTER, series: Vec::new() }
    }

    /// What may rise and fall.
    pub(super) fn gauge(name: &'static str, help: &'static str) -> Family {
        Family { name, help, kind: MetricType::GAUGE, series: Vec::new() }
    }

    /// What is sorted by size.
    pub(super) fn histogram(name: &'static str, help: &'static str) -> Family {
        Family { name, help, kind: MetricType::HISTOGRAM, series: Vec::new() }
    }

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
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.series.push(metric);
    }

    /// Adds one series. Values over 2^53 lose their last digits, as all do in Prometheus.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = labelled(labels);
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.series.push(metric);
    }

    /// The family as it is written out; none where it has no series.
    pub(super) fn finish(self) -> Option<MetricFamily> {
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

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}
