//! What there is around the filter: sockets that listen, interfaces and their addresses, as they were a moment ago.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    host::{self, Listeners},
    kernel::{self, Interface},
};

/// So long what was found stands, for there may be very many sockets, and `status` may be asked for often.
const FRESH: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub(super) listeners: Listeners,
    pub(super) interfaces: Vec<Interface>,
    /// With the interface's index.
    pub(super) addresses: Vec<(u32, IpAddr)>,
    /// What could not be found out, a sentence each.
    pub(super) unknown: Vec<String>,
}

impl Surroundings {
    fn look() -> Self {
        let mut found = Self::default();
        match host::listeners() {
            Ok(listeners) if listeners.is_cut => {
                found.unknown.push(
                    "there are too many sockets to tell every port that is listened on".into(),
                );
                found.listeners = listeners;
            }
            Ok(listeners) => found.listeners = listeners,
            Err(error) => {
                found.unknown.push(format!("it is not known which ports are listened on: {error}"));
            }
        }
        match kernel::interfaces().and_then(|all| Ok((all, host::addresses()?))) {
            Ok((interfaces, addresses)) => {
                (found.interfaces, found.addresses) = (interfaces, addresses);
            }
            Err(error) => found
                .unknown
                .push(format!("it is not known which interfaces have no filter: {error}")),
        }
        found
    }
}

/// The latest look.
#[derive(Debug, Default)]
pub(super) struct Lookout(Mutex<Option<(Instant, Arc<Surroundings>)>>);

impl Lookout {
    /// What there is; who asks while another one looks gets what that one finds.
    pub(super) fn surroundings(&self) -> Arc<Surroundings> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = latest.as_ref()
            && at.elapsed() < FRESH
        {
            return Arc::clone(found);
        }
        let found = Arc::new(Surroundings::look());
        *latest = Some((Instant::now(), Arc::clone(&found)));
        found
    }
}
