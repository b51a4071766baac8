//! Putting the filter on interfaces and taking it off.

use std::{io, sync::Arc};

use serde_json::Value;
use tracing::error;

use super::{Owner, guard::Guarded, trail::Deed};
use crate::{
    api::{ChangeOptions, ChangeState, Changed, ErrorCode, InterfaceState, Problem},
    daemon::explain::explain_attach,
    kernel::{Attached, XdpMode},
    policy::{Author, Unknown},
    store::{Deadline, PendingChange},
};

impl Owner {
    pub(super) fn attach(
        &mut self,
        interface: &str,
        mode: Option<XdpMode>,
        options: ChangeOptions,
        author: &Arc<Author>,
    ) -> Result<Changed, Problem> {
        let deed = Deed::about("attach", interface, author);
        self.on_record(&deed, options.dry_run, |owner| {
            owner.put_on(interface, mode, options, &deed)
        })
    }

    fn put_on(
        &mut self,
        interface: &str,
        mode: Option<XdpMode>,
        options: ChangeOptions,
        deed: &Deed,
    ) -> Result<Changed, Problem> {
        self.check_free()?;
        self.check_revision(options)?;
        let unchanged = Changed {
            revision: self.policy.revision,
            dry_run: options.dry_run,
            ..Changed::default()
        };
        let is_on = self.is_on(interface);
        if is_on && !self.wanted.keeps(interface) && self.is_attached(interface) {
            let mut messages = vec![format!("the filter is on {interface} already")];
            messages.extend(self.stays_in_mode(interface, mode));
            return Ok(Changed { messages, ..unchanged });
        }
        let mut done = Changed { changed: true, ..unchanged };
        if !is_on {
            done.take(self.guard_attach(interface, options)?);
        }
        if options.dry_run {
            return Ok(done);
        }
        let was = self.wanted.remembered(interface);
        self.wanted
            .attach_now(&mut self.kernel, interface, mode)
            .map_err(|error| explain_attach(&error, self.wanted.names_present()))?;
        if let Err(problem) = self.remember(interface, true, was, options, deed) {
            self.wanted.become_as(interface, was);
            if !is_on && let Err(error) = self.kernel.detach(interface) {
                error!("the filter is on {interface}, which is not on disk: {error}");
            }
            return Err(problem);
        }
        self.look_at_interfaces();
        done.messages.extend(self.stays_in_mode(interface, mode));
        done.warnings.extend(self.wanted.remarks_on(&self.kernel, interface));
        Ok(Changed { pending: self.told_pending(), ..done })
    }

    pub(super) fn detach(
        &mut self,
        interface: &str,
        options: ChangeOptions,
        author: &Arc<Author>,
    ) -> Result<Changed, Problem> {
        let deed = Deed::about("detach", interface, author);
        self.on_record(&deed, options.dry_run, |owner| owner.take_from(interface, options, &deed))
    }

    fn take_from(
        &mut self,
        interface: &str,
        options: ChangeOptions,
        deed: &Deed,
    ) -> Result<Changed, Problem> {
        self.check_free()?;
        self.check_revision(options)?;
        let attached = self.is_attached(interface);
        if !attached && !self.wanted.wants(interface) {
            return Err(self.is_not_on(interface));
        }
        let mut done = Changed {
            revision: self.policy.revision,
            changed: true,
            dry_run: options.dry_run,
            ..Changed::default()
        };
        if attached {
            done.take(self.guard_detach(interface, options)?);
        }
        if options.dry_run {
            return Ok(done);
        }
        // Found out before it is on record that it was done.
        self.kernel.may_unpin().map_err(|error| cannot_detach(interface, &error))?;
        let was = self.wanted.remembered(interface);
        self.remember(interface, false, was, options, deed)?;
        self.wanted.give_up(interface);
        if let Err(problem) = self.take_off(interface) {
            self.stay_on(interface, was);
            return Err(problem);
        }
        self.tell_interfaces();
        Ok(Changed { pending: self.told_pending(), ..done })
    }

    /// Has it remembered again that the filter is on an interface from which it could not be taken, so that the next
    /// start does not do it.
    fn stay_on(&mut self, interface: &str, was: Option<bool>) {
        self.wanted.become_as(interface, was);
        let written = self.store.draft().and_then(|draft| {
            draft.interface(interface, was)?;
            draft.pending(None)?;
            draft.commit()
        });
        match written {
            Ok(()) => self.set_pending(None),
            Err(error) => drop(self.trouble.of_store(&error)),
        }
    }

    /// Checks that an interface may be attached or not as it was before, and says what that cuts.
    pub(super) fn guard_link(
        &self,
        interface: &str,
        was: Option<bool>,
        options: ChangeOptions,
    ) -> Result<Guarded, Problem> {
        match (self.is_attached(interface), self.wanted.would_want(interface, was)) {
            (false, true) => self.guard_attach(interface, options),
            (true, false) => self.guard_detach(interface, options),
            _ => Ok(Guarded::default()),
        }
    }

    /// What is to be said where the filter was on the interface before, in another mode than is asked for.
    fn stays_in_mode(&self, interface: &str, mode: Option<XdpMode>) -> Option<String> {
        let asked = match mode? {
            XdpMode::Auto => return None,
            XdpMode::Native => "native",
            XdpMode::Generic => "generic",
        };
        let is_it = |one: &&Attached| one.now.as_deref() == Some(interface);
        let generic = self.kernel.attached().find(is_it)?.generic.is_some();
        let mode = if generic { "generic" } else { "native" };
        (mode != asked).then(|| {
            format!(
                "it stays in mode {mode}: `allowlist-ctl detach {interface}` takes it off, and `allowlist-ctl attach {interface} --xdp-mode {asked}` puts it on anew"
            )
        })
    }

    /// Whether there is a filter that goes by this name.
    fn is_attached(&self, interface: &str) -> bool {
        self.kernel.attached().any(|attached| attached.interface == interface)
    }

    /// Whether the interface that is called so now is filtered.
    fn is_on(&self, interface: &str) -> bool {
        self.label_of(interface).is_some()
    }

    /// The name that the filter of the interface that is called so now goes by.
    fn is_not_on(&self, interface: &str) -> Problem {
        let problem =
            |name| Problem::new(ErrorCode::NotFound, format!("the filter is not on {name}"));
        if let Some(label) = self.label_of(interface) {
            return problem(format!("'{interface}'"))
                .hint(format!("it was renamed: `allowlist-ctl detach {label}`"));
        }
        let told = self.shared.interfaces();
        let on = told.iter().filter(|one| one.state != InterfaceState::Detached);
        let unknown = Unknown::among(interface, on.map(|one| &one.name));
        // One that is there was hardly mistyped.
        if unknown.has_near() && !self.wanted.names_present().any(|name| name == interface) {
            return problem(unknown.to_string());
        }
        problem(format!("'{interface}'")).hint("`allowlist-ctl status` shows where it is")
    }

    fn label_of(&self, interface: &str) -> Option<&str> {
        let mut attached = self.kernel.attached();
        let is_it = |attached: &&Attached| attached.now.as_deref() == Some(interface);
        attached.find(is_it).map(|attached| attached.interface.as_str())
    }

    fn told_pending(&self) -> Option<crate::api::Pending> {
        self.pending.as_ref().map(super::report::pending)
    }

    fn remember(
        &mut self,
        interface: &str,
        attached: bool,
        was: Option<bool>,
        options: ChangeOptions,
        deed: &Deed,
    ) -> Result<(), Problem> {
        let revision = self.policy.revision;
        let pending = options.confirm.map(|seconds| PendingChange {
            what: deed.what.clone(),
            by: Arc::clone(&deed.author),
            revision,
            back_to: revision,
            deadline: Deadline::after(seconds),
            interface: Some((interface.to_owned(), was)),
        });
        let state = pending.as_ref().map_or(ChangeState::Done, |_| ChangeState::Pending);
        self.write(&deed.clone().that_is(state), Value::Null, |draft| {
            draft.interface(interface, Some(attached))?;
            draft.pending(pending.as_ref())
        })?;
        self.set_pending(pending);
        Ok(())
    }

    fn take_off(&mut self, interface: &str) -> Result<bool, Problem> {
        self.kernel.detach(interface).map_err(|error| cannot_detach(interface, &error))
    }

    /// Has an interface attached or not as it was before a change that is taken back, in the kernel alone: that the disk
    /// is full must not leave in force what is taken back.
    ///
    /// # Errors
    /// The filter is not on an interface that is there, or cannot be taken off.
    pub(super) fn restore_link(
        &mut self,
        interface: &str,
        was: Option<bool>,
    ) -> Result<(), Problem> {
        self.wanted.become_as(interface, was);
        if !self.wanted.wants(interface) {
            self.take_off(interface)?;
            self.tell_interfaces();
            return Ok(());
        }
        self.look_at_interfaces();
        let is_here = self.wanted.names_present().any(|name| name == interface);
        if !is_here || self.is_attached(interface) {
            return Ok(());
        }
        let why = self.wanted.reason(interface).unwrap_or("the kernel refuses it");
        let message = format!("the filter is not on {interface} again: {why}");
        Err(Problem::new(ErrorCode::Failed, message)
            .hint("`allowlist-ctl status` shows what is on it"))
    }
}

fn cannot_detach(interface: &str, error: &io::Error) -> Problem {
    let problem = Problem::new(
        ErrorCode::Failed,
        format!("cannot detach {interface}: {error}; the filter stays on it"),
    );
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return problem
            .hint("the pins are on a file system that is read-only: `mount -o remount,rw` makes it writable");
    }
    problem
}
