//! Where tasks for the owner are handed in.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use tokio::sync::oneshot;

use super::{Deed, Noted, Owner, Task};
use crate::{
    api::{
        AuditTrail, AuditVerification, ChangeOptions, Changed, Checks, EndedWatches, ErrorCode,
        Problem, Question, Revisions, Trial, TrialQuery, TrialReport, Watching,
    },
    daemon::{access::Access, caller::Caller, follow::News},
    kernel::XdpMode,
    policy::{Name, change::Change},
    store::audit::Filter,
};

/// What is said to whoever asks something of a daemon that has stopped.
pub(in crate::daemon) const STOPPING: &str = "the daemon is stopping";

/// Where tasks for the owner are handed in.
#[derive(Clone)]
pub(in crate::daemon) struct Desk(mpsc::Sender<Task>);

impl Desk {
    pub(super) const fn new(tasks: mpsc::Sender<Task>) -> Self {
        Self(tasks)
    }

    /// Has the owner do something, and waits for what comes of it.
    async fn ask<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Owner) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let gone = || Problem::new(ErrorCode::Failed, STOPPING);
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |owner| {
            // Nobody waits for it any more where the connection was closed meanwhile.
            let _ = reply.send(task(owner));
        });
        self.0.send(task).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Makes a change.
    pub(in crate::daemon) async fn change(
        &self,
        change: Change,
        options: ChangeOptions,
        caller: Caller,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.change(&change, options, &caller.author())).await
    }

    /// Goes back to an earlier revision, or undoes the pending change.
    pub(in crate::daemon) async fn roll_back(
        &self,
        to: Option<u64>,
        options: ChangeOptions,
        caller: Caller,
        access: Arc<Access>,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.roll_back(to, options, &caller, &access)).await
    }

    /// Keeps the pending change.
    pub(in crate::daemon) async fn confirm(
        &self,
        options: ChangeOptions,
        caller: Caller,
        access: Arc<Access>,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.confirm(options, &caller, &access)).await
    }

    /// Has the sources of a service noted for a while.
    pub(in crate::daemon) async fn watch(
        &self,
        service: Name,
        seconds: u64,
        caller: Caller,
    ) -> Result<Watching, Problem> {
        self.ask(move |owner| owner.watch(&service, seconds, &caller.author())).await
    }

    /// Ends that before its time.
    pub(in crate::daemon) async fn end_watch(
        &self,
        service: Name,
        id: Option<u64>,
    ) -> Result<EndedWatches, Problem> {
        self.ask(move |owner| owner.end_watch(&service, id)).await
    }

    /// Puts on trial what the policy would be after a change.
    pub(in crate::daemon) async fn try_out(
        &self,
        change: Change,
        query: TrialQuery,
        caller: Caller,
    ) -> Result<Trial, Problem> {
        self.ask(move |owner| owner.try_out(&change, query, &caller.author())).await
    }

    /// What the policy on trial would do otherwise.
    pub(in crate::daemon) async fn trial_report(
        &self,
        noted: Noted,
    ) -> Result<TrialReport, Problem> {
        self.ask(move |owner| owner.trial_report(noted)).await
    }

    /// Ends the trial, and tells of it.
    pub(in crate::daemon) async fn end_trial(
        &self,
        id: Option<u64>,
    ) -> Result<TrialReport, Problem> {
        self.ask(move |owner| owner.end_trial(id)).await
    }

    /// The revisions that are kept.
    pub(in crate::daemon) async fn revisions(&self) -> Result<Revisions, Problem> {
        self.ask(Owner::revisions).await
    }

    /// Puts the filter on an interface.
    pub(in crate::daemon) async fn attach(
        &self,
        interface: String,
        mode: Option<XdpMode>,
        options: ChangeOptions,
        caller: Caller,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.attach(&interface, mode, options, &caller.author())).await
    }

    /// Takes the filter off an interface.
    pub(in crate::daemon) async fn detach(
        &self,
        interface: String,
        options: ChangeOptions,
        caller: Caller,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.detach(&interface, options, &caller.author())).await
    }

    /// Stops the daemon; the filter stays in force, unless somebody asks to take it off.
    pub(in crate::daemon) async fn stop(&self, detach: Option<Caller>) -> Result<(), Problem> {
        let author = detach.map(|caller| caller.author());
        self.ask(move |owner| owner.stop(author.as_ref())).await
    }

    /// Records that something was refused before the owner heard of it.
    pub(in crate::daemon) async fn refused(&self, deed: Deed, problem: Problem) -> Problem {
        let noted = problem.clone();
        let note = self.ask(move |owner| {
            owner.note_refusal(&deed, &noted);
            Ok(())
        });
        // A daemon that is stopping has told the log.
        let _ = note.await;
        problem
    }

    /// How packets of a question would be judged.
    pub(in crate::daemon) async fn check(&self, question: Question) -> Result<Checks, Problem> {
        self.ask(move |owner| owner.check(&question)).await
    }

    /// Rows of the audit trail.
    pub(in crate::daemon) async fn audit(&self, filter: Filter) -> Result<AuditTrail, Problem> {
        self.ask(move |owner| owner.audit(&filter)).await
    }

    /// Whether the audit trail is as it was written.
    pub(in crate::daemon) async fn verify_audit(&self) -> Result<AuditVerification, Problem> {
        self.ask(Owner::verify_audit).await
    }

    /// Takes what there is to say about a followed file; nobody waits for it.
    pub(in crate::daemon) fn take_news(&self, news: News) {
        let task: Task = Box::new(move |owner| owner.take_news(news));
        // A daemon that is stopping takes no more of them.
        let _ = self.0.send(task);
    }

    /// Has the interfaces looked after, unless the owner has yet to do what it was asked before; `false` once it takes no
    /// more tasks.
    pub(in crate::daemon) fn look_at_interfaces(&self, is_asked: &Arc<AtomicBool>) -> bool {
        if is_asked.swap(true, Ordering::AcqRel) {
            return true;
        }
        let is_asked = Arc::clone(is_asked);
        let task: Task = Box::new(move |owner| {
            // What happens from here on is asked for anew.
            is_asked.store(false, Ordering::Release);
            owner.look_at_interfaces();
        });
        self.0.send(task).is_ok()
    }
}
