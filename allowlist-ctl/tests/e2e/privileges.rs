//! What the daemon may do: three capabilities are enough, and what it has beyond that it gives up.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
};

use anyhow::{Context as _, Result, ensure};

use super::support::{ALLOWLISTD, REDIS, Server, readable_by_all, served, shut_out};

/// By their numbers, of `linux/capability.h`.
const NEEDED: u64 = 1 << 12 | 1 << 38 | 1 << 39;
const FOR_FOLLOWED_FILES: u64 = 1 << 2 | 1 << 28;

/// What each thread of a process says of its privileges.
fn threads(pid: u32) -> Result<Vec<BTreeMap<String, String>>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))?;
    let read = |task: fs::DirEntry| -> Result<_> {
        let status = fs::read_to_string(task.path().join("status"))?;
        let fields = status.lines().filter_map(|line| line.split_once(":\t"));
        Ok(fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    };
    tasks.map(|task| read(task?)).collect()
}

fn has_only(server: &mut Server, expected: u64) -> Result<()> {
    let threads = threads(server.daemon()?.pid())?;
    ensure!(threads.len() > 3, "only {} threads", threads.len());
    for thread in &threads {
        let sets = [("CapPrm", expected), ("CapEff", expected), ("CapInh", 0), ("CapAmb", 0)];
        for (set, expected) in sets {
            let found = thread.get(set).context("no such set")?;
            ensure!(u64::from_str_radix(found, 16)? == expected, "{set} of {thread:?}");
        }
        ensure!(thread["NoNewPrivs"] == "1", "{thread:?}");
    }
    Ok(())
}

/// Changes are enforced, an interface is given up and taken again, and a restart takes over.
fn does_its_work(server: &mut Server, words: &[&str]) -> Result<()> {
    let [redis, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    served(server.alice(), redis)?;
    shut_out(server.bob(), redis)?;
    server.done(&["detach", "eth0", "--yes"])?;
    served(server.bob(), redis)?;
    server.done(&["attach", "eth0"])?;
    shut_out(server.bob(), redis)?;
    let status = server.daemon()?.terminate()?;
    ensure!(status.success(), "{status}");
    server.start_under(words)?;
    shut_out(server.bob(), redis)?;
    ensure!(server.log().contains("took over"), "{}", server.log());
    Ok(())
}

#[test]
fn three_capabilities_are_enough_for_root() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    server.add_redis()?;
    let words = ["setpriv", "--bounding-set=-all,+bpf,+net_admin,+perfmon", "--inh-caps=-all"];
    server.start_under(&words)?;
    has_only(&mut server, NEEDED)?;
    does_its_work(&mut server, &words)
}

#[test]
fn three_capabilities_are_enough_for_another_user() -> Result<()> {
    const UID: u32 = 4711;
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    server.add_redis()?;
    let program = readable_by_all(server.directory(), ALLOWLISTD)?;
    let bpffs = server.pins().parent().context("pins")?.to_owned();
    for place in [server.directory(), &bpffs] {
        chown(place, Some(UID), Some(UID))?;
        fs::set_permissions(place, fs::Permissions::from_mode(0o711))?;
    }
    let (uid, gid) = (format!("--reuid={UID}"), format!("--regid={UID}"));
    let three = "-all,+bpf,+net_admin,+perfmon";
    let [bounding, inheritable, ambient] =
        ["bounding-set", "inh-caps", "ambient-caps"].map(|set| format!("--{set}={three}"));
    // The daemon's own path comes after these words: the shell puts a copy that this user may run in its place.
    let run = format!("shift; exec {program} \"$@\"");
    let words = [
        "setpriv",
        &uid,
        &gid,
        "--clear-groups",
        &bounding,
        &inheritable,
        &ambient,
        "sh",
        "-c",
        &run,
        "sh",
    ];
    server.start_under(&words)?;
    has_only(&mut server, NEEDED)?;
    let thread = threads(server.daemon()?.pid())?.remove(0);
    ensure!(thread["Uid"].starts_with("4711"), "{thread:?}");
    does_its_work(&mut server, &words)
}

#[test]
fn what_root_has_beyond_what_is_needed_is_given_up() -> Result<()> {
    let mut server = Server::new()?;
    has_only(&mut server, NEEDED | FOR_FOLLOWED_FILES)?;
    let bounding = u64::from_str_radix(&threads(server.daemon()?.pid())?[0]["CapBnd"], 16)?;
    ensure!(bounding == NEEDED | FOR_FOLLOWED_FILES, "{bounding:x}");
    Ok(())
}
