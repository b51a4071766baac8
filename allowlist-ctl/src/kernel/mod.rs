//! The only room that knows aya: loading, filling, attaching and reading the XDP program.
//!
//! [`Kernel`] holds what is loaded. [`Kernel::apply`] brings the maps from one policy to the next such that a
//! packet sees the one or the other; [`Kernel::attach`] puts the program on an interface,
//! [`Kernel::take_over`] takes over what an earlier daemon left in force, and [`Kernel::look`] tells what others did to it.

mod attach;
mod bpffs;
mod budget;
mod clock;
mod counters;
mod edits;
mod engine;
mod error;
mod ethtool;
mod events;
mod explain;
mod flat;
mod frame;
mod held;
mod hits;
mod identity;
mod interfaces;
mod item;
mod keeping;
mod link;
mod live_table;
mod load;
mod lpm;
mod mapped;
mod pins;
mod placing;
mod refusal;
mod retry;
mod shadow;
mod sightings;
mod slots;
mod sync;
mod sys;
mod takeover;
mod test_run;
mod tries;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    sync::Arc,
};

pub use self::{
    attach::XdpMode,
    budget::OverBudget,
    clock::boot_clock,
    counters::Counters,
    engine::{EngineKind, EngineSettings, EngineState, InFlat},
    error::{AttachError, LoadError, PinError, RemoveError, SyncError, WatchError},
    events::{Drop, DropReason, Events},
    explain::ExplainError,
    frame::{Cut, MadeUp},
    held::{Attached, Happening, Manner},
    hits::Hits,
    identity::InForce,
    interfaces::{Interface, interfaces},
    load::{Variant, raise_memory_limit},
    pins::{PinnedName, Pins},
    retry::{Calls, Refusals},
    sightings::{Sighting, Sightings, Tried},
    takeover::Pinned,
    test_run::{Action, Program},
};
use allowlist_common::abi::{Sighted, maps};

use self::{hits::HitMaps, load::Loaded, pins::OfProgram, sync::Enforced};
use crate::policy::{Name, Policy, entry::BootClock};

/// The loaded program, its maps, and the interfaces it is on.
pub struct Kernel {
    loaded: Loaded,
    enforced: Enforced,
    counters: Arc<Counters>,
    hit_maps: HitMaps,
    hits: Arc<Hits>,
    events: Option<Events>,
    explainer: explain::Explainer,
    sightings: Arc<Sightings>,
    pins: Pins,
    program_id: u32,
    pinned: keeping::Pinned,
    attached: Vec<Attached>,
    is_prepared: bool,
    calls: Calls,
}

impl Kernel {
    /// Loads the program and makes its maps enforce a policy; it is on no interface yet.
    ///
    /// # Errors
    /// [`LoadError`] says in a sentence what is missing.
    pub fn load(pins: Pins, policy: &Policy, engine: EngineSettings) -> Result<Self, LoadError> {
        Self::load_one_of(&Variant::ALL, pins, policy, engine, Calls::default())
    }

    /// The same with the first of these variants that the kernel takes, by calls that a test may have refused.
    ///
    /// # Errors
    /// As of [`Kernel::load`].
    pub fn load_one_of(
        variants: &[Variant],
        pins: Pins,
        policy: &Policy,
        engine: EngineSettings,
        calls: Calls,
    ) -> Result<Self, LoadError> {
        pins.prepare()?;
        let mut loaded = load::load(&pins, variants, &calls)?;
        let mut enforced = Enforced::new(&mut loaded, engine, calls.clone())?;
        let mut hit_maps = HitMaps::new(loaded.take_map(maps::HITS)?, calls.clone())?;
        hit_maps.cover(policy.ids.highest(), &pins)?;
        enforced.restore(policy).map_err(|error| LoadError::Other(error.to_string()))?;
        enforced.tidy();
        loaded.join_programs(&pins, &calls)?;
        Ok(Self {
            program_id: loaded.program_id()?,
            counters: Arc::new(loaded.take_counters()?),
            events: Some(loaded.take_events()?),
            explainer: explain::Explainer::new(&mut loaded)?,
            sightings: Arc::new(Sightings::new(&mut loaded)?),
            hits: Arc::new(hit_maps.reader()),
            hit_maps,
            loaded,
            enforced,
            pins,
            pinned: keeping::Pinned::default(),
            attached: Vec::new(),
            is_prepared: false,
            calls,
        })
    }

    /// The policy that the maps enforce.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.enforced.policy()
    }

    /// How sources are looked up.
    #[must_use]
    pub fn engine(&self) -> EngineState {
        self.enforced.engine()
    }

    /// What the entries of services are in, by number.
    #[must_use]
    pub fn in_flat(&self) -> BTreeMap<u16, InFlat> {
        self.enforced.in_flat()
    }

    /// Whether later fragments are judged by their source on an interface, by the name that it is wanted by.
    #[must_use]
    pub fn is_strict(&self, interface: &str) -> bool {
        self.enforced.interfaces().get(interface).is_some_and(|placement| placement.strict)
    }

    /// Id of the program.
    #[must_use]
    pub const fn program_id(&self) -> u32 {
        self.program_id
    }

    /// Keeps the pins of this program alone, once it has taken over every link of earlier ones.
    ///
    /// # Errors
    /// What the file system answered.
    pub fn settle(&mut self) -> io::Result<()> {
        // A link that could not be taken over runs the program of another start, perhaps of another release: that one goes on
        // by what it pinned.
        let is_held = |pin: &PinnedName| self.attached.iter().any(|one| one.link.is_called(pin));
        if !self.pins.pinned_links()?.iter().all(is_held) {
            return self.pinned.hold(&self.pins);
        }
        for what in OfProgram::ALL {
            let (new, kept) = (self.pins.of_program(what, true), self.pins.of_program(what, false));
            match self.calls.ask(|| fs::rename(new, kept)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        self.pinned.hold(&self.pins)?;
        self.pins.remove_other_versions()
    }

    /// Which of the program's variants the kernel has taken.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.loaded.variant
    }

    /// The reports of dropped packets; they can be taken once.
    pub fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// When entries last decided, to be read from anywhere; to be asked for again after a change.
    #[must_use]
    pub fn hits(&self) -> Arc<Hits> {
        Arc::clone(&self.hits)
    }

    /// The counters, to be read from anywhere.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Brings the kernel to a policy; on return it is enforced.
    ///
    /// # Errors
    /// [`SyncError`]; the policy before stays in force.
    pub fn apply(&mut self, next: &Policy) -> Result<(), SyncError> {
        self.bring_to(next, Enforced::apply)
    }

    /// The same with a policy that is in force already, or was a moment ago: it takes what it takes of the kernel's memory.
    ///
    /// # Errors
    /// As of [`Kernel::apply`].
    pub fn restore(&mut self, policy: &Policy) -> Result<(), SyncError> {
        self.bring_to(policy, Enforced::restore)
    }

    fn bring_to(
        &mut self,
        next: &Policy,
        bring: impl FnOnce(&mut Enforced, &Policy) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        let numbered = |policy: &Policy| -> BTreeSet<(u16, Name)> {
            policy.services.iter().map(|(name, service)| (service.number, name.clone())).collect()
        };
        // What another service had by its number is not its own.
        let (before, after) = (numbered(self.enforced.policy()), numbered(next));
        let new: BTreeSet<u16> = after.difference(&before).map(|(number, _)| *number).collect();
        let in_force: BTreeSet<u16> = before.iter().map(|(number, _)| *number).collect();
        let (handed_on, free): (BTreeSet<u16>, BTreeSet<u16>) =
            new.iter().partition(|number| in_force.contains(number));
        for number in free {
            self.counters.reset(number, &self.calls)?;
        }
        let pages = self.hits.pages();
        if let Err(error) = self.hit_maps.cover(next.ids.highest(), &self.pins) {
            tracing::warn!("some entries will have no last hit: {error}");
        }
        if self.hit_maps.pages() > pages {
            self.hits = Arc::new(self.hit_maps.reader());
            if let Err(error) = self.pinned.hold(&self.pins) {
                tracing::warn!("some last hits end with this daemon: {error}");
            }
        }
        bring(&mut self.enforced, next)?;
        // Until here they were those of a service in force, which would have stayed if this had failed.
        for number in handed_on {
            if let Err(error) = self.counters.reset(number, &self.calls) {
                tracing::warn!("a new service goes on with the counters of a removed one: {error}");
            }
        }
        let is_new = |what, number| what == Sighted::Passed && new.contains(&number);
        if !new.is_empty()
            && let Err(error) = self.sightings.forget(is_new)
        {
            tracing::warn!("sources of removed services may be told of new ones: {error}");
        }
        Ok(())
    }

    /// Rebuilds what a refused change left half done, and the ends of entries where the wall clock was set; `true` where the policy in force is whole.
    pub fn mend(&mut self) -> bool {
        self.mend_at(&boot_clock())
    }

    /// The same, where the clocks relate like this.
    pub fn mend_at(&mut self, clock: &BootClock) -> bool {
        self.enforced.mend(clock)
    }

    /// The calls by which it asks the kernel. For tests.
    #[must_use]
    pub const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Forgets when entries last decided: their ids were others' meanwhile.
    pub fn forget_hits(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.hit_maps.forget(ids);
    }

    /// Frees what changes left behind; to be called when nobody waits.
    pub fn tidy(&mut self) {
        self.enforced.tidy();
        self.prepare();
    }

    /// Loads the programs that explain and watch, where they are not yet and may be needed: it takes the verifier a while,
    /// so it is to be called when nobody waits.
    pub fn prepare(&mut self) {
        self.is_prepared = true;
        if let Err(error) = self.loaded.explainer(&self.calls) {
            tracing::debug!("the program that explains is not loaded: {error}");
        }
        if self.enforced.watches()
            && let Err(error) = self.loaded.load_observer(&self.calls)
        {
            tracing::warn!("sources are not noted: {error}");
        }
    }

    /// Whether that was tried.
    #[must_use]
    pub const fn is_prepared(&self) -> bool {
        self.is_prepared
    }

    /// What was seen of sources, to be read from anywhere.
    #[must_use]
    pub fn sightings(&self) -> Arc<Sightings> {
        Arc::clone(&self.sightings)
    }

    /// Has the sources of these services noted, by number, and no longer those of others unless they are in mode
    /// monitor.
    ///
    /// # Errors
    /// [`WatchError`]
    pub fn watch(&mut self, services: BTreeSet<u16>) -> Result<(), WatchError> {
        if !services.is_empty() {
            self.loaded.load_observer(&self.calls)?;
        }
        let before = std::mem::replace(&mut self.enforced.watched, services);
        self.enforced.publish_anew().inspect_err(|_| self.enforced.watched = before)?;
        Ok(())
    }

    /// Has packets judged by another policy, too, without touching them.
    ///
    /// # Errors
    /// [`WatchError`]; nothing is on trial then that was not before, and perhaps nothing.
    pub fn try_out(&mut self, policy: Policy) -> Result<(), WatchError> {
        self.loaded.load_observer(&self.calls)?;
        self.sightings.forget_trial().map_err(SyncError::from)?;
        Ok(self.enforced.try_out(policy, &boot_clock())?)
    }

    /// The policy on trial.
    #[must_use]
    pub fn on_trial(&self) -> Option<&Policy> {
        self.enforced.trial.policy()
    }

    /// Ends the trial.
    ///
    /// # Errors
    /// [`SyncError`]; packets may still be judged twice then, which changes nothing about them.
    pub fn end_trial(&mut self) -> Result<(), SyncError> {
        self.enforced.end_trial()
    }
}
