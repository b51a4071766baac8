//! Who has the sources of which service noted, until when.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use allowlist_common::abi::Sighted;
use jiff::Timestamp;
use tracing::{info, warn};

use super::Owner;
use crate::{
    api::{EndedWatches, ErrorCode, Problem, Watching},
    daemon::explain::explain_watch,
    policy::{Author, Name, Policy, service::Mode},
};

/// So many may watch at once.
const MOST: usize = 100;

/// Somebody has the sources of a service noted.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Watch {
    id: u64,
    service: Name,
    number: u16,
    by: Arc<Author>,
    since: Timestamp,
    until: Timestamp,
    end: Instant,
}

impl Watch {
    /// As it is told.
    pub(in crate::daemon) fn told(&self) -> Watching {
        Watching {
            id: self.id,
            service: self.service.clone(),
            by: self.by.as_ref().clone(),
            since: self.since,
            until: self.until,
            seconds_left: self.end.saturating_duration_since(Instant::now()).as_secs(),
        }
    }
}

/// Ids that no earlier daemon is likely to have given, so that nobody ends what is another's.
#[derive(Default)]
pub(super) struct Ids(u64);

impl Ids {
    pub(super) fn next(&mut self) -> u64 {
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        self.0 = now.max(self.0 + 1);
        self.0
    }
}

/// The service whose sources can be noted.
///
/// # Errors
/// [`ErrorCode::NotFound`]; [`ErrorCode::Conflict`] where it judges no packets.
pub(in crate::daemon) fn judged<'a>(
    policy: &'a Policy,
    name: &Name,
) -> Result<&'a crate::policy::Service, Problem> {
    let Some(service) = policy.services.get(name) else {
        let message = format!("there is no service {}", policy.unknown_service(name));
        let hint = if policy.groups.contains_key(name) {
            "it is a group: name a service that includes it"
        } else {
            "`allowlist-ctl status` shows those there are"
        };
        return Err(Problem::new(ErrorCode::NotFound, message).hint(hint));
    };
    if service.mode == Mode::Off {
        let message = format!("{name} is off: its packets are not judged, and nobody is seen");
        let hint = format!("`allowlist-ctl mode {name} monitor` looks at them and passes them all");
        return Err(Problem::new(ErrorCode::Conflict, message).hint(hint));
    }
    Ok(service)
}

/// After this time from now, on the clock that runs evenly and on the wall.
pub(super) fn after(seconds: u64) -> (Instant, Timestamp) {
    let length = Duration::from_secs(seconds);
    let until = Timestamp::now().checked_add(length).unwrap_or(Timestamp::MAX);
    (Instant::now() + length, until)
}

impl Owner {
    /// Has the sources of a service noted for a while.
    pub(super) fn watch(
        &mut self,
        name: &Name,
        seconds: u64,
        by: &Arc<Author>,
    ) -> Result<Watching, Problem> {
        let service = judged(&self.policy, name)?;
        let (number, is_noted) = (service.number, service.mode == Mode::Monitor);
        if self.watches.len() >= MOST {
            let message = format!("{MOST} have sources noted already");
            return Err(Problem::new(ErrorCode::Conflict, message)
                .hint("try again when one of them is done; `allowlist-ctl status` shows them"));
        }
        if !is_noted && self.watches.iter().all(|watch| watch.number != number) {
            // What was seen long ago says nothing about the time that is asked for.
            let forgotten = self.kernel.sightings().forget(|what, of| is_passed(what, of, number));
            forgotten.map_err(|error| Problem::new(ErrorCode::Failed, error))?;
        }
        let (end, until) = after(seconds);
        let (id, since) = (self.ids.next(), Timestamp::now());
        let by = Arc::clone(by);
        self.watches.push(Watch { id, service: name.clone(), number, by, since, until, end });
        if let Err(problem) = self.watch_those() {
            self.watches.retain(|watch| watch.id != id);
            return Err(problem);
        }
        let told = self.watches.last().map(Watch::told);
        let told = told.ok_or_else(|| Problem::new(ErrorCode::Failed, "nothing is watched"))?;
        info!(by = told.by.name, seconds, "the sources of {name} are noted");
        Ok(told)
    }

    /// Ends noting before its time.
    pub(super) fn end_watch(
        &mut self,
        name: &Name,
        id: Option<u64>,
    ) -> Result<EndedWatches, Problem> {
        let is_meant = |watch: &Watch| watch.service == *name && id.is_none_or(|id| watch.id == id);
        let ended: Vec<Watching> =
            self.watches.iter().filter(|watch| is_meant(watch)).map(Watch::told).collect();
        if ended.is_empty() {
            let by = id.map(|id| format!(" by the id {id}")).unwrap_or_default();
            let message = format!("nobody has the sources of {name} noted{by}");
            return Err(Problem::new(ErrorCode::NotFound, message).hint("it may be over already"));
        }
        self.watches.retain(|watch| !is_meant(watch));
        self.watch_those()?;
        Ok(EndedWatches { ended })
    }

    /// Ends what is over, and what was about services that are no more.
    pub(super) fn look_after_watches(&mut self) {
        let (before, now) = (self.watches.len(), Instant::now());
        let services = &self.policy.services;
        let is_there = |watch: &Watch| {
            services.get(&watch.service).is_some_and(|service| service.number == watch.number)
        };
        self.watches.retain(|watch| watch.end > now && is_there(watch));
        if self.watches.len() < before
            && let Err(problem) = self.watch_those()
        {
            warn!("sources may be noted that nobody asks for any more: {problem}");
        }
    }

    /// Has the kernel note the sources that are asked for and no others.
    fn watch_those(&mut self) -> Result<(), Problem> {
        let numbers: BTreeSet<u16> = self.watches.iter().map(|watch| watch.number).collect();
        let watched = self.kernel.watch(numbers).map_err(|error| explain_watch(&error));
        self.shared.set_watches(self.watches.clone());
        watched
    }

    /// Ends all of it.
    pub(super) fn end_watches(&mut self) {
        if self.watches.is_empty() {
            return;
        }
        self.watches.clear();
        if let Err(problem) = self.watch_those() {
            warn!("sources are noted until the next start: {problem}");
        }
    }
}

/// Whether a sighting is of packets of a service that passed.
pub(in crate::daemon) fn is_passed(what: Sighted, of: u16, service: u16) -> bool {
    what == Sighted::Passed && of == service
}
