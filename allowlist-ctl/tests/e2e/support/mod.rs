//! What the tests stand on: a server with the daemon and redis, clients, and ways to knock.

mod bridge;
mod echo;
mod http;
mod knock;
mod nobody;
mod refusal;
mod server;
mod socket;
mod user;

use std::time::Duration;

pub(crate) use self::{
    bridge::bridge,
    echo::UdpLoop,
    knock::{listen, served, shut_out},
    nobody::{as_nobody, readable_by_all},
    refusal::refuses,
    server::{ALLOWLISTD, CTL, ECHO, Outcome, REDIS, Server},
    socket::{Answer, exchange},
    user::User,
};

/// How long something that has to come may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// After so long a packet is taken for lost.
pub(crate) const LOST: Duration = Duration::from_secs(2);
