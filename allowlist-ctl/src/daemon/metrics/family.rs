//! One metric, with a value for each set of its labels.

use jiff::Timestamp;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A metric that is being put together.
pub(super) struct Family {
    family: MetricFamily,
    values: Vec<Metric>,
}

impl Family {
    /// Something that only grows.
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    /// Something that goes up and down.
    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    fn new(name: &str, help: &str, field_type: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(field_type);
        Self { family, values: Vec::new() }
    }

    /// Adds a value.
    pub(super) fn put<const N: usize>(&mut self, labels: [(&str, &str); N], value: f64) {
        let labels = labels.map(|(name, value)| {
            let mut label = LabelPair::default();
            label.set_name(name.to_owned());
            label.set_value(value.to_owned());
            label
        });
        let mut metric = Metric::from_label(labels.into());
        if self.family.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.values.push(metric);
    }

    /// The one value of a metric without labels.
    pub(super) fn only(mut self, value: f64) -> Self {
        self.put([], value);
        self
    }

    /// The metric; `None` where there is nothing to be told of.
    pub(super) fn finish(mut self) -> Option<MetricFamily> {
        if self.values.is_empty() {
            return None;
        }
        self.family.set_metric(self.values);
        Some(self.family)
    }
}

/// A count as Prometheus has it.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
pub(super) const fn number(count: u64) -> f64 {
    count as f64
}

/// The number of elements of something as Prometheus has it.
pub(super) fn size(count: usize) -> f64 {
    number(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Whether something is so, as Prometheus has it.
pub(super) fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// A moment as Prometheus has it.
pub(super) fn moment(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
