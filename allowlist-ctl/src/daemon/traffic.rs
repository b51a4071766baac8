//! What packets came to in the last minute: the counters, read every few seconds and kept that long.
//!
//! The kernel counts without end. What came since is the difference of two readings, so that neither a packet nor the
//! kernel knows of any minute.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use allowlist_common::{
    abi::{Counter, Judged, Unmatched},
    parse::Aside,
};
use tracing::warn;

use super::shared::Shared;
use crate::{
    api::{ErrorCode, Problem, ServiceTraffic, Traffic},
    kernel::Counters,
};

/// The name of packets without ports to judge them by.
pub(super) const OTHER_PROTOCOL: &str = "other_protocol";

const MINUTE: Duration = Duration::from_mins(1);
/// A reading is taken so often.
const PAUSE: Duration = Duration::from_secs(5);
/// Readings that are kept: those of a minute, and one more that is older.
const KEPT: usize = 13;

/// What the packets of a service came to, by [`Judged`].
pub(super) type Judgements = [Counter; Judged::ALL.len()];

/// A reading of all counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// By the service's number.
    services: HashMap<u16, Judgements>,
    /// In the order of [`unmatched_kinds`].
    unmatched: Vec<Counter>,
}

impl Reading {
    /// Reads the counters of these services, and those of packets of no service.
    ///
    /// # Errors
    /// Why a counter cannot be read.
    pub(super) fn of(
        counters: &Counters,
        services: impl IntoIterator<Item = u16>,
    ) -> Result<Self, Problem> {
        let mut reading = Self::default();
        for number in services {
            let mut judgements = Judgements::default();
            for (totals, judged) in judgements.iter_mut().zip(Judged::ALL) {
                *totals = counters.service(number, judged).map_err(unreadable_counters)?;
            }
            reading.services.insert(number, judgements);
        }
        for (_, kind) in unmatched_kinds() {
            reading.unmatched.push(counters.unmatched(kind).map_err(unreadable_counters)?);
        }
        Ok(reading)
    }

    /// What a service's packets came to.
    pub(super) fn service(&self, number: u16) -> ServiceTraffic {
        told(&self.services.get(&number).copied().unwrap_or_default())
    }

    /// What packets of no service came to, by the name of their kind.
    pub(super) fn unmatched(&self) -> impl Iterator<Item = (String, Traffic)> {
        let counts = self.unmatched.iter().copied().map(traffic);
        unmatched_kinds().map(|(name, _)| name).zip(counts)
    }

    /// What packets of no service of one kind came to.
    pub(super) fn kind(&self, kind: &str) -> Traffic {
        self.unmatched()
            .find(|(name, _)| name == kind)
            .map(|(_, traffic)| traffic)
            .unwrap_or_default()
    }

    /// What came between an earlier reading and this one. A service that the earlier one does not have was made since,
    /// and counts from zero.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let none = Judgements::default();
        let service = |(number, now): (&u16, &Judgements)| {
            let then = earlier.services.get(number).unwrap_or(&none);
            (*number, std::array::from_fn(|index| difference(now[index], then[index])))
        };
        let unmatched = self.unmatched.iter().zip(&earlier.unmatched);
        Self {
            services: self.services.iter().map(service).collect(),
            unmatched: unmatched.map(|(now, then)| difference(*now, *then)).collect(),
        }
    }
}

/// Why there are no counts.
pub(super) fn unreadable_counters(error: impl std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::Failed, format!("cannot read the counters: {error}"))
}

/// A counter that fell has begun anew.
fn difference(now: Counter, then: Counter) -> Counter {
    if now.packets < then.packets {
        return now;
    }
    Counter { packets: now.packets - then.packets, bytes: now.bytes.saturating_sub(then.bytes) }
}

fn told(judgements: &Judgements) -> ServiceTraffic {
    let count = |judged: Judged| traffic(judgements[judged as usize]);
    ServiceTraffic {
        admitted: count(Judged::Admitted),
        admitted_open: count(Judged::AdmittedOpen),
        denied: count(Judged::Denied),
        would_deny: count(Judged::WouldDeny),
        reject_sent: count(Judged::RejectSent),
        reject_limited: count(Judged::RejectLimited),
    }
}

fn traffic(totals: Counter) -> Traffic {
    Traffic { packets: totals.packets, bytes: totals.bytes }
}

/// The latest readings, the oldest first.
#[derive(Debug, Default)]
pub(super) struct TrafficLog(Mutex<VecDeque<(Instant, Arc<Reading>)>>);

impl TrafficLog {
    fn readings(&self) -> MutexGuard<'_, VecDeque<(Instant, Arc<Reading>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, at: Instant, reading: Reading) {
        let mut readings = self.readings();
        if readings.len() >= KEPT {
            readings.pop_front();
        }
        readings.push_back((at, Arc::new(reading)));
    }

    /// Forgets what a number counted, for its counters are another service's from now on, and begin at zero.
    pub(super) fn forget(&self, number: u16) {
        for (_, reading) in self.readings().iter_mut() {
            Arc::make_mut(reading).services.remove(&number);
        }
    }

    /// The oldest reading of the minute before `now`, and how long ago it was taken. Where there is none of this minute
    /// (the host was busy), the latest.
    pub(super) fn a_minute_before(&self, now: Instant) -> Option<(Duration, Arc<Reading>)> {
        let readings = self.readings();
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let of_the_minute = readings.iter().find(|(at, _)| age(at) <= MINUTE);
        let (at, reading) = of_the_minute.or(readings.back())?;
        Some((age(at), Arc::clone(reading)))
    }
}

/// Takes a reading now, and others on a thread of its own for as long as the daemon runs.
///
/// # Errors
/// Where no thread can be had.
pub(super) fn keep(shared: Arc<Shared>) -> io::Result<()> {
    let mut is_unreadable = false;
    let mut read = move |shared: &Shared| {
        let numbers = shared.policy().services.into_values().map(|service| service.number);
        match Reading::of(&shared.counters, numbers) {
            Ok(reading) => {
                shared.traffic.note(Instant::now(), reading);
                is_unreadable = false;
            }
            // Once, or the log would be full of it.
            Err(error) if !is_unreadable => {
                warn!("what came in the last minute is not known: {error}");
                is_unreadable = true;
            }
            Err(_) => {}
        }
    };
    read(&shared);
    let keep = move || {
        loop {
            thread::sleep(PAUSE);
            read(&shared);
        }
    };
    thread::Builder::new().name("traffic".into()).spawn(keep).map(|_| ())
}

/// Every kind of packet that belongs to no service, with its name.
fn unmatched_kinds() -> impl Iterator<Item = (String, Unmatched)> {
    let asides = Aside::ALL.into_iter().flat_map(|aside| {
        let name = aside_name(aside);
        if aside.is_unreadable() {
            vec![
                (format!("{name}_passed"), Unmatched::passed(aside)),
                (format!("{name}_dropped"), Unmatched::dropped(aside)),
            ]
        } else {
            vec![(name.to_owned(), Unmatched::passed(aside))]
        }
    });
    std::iter::once(("no_service".to_owned(), Unmatched::NO_SERVICE)).chain(asides)
}

pub(super) const fn aside_name(aside: Aside) -> &'static str {
    match aside {
        Aside::NotIp => "not_ip",
        Aside::OtherProtocol => OTHER_PROTOCOL,
        Aside::LaterFragment => "later_fragment",
        Aside::FrameCutOff => "frame_cut_off",
        Aside::TooManyTags => "too_many_tags",
        Aside::BadIpHeader => "bad_ip_header",
        Aside::ExtensionCutOff => "extension_cut_off",
        Aside::TooManyExtensions => "too_many_extensions",
        Aside::PortsCutOff => "ports_cut_off",
        Aside::FragmentRefused => "fragment_refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: u16 = 7;

    /// A reading in which the service has so many admitted packets of ten bytes, and as many are of no service.
    fn reading(packets: u64) -> Reading {
        let totals = Counter { packets, bytes: 10 * packets };
        let mut judgements = Judgements::default();
        judgements[Judged::Admitted as usize] = totals;
        Reading { services: [(SERVICE, judgements)].into(), unmatched: vec![totals] }
    }

    fn admitted(packets: u64) -> Traffic {
        Traffic { packets, bytes: 10 * packets }
    }

    #[test]
    fn what_came_is_the_difference_of_two_readings() {
        let table = [
            (
                "nothing before",
                Reading { unmatched: vec![Counter::default()], ..Reading::default() },
                5,
                5,
            ),
            ("as much as before", reading(5), 5, 0),
            ("more", reading(5), 12, 7),
            ("begun anew", reading(5), 3, 3),
        ];
        for (description, earlier, now, expected) in table {
            let came = reading(now).since(&earlier);
            assert_eq!(came.service(SERVICE).admitted, admitted(expected), "{description}");
            let (kind, unmatched) = came.unmatched().next().unwrap();
            assert_eq!(
                (kind.as_str(), unmatched),
                ("no_service", admitted(expected)),
                "{description}"
            );
        }
        assert_eq!(reading(5).since(&reading(1)).service(8), ServiceTraffic::default(), "another");
    }

    #[test]
    fn a_minute_is_counted_from_its_oldest_reading() {
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        let log = TrafficLog::default();
        assert!(log.a_minute_before(start).is_none());
        // (when a reading is taken, when it is asked, how long ago the reading is, when that was taken)
        let every_five: Vec<u64> = (0..40).map(|number| number * 5).collect();
        let table = [
            ("just started", 1, 2, 2, 0),
            ("after a while", 6, 27, 27, 0),
            ("a minute on the dot", 13, 60, 60, 0),
            ("after a minute", 13, 61, 56, 5),
            ("long after", 40, 199, 59, 140),
            ("nothing was read for long", 40, 500, 305, 195),
        ];
        for (description, count, asked, age, taken) in table {
            let log = TrafficLog::default();
            for at in &every_five[..count] {
                log.note(second(*at), reading(*at));
            }
            let (found_age, found) = log.a_minute_before(second(asked)).unwrap();
            assert_eq!(found_age.as_secs(), age, "{description}");
            assert_eq!(*found, reading(taken), "{description}");
            assert!(log.readings().len() <= KEPT, "{description}");
        }
    }

    #[test]
    fn a_number_that_becomes_another_services_counts_from_zero() {
        let log = TrafficLog::default();
        let start = Instant::now();
        log.note(start, reading(5));
        log.forget(SERVICE);
        let (_, earlier) = log.a_minute_before(start).unwrap();
        assert_eq!(reading(9).since(&earlier).service(SERVICE).admitted, admitted(9));
        assert_eq!(reading(9).since(&earlier).unmatched().next().unwrap().1, admitted(4));
    }
}
