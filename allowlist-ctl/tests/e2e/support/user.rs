//! Users who are not root. They need no account: the kernel knows numbers.

use std::{fs, io, os::unix::fs::PermissionsExt as _, process::Command, thread};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    CTL, Outcome, Server,
    http::{Reply, request},
    readable_by_all,
};

/// Somebody who is not root.
#[derive(Clone, Debug)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl User {
    /// A user with a group of the same number and no other.
    pub(crate) fn new(uid: u32) -> Self {
        Self { uid, gid: uid, groups: Vec::new() }
    }

    /// The same in other groups of users, too.
    pub(crate) fn in_groups(self, groups: impl IntoIterator<Item = u32>) -> Self {
        Self { groups: groups.into_iter().collect(), ..self }
    }

    /// The same with another first group.
    pub(crate) fn of_group(self, gid: u32) -> Self {
        Self { gid, ..self }
    }

    /// Runs the closure on a thread of its own that acts as this user.
    fn act<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let acting = scope.spawn(|| self.become_it().map(|()| work()));
            match acting.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Makes this thread the user's, and no other one: `libc`'s functions would change the whole process.
    fn become_it(&self) -> Result<()> {
        let check = |result: libc::c_long| match result {
            0 => Ok(()),
            _ => {
                Err(io::Error::last_os_error()).context("not to be had as another user; not root?")
            }
        };
        let Self { uid, gid, groups } = self;
        // SAFETY: setgroups(2) reads as many ids as it is told there are.
        check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
        // SAFETY: setresgid(2) takes plain numbers.
        check(unsafe { libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) })?;
        // SAFETY: setresuid(2) takes plain numbers.
        check(unsafe { libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) })
    }

    /// A request of the user's.
    pub(crate) fn ask(&self, server: &Server, line: &str, body: &Value) -> Result<Reply> {
        let socket = server.socket();
        self.act(|| request(&socket, line, body))?
    }

    /// Runs `allowlist-ctl` as this user.
    pub(crate) fn ctl(&self, server: &Server, arguments: &[&str]) -> Result<Outcome> {
        Ok(self.command(server, arguments).output()?.into())
    }

    /// `allowlist-ctl` as this user.
    pub(crate) fn command(&self, server: &Server, arguments: &[&str]) -> Command {
        let Self { uid, gid, groups } = self;
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        match groups.as_slice() {
            [] => command.arg("--clear-groups"),
            groups => command.arg(format!("--groups={}", groups.join(","))),
        };
        command.arg(server.path("program")).args(arguments);
        command.env("ALLOWLIST_SOCKET", server.socket());
        command
    }
}

impl Server {
    /// A daemon with a configuration, on the network interface, whose socket anybody may open.
    pub(crate) fn for_users(config: &str) -> Result<Self> {
        let mut server = Self::prepare(&[])?;
        readable_by_all(server.directory(), CTL)?;
        let config = format!("{config}\n[socket]\nmode = \"0666\"\n");
        let config = server.write("allowlistd.toml", &config)?;
        server.set_options(&["--interface", "eth0", "--config", &config]);
        server.start()?;
        let mode = fs::metadata(server.socket())?.permissions().mode() & 0o777;
        anyhow::ensure!(mode == 0o666, "{mode:o}");
        Ok(server)
    }
}
