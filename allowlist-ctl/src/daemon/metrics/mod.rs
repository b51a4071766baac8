//! Figures for monitoring, in Prometheus' text format.
//!
//! How long something takes is observed when it happens; everything else is read when somebody asks, so that figures
//! that nobody reads cost nothing. The kernel program counts as it always does: a scrape only reads its counters.

mod family;
mod figures;
mod listener;

use std::time::{Duration, Instant};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, Registry, TextEncoder,
    process_collector::ProcessCollector,
};

pub(super) use self::listener::{Bound, bind, serve};
use super::shared::Shared;
use crate::api::{ErrorCode, Problem};

/// The media type of the text.
pub(super) const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// What a request is that no operation is for.
const OTHER: &str = "other";

/// Bounds in seconds: from a change of one entry, in place, to a list of a million.
const SYNC_BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
const REQUEST_BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What is observed when it happens.
pub(super) struct Metrics {
    registry: Registry,
    sync: Histogram,
    requests: HistogramVec,
}

impl Metrics {
    /// # Errors
    /// Never, but for a mistake in this program.
    pub(super) fn new() -> prometheus::Result<Self> {
        let sync = HistogramOpts::new(
            "allowlist_sync_duration_seconds",
            "Time of bringing the kernel from one policy to the next, refused ones included.",
        );
        let sync = Histogram::with_opts(sync.buckets(SYNC_BUCKETS.into()))?;
        let requests = HistogramOpts::new(
            "allowlist_api_request_duration_seconds",
            "Time from a request at the socket to the beginning of its answer, by operation of /v1/openapi.json.",
        );
        let requests = HistogramVec::new(requests.buckets(REQUEST_BUCKETS.into()), &["operation"])?;
        let registry = Registry::new();
        registry.register(Box::new(sync.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self { registry, sync, requests })
    }

    /// Does what brings the kernel to a policy, and observes how long that takes.
    pub(super) fn time_sync<T>(&self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let done = work();
        self.sync.observe(begin.elapsed().as_secs_f64());
        done
    }

    /// Observes how long the answer to a request took; without an operation there is nothing to be had at its path.
    pub(super) fn observe_request(&self, operation: Option<&'static str>, took: Duration) {
        let requests = self.requests.with_label_values(&[operation.unwrap_or(OTHER)]);
        requests.observe(took.as_secs_f64());
    }
}

/// All figures as they are now.
///
/// # Errors
/// [`ErrorCode::Failed`] where the counters cannot be read: figures without them would look like a quiet network.
pub(super) fn text(shared: &Shared) -> Result<String, Problem> {
    let mut families = figures::read(shared)?;
    families.extend(shared.metrics.registry.gather());
    let text = TextEncoder::new().encode_to_string(&families);
    text.map_err(|error| {
        Problem::new(ErrorCode::Failed, format!("the metrics cannot be written: {error}"))
    })
}
