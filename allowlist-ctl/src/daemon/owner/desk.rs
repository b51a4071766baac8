//! Where tasks for the owner are handed in.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
};

use tokio::sync::oneshot;

use super::{Owner, Task};
use crate::{
    api::{ChangeOptions, Changed, ErrorCode, Problem, Revisions},
    daemon::{access::Access, caller::Caller},
    kernel::XdpMode,
    policy::change::Change,
};

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
        let gone = || Problem::new(ErrorCode::Failed, "the daemon is stopping");
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
        caller: Caller,
        access: Arc<Access>,
    ) -> Result<Changed, Problem> {
        self.ask(move |owner| owner.confirm(&caller, &access)).await
    }

    /// The revisions that are kept.
    pub(in crate::daemon) async fn revisions(&self) -> Result<Revisions, Problem> {
        self.ask(|owner| owner.revisions()).await
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

    /// Stops the daemon, with or without the filter.
    pub(in crate::daemon) async fn stop(&self, detach: bool) -> Result<(), Problem> {
        self.ask(move |owner| owner.stop(detach)).await
    }

    /// Takes the entries of a followed file; nobody waits for it.
    pub(in crate::daemon) fn take_file(&self, path: PathBuf, content: Vec<u8>) {
        let task: Task = Box::new(move |owner| owner.take_file(&path, &content));
        // A daemon that is stopping takes no more of them.
        let _ = self.0.send(task);
    }
}
