//! The daemon ends in order and starts again; the filter is taken off.

use std::{
    io::Write as _, os::unix::net::UnixStream, process::Command, thread::sleep, time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::support::{
    ALLOWLISTD, Outcome, PATIENCE, REDIS, SETTLED, Server, refuses, served, shut_out,
};

/// A server whose redis admits alice only.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "--comment", "alice's desk"])?;
    Ok(server)
}

#[test]
fn a_restart_keeps_services_entries_revision_and_counters() -> Result<()> {
    let mut server = closed()?;
    server.done(&["protect", "web", "tcp/80", "tcp/8000-8010", "--mode", "monitor"])?;
    server.done(&["protect", "dns", "udp/53", "--interface", "eth0", "--when-empty", "closed"])?;
    server.done(&["add", "redis", "10.0.0.0/8", "!10.77.0.3", "2001:db8::/32"])?;
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    served(server.alice(), ipv4)?;
    shut_out(server.bob(), ipv4)?;
    let everything = |server: &Server| -> Result<_> {
        let counts = ["admitted", "admitted_open", "denied"]
            .map(|judged| server.packets("redis", judged).map_err(|error| error.to_string()));
        Ok((server.policy()?, server.revision()?, counts))
    };
    let before = everything(&server)?;
    let entry = &before.0[1]["lists"][1]["entries"];
    ensure!(entry.to_string().contains("alice's desk"), "{entry}");
    ensure!(entry[0]["added_by"]["name"] == "root", "{entry}");

    server.restart()?;
    let after = everything(&server)?;
    ensure!(before == after, "before: {before:?}, after: {after:?}");
    served(server.alice(), ipv4)?;
    shut_out(server.bob(), ipv4)?;
    shut_out(server.alice(), ipv6)?;
    ensure!(server.packets("redis", "denied")? > 0);
    Ok(())
}

#[test]
fn sigterm_sigint_and_sighup_keep_the_filter_in_force_and_say_how_to_take_it_off() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let daemon = server.daemon()?;
        daemon.signal(signal);
        let status = daemon.wait(PATIENCE)?;
        ensure!(status.success(), "ended with {status}");
        let log = server.log();
        let said = "stays in force on eth0: `allowlistd --detach` takes it off";
        ensure!(log.contains(said), "{log}");
        ensure!(!server.socket().exists(), "the socket is still there");
        shut_out(server.bob(), ipv4)?;
        served(server.alice(), ipv4)?;
        server.start()?;
    }
    Ok(())
}

#[test]
fn detach_takes_the_filter_off_whether_the_daemon_runs_or_not() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    for (runs, says) in
        [(true, "the daemon has taken the filter off and stopped"), (false, "the filter is off")]
    {
        shut_out(server.bob(), ipv4)?;
        if !runs {
            server.daemon()?.kill()?;
        }
        let detached: Outcome = server.allowlistd(&["--detach"]).output()?.into();
        ensure!(detached.code == Some(0) && detached.stdout.contains(says), "{detached:?}");
        if runs {
            let status = server.daemon()?.wait(PATIENCE)?;
            ensure!(status.success(), "the daemon ended with {status}");
        }
        ensure!(!server.pins().exists(), "pins are left");
        served(server.bob(), ipv4)?;
        // It is not remembered.
        server.start()?;
    }
    shut_out(server.bob(), ipv4)?;
    let _: Outcome = server.allowlistd(&["--detach"]).output()?.into();
    let again: Outcome = server.allowlistd(&["--detach"]).output()?.into();
    ensure!(again.code == Some(0), "{again:?}");
    ensure!(again.stdout.contains("the filter was on no interface"), "{again:?}");
    Ok(())
}

#[test]
fn a_daemon_that_is_to_ignore_a_hangup_does() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    server.start_under(&["env", "--ignore-signal=HUP"])?;
    server.daemon()?.signal(libc::SIGHUP);
    sleep(SETTLED);
    server.status()?;
    ensure!(!server.log().contains("stopped"), "{}", server.log());
    server.daemon()?.terminate().map(drop)
}

#[test]
fn detach_at_a_wrong_socket_removes_no_pins_of_a_daemon_that_runs() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let socket = server.socket().display().to_string();
    let wrong = server.path("wrong").display().to_string();
    let mut detach = server.network.server.namespace.command(ALLOWLISTD);
    let pins = server.pins();
    let bpffs = pins.parent().context("pins")?;
    let places = Server::places(server.directory(), bpffs);
    detach.args(places.map(|place| if place == socket { wrong.clone() } else { place }));
    detach.arg("--detach");
    let said = refuses(&mut detach, "a daemon uses the pins in")?;
    ensure!(said.contains("give the --socket or the --config of that daemon"), "{said}");
    ensure!(server.link_pins("eth0")?.len() == 1, "the pin is gone");
    shut_out(server.bob(), ipv4)?;
    server.becomes("eth0", "attached")?;

    // Without the daemon nobody has the lock.
    server.daemon()?.kill()?;
    let detached: Outcome = detach.output()?.into();
    ensure!(detached.code == Some(0), "{detached:?}");
    ensure!(detached.stdout.contains("the filter is off"), "{detached:?}");
    served(server.bob(), ipv4)
}

#[test]
fn a_start_waits_for_a_daemon_that_is_ending() -> Result<()> {
    let mut server = closed()?;
    // The stop waits two seconds for a request that does not come to its end.
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        let mut idle = UnixStream::connect(server.socket())?;
        idle.write_all(b"PUT /v1/services/late HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n")?;
        sleep(SETTLED);
        server.daemon()?.signal(signal);
        let second = server.spawn()?;
        let status = server.daemon()?.wait(PATIENCE)?;
        ensure!(status.success() == (signal == libc::SIGTERM), "ended with {status}");
        server.serve(second)?;
        server.status()?;
    }
    Ok(())
}

#[test]
fn detach_waits_for_a_daemon_that_is_ending() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let mut idle = UnixStream::connect(server.socket())?;
    idle.write_all(b"PUT /v1/services/late HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n")?;
    sleep(SETTLED);
    server.daemon()?.signal(libc::SIGTERM);
    let detached: Outcome = server.allowlistd(&["--detach"]).output()?.into();
    ensure!(detached.code == Some(0), "{detached:?}");
    ensure!(server.daemon()?.wait(PATIENCE)?.success(), "{}", server.log());
    ensure!(!server.pins().exists(), "pins are left");
    served(server.bob(), ipv4)
}

#[test]
fn detach_gives_up_on_a_daemon_that_hangs_and_says_how_to_end_it() -> Result<()> {
    let mut server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let pid = server.daemon()?.pid();
    server.daemon()?.signal(libc::SIGSTOP);
    // It gives up after ten seconds.
    let mut patient = Command::new("timeout");
    let detach = server.allowlistd(&["--detach"]);
    patient.arg("20").arg(detach.get_program()).args(detach.get_args());
    let outcome: Outcome = patient.output()?.into();
    server.daemon()?.signal(libc::SIGCONT);
    ensure!(outcome.code == Some(1), "{outcome:?}");
    for said in ["does not answer", &format!("`kill -9 {pid}`"), "`allowlistd --detach` again"] {
        ensure!(outcome.stderr.contains(said), "{outcome:?}");
    }
    // Nor does it do it when it goes on.
    sleep(Duration::from_secs(1));
    server.becomes("eth0", "attached")?;
    shut_out(server.bob(), ipv4)?;

    server.daemon()?.signal(libc::SIGSTOP);
    server.daemon()?.kill()?;
    let detached: Outcome = server.allowlistd(&["--detach"]).output()?.into();
    ensure!(detached.code == Some(0), "{detached:?}");
    served(server.bob(), ipv4)
}

#[test]
fn a_stop_waits_for_nobody_who_keeps_a_connection_open() -> Result<()> {
    let mut server = closed()?;
    let _idle = UnixStream::connect(server.socket())?;
    let daemon = server.daemon()?;
    daemon.signal(libc::SIGTERM);
    let status = daemon.wait(Duration::from_secs(5))?;
    ensure!(status.success(), "ended with {status}");
    Ok(())
}

#[test]
fn versions_are_printed_without_a_daemon() -> Result<()> {
    for program in [super::support::ALLOWLISTD, super::support::CTL] {
        let version: Outcome = Command::new(program).arg("--version").output()?.into();
        ensure!(version.code == Some(0), "{version:?}");
        ensure!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
    }
    Ok(())
}
