//! When entries last decided about a packet.

use std::os::fd::AsFd as _;

use allowlist_common::abi::{HITS_PAGE, HITS_PAGES};
use aya::maps::{Array, ArrayOfMaps, IterableMap as _, Map, MapData, MapError, MapInfo, MapType};
use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use super::{
    Pins,
    pins::pinned_map,
    retry::{Calls, pin},
};

type Page = Array<MapData, u32>;

/// The maps of last hits, made as ids grow, and pinned so that they outlive the daemon.
pub(super) struct HitMaps {
    slots: ArrayOfMaps<MapData, Page>,
    pages: Vec<Page>,
    calls: Calls,
}

impl HitMaps {
    pub(super) fn new(map: Map, calls: Calls) -> Result<Self, MapError> {
        Ok(Self { slots: ArrayOfMaps::try_from(map)?, pages: Vec::new(), calls })
    }

    /// Sees to it that there is a place for every id up to `highest`.
    ///
    /// # Errors
    /// The kernel's refusal; entries without a place have no last hit, and work all the same.
    pub(super) fn cover(&mut self, highest: u32, pins: &Pins) -> Result<(), MapError> {
        let needed = (highest / HITS_PAGE + 1).min(HITS_PAGES);
        while let Ok(index) = u32::try_from(self.pages.len())
            && index < needed
        {
            let page = pinned_page(index, pins, &self.calls)?;
            self.calls.patiently(|| self.slots.set(index, &page, 0))?;
            self.pages.push(page);
        }
        Ok(())
    }

    /// Forgets the hits of entries; a refusal leaves one that is not theirs.
    pub(super) fn forget(&mut self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            if let Some(page) = self.pages.get_mut((id / HITS_PAGE) as usize) {
                let _ = self.calls.patiently(|| page.set(id % HITS_PAGE, 0, 0));
            }
        }
    }

    /// How many maps there are.
    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Another handle for those who read.
    pub(super) fn reader(&self) -> Hits {
        let again = |page: &Page| {
            let fd = page.map().fd().as_fd().try_clone_to_owned().ok()?;
            Array::try_from(Map::Array(MapData::from_fd(fd).ok()?)).ok()
        };
        Hits { pages: self.pages.iter().map(again).collect() }
    }
}

/// The page that an earlier daemon pinned, or a new one in its place.
fn pinned_page(index: u32, pins: &Pins, calls: &Calls) -> Result<Page, MapError> {
    let path = pins.hits(index);
    let is_it = |info: &MapInfo| {
        info.max_entries() == HITS_PAGE
            && info.value_size() == 4
            && matches!(info.map_type(), Ok(MapType::Array))
    };
    if let Some(data) = pinned_map(&path, calls, is_it).map_err(MapError::IoError)? {
        return Array::try_from(Map::Array(data));
    }
    // Without a pin the hits end with the daemon.
    let create = || Page::create(HITS_PAGE, 0);
    let page = calls.patiently(create)?;
    if let Err(error) = pin(calls, || page.pin(&path)) {
        tracing::warn!("cannot pin the last hits: {error}");
        return calls.patiently(create);
    }
    Array::try_from(Map::Array(MapData::from_pin(&path)?))
}

/// Reads last hits, from any thread.
#[derive(Default)]
pub struct Hits {
    /// By the ids in them; one that could not be had stays empty.
    pages: Vec<Option<Page>>,
}

impl Hits {
    /// How many maps are read.
    pub(super) fn pages(&self) -> usize {
        self.pages.iter().flatten().count()
    }

    /// When an entry last decided about a packet, to the second; `None` where it never did since it was added.
    #[must_use]
    pub fn last(&self, id: u32, added_at: Timestamp) -> Option<Timestamp> {
        let page = self.pages.get((id / HITS_PAGE) as usize)?.as_ref()?;
        let seconds = page.get(&(id % HITS_PAGE), 0).ok().filter(|seconds| *seconds != 0)?;
        let hit = monotonic_time(u64::from(seconds) * 1_000_000_000)?;
        let hit = Timestamp::from_second(hit.as_second()).ok()?;
        // An earlier hit was that of an entry that had the id before; clocks of whole seconds differ by one.
        let earliest = added_at.saturating_sub(SignedDuration::from_secs(1)).ok()?;
        (hit >= earliest).then_some(hit.max(added_at))
    }
}

/// Wall-clock time of a moment on the monotonic clock, given in nanoseconds.
pub(super) fn monotonic_time(nanoseconds: u64) -> Option<Timestamp> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    let now = SignedDuration::new(now.tv_sec(), i32::try_from(now.tv_nsec()).ok()?);
    let then = SignedDuration::from_nanos(i64::try_from(nanoseconds).ok()?);
    Timestamp::now().checked_sub(now.checked_sub(then)?).ok()
}
