//! Looking after the interfaces: when the kernel tells of a change, and by the clock, for a link that somebody cuts tells
//! of nothing.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use serde_json::Value;
use tracing::{Level, warn};

use super::{Deed, Desk, Owner, history::daemon, ration::Ration};
use crate::{
    api::DegradedPart,
    daemon::interfaces::{Looked, Report},
    host::changes::{Changes, Hearing},
    kernel::AttachError,
    policy::audit::AuditResult,
};

/// How often the links are asked for.
const GLANCE: Duration = Duration::from_millis(500);
/// Every so many glances the interfaces are listed, though nobody told of a change.
const LOOK: u32 = 20;
/// The same while one of them is to be attached and could not be.
const LOOK_AGAIN: u32 = 2;
/// So many happenings on an interface are recorded one by one in a minute.
const HAPPENINGS: u32 = 10;

/// A happening on an interface: how it came out, what to say, and what it is recorded as.
type Happening = (Deed, AuditResult, String);

/// When to look, and what of it to record.
pub(super) struct Lookout {
    hearing: Hearing,
    next: Instant,
    glances: u32,
    happenings: Ration<String, Happening>,
}

impl Default for Lookout {
    fn default() -> Self {
        Self {
            hearing: Hearing::none(),
            next: Instant::now(),
            glances: 0,
            happenings: Ration::new(HAPPENINGS),
        }
    }
}

/// Hears of changes from now on.
pub(super) fn listen() -> io::Result<Changes> {
    Changes::open()
}

impl Lookout {
    /// Has the owner told of what was heard since.
    pub(super) fn watch(&mut self, changes: io::Result<Changes>, desk: Desk) {
        let is_asked = Arc::new(AtomicBool::new(false));
        let tell = move || desk.look_at_interfaces(&is_asked);
        match changes.and_then(|changes| changes.tell(tell)) {
            Ok(hearing) => self.hearing = hearing,
            Err(error) => warn!(
                "the kernel does not tell of network interfaces, they are looked at by the clock: {error}"
            ),
        }
    }

    /// When the next glance is due.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }
}

impl Owner {
    /// Looks after the links where that is due, and after the interfaces where something is other than it was.
    pub(super) fn look_out(&mut self) {
        let now = Instant::now();
        if now < self.lookout.next {
            return;
        }
        self.lookout.next = now + GLANCE;
        self.lookout.glances += 1;
        let is_wanting = self.wanted.is_wanting() || !self.lookout.hearing.is_on();
        let is_due = self.lookout.glances >= if is_wanting { LOOK_AGAIN } else { LOOK };
        if is_due || !self.kernel.is_as_it_was() {
            self.look_at_interfaces();
        }
        self.sum_up_happenings(false);
    }

    /// Looks after the interfaces; the errors are those of interfaces that are there and cannot be attached.
    pub(super) fn look_at_interfaces(&mut self) -> Vec<AttachError> {
        let Looked { errors, reports, trouble } = self.wanted.look(&mut self.kernel);
        // With the next glance, where it is to be tried again.
        self.lookout.glances = if trouble.is_some() { LOOK } else { 0 };
        match trouble {
            Some(trouble) => self.trouble.begin(DegradedPart::Interfaces, trouble),
            None => self.trouble.over(DegradedPart::Interfaces),
        }
        for report in reports {
            self.put_on_record(report);
        }
        self.tell_interfaces();
        errors
    }

    fn put_on_record(&mut self, report: Report) {
        let Report { interface, result, message } = report;
        let deed = Deed::about("attach", &interface, &daemon());
        let happening = (deed, result, message);
        if self.lookout.happenings.takes(interface, &happening, Instant::now()) {
            let (deed, result, message) = happening;
            let level = if result == AuditResult::Failed { Level::ERROR } else { Level::WARN };
            self.record_alone(level, &deed, result, &message, Value::Null);
        }
    }

    /// Records how much was not recorded one by one in the minutes that are over, or in all.
    pub(super) fn sum_up_happenings(&mut self, in_all: bool) {
        let happenings = &mut self.lookout.happenings;
        let over = if in_all { happenings.all() } else { happenings.over(Instant::now()) };
        for ((deed, result, message), more) in over {
            let message = format!("{more} more within a minute, this one the last: {message}");
            self.record_alone(Level::WARN, &deed, result, &message, Value::Null);
        }
    }
}
