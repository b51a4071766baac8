//! Going back: to earlier revisions, and from changes that nobody confirmed.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use xtask::lab::until;

use super::support::{PATIENCE, REDIS, Server, served, shut_out};

/// After so long a change that was to be confirmed within a second is taken back: it never is early, and may be a second
/// late.
const OVER: Duration = Duration::from_millis(2200);

/// A server whose redis admits alice only.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "--comment", "alice"])?;
    Ok(server)
}

/// Waits until nothing is to be confirmed any more.
fn until_settled(server: &Server) -> Result<()> {
    until("the pending change to be taken back", PATIENCE, || {
        server.status().ok()?.get("pending").is_none().then_some(())
    })
}

#[test]
fn revisions_are_kept_and_gone_back_to() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let then = server.done(&["export"])?;
    server.done(&["add", "redis", "10.77.0.3", "--until", "2099-12-01T00:00Z"])?;
    server.done(&["group", "office"])?;
    server.done(&["mode", "redis", "monitor"])?;
    let now = server.done(&["export"])?;

    let kept = server.json(&["revisions"])?;
    ensure!(kept["revision"] == 5, "{kept}");
    ensure!(kept["revisions"][0]["revision"] == 5, "{kept}");
    let table = server.done(&["revisions"])?;
    let current = table.lines().nth(1).unwrap_or_default();
    ensure!(current.trim_start().starts_with("* 5  ") && current.contains("root"), "{table}");

    let dry = server.done(&["rollback", "--to", "2", "--dry-run"])?;
    ensure!(
        dry.contains("- group office\n- redis 10.77.0.3/32 until=2099-12-01T00:00:00Z\n"),
        "{dry}"
    );
    ensure!(dry.contains("~ service redis: mode monitor -> enforce\n"), "{dry}");
    ensure!(dry.contains("Would change: policy: rolled back to revision 2, 1 removed"), "{dry}");
    ensure!(server.done(&["export"])? == now);
    served(server.bob(), ipv4)?;

    let told = server.done(&["rollback", "--to", "2", "--force"])?;
    ensure!(
        told.contains("\npolicy: rolled back to revision 2, 1 removed (revision 6)\n"),
        "{told}"
    );
    ensure!(server.done(&["export"])? == then);
    shut_out(server.bob(), ipv4)?;
    served(server.alice(), ipv4)?;

    // Without a number, the change before is undone; and that one as well.
    server.done(&["rollback"])?;
    ensure!(server.done(&["export"])? == now);
    ensure!(server.revision()? == 7);
    server.done(&["rollback", "--force"])?;
    ensure!(server.done(&["export"])? == then);

    server.fails(&["rollback", "--to", "999"], 6, "revision 999 is not kept")?;
    server.fails(&["rollback", "--to", "1"], 5, "redis is accessible to everyone")?;
    let told = server.done(&["rollback", "--to", "8"])?;
    ensure!(told == "Nothing changed (revision 8)\n", "{told}");
    Ok(())
}

#[test]
fn every_change_is_refused_when_the_policy_has_moved_on() -> Result<()> {
    let server = closed()?;
    let policy = server.write("policy.toml", &server.done(&["export"])?)?;
    server.done(&["group", "office"])?;
    let before = (server.policy()?, server.revision()?);
    for change in [
        &["add", "redis", "::1"][..],
        &["group", "new"],
        &["ungroup", "office"],
        &["apply", "-f", &policy],
        &["rollback"],
        &["rollback", "--to", "1", "--yes"],
        &["edit", "redis"],
        &["attach", "eth0"],
        &["detach", "eth0", "--yes"],
    ] {
        server.fails(&[change, &["--if-revision", "2"]].concat(), 7, "at revision 3, not 2")?;
        ensure!((server.policy()?, server.revision()?) == before, "{change:?}");
    }
    Ok(())
}

#[test]
fn a_change_that_is_confirmed_in_time_stays() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let told = server.done(&["add", "redis", "10.77.0.3", "--confirm", "3s"])?;
    ensure!(told.contains("unless confirmed: allowlist-ctl confirm\n"), "{told}");
    served(server.bob(), ipv4)?;
    let status = server.status()?;
    ensure!(status["pending"]["what"] == "add redis", "{status}");
    let shown = server.done(&["status"])?;
    ensure!(shown.contains("TO BE CONFIRMED: 'add redis' of root, taken back in "), "{shown}");

    let told = server.done(&["confirm"])?;
    ensure!(told.starts_with("policy: confirmed (revision 3)\n"), "{told}");
    thread::sleep(Duration::from_secs(4));
    ensure!(server.revision()? == 3);
    served(server.bob(), ipv4)?;
    server.fails(&["confirm"], 6, "nothing waits to be confirmed")
}

#[test]
fn a_change_that_nobody_confirms_is_taken_back() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let before = server.done(&["export"])?;
    let list = server.write("list.txt", "10.77.0.3\n")?;
    let policy = server.write("policy.toml", "")?;
    for change in [
        &["add", "redis", "10.77.0.3"][..],
        &["replace", "redis", "-f", &list, "--force"],
        &["mode", "redis", "off"],
        &["unprotect", "redis", "--yes"],
        &["apply", "-f", &policy, "--yes"],
        &["rollback", "--to", "1", "--yes"],
        &["protect", "redis", "tcp/1", "--force"],
    ] {
        server.done(&[change, &["--confirm", "1s"]].concat())?;
        served(server.bob(), ipv4)?;
        until_settled(&server)?;
        ensure!(server.done(&["export"])? == before, "{change:?}");
        shut_out(server.bob(), ipv4)?;
        served(server.alice(), ipv4)?;
    }
    Ok(())
}

#[test]
fn while_a_change_waits_to_be_confirmed_no_other_one_is_made() -> Result<()> {
    let server = closed()?;
    let before = server.done(&["export"])?;
    let policy = server.write("policy.toml", &before)?;
    server.done(&["add", "redis", "10.77.0.3", "--confirm", "1h"])?;
    let revision = server.revision()?;
    for change in [
        &["add", "redis", "::1"][..],
        &["protect", "web", "tcp/80"],
        &["group", "office"],
        &["apply", "-f", &policy],
        &["rollback", "--to", "1"],
        &["detach", "eth0"],
        &["add", "redis", "::1", "--confirm", "1m"],
    ] {
        server.fails(change, 5, "'add redis' of root waits to be confirmed")?;
        server.fails(&[change, &["--yes", "--force"]].concat(), 5, "`allowlist-ctl rollback`")?;
        ensure!(server.revision()? == revision, "{change:?}");
    }
    let told = server.done(&["rollback"])?;
    ensure!(told.starts_with("- redis 10.77.0.3/32\npolicy: rolled back, 1 removed "), "{told}");
    ensure!(server.done(&["export"])? == before);
    ensure!(server.status()?.get("pending").is_none());
    server.done(&["group", "office"])?;
    Ok(())
}

#[test]
fn a_daemon_that_was_killed_takes_back_what_was_not_confirmed() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let before = server.done(&["export"])?;
    // Started again after the time: taken back before anything else is done.
    server.done(&["add", "redis", "10.77.0.3", "--confirm", "1s"])?;
    server.daemon()?.kill()?;
    served(server.bob(), ipv4)?;
    thread::sleep(OVER);
    server.start()?;
    shut_out(server.bob(), ipv4)?;
    ensure!(server.done(&["export"])? == before);
    ensure!(server.status()?.get("pending").is_none());

    // Started again before it: the time goes on.
    server.done(&["add", "redis", "10.77.0.3", "--confirm", "4s"])?;
    server.daemon()?.kill()?;
    server.start()?;
    ensure!(server.status()?["pending"]["what"] == "add redis", "{}", server.status()?);
    served(server.bob(), ipv4)?;
    until_settled(&server)?;
    shut_out(server.bob(), ipv4)?;
    ensure!(server.done(&["export"])? == before);

    // And one that was confirmed stays.
    server.done(&["add", "redis", "10.77.0.3", "--confirm", "2s"])?;
    server.done(&["confirm"])?;
    server.daemon()?.kill()?;
    thread::sleep(Duration::from_secs(2));
    server.start()?;
    served(server.bob(), ipv4)
}

#[test]
fn what_is_attached_and_detached_is_taken_back_as_well() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let told = server.done(&["detach", "eth0", "--yes", "--confirm", "1s"])?;
    ensure!(told.contains("Taken back in "), "{told}");
    served(server.bob(), ipv4)?;
    until_settled(&server)?;
    shut_out(server.bob(), ipv4)?;
    ensure!(server.interface("eth0")?["state"] == "attached");

    // Also where no daemon ran at that time.
    server.done(&["detach", "eth0", "--yes", "--confirm", "1s"])?;
    server.daemon()?.kill()?;
    thread::sleep(OVER);
    server.start()?;
    shut_out(server.bob(), ipv4)?;

    server.done(&["detach", "eth0", "--yes", "--confirm", "1h"])?;
    server.done(&["confirm"])?;
    served(server.bob(), ipv4)?;
    server.done(&["attach", "eth0", "--force", "--confirm", "1s"])?;
    shut_out(server.bob(), ipv4)?;
    until_settled(&server)?;
    served(server.bob(), ipv4)?;
    ensure!(server.interface("eth0")?["state"] == "detached");

    server.done(&["attach", "eth0", "--force", "--confirm", "1h"])?;
    server.fails(&["rollback"], 5, "redis is accessible to everyone on eth0")?;
    server.done(&["rollback", "--yes"])?;
    served(server.bob(), ipv4)
}
