//! What may be read at any time, whatever the owner is at.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;

use super::{
    drops::DropLog,
    engine::Engines,
    events::Broadcast,
    metrics::Metrics,
    owner::{OnTrial, Watch},
    surroundings::Lookout,
    traffic::TrafficLog,
};
use crate::{
    api::{Degraded, InterfaceStatus, Problem},
    kernel::{Counters, Hits, Kernel, Sightings},
    policy::{Name, Policy},
    store::PendingChange,
};

/// The last state that is in force and on disk.
pub(super) struct Shared {
    policy: RwLock<Policy>,
    interfaces: RwLock<Vec<InterfaceStatus>>,
    /// Names of all interfaces there are, by index.
    names: RwLock<HashMap<u32, String>>,
    hits: RwLock<Arc<Hits>>,
    engine: RwLock<Engines>,
    pending: RwLock<Option<PendingChange>>,
    /// When the policy was last changed.
    last_change: RwLock<Option<Timestamp>>,
    watches: RwLock<Vec<Watch>>,
    trial: RwLock<Option<OnTrial>>,
    degraded: RwLock<Vec<Degraded>>,
    /// What is wrong with the files that groups follow.
    followed: RwLock<BTreeMap<Name, (PathBuf, Problem)>>,
    /// What everybody may change of the way to a followed file.
    writable: RwLock<BTreeMap<PathBuf, PathBuf>>,
    pub(super) drops: DropLog,
    /// Where what happens is told.
    pub(super) broadcast: Broadcast,
    pub(super) traffic: TrafficLog,
    pub(super) lookout: Lookout,
    pub(super) counters: Arc<Counters>,
    pub(super) metrics: Metrics,
    pub(super) sightings: Arc<Sightings>,
    pub(super) started_at: Timestamp,
    /// Since when the kernel counts, over restarts of the daemon.
    pub(super) counting_since: Timestamp,
    pub(super) store: String,
}

impl Shared {
    pub(super) fn new(
        policy: Policy,
        kernel: &Kernel,
        metrics: Metrics,
        counting_since: Option<Timestamp>,
        store: &Path,
    ) -> Self {
        let now = Timestamp::now();
        Self {
            policy: RwLock::new(policy),
            interfaces: RwLock::default(),
            names: RwLock::default(),
            hits: RwLock::default(),
            engine: RwLock::new(Engines::of(kernel)),
            pending: RwLock::default(),
            last_change: RwLock::default(),
            watches: RwLock::default(),
            trial: RwLock::default(),
            degraded: RwLock::default(),
            followed: RwLock::default(),
            writable: RwLock::default(),
            drops: DropLog::default(),
            broadcast: Broadcast::new(),
            traffic: TrafficLog::default(),
            lookout: Lookout::default(),
            counters: kernel.counters(),
            sightings: kernel.sightings(),
            metrics,
            started_at: now,
            counting_since: counting_since.unwrap_or(now),
            store: store.display().to_string(),
        }
    }

    /// The policy; copies share what they have in common.
    pub(super) fn policy(&self) -> Policy {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_policy(&self, policy: Policy) {
        let mut current = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        for (name, service) in &policy.services {
            let before = current.services.get(name).map(|before| before.number);
            if before != Some(service.number) {
                self.traffic.forget(service.number);
            }
        }
        *current = policy;
    }

    pub(super) fn hits(&self) -> Arc<Hits> {
        Arc::clone(&self.hits.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_hits(&self, hits: Arc<Hits>) {
        *self.hits.write().unwrap_or_else(PoisonError::into_inner) = hits;
    }

    /// How sources are looked up.
    pub(super) fn engine(&self) -> Engines {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_engine(&self, engine: Engines) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    pub(super) fn pending(&self) -> Option<PendingChange> {
        self.pending.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_pending(&self, pending: Option<PendingChange>) {
        *self.pending.write().unwrap_or_else(PoisonError::into_inner) = pending;
    }

    /// When the policy was last changed; `None` where it never was.
    pub(super) fn last_change(&self) -> Option<Timestamp> {
        *self.last_change.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_last_change(&self, time: Option<Timestamp>) {
        *self.last_change.write().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Who has the sources of which services noted.
    pub(super) fn watches(&self) -> Vec<Watch> {
        self.watches.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_watches(&self, watches: Vec<Watch>) {
        *self.watches.write().unwrap_or_else(PoisonError::into_inner) = watches;
    }

    /// The policy that is on trial.
    pub(super) fn trial(&self) -> Option<OnTrial> {
        self.trial.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trial(&self, trial: Option<OnTrial>) {
        *self.trial.write().unwrap_or_else(PoisonError::into_inner) = trial;
    }

    /// What does not work.
    pub(super) fn degraded(&self) -> Vec<Degraded> {
        self.degraded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_degraded(&self, degraded: Vec<Degraded>) {
        *self.degraded.write().unwrap_or_else(PoisonError::into_inner) = degraded;
    }

    /// What is wrong with the files that groups follow.
    pub(super) fn followed(&self) -> BTreeMap<Name, (PathBuf, Problem)> {
        self.followed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What everybody may change of the ways to followed files.
    pub(super) fn writable(&self) -> BTreeMap<PathBuf, PathBuf> {
        self.writable.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_writable(&self, path: &Path, what: Option<PathBuf>) {
        let mut writable = self.writable.write().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => writable.insert(path.to_owned(), what),
            None => writable.remove(path),
        };
    }

    /// Forgets what is said of files that are followed no more.
    pub(super) fn keep_followed(&self, policy: &Policy) {
        let follows = |group: &Name, path: &Path| {
            policy.groups.get(group).is_some_and(|group| group.follow.as_deref() == Some(path))
        };
        let mut followed = self.followed.write().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|group, (path, _)| follows(group, path));
        let mut writable = self.writable.write().unwrap_or_else(PoisonError::into_inner);
        writable.retain(|path, _| {
            policy.groups.values().any(|group| group.follow.as_ref() == Some(path))
        });
    }

    pub(super) fn set_followed(&self, group: &Name, path: &Path, problem: Option<Problem>) {
        let mut followed = self.followed.write().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => followed.insert(group.clone(), (path.to_owned(), problem)),
            None => followed.remove(group),
        };
    }

    pub(super) fn interfaces(&self) -> Vec<InterfaceStatus> {
        self.interfaces.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names of interfaces by index, those that are not attached too; an attached one goes by the name that is wanted.
    pub(super) fn interface_names(&self) -> HashMap<u32, String> {
        let mut names = self.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        let attached = self.interfaces().into_iter();
        names.extend(attached.filter_map(|interface| Some((interface.ifindex?, interface.name))));
        names
    }

    pub(super) fn set_interfaces(
        &self,
        interfaces: Vec<InterfaceStatus>,
        names: HashMap<u32, String>,
    ) {
        *self.interfaces.write().unwrap_or_else(PoisonError::into_inner) = interfaces;
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }
}
