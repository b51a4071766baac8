//! What could shut out or let in more than was meant is refused, unless it is forced or answered for.

use std::{cmp::Reverse, io};

use jiff::Timestamp;
use tracing::warn;

use super::Owner;
use crate::{
    api::{ChangeOptions, CutConnection, ErrorCode, Problem, SshSession},
    host::{self, Connection, Topology},
    policy::{Name, Packet, Policy, change::hazards},
};

/// An interface and its index.
type Link = (String, u32);

impl Owner {
    /// Checks a change, and names the connections that it cuts.
    pub(super) fn guard(
        &self,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<Vec<CutConnection>, Problem> {
        self.guard_hazards(next, options)?;
        let mut cuts = Vec::new();
        if self.policy.may_cut(next) {
            let links: Vec<Link> = self
                .kernel
                .attached()
                .map(|attached| (attached.interface.clone(), attached.ifindex))
                .collect();
            cuts = find_cuts(&links, Some(&self.policy), next, options.session);
        }
        refuse_cuts(&cuts, options)?;
        self.ask_about_opening(next, options)?;
        Ok(cuts)
    }

    /// Checks that the filter cuts no connection on an interface that it is to be put on.
    pub(super) fn guard_attach(
        &self,
        interface: &str,
        options: ChangeOptions,
    ) -> Result<Vec<CutConnection>, Problem> {
        let present = crate::kernel::interfaces().unwrap_or_default();
        let link = present.into_iter().find(|one| one.name == interface);
        let links: Vec<Link> = link.map(|one| (one.name, one.ifindex)).into_iter().collect();
        let cuts = find_cuts(&links, None, &self.policy, options.session);
        refuse_cuts(&cuts, options)?;
        Ok(cuts)
    }

    /// Checks that a change neither opens a service nor closes one to everyone.
    pub(super) fn guard_opening(
        &self,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<(), Problem> {
        self.guard_hazards(next, options)?;
        self.ask_about_opening(next, options)
    }

    fn guard_hazards(&self, next: &Policy, options: ChangeOptions) -> Result<(), Problem> {
        let hazards = hazards(&self.policy, next);
        let (Some(hazard), false) = (hazards.first(), options.force) else { return Ok(()) };
        Err(Problem {
            details: hazards.iter().skip(1).map(ToString::to_string).collect(),
            ..Problem::new(ErrorCode::Guarded, format!("{hazard}; nothing was changed"))
                .hint("--force does it all the same")
        })
    }

    fn ask_about_opening(&self, next: &Policy, options: ChangeOptions) -> Result<(), Problem> {
        let opened = self.policy.opened_by(next);
        if opened.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = opened.iter().map(Name::as_str).collect();
        self.ask(format!("after this, {} is accessible to everyone", names.join(", ")), options)
    }

    /// Asks whether everyone is to be admitted.
    pub(super) fn ask(&self, what: String, options: ChangeOptions) -> Result<(), Problem> {
        if options.yes || options.dry_run {
            return Ok(());
        }
        Err(Problem {
            revision: Some(self.policy.revision),
            ..Problem::new(ErrorCode::Unconfirmed, what).hint("--yes does it without asking")
        })
    }
}

/// The established connections of other hosts whose packets pass now and would be dropped by `next`, the caller's own
/// first. Without `before`, the filter is not on the links yet.
fn find_cuts(
    links: &[Link],
    before: Option<&Policy>,
    next: &Policy,
    session: Option<SshSession>,
) -> Vec<CutConnection> {
    let of_services = |connection: &Connection| next.has_port(connection.local.port());
    let mut cuts = Vec::new();
    let mut look = || -> io::Result<()> {
        let connections: Vec<Connection> =
            host::established()?.into_iter().filter(of_services).collect();
        if connections.is_empty() || links.is_empty() {
            return Ok(());
        }
        let mut topology = Topology::read()?;
        for connection in &connections {
            if topology.is_own(connection.peer.ip()) {
                continue;
            }
            let on =
                topology.ingress(connection, &links.iter().map(|link| link.1).collect::<Vec<_>>());
            let service = links
                .iter()
                .filter(|link| on.contains(&link.1))
                .find_map(|(name, _)| cutting(name, connection, before, next));
            if let Some(service) = service {
                cuts.push(CutConnection {
                    service: service.clone(),
                    peer: connection.peer,
                    local: connection.local,
                    own_session: session
                        == Some(SshSession::new(connection.peer, connection.local)),
                });
            }
        }
        Ok(())
    };
    if let Err(error) = look() {
        // A change must not be impossible because the kernel cannot be asked; the operator is told.
        warn!("cannot look at the established connections, so none of them is guarded: {error}");
    }
    cuts.sort_by_key(|cut| (Reverse(cut.own_session), cut.service.clone(), cut.peer));
    cuts
}

/// The service by which a connection is cut on an interface.
fn cutting<'a>(
    interface: &str,
    connection: &Connection,
    before: Option<&Policy>,
    next: &'a Policy,
) -> Option<&'a Name> {
    let packet = Packet::of_tcp(interface, connection.local, connection.peer.ip());
    let now = Timestamp::now();
    if before.is_some_and(|before| before.drops(&packet, now).is_some()) {
        return None;
    }
    next.drops(&packet, now)
}

fn refuse_cuts(cuts: &[CutConnection], options: ChangeOptions) -> Result<(), Problem> {
    let (Some(first), false) = (cuts.first(), options.force || options.dry_run) else {
        return Ok(());
    };
    let own = if first.own_session { ", your own SSH session among them" } else { "" };
    let connections = match cuts.len() {
        1 if first.own_session => "your own SSH session".to_owned(),
        1 => format!("an established connection, that of {}", first.peer),
        more => format!("{more} established connections{own}"),
    };
    Err(Problem {
        cuts: cuts.to_vec(),
        ..Problem::new(
            ErrorCode::Guarded,
            format!("this would cut {connections}; nothing was changed"),
        )
        .hint("add an entry for those that are to stay, or --force does it all the same")
    })
}
