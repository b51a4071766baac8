//! What could shut out or let in more than was meant is refused, unless it is forced or answered for.

use std::{cmp::Reverse, io};

use jiff::Timestamp;

use super::Owner;
use crate::{
    api::{ChangeOptions, CutConnection, ErrorCode, Problem, SshSession},
    daemon::established::{Link, from_afar},
    host::Connection,
    policy::{Name, Packet, Policy, change::hazards},
};

/// What the guard has to say about a change that is not refused.
#[derive(Default)]
pub(super) struct Guarded {
    /// Connections that the change cuts.
    pub(super) cuts: Vec<CutConnection>,
    /// Why a change that is only tried would be refused.
    pub(super) refusals: Vec<String>,
    /// What could not be looked at.
    pub(super) warnings: Vec<String>,
}

impl Guarded {
    /// Refuses a change, unless it is only tried.
    fn refuse(&mut self, problem: Problem, options: ChangeOptions) -> Result<(), Problem> {
        if !options.dry_run {
            return Err(problem);
        }
        let Problem { message, hint, .. } = problem;
        let message = message.trim_end_matches("; nothing was changed");
        let how = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        self.refusals.push(format!("without --dry-run this is refused: {message}{how}"));
        Ok(())
    }

    /// Notes what a change would cut. That the kernel cannot be asked makes no change impossible, and is told.
    fn note(&mut self, cuts: io::Result<Vec<CutConnection>>) {
        match cuts {
            Ok(cuts) => self.cuts = cuts,
            Err(error) => self.warnings.push(format!(
                "the established connections cannot be looked at ({error}): whether one of them is cut, nobody has checked"
            )),
        }
    }

    fn refuse_hazards(
        &mut self,
        before: &Policy,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<(), Problem> {
        let hazards = hazards(before, next);
        let (Some(hazard), false) = (hazards.first(), options.force) else { return Ok(()) };
        let problem = Problem {
            details: hazards.iter().skip(1).map(ToString::to_string).collect(),
            ..Problem::new(ErrorCode::Guarded, format!("{hazard}; nothing was changed"))
                .hint("--force does it all the same")
        };
        self.refuse(problem, options)
    }

    fn refuse_cuts(&mut self, options: ChangeOptions) -> Result<(), Problem> {
        let (Some(first), false) = (self.cuts.first(), options.force) else { return Ok(()) };
        let connections = match self.cuts.len() {
            1 if first.own_session => "your own SSH session".to_owned(),
            1 => format!("an established connection, that of {}", first.peer),
            more => {
                let own = if first.own_session { ", your own SSH session among them" } else { "" };
                format!("{more} established connections{own}")
            }
        };
        let message = format!("this would cut {connections}; nothing was changed");
        let problem =
            Problem { cuts: self.cuts.clone(), ..Problem::new(ErrorCode::Guarded, message) }
                .hint("add an entry for those that are to stay, or --force does it all the same");
        self.refuse(problem, options)
    }

    /// Asks whether everyone is to be admitted.
    fn ask(&mut self, what: String, revision: u64, options: ChangeOptions) -> Result<(), Problem> {
        if options.yes {
            return Ok(());
        }
        let problem =
            Problem::new(ErrorCode::Unconfirmed, what).hint("--yes does it without asking");
        self.refuse(Problem { revision: Some(revision), ..problem }, options)
    }

    fn ask_about_opening(
        &mut self,
        before: &Policy,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<(), Problem> {
        let opened = before.opened_by(next);
        if opened.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = opened.iter().map(Name::as_str).collect();
        let what = format!("after this, {} accessible to everyone", are(&names));
        self.ask(what, before.revision, options)
    }
}

/// Names of services, as the beginning of a sentence.
fn are(names: &[&str]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

impl Owner {
    /// Checks a change of the policy.
    pub(super) fn guard(&self, next: &Policy, options: ChangeOptions) -> Result<Guarded, Problem> {
        let mut guarded = Guarded::default();
        guarded.refuse_hazards(&self.policy, next, options)?;
        self.guard_effect(guarded, next, options)
    }

    /// Checks going back to a policy that was in force a moment ago: what had to be forced in it is no news.
    pub(super) fn guard_undoing(
        &self,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<Guarded, Problem> {
        self.guard_effect(Guarded::default(), next, options)
    }

    fn guard_effect(
        &self,
        mut guarded: Guarded,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<Guarded, Problem> {
        if self.policy.may_cut(next) {
            guarded.note(self.would_cut(next, options.session));
        }
        guarded.refuse_cuts(options)?;
        guarded.ask_about_opening(&self.policy, next, options)?;
        Ok(guarded)
    }

    /// The established connections that a policy would cut.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn would_cut(
        &self,
        next: &Policy,
        session: Option<SshSession>,
    ) -> io::Result<Vec<CutConnection>> {
        let links: Vec<Link> = self
            .kernel
            .attached()
            .filter(|attached| attached.now.is_some())
            .map(|attached| (attached.interface.clone(), attached.ifindex))
            .collect();
        find_cuts(&links, Some(&self.policy), next, session)
    }

    /// Checks a change that is nobody's command: it opens no service, and closes none to everyone.
    pub(super) fn guard_opening(&self, next: &Policy) -> Result<(), Problem> {
        let (mut guarded, options) = (Guarded::default(), ChangeOptions::default());
        guarded.refuse_hazards(&self.policy, next, options)?;
        guarded.ask_about_opening(&self.policy, next, options)
    }

    /// Checks that the filter cuts no connection on an interface that it is to be put on.
    pub(super) fn guard_attach(
        &self,
        interface: &str,
        options: ChangeOptions,
    ) -> Result<Guarded, Problem> {
        let cuts = crate::kernel::interfaces().and_then(|present| {
            let link = present.into_iter().find(|one| one.name == interface);
            let links: Vec<Link> = link.map(|one| (one.name, one.ifindex)).into_iter().collect();
            find_cuts(&links, None, &self.policy, options.session)
        });
        let mut guarded = Guarded::default();
        guarded.note(cuts);
        guarded.refuse_cuts(options)?;
        Ok(guarded)
    }

    /// Asks before the filter is taken off an interface on which services are closed.
    pub(super) fn guard_detach(
        &self,
        interface: &str,
        options: ChangeOptions,
    ) -> Result<Guarded, Problem> {
        let closed = self.policy.services.iter().filter(|(_, service)| {
            let here = service.interfaces.is_empty() || service.interfaces.contains(interface);
            self.policy.is_closed(service) && here
        });
        let closed: Vec<&str> = closed.map(|(name, _)| name.as_str()).collect();
        let mut guarded = Guarded::default();
        if !closed.is_empty() {
            let names = are(&closed);
            let what = format!("after this, {names} accessible to everyone on {interface}");
            guarded.ask(what, self.policy.revision, options)?;
        }
        Ok(guarded)
    }
}

/// The established connections of other hosts whose packets pass now and would be dropped by `next`, the caller's own
/// first. Without `before`, the filter is not on the links yet.
///
/// # Errors
/// What the kernel answered.
fn find_cuts(
    links: &[Link],
    before: Option<&Policy>,
    next: &Policy,
    session: Option<SshSession>,
) -> io::Result<Vec<CutConnection>> {
    let connections = from_afar(links, next)?;
    let now = Timestamp::now();
    let passes = |policy: &Policy, packet: &Packet<'_>| policy.drops(packet, now).is_none();
    let mut cuts: Vec<CutConnection> = connections
        .iter()
        .filter_map(|found| {
            let mut passing =
                found.packets().filter(|packet| before.is_none_or(|it| passes(it, packet)));
            let service = passing.find_map(|packet| next.drops(&packet, now))?.clone();
            let Connection { peer, local, .. } = found.connection;
            let own_session = session == Some(SshSession::new(peer, local));
            Some(CutConnection { service, peer, local, own_session })
        })
        .collect();
    cuts.sort_by_key(|cut| (Reverse(cut.own_session), cut.service.clone(), cut.peer));
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nobody_could_look_is_told() {
        let mut guarded = Guarded::default();
        guarded.note(Err(io::ErrorKind::PermissionDenied.into()));
        assert!(guarded.refuse_cuts(ChangeOptions::default()).is_ok());
        let mut changed = crate::api::Changed::default();
        changed.take(guarded);
        let [warning] = changed.warnings.as_slice() else { panic!("{:?}", changed.warnings) };
        assert!(warning.contains("cannot be looked at (permission denied)"), "{warning}");
    }
}
