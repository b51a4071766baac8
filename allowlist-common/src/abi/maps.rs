//! Names of the maps as the program declares them.

/// One slot: the map that holds the [`PolicyTable`](super::PolicyTable) in force.
pub const ROOT: &str = "ROOT";
/// Pool of IPv4 tries.
pub const TRIES_V4: &str = "TRIES_V4";
/// Pool of IPv6 tries.
pub const TRIES_V6: &str = "TRIES_V6";
/// Root tables of the tries in flat memory: maps of one [`Root`](crate::flat::Root).
pub const FLAT_ROOTS: &str = "FLAT_ROOTS";
/// Maps of [`ELEMENTS_CHUNK`](crate::flat::ELEMENTS_CHUNK) [`Element`](crate::flat::Element)s.
pub const FLAT_ELEMENTS: &str = "FLAT_ELEMENTS";
/// Maps of [`WORDS_CHUNK`](crate::flat::WORDS_CHUNK) [`Word`](crate::flat::Word)s.
pub const FLAT_WORDS: &str = "FLAT_WORDS";
/// Per-CPU [`Counter`](super::Counter) by service and [`Judged`](super::Judged).
pub const SERVICE_COUNTERS: &str = "SERVICE_COUNTS";
/// Per-CPU [`Counter`](super::Counter) of packets that belong to no service, by [`Unmatched`](super::Unmatched).
pub const UNMATCHED_COUNTERS: &str = "OTHER_COUNTS";
/// Maps of [`HITS_PAGE`](super::HITS_PAGE) entries each: when an entry last matched, in seconds of the
/// monotonic clock.
pub const HITS: &str = "HITS";
/// Ring buffer of [`Drop`](super::Drop).
pub const EVENTS: &str = "EVENTS";
/// Per-CPU `u64`, one: how many events a CPU may still report. The daemon fills it up every second, so that neither
/// a flood nor the daemon's end costs more than a glance.
pub const EVENT_BUDGET: &str = "EVENT_BUDGET";
/// Per-CPU `u64`, one: packets that were not reported since the program was loaded.
pub const EVENTS_LOST: &str = "EVENTS_LOST";
/// The programs that go on with a packet that was judged, by [`next`](super::next).
pub const NEXT: &str = "NEXT";
/// One slot: the map that holds the [`PolicyTable`](super::PolicyTable) on trial.
pub const TRIAL: &str = "TRIAL";
/// Per-CPU `u64` of packets that were judged twice, by [`tried`](super::tried).
pub const TRIED: &str = "TRIED";
/// [`Sighting`](super::Sighting) by [`Source`](super::Source).
pub const SIGHTINGS: &str = "SIGHTINGS";
/// One slot: [`Explanation`](super::Explanation).
pub const EXPLANATION: &str = "EXPLANATION";
