//! The one owner of the policy, the kernel and the store.
//!
//! It works on a thread of its own, one task after another, so that changes never mix and each is made whole:
//! in the kernel, on disk, then told to the readers.

use std::{
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
use tracing::{error, info, warn};

use super::{
    explain::{describe, explain_attach, explain_refusal, explain_store, explain_sync},
    interfaces::Wanted,
    ports::ephemeral_warning,
    shared::Shared,
};
use crate::{
    api::{ChangeOptions, Changed, ErrorCode, Problem},
    kernel::{Kernel, XdpMode},
    policy::{
        Author, Name, Policy,
        change::{self, Change, Outcome},
        service::Mode,
    },
    store::Store,
};

/// How often interfaces are looked after.
const TICK: Duration = Duration::from_secs(1);
/// So long nobody must have asked for anything before what changes left behind is cleared away.
const IDLE: Duration = Duration::from_millis(50);
/// After so many changes it is cleared away though somebody waits.
const UNTIDY_CHANGES: u32 = 1000;
/// A policy's table is large, and compiling it takes it by value.
const STACK: usize = 16 << 20;
/// So many notes about single entries are told.
const TOLD_NOTES: usize = 20;

type Task = Box<dyn FnOnce(&mut Owner) + Send>;

/// See the module.
pub(super) struct Owner {
    store: Store,
    kernel: Kernel,
    policy: Policy,
    wanted: Wanted,
    shared: Arc<Shared>,
    untidy: u32,
    stopped: bool,
}

/// Where tasks for the owner are handed in.
#[derive(Clone)]
pub(super) struct Desk(mpsc::Sender<Task>);

impl Desk {
    /// Has the owner do something, and waits for what comes of it.
    async fn ask<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Owner) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let gone = || Problem::new(ErrorCode::Failed, "the daemon is stopping");
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |owner| {
            // Nobody waits for it any more where the connection was closed meanwhile.
            let _ = reply.send(task(owner));
        });
        self.0.send(task).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(super) async fn change(
        &self,
        change: Change,
        options: ChangeOptions,
        author: Author,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.change(&change, options, author)).await
    }

    pub(super) async fn attach(
        &self,
        interface: String,
        mode: Option<XdpMode>,
        options: ChangeOptions,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.attach(&interface, mode, options)).await
    }

    pub(super) async fn detach(
        &self,
        interface: String,
        options: ChangeOptions,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.detach(&interface, options)).await
    }

    pub(super) async fn stop(&self, detach: bool) -> Result<(), Problem> {
        self.ask(move |owner| owner.stop(detach)).await
    }
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
    ) -> Self {
        Self { store, kernel, policy, wanted, shared, untidy: 0, stopped: false }
    }

    /// Attaches what is wanted, and begins to take tasks.
    ///
    /// # Errors
    /// Where interfaces are there, and none of them can be attached.
    pub(super) fn start(mut self) -> anyhow::Result<(Desk, oneshot::Receiver<()>)> {
        let errors = self.wanted.attach_missing(&mut self.kernel);
        if let (None, Some(error)) = (self.kernel.attached().next(), errors.into_iter().next()) {
            return Err(error.into());
        }
        if let Err(error) = self.kernel.settle() {
            warn!("cannot keep the pins of this program alone: {error}");
        }
        self.shared.set_hits(self.kernel.hits());
        self.tell_interfaces();
        let (desk, tasks) = mpsc::channel();
        let (end, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("owner".into())
            .stack_size(STACK)
            .spawn(move || {
                self.work(&tasks);
                let _ = end.send(());
            })
            .context("cannot start a thread")?;
        Ok((Desk(desk), stopped))
    }

    fn work(mut self, tasks: &mpsc::Receiver<Task>) {
        let mut next_tick = Instant::now() + TICK;
        loop {
            let until_tick = next_tick.saturating_duration_since(Instant::now());
            let pause = if self.untidy > 0 { until_tick.min(IDLE) } else { until_tick };
            match tasks.recv_timeout(pause) {
                Ok(task) => task(&mut self),
                Err(RecvTimeoutError::Timeout) => self.tidy(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.stopped {
                // A tick that is due must not put back what was just taken off.
                return;
            }
            if self.untidy >= UNTIDY_CHANGES {
                self.tidy();
            }
            if Instant::now() >= next_tick {
                self.wanted.attach_missing(&mut self.kernel);
                self.tell_interfaces();
                next_tick = Instant::now() + TICK;
            }
        }
    }

    fn tell_interfaces(&self) {
        self.shared.set_interfaces(self.wanted.status(&self.kernel));
    }

    fn tidy(&mut self) {
        if self.untidy == 0 {
            return;
        }
        self.untidy = 0;
        self.kernel.tidy();
        if let Err(error) = self.store.tidy() {
            warn!("{error}");
        }
    }

    fn change(
        &mut self,
        change: &Change,
        options: ChangeOptions,
        author: Author,
    ) -> Result<Changed, Problem> {
        self.check_revision(options)?;
        let author = Arc::new(author);
        let outcome = change::apply(&self.policy, change, &author, now())
            .map_err(|refusal| explain_refusal(&refusal))?;
        let changed = outcome.policy.revision != self.policy.revision;
        if changed {
            self.guard(&outcome.policy, change, options)?;
            if !options.dry_run {
                self.commit(&outcome.policy)?;
                let revision = self.policy.revision;
                info!(
                    revision,
                    by = author.name,
                    uid = author.uid,
                    "{}",
                    describe(change, &outcome)
                );
            }
        }
        Ok(self.report(
            change,
            outcome,
            Changed { changed, dry_run: options.dry_run, ..Changed::default() },
        ))
    }

    fn check_revision(&self, options: ChangeOptions) -> Result<(), Problem> {
        let revision = self.policy.revision;
        match options.if_revision {
            Some(expected) if expected != revision => Err(Problem {
                revision: Some(revision),
                ..Problem::new(
                    ErrorCode::RevisionConflict,
                    format!(
                        "the policy is at revision {revision}, not {expected}; nothing was changed"
                    ),
                )
                .hint("look at what has changed, and try again with the new revision")
            }),
            _ => Ok(()),
        }
    }

    /// Refuses what could shut out or let in more than was meant, unless it is forced or answered for.
    fn guard(&self, next: &Policy, change: &Change, options: ChangeOptions) -> Result<(), Problem> {
        let hazards = change::hazards(&self.policy, next, change);
        if let (Some(hazard), false) = (hazards.first(), options.force) {
            return Err(Problem {
                details: hazards.iter().skip(1).map(ToString::to_string).collect(),
                ..Problem::new(ErrorCode::Guarded, format!("{hazard}; nothing was changed"))
                    .hint("--force does it all the same")
            });
        }
        let opened = self.policy.opened_by(next);
        if opened.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = opened.iter().map(Name::as_str).collect();
        self.confirm(format!("after this, {} is accessible to everyone", names.join(", ")), options)
    }

    fn confirm(&self, what: String, options: ChangeOptions) -> Result<(), Problem> {
        if options.yes || options.dry_run {
            return Ok(());
        }
        Err(Problem {
            revision: Some(self.policy.revision),
            ..Problem::new(ErrorCode::Unconfirmed, what).hint("--yes does it without asking")
        })
    }

    /// Makes the next policy the one in force and on disk; on failure neither has changed.
    fn commit(&mut self, next: &Policy) -> Result<(), Problem> {
        let before = &self.policy;
        let pending = self.store.write(before, next).map_err(|error| explain_store(&error))?;
        self.untidy += 1;
        self.kernel.apply(next).map_err(|error| explain_sync(&error))?;
        if let Err(failed) = pending.commit() {
            if let Err(error) = self.kernel.apply(before) {
                error!("the kernel enforces a change that is not on disk: {error}");
            }
            return Err(explain_store(&failed));
        }
        self.policy = next.clone();
        self.shared.set_hits(self.kernel.hits());
        self.shared.set_policy(next.clone());
        Ok(())
    }

    fn report(&self, change: &Change, outcome: Outcome, report: Changed) -> Changed {
        let Outcome { policy, tally, notes } = outcome;
        let mut report = Changed {
            revision: policy.revision,
            added: tally.added,
            updated: tally.updated,
            unchanged: tally.unchanged,
            removed: tally.removed,
            ..report
        };
        report.messages.extend(notes.iter().take(TOLD_NOTES).map(ToString::to_string));
        let name = change.name();
        if let Some(service) = policy.services.get(name) {
            if !service.is_closed() {
                report.messages.push(format!("No entries: {name} is accessible to everyone."));
            }
            if matches!(change, Change::Protect { .. }) && service.mode != Mode::Off {
                report.warnings.extend(ephemeral_warning(name, service.ports.iter().copied()));
                report.warnings.extend(self.unattached_warning());
            }
        }
        report
    }

    fn unattached_warning(&self) -> Option<String> {
        self.kernel.attached().next().is_none().then(|| {
            "the filter is on no interface yet: put it on one with `allowlist-ctl attach IF`".into()
        })
    }

    fn attach(
        &mut self,
        interface: &str,
        mode: Option<XdpMode>,
        options: ChangeOptions,
    ) -> Result<Changed, Problem> {
        self.check_revision(options)?;
        let unchanged = Changed { revision: self.policy.revision, ..Changed::default() };
        if self.kernel.attached().any(|attached| attached.interface == interface) {
            let messages = vec![format!("the filter is on {interface} already")];
            return Ok(Changed { messages, dry_run: options.dry_run, ..unchanged });
        }
        if options.dry_run {
            return Ok(Changed { changed: true, dry_run: true, ..unchanged });
        }
        self.wanted
            .attach_now(&mut self.kernel, interface, mode)
            .map_err(|error| explain_attach(&error))?;
        self.store.remember_interface(interface, true).map_err(|error| explain_store(&error))?;
        self.tell_interfaces();
        Ok(Changed { changed: true, ..unchanged })
    }

    fn detach(&mut self, interface: &str, options: ChangeOptions) -> Result<Changed, Problem> {
        self.check_revision(options)?;
        let failed =
            |error| Problem::new(ErrorCode::Failed, format!("cannot detach {interface}: {error}"));
        let attached = self.kernel.attached().any(|attached| attached.interface == interface);
        let closed = self.policy.services.iter().filter(|(_, service)| {
            let here = service.interfaces.is_empty() || service.interfaces.contains(interface);
            service.is_closed() && here
        });
        let closed: Vec<&str> = closed.map(|(name, _)| name.as_str()).collect();
        if attached && !closed.is_empty() {
            self.confirm(
                format!(
                    "after this, {} is accessible to everyone on {interface}",
                    closed.join(", ")
                ),
                options,
            )?;
        }
        let unchanged = Changed { revision: self.policy.revision, ..Changed::default() };
        if options.dry_run {
            return Ok(Changed { changed: attached, dry_run: true, ..unchanged });
        }
        if !self.wanted.give_up(interface) && !attached {
            let message = format!("the filter is not on '{interface}'");
            return Err(Problem::new(ErrorCode::NotFound, message)
                .hint("`allowlist-ctl status` shows where it is"));
        }
        self.store.remember_interface(interface, false).map_err(|error| explain_store(&error))?;
        self.kernel.detach(interface).map_err(failed)?;
        info!(interface, "the filter was taken off");
        self.tell_interfaces();
        Ok(Changed { changed: true, ..unchanged })
    }

    fn stop(&mut self, detach: bool) -> Result<(), Problem> {
        if detach {
            self.kernel.detach_all().map_err(|error| {
                Problem::new(ErrorCode::Failed, format!("cannot remove the pins: {error}"))
            })?;
            info!("stopped; the filter is off");
        } else {
            let names: Vec<&str> =
                self.kernel.attached().map(|attached| attached.interface.as_str()).collect();
            match names.as_slice() {
                [] => info!("stopped"),
                names => info!(
                    "stopped; the filter stays in force on {}: `allowlistd --detach` takes it off",
                    names.join(", ")
                ),
            }
        }
        self.shared.drops.end();
        self.stopped = true;
        Ok(())
    }
}
