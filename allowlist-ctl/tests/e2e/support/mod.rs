//! What the tests stand on: a server with the daemon and redis, clients, and ways to knock.

mod bridge;
mod echo;
mod http;
mod knock;
mod links;
mod lists;
mod nobody;
mod promtool;
mod refusal;
mod releases;
mod scrape;
mod server;
mod socket;
mod terminal;
mod traffic;
mod user;

use std::time::Duration;

pub(crate) use self::{
    bridge::bridge,
    echo::UdpLoop,
    knock::{listen, served, shut_out},
    links::{Foreign, NOTICED, SETTLED},
    lists::{ALLOWED, DENIED, lines},
    nobody::{as_nobody, readable_by_all},
    promtool::promtool,
    refusal::refuses,
    releases::next_release,
    scrape::{METRICS, Scrape, tcp},
    server::{ALLOWLISTD, CTL, ECHO, Outcome, REDIS, Server, under},
    socket::{Answer, exchange},
    terminal::Terminal,
    traffic::{Traffic, frames},
    user::User,
};

/// How long something that has to come may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// After so long a packet is taken for lost.
pub(crate) const LOST: Duration = Duration::from_secs(2);
