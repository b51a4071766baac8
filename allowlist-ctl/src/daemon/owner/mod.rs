//! The one owner of the policy, the kernel and the store.
//!
//! It works on a thread of its own, one task after another, so that changes never mix and each is made whole:
//! in the kernel, on disk, then told to the readers.

mod change;
mod check;
mod commit;
mod copies;
mod desk;
mod followed;
mod guard;
mod history;
mod links;
mod lookout;
mod ration;
mod refusals;
mod report;
mod trail;
mod trial;
mod trouble;
mod watch;

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tracing::{Level, info, warn};

use self::{
    copies::Copies, followed::Untaken, lookout::Lookout, refusals::Refusals, trouble::Troubles,
};
pub(super) use self::{
    desk::{Desk, STOPPING},
    followed::told,
    history::{Reverted, adopt, revert_at_start},
    report::{all_ended, pending},
    trail::Deed,
    trial::{Noted, OnTrial},
    watch::{Watch, is_passed, judged},
};
use super::{
    engine::Engines, follow::Follower, interfaces::Wanted, keep::Keep, logging, notify,
    shared::Shared,
};
use crate::{
    api::{ChangeEvent, DegradedPart, ErrorCode, Problem, TrialReport},
    kernel::{Attached, Kernel},
    policy::{Author, Policy, audit::AuditResult},
    store::{PendingChange, Store},
};

/// How often what is due is done.
const TICK: Duration = Duration::from_secs(1);
/// So long nobody must have asked for anything before what changes left behind is cleared away.
const IDLE: Duration = Duration::from_millis(50);
/// After so many changes it is cleared away though somebody waits.
const UNTIDY_CHANGES: u32 = 1000;
/// A policy's table is large, and compiling it takes it by value.
const STACK: usize = 16 << 20;

type Task = Box<dyn FnOnce(&mut Owner) + Send>;

/// See the module.
pub(super) struct Owner {
    store: Store,
    kernel: Kernel,
    policy: Policy,
    wanted: Wanted,
    shared: Arc<Shared>,
    keep: Keep,
    pending: Option<PendingChange>,
    /// The revision that waits to be confirmed, where the kernel has gone back from it already.
    gone_back_from: Option<u64>,
    refusals: Refusals,
    lookout: Lookout,
    follower: Option<Follower>,
    untaken: Untaken,
    /// Whether the kernel may enforce something else than the policy, and is to be brought back to it.
    is_unsettled: bool,
    trouble: Troubles,
    copies: Copies,
    watches: Vec<Watch>,
    trial: Option<OnTrial>,
    last_trial: Option<TrialReport>,
    ids: watch::Ids,
    /// Whether it is pinned which store, at which revision, is in force.
    is_noted: bool,
    untidy: u32,
    /// What was done and is not told yet.
    done: Vec<ChangeEvent>,
    stopped: bool,
}

/// The time in whole seconds, as the store keeps it.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

impl Owner {
    pub(super) fn new(
        store: Store,
        kernel: Kernel,
        policy: Policy,
        wanted: Wanted,
        shared: Arc<Shared>,
        keep: Keep,
    ) -> anyhow::Result<Self> {
        let pending = store.pending()?;
        shared.set_pending(pending.clone());
        shared.set_last_change(store.last_change()?);
        let trouble = Troubles::new(Arc::clone(&shared));
        let copies = Copies::of(&store, policy.revision);
        Ok(Self {
            store,
            kernel,
            policy,
            wanted,
            shared,
            keep,
            pending,
            gone_back_from: None,
            refusals: Refusals::default(),
            lookout: Lookout::default(),
            follower: None,
            untaken: Untaken::default(),
            is_unsettled: false,
            trouble,
            copies,
            watches: Vec::new(),
            trial: None,
            last_trial: None,
            ids: watch::Ids::default(),
            is_noted: false,
            untidy: 0,
            done: Vec::new(),
            stopped: false,
        })
    }

    /// Attaches what is wanted, takes the filter off what was attached by a change that is `taken_back`, and begins to
    /// take tasks. That a store was `adopted` is pinned only when it is in force.
    ///
    /// # Errors
    /// Where interfaces are there, and none of them can be attached.
    pub(super) fn start(
        mut self,
        taken_back: Option<&str>,
        adopted: bool,
    ) -> anyhow::Result<(Desk, oneshot::Receiver<()>)> {
        if !adopted {
            // Before anything is in force that does not say where it is from.
            self.kernel.note_store(&self.store.identity(self.policy.revision))?;
            self.is_noted = true;
        }
        let changes = lookout::listen();
        self.wanted.take_over(&mut self.kernel, taken_back)?;
        let errors = self.look_at_interfaces();
        if let (None, Some(error)) = (self.kernel.attached().next(), errors.into_iter().next()) {
            return Err(error.into());
        }
        if let Err(error) = self.kernel.settle() {
            warn!("cannot keep the pins of this program alone: {error}");
        }
        if adopted {
            self.note_store();
        }
        self.shared.set_hits(self.kernel.hits());
        let (desk, tasks) = mpsc::channel();
        let desk = Desk::new(desk);
        self.lookout.watch(changes, desk.clone());
        let news = desk.clone();
        let follower = Follower::start(move |file| news.take_news(file));
        self.follower = Some(follower.context("cannot follow files")?);
        self.follow_files();
        let (end, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("owner".into())
            .stack_size(STACK)
            .spawn(move || {
                self.work(&tasks);
                let _ = end.send(());
            })
            .context("cannot start a thread")?;
        Ok((desk, stopped))
    }

    fn work(mut self, tasks: &mpsc::Receiver<Task>) {
        let mut next_tick = Instant::now() + TICK;
        loop {
            let due = next_tick.min(self.lookout.next());
            let until_due = due.saturating_duration_since(Instant::now());
            let has_more_to_do = self.untidy > 0 || !self.kernel.is_prepared();
            let pause = match (has_more_to_do, self.store.is_copying()) {
                (true, _) => until_due.min(IDLE),
                (false, true) => until_due.min(copies::PAUSE),
                (false, false) => until_due,
            };
            match tasks.recv_timeout(pause) {
                Ok(task) => task(&mut self),
                Err(RecvTimeoutError::Timeout) => self.rest(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tell_changes();
            if self.stopped {
                // A tick that is due must not put back what was just taken off.
                return;
            }
            if self.untidy >= UNTIDY_CHANGES {
                self.tidy();
            }
            self.look_out();
            if Instant::now() >= next_tick {
                self.tick();
                self.tell_changes();
                next_tick = Instant::now() + TICK;
            }
        }
    }

    fn tick(&mut self) {
        notify::alive();
        self.settle();
        self.try_store();
        self.try_pins();
        self.revert_if_due();
        self.retry_files();
        self.look_after_watches();
        self.look_after_trial();
        let refusals = self.refusals.over(Instant::now());
        self.sum_up_refusals(refusals);
        self.copy_if_due();
        logging::sum_up();
    }

    /// Does what nobody waits for.
    fn rest(&mut self) {
        if !self.kernel.is_prepared() {
            self.kernel.prepare();
        } else if self.untidy > 0 {
            self.tidy();
        } else {
            self.copy_some();
        }
    }

    /// Brings the kernel back to the policy, where it was left with something else.
    fn settle(&mut self) {
        let apply = || self.kernel.restore(&self.policy);
        let applied = if self.is_unsettled { self.shared.metrics.time_sync(apply) } else { Ok(()) };
        if self.is_unsettled {
            self.untidy += 1;
            // What was gone back from is in force again.
            self.gone_back_from = None;
        }
        self.is_unsettled = applied.is_err();
        let mended = self.kernel.mend();
        let settled = match applied {
            Err(error) => Err(format!("the kernel does not enforce the policy yet: {error}")),
            Ok(()) if !mended => {
                Err("the kernel does not take what it is to enforce; it is tried again".to_owned())
            }
            Ok(()) => Ok(()),
        };
        self.trouble.note(DegradedPart::Kernel, settled);
    }

    /// Follows the files that the policy names.
    fn follow_files(&self) {
        self.shared.keep_followed(&self.policy);
        if let Some(follower) = &self.follower {
            follower.set(followed::paths(&self.policy));
        }
    }

    /// Has a followed file told of again, when it is whole.
    fn follow_anew(&self, path: &Path) {
        if let Some(follower) = &self.follower {
            follower.tell_again(path.to_owned());
        }
    }

    fn tell_interfaces(&self) {
        let (before, now) = (self.shared.interfaces(), self.wanted.status(&self.kernel));
        self.shared.set_interfaces(now.clone(), self.wanted.names_of_all());
        self.shared.broadcast.interfaces(&before, &now);
    }

    fn tidy(&mut self) {
        if self.untidy == 0 {
            return;
        }
        self.untidy = 0;
        self.kernel.tidy();
        self.shared.set_engine(Engines::of(&self.kernel));
        let more_rows = self.prune_audit();
        match self.store.prune_revisions(self.keep.revisions) {
            // What is left is removed the next time that nobody asks for anything.
            Ok(more) => self.untidy = (more || more_rows).into(),
            Err(error) => drop(self.trouble.of_store(&error)),
        }
        if let Err(error) = self.store.tidy() {
            drop(self.trouble.of_store(&error));
        }
    }

    /// Tells the log where the filter stays in force without a daemon.
    fn say_what_stays(&self) {
        let (stays, ends): (Vec<_>, Vec<_>) =
            self.kernel.attached().partition(|attached| attached.unpinned.is_none());
        let names = |list: &[&Attached]| -> String {
            list.iter().map(|one| one.interface.as_str()).collect::<Vec<_>>().join(", ")
        };
        for attached in &ends {
            let why = attached.unpinned.as_deref().unwrap_or_default();
            warn!(
                "the filter on {} is not pinned and ends with this daemon ({why}): start one soon",
                attached.interface
            );
        }
        if stays.is_empty() {
            info!("stopped");
        } else {
            info!(
                "stopped; the filter stays in force on {}: `allowlistd --detach` takes it off",
                names(&stays)
            );
        }
    }

    /// Stops, and takes the filter off everything where somebody asks for that.
    fn stop(&mut self, detach: Option<&Arc<Author>>) -> Result<(), Problem> {
        let refusals = self.refusals.all();
        self.sum_up_refusals(refusals);
        self.sum_up_happenings(true);
        logging::sum_up_all();
        if let Some(author) = detach {
            let deed = Deed::of_everything("shutdown", "shutdown".into(), author);
            self.on_record(&deed, false, |owner| {
                owner.kernel.detach_all().map_err(|error| {
                    let problem = Problem::new(ErrorCode::Failed, &error);
                    match error.hint() {
                        Some(hint) => problem.hint(hint),
                        None => problem,
                    }
                })
            })?;
            // Afterwards, for a disk that is full must keep nobody from it.
            let message = "took the filter off every interface";
            self.record_alone(
                Level::INFO,
                &deed,
                AuditResult::Done,
                message,
                serde_json::Value::Null,
            );
            info!("stopped; the filter is off");
        } else {
            self.end_watches();
            self.stop_trial();
            self.look_at_interfaces();
            self.say_what_stays();
        }
        self.shared.broadcast.end();
        self.stopped = true;
        Ok(())
    }
}
