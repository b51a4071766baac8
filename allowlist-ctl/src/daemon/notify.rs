//! What the service manager is told (`sd_notify(3)`); without one, nothing is sent anywhere.

use sd_notify::NotifyState;
use tracing::warn;

/// The filter is in force and the socket open.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The daemon ends.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The owner of the policy is alive, where the manager watches it (`WatchdogSec=`): to be told more often than that.
pub(super) fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("cannot tell the service manager: {error}");
    }
}
