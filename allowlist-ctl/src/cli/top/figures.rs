//! What is shown, out of what the daemon counts: how many packets a second, and how that was in the last minute.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    time::Instant,
};

use jiff::Timestamp;

use crate::{
    api::{DropReason, DroppedPackets, Drops, ServiceState, ServiceStatus, Status},
    policy::{Name, port::Ports, service::Mode},
};

/// So many samples of a service are kept, one a second.
pub(super) const KEPT: usize = 60;

/// What the daemon said at a moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When, by a clock that is never set.
    pub(super) at: Instant,
    /// The state of everything.
    pub(super) status: Status,
    /// Dropped packets.
    pub(super) drops: Drops,
}

/// How the rows are sorted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Sort {
    /// The most packets a second first.
    #[default]
    Rate,
    /// The most packets first.
    Count,
    /// By name, sources by address.
    Name,
    /// The last one first.
    Last,
}

impl Sort {
    /// The next one.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Count,
            Self::Count => Self::Name,
            Self::Name => Self::Last,
            Self::Last => Self::Rate,
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Count => "count",
            Self::Name => "name",
            Self::Last => "last",
        }
    }
}

/// Packets that are counted, and how fast they come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// All of them.
    pub(super) packets: u64,
    /// Those of a second; `None` as long as there is nothing to compare with.
    pub(super) rate: Option<f64>,
    /// Those of each second of the last minute, the last one last.
    pub(super) past: VecDeque<u64>,
    /// The sample in which there were more than before.
    last: u64,
}

impl Flow {
    /// Takes what was counted, so many seconds after the last time.
    fn take(&mut self, packets: u64, seconds: Option<f64>, sample: u64) {
        self.rate = seconds.map(|seconds| per_second(self.packets, packets, seconds));
        if packets > self.packets {
            self.last = sample;
        }
        self.packets = packets;
        if let Some(rate) = self.rate {
            if self.past.len() == KEPT {
                self.past.pop_front();
            }
            self.past.push_back(whole(rate));
        }
    }
}

/// A service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// What it is called.
    pub(super) name: Name,
    /// What becomes of packets that are denied.
    pub(super) mode: Mode,
    /// Whether it admits everyone.
    pub(super) is_open: bool,
    /// Packets that were admitted because they are allowed, or everyone is.
    pub(super) admitted: Flow,
    /// Packets that were denied, or would have been in mode enforce.
    pub(super) denied: Flow,
}

/// What the packets of a row have in common.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    /// Where they come from.
    pub(super) source: Option<IpAddr>,
    /// The service; none of unreadable packets.
    pub(super) service: Option<Name>,
    /// Destination protocol and port.
    pub(super) port: Option<Ports>,
    /// Whether they would be denied in mode enforce, and passed.
    pub(super) passed: bool,
}

/// A denied source.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// What its packets have in common.
    pub(super) key: Key,
    /// Why the last one was dropped.
    pub(super) reason: DropReason,
    /// How many were reported.
    pub(super) count: u64,
    /// How many of them in a second; `None` as long as there is nothing to compare with.
    pub(super) rate: Option<f64>,
    /// When the last one came.
    pub(super) last: Timestamp,
}

/// All that is shown of samples.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// The last sample's moment.
    pub(super) at: Option<Instant>,
    /// The policy's revision.
    pub(super) revision: u64,
    /// How many parts of the daemon do not work.
    pub(super) degraded: usize,
    /// Whether a change waits to be confirmed.
    pub(super) is_pending: bool,
    /// Services by name.
    pub(super) services: Vec<Service>,
    /// Denied sources, in no order.
    pub(super) sources: Vec<Source>,
    /// Dropped packets a second that no row has, for there were too many.
    pub(super) unreported: Flow,
    samples: u64,
}

impl Figures {
    /// Takes a sample.
    pub(super) fn take(&mut self, sample: Sample) {
        let Sample { at, status, drops } = sample;
        let seconds = self.at.map(|before| at.saturating_duration_since(before).as_secs_f64());
        // Two at one moment say nothing about a second.
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        self.at = Some(at);
        self.samples += 1;
        self.revision = status.revision;
        self.degraded = status.degraded.len();
        self.is_pending = status.pending.is_some();
        self.take_services(status.services, seconds);
        let counts = self.sources.drain(..).map(|source| (source.key, source.count));
        let counts: HashMap<Key, u64> = counts.collect();
        self.sources = summed(drops.drops)
            .into_iter()
            .map(|mut source| {
                let before = counts.get(&source.key).copied().unwrap_or(0);
                source.rate = seconds.map(|seconds| per_second(before, source.count, seconds));
                source
            })
            .collect();
        self.unreported.take(drops.lost, seconds, self.samples);
    }

    fn take_services(&mut self, services: Vec<ServiceStatus>, seconds: Option<f64>) {
        let known = std::mem::take(&mut self.services).into_iter();
        let mut known: BTreeMap<Name, Service> =
            known.map(|service| (service.name.clone(), service)).collect();
        let shown = |status: ServiceStatus| {
            let ServiceStatus { name, mode, state, .. } = status;
            let before = known.remove(&name);
            // One that is new has counted nothing before, as far as anybody knows.
            let seconds = seconds.filter(|_| before.is_some());
            let (mut admitted, mut denied) =
                before.map(|service| (service.admitted, service.denied)).unwrap_or_default();
            let [allowed, open] =
                [status.traffic.admitted.packets, status.traffic.admitted_open.packets];
            let [dropped, passed] =
                [status.traffic.denied.packets, status.traffic.would_deny.packets];
            admitted.take(allowed.saturating_add(open), seconds, self.samples);
            denied.take(dropped.saturating_add(passed), seconds, self.samples);
            Service { name, mode, is_open: state == ServiceState::Open, admitted, denied }
        };
        self.services = services.into_iter().map(shown).collect();
    }
}

/// Sources by what is shown of them: drops of several reasons or interfaces are one row.
fn summed(drops: Vec<DroppedPackets>) -> Vec<Source> {
    let mut sources: HashMap<Key, Source> = HashMap::with_capacity(drops.len());
    for DroppedPackets { count, last, .. } in drops {
        let passed = last.reason == DropReason::WouldDeny;
        let key = Key { source: last.source, service: last.service, port: last.port, passed };
        let source = sources.entry(key.clone()).or_insert_with(|| Source {
            key,
            reason: last.reason,
            count: 0,
            rate: None,
            last: last.time,
        });
        source.count = source.count.saturating_add(count);
        if last.time > source.last {
            (source.last, source.reason) = (last.time, last.reason);
        }
    }
    sources.into_values().collect()
}

/// Puts services in order; those that are the same in it by name.
pub(super) fn sort_services(services: &mut [&Service], sort: Sort) {
    services.sort_by(|a, b| {
        let order = match sort {
            Sort::Rate => most(a.denied.rate, b.denied.rate)
                .then_with(|| most(a.admitted.rate, b.admitted.rate)),
            Sort::Count => b.denied.packets.cmp(&a.denied.packets),
            Sort::Name => Ordering::Equal,
            Sort::Last => b.denied.last.cmp(&a.denied.last),
        };
        order.then_with(|| a.name.cmp(&b.name))
    });
}

/// Puts sources in order; those that are the same in it by address.
pub(super) fn sort_sources(sources: &mut [&Source], sort: Sort) {
    sources.sort_by(|a, b| {
        let order = match sort {
            Sort::Rate => most(a.rate, b.rate).then_with(|| b.count.cmp(&a.count)),
            Sort::Count => b.count.cmp(&a.count),
            Sort::Name => Ordering::Equal,
            Sort::Last => b.last.cmp(&a.last),
        };
        order.then_with(|| a.key.cmp(&b.key))
    });
}

fn most(a: Option<f64>, b: Option<f64>) -> Ordering {
    b.unwrap_or(0.0).total_cmp(&a.unwrap_or(0.0))
}

/// How many more a second; a counter that began anew has counted from nothing.
#[expect(clippy::cast_precision_loss, reason = "for a figure of four digits")]
fn per_second(before: u64, now: u64, seconds: f64) -> f64 {
    let more = now.checked_sub(before).unwrap_or(now);
    more as f64 / seconds
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is neither negative nor more than its counter has room for"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

/// A number of packets in at most five characters.
pub(super) fn short(number: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
    if number < 10_000 {
        return number.to_string();
    }
    let fits = |unit: &&(&str, u64)| number / unit.1 < 1000;
    let (unit, size) = UNITS.iter().find(fits).unwrap_or(&UNITS[3]);
    let (whole, tenth) = (number / size, number % size * 10 / size);
    if whole < 100 { format!("{whole}.{tenth}{unit}") } else { format!("{whole}{unit}") }
}

/// A rate in at most five characters.
pub(super) fn short_rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate > 0.0 && rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => short(whole(rate)),
    }
}

#[cfg(test)]
mod tests;
