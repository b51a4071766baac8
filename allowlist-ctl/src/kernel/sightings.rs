//! Sources that were seen: of services that are watched, and those that a policy on trial would judge otherwise.

use std::{net::IpAddr, sync::Mutex};

use allowlist_common::abi::{self, Sighted, maps, tried};
use aya::{
    Pod,
    maps::{HashMap, MapData, MapError, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};
use jiff::Timestamp;

use super::{error::LoadError, hits::monotonic_time, load::Loaded};

/// [`abi::Source`] as aya wants it: any bytes are one.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
#[repr(transparent)]
struct Key(abi::Source);

// SAFETY: plain integers without padding, and every bit pattern is a value.
unsafe impl Pod for Key {}

/// [`abi::Sighting`], likewise.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(abi::Sighting);

// SAFETY: as of `Key`.
unsafe impl Pod for Value {}

/// A source that was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Its address.
    pub source: IpAddr,
    /// Number of the service, of the policy that drops its packets where one does; 0 for unreadable packets.
    pub service: u16,
    /// What was seen.
    pub what: Sighted,
    /// Packets, nearly.
    pub packets: u64,
    /// When the first one was.
    pub first: Timestamp,
    /// When the last one was.
    pub last: Timestamp,
}

/// How many packets were judged by a policy on trial.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tried {
    /// All of them.
    pub packets: u64,
    /// Those that pass and would be dropped.
    pub newly_dropped: u64,
    /// Those that are dropped and would be admitted.
    pub newly_admitted: u64,
}

/// The sightings, to be read from any thread.
pub struct Sightings {
    sources: Mutex<HashMap<MapData, Key, Value>>,
    tried: Mutex<PerCpuArray<MapData, u64>>,
}

/// Locks a map; whoever panicked while reading it has left it as it was.
fn lock<T>(map: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    map.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Sightings {
    pub(super) fn new(loaded: &mut Loaded) -> Result<Self, LoadError> {
        let sources = HashMap::try_from(loaded.take_map(maps::SIGHTINGS)?)?;
        let tried = PerCpuArray::try_from(loaded.take_map(maps::TRIED)?)?;
        Ok(Self { sources: Mutex::new(sources), tried: Mutex::new(tried) })
    }

    /// What was seen, in no particular order. While packets come in some may be left out.
    ///
    /// # Errors
    /// The kernel's refusal to read the map.
    pub fn seen(&self, wanted: impl Fn(Sighted, u16) -> bool) -> Result<Vec<Sighting>, MapError> {
        let mut seen = Vec::new();
        for (key, what) in self.keys(&wanted)? {
            // One that made room for another meanwhile is no longer there.
            let Ok(Value(value)) = lock(&self.sources).get(&key, 0) else { continue };
            seen.extend(read(key.0, what, value));
        }
        Ok(seen)
    }

    /// Forgets what was seen.
    ///
    /// # Errors
    /// The kernel's refusal to write the map.
    pub fn forget(&self, unwanted: impl Fn(Sighted, u16) -> bool) -> Result<(), MapError> {
        for (key, _) in self.keys(&unwanted)? {
            match lock(&self.sources).remove(&key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn keys(
        &self,
        wanted: &impl Fn(Sighted, u16) -> bool,
    ) -> Result<Vec<(Key, Sighted)>, MapError> {
        let sources = lock(&self.sources);
        let mut found = Vec::new();
        // A source that makes room for another one while it is looked at has the walk begin anew.
        for key in sources.keys().take(2 * abi::SIGHTINGS) {
            let key = key?;
            let what = Sighted::ALL.into_iter().find(|what| *what as u8 == key.0.what);
            if let Some(what) = what.filter(|what| wanted(*what, key.0.service)) {
                found.push((key, what));
            }
        }
        drop(sources);
        let mut known = std::collections::HashSet::new();
        found.retain(|(key, _)| known.insert(*key));
        Ok(found)
    }

    /// How many packets the policy on trial has judged.
    ///
    /// # Errors
    /// The kernel's refusal to read the map.
    pub fn tried(&self) -> Result<Tried, MapError> {
        let counts = lock(&self.tried);
        let count = |index: u32| Ok::<u64, MapError>(counts.get(&index, 0)?.iter().sum());
        Ok(Tried {
            packets: count(tried::ALL)?,
            newly_dropped: count(tried::NEWLY_DROPPED)?,
            newly_admitted: count(tried::NEWLY_ADMITTED)?,
        })
    }

    /// Forgets what an earlier trial came to.
    ///
    /// # Errors
    /// The kernel's refusal to write the maps.
    pub fn forget_trial(&self) -> Result<(), MapError> {
        let cpus = nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        for index in [tried::ALL, tried::NEWLY_DROPPED, tried::NEWLY_ADMITTED] {
            let zeros = PerCpuValues::try_from(vec![0; cpus])?;
            lock(&self.tried).set(index, zeros, 0)?;
        }
        self.forget(|what, _| what != Sighted::Passed)
    }
}

fn read(key: abi::Source, what: Sighted, value: abi::Sighting) -> Option<Sighting> {
    let source = match (key.family, key.address) {
        (4, [a, b, c, d, ..]) => IpAddr::from([a, b, c, d]),
        (_, address) => IpAddr::from(address),
    };
    let time = |seconds: u32| {
        let time = monotonic_time(u64::from(seconds) * 1_000_000_000)?;
        Timestamp::from_second(time.as_second()).ok()
    };
    let (first, last) = (time(value.first)?, time(value.last)?);
    Some(Sighting { source, service: key.service, what, packets: value.packets, first, last })
}
