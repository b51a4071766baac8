//! `allowlist-ctl top` on a terminal of 80 columns and 24 lines, with real packets.

use std::{net::UdpSocket, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::support::{CTL, ECHO, PATIENCE, REDIS, Server, Terminal, User, served, shut_out};

const ESC: &str = "\u{1b}";
const CTRL_C: &str = "\u{3}";

/// Redis and the echo, closed to bob.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    for (service, port) in [("redis", "tcp/6379"), ("echo", "udp/7000")] {
        server.done(&["protect", service, port])?;
        server.done(&["add", service, "10.77.0.2"])?;
    }
    Ok(server)
}

fn top(server: &Server) -> Result<Terminal> {
    let terminal =
        Terminal::start(Command::new(CTL).arg("top").env("ALLOWLIST_SOCKET", server.socket()))?;
    terminal.shows("the keys", PATIENCE, |screen| screen.contains("q quit"))?;
    Ok(terminal)
}

/// The line with this text.
fn line<'a>(screen: &'a str, text: &str) -> Option<&'a str> {
    screen.lines().find(|line| line.contains(text))
}

/// Sends datagrams to the echo, which are denied.
fn knock(server: &Server, count: usize) -> Result<()> {
    let to = server.network.server.port(ECHO)[0];
    server.bob().namespace.inside(|| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        (0..count).try_for_each(|_| socket.send_to(b"x", to).map(drop))
    })??;
    Ok(())
}

#[test]
fn denied_sources_are_seen_sorted_filtered_and_held_still() -> Result<()> {
    let server = closed()?;
    let [ipv4, ipv6] = server.network.server.port(REDIS);
    shut_out(server.bob(), ipv4)?;
    shut_out(server.bob(), ipv6)?;
    knock(&server, 40)?;
    let mut top = top(&server)?;
    let screen = top.shows("all sources", PATIENCE, |screen| {
        line(screen, "fd77::3").is_some()
            && screen.matches("10.77.0.3").count() == 2
            && line(screen, "udp/7000").is_some_and(|row| row.contains(" 40 "))
    })?;
    let row = line(&screen, "udp/7000").context("no row")?;
    let words: Vec<&str> = row.split_whitespace().collect();
    ensure!(words[..4] == ["10.77.0.3", "echo", "udp/7000", "40"], "{row}");
    ensure!(screen.contains("revision 4") && screen.contains("3 of 3"), "{screen}");

    // By rate, whoever knocks now is first.
    shut_out(server.bob(), ipv6)?;
    knock(&server, 200)?;
    top.shows("a rate", PATIENCE, |screen| {
        let row = screen.lines().skip_while(|line| !line.contains("DENIED SOURCE")).nth(1);
        let denied = line(screen, "echo ").and_then(|row| row.split_whitespace().last());
        row.is_some_and(|row| row.contains("udp/7000") && row.contains(" 240 "))
            && denied.is_some_and(|last| !last.is_empty())
    })?;
    for (key, by) in [("s", "by count"), ("s", "by name"), ("s", "by last"), ("s", "by rate")] {
        top.press(key)?;
        top.shows(by, PATIENCE, |screen| screen.contains(by))?;
    }
    top.press("ss")?;
    top.shows("the order of addresses", PATIENCE, |screen| {
        let rows: Vec<&str> =
            screen.lines().skip_while(|line| !line.contains("DENIED SOURCE")).skip(1).collect();
        screen.contains("by name") && rows[0].contains("echo") && rows[2].contains("fd77::3")
    })?;

    top.press("/fd77\r")?;
    top.shows("a filter", PATIENCE, |screen| {
        screen.contains("FILTER fd77") && screen.contains("1 of 1") && !screen.contains("udp/7000")
    })?;
    top.press(ESC)?;
    top.shows("all again", PATIENCE, |screen| screen.contains("3 of 3"))?;

    top.press("p")?;
    top.shows("a pause", PATIENCE, |screen| screen.contains("PAUSED"))?;
    knock(&server, 60)?;
    let counted = || -> Result<bool> {
        let drops = server.json(&["drops"])?;
        Ok(drops["drops"].as_array().context("no drops")?.iter().any(|drop| drop["count"] == 300))
    };
    xtask::lab::until("the daemon to count", PATIENCE, || counted().ok()?.then_some(()))?;
    std::thread::sleep(Duration::from_millis(1500));
    ensure!(top.text().contains(" 240 "), "{}", top.text());
    top.press("p")?;
    top.shows("the figures of now", PATIENCE, |screen| screen.contains(" 300 "))?;

    top.press("?")?;
    top.shows("the keys", PATIENCE, |screen| screen.contains("Any key goes back"))?;
    top.press("xq")?;
    top.ends_well(0, PATIENCE)
}

#[test]
fn a_source_that_is_added_by_keys_is_admitted_and_on_record() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    shut_out(server.bob(), ipv4)?;
    let mut top = top(&server)?;
    top.shows("bob", PATIENCE, |screen| screen.contains("10.77.0.3"))?;
    top.press("a")?;
    top.shows("the dialog", PATIENCE, |screen| {
        screen.contains("Entry             10.77.0.3") && screen.contains("group  redis")
    })?;
    top.press("bob's office\r")?;
    top.shows("what would be done", PATIENCE, |screen| {
        screen.contains(r"allowlist-ctl add redis 10.77.0.3 --comment 'bob'\''s office'")
            && screen.contains("Would change: redis: 1 added (revision 5)")
            && screen.contains("Do it?")
    })?;
    // Nothing is done yet.
    ensure!(server.revision()? == 4);
    shut_out(server.bob(), ipv4)?;
    top.press("y")?;
    top.shows("what was done", PATIENCE, |screen| {
        screen.contains("redis: 1 added (revision 5)") && screen.contains("Enter goes back")
    })?;
    served(server.bob(), ipv4)?;
    top.press("\r")?;
    top.shows("the change as it is told", PATIENCE, |screen| {
        screen.contains("root: add redis (revision 5)") && screen.contains("revision 5  admitted")
    })?;
    let trail = server.trail()?;
    let row = trail.last().context("no rows")?;
    ensure!(row["action"] == "add" && row["subjects"] == json!(["redis"]), "{row}");
    ensure!(row["result"] == "done" && row["author"]["name"] == "root", "{row}");
    ensure!(row["details"].to_string().contains("bob's office"), "{row}");

    // Somebody else was quicker: what was shown is not what would be done.
    shut_out(server.bob(), server.network.server.port(REDIS)[1])?;
    top.press("/fd77\r")?;
    top.shows("bob's other address", PATIENCE, |screen| {
        screen.contains("FILTER fd77") && screen.contains("1 of 1")
    })?;
    top.press("a\r")?;
    top.shows("an offer", PATIENCE, |screen| screen.contains("Do it?"))?;
    server.done(&["add", "redis", "10.77.0.99"])?;
    top.press("y")?;
    top.shows("a conflict", PATIENCE, |screen| {
        screen.contains("the policy is at revision 6, not 5")
    })?;
    top.press(CTRL_C)?;
    top.ends_well(0, PATIENCE)
}

#[test]
fn a_source_is_explained_as_check_explains_it() -> Result<()> {
    let server = closed()?;
    shut_out(server.bob(), server.network.server.port(REDIS)[0])?;
    let mut top = top(&server)?;
    top.shows("bob", PATIENCE, |screen| screen.contains("10.77.0.3"))?;
    // Denied, and admitted after an entry for all of its network.
    for code in [10, 0] {
        let checked = server.ctl(&["check", "10.77.0.3", "tcp/6379"])?;
        ensure!(checked.code == Some(code) && !checked.stdout.is_empty(), "{checked:?}");
        top.press("e")?;
        // A long line goes on in the next one.
        let beginning = |line: &str| line.trim().chars().take(50).collect::<String>();
        let lines: Vec<String> = checked.stdout.lines().map(beginning).collect();
        let explained = top.shows("the explanation", PATIENCE, |screen| {
            screen.contains("10.77.0.3 to tcp/6379")
                && lines.iter().all(|line| screen.contains(line))
        });
        explained.with_context(|| format!("{lines:#?}"))?;
        top.press("q")?;
        top.shows("the figures", PATIENCE, |screen| !screen.contains("10.77.0.3 to tcp/6379"))?;
        server.done(&["add", "redis", "10.77.0.0/24", "--comment", "all of them", "--force"])?;
    }
    top.press("q")?;
    top.ends_well(0, PATIENCE)
}

#[test]
fn what_is_refused_is_told_on_the_screen() -> Result<()> {
    let server = Server::for_users("")?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    shut_out(server.bob(), server.network.server.port(REDIS)[0])?;
    let mut command = User::new(4002).command(&server, &["top"]);
    let mut top = Terminal::start(&mut command)?;
    top.shows("bob", PATIENCE, |screen| screen.contains("10.77.0.3"))?;
    top.press("a\r")?;
    top.shows("the role", PATIENCE, |screen| {
        screen.contains("this needs the role editor of 'redis', or admin, and you are a")
            && screen.contains("hint: root is admin")
    })?;
    // And so is what cannot be read, and the guard.
    for (entry, said) in
        [("10.77.0.3/24", "10.77.0.3/24 has host bits set"), ("0.0.0.0/0", "this needs the role")]
    {
        top.press(&format!("\r{}\u{15}{entry}\r\r\r", "\u{1b}[A\u{1b}[A"))?;
        top.shows(said, PATIENCE, |screen| screen.contains(said))?;
    }
    top.press(ESC)?;
    // Escape and a letter at once are another key.
    top.shows("the figures", PATIENCE, |screen| !screen.contains("Add to"))?;
    top.press("q")?;
    top.ends_well(0, PATIENCE)?;

    let mut top = self::top(&server)?;
    top.press("a\u{1b}[A\u{1b}[A\u{15}0.0.0.0/0\r\r\r")?;
    top.shows("the guard", PATIENCE, |screen| {
        screen.contains("0.0.0.0/0") && screen.contains("--force does it all the same")
    })?;
    ensure!(server.revision()? == 2);
    Ok(())
}

#[test]
fn a_daemon_that_is_gone_is_told_until_it_is_back() -> Result<()> {
    let mut server = closed()?;
    let mut top = top(&server)?;
    let status = server.daemon()?.terminate()?;
    ensure!(status.success(), "{status}");
    top.shows("that it is gone", PATIENCE, |screen| screen.contains("no daemon answers at"))?;
    ensure!(top.text().contains("redis"), "what was known stays");
    server.start()?;
    server.done(&["add", "redis", "10.77.0.98"])?;
    top.shows("that it is back", PATIENCE, |screen| {
        screen.contains("revision 5") && !screen.contains("no daemon answers")
    })?;
    // Changes are followed again, too.
    xtask::lab::until("news", PATIENCE, || {
        server.done(&["mode", "redis", "monitor"]).ok()?;
        server.done(&["mode", "redis", "enforce"]).ok()?;
        top.text().contains("root: mode redis").then_some(())
    })?;
    // One that hangs, too.
    server.daemon()?.signal(libc::SIGSTOP);
    let silent =
        top.shows("silence", PATIENCE, |screen| screen.contains("no answer from the daemon"));
    server.daemon()?.signal(libc::SIGCONT);
    silent?;
    top.shows("an answer", PATIENCE, |screen| !screen.contains("no answer from the daemon"))?;
    top.press("q")?;
    top.ends_well(0, PATIENCE)
}

/// `top` in the server's namespace, with files in the place of those that the host's resolver reads.
fn resolving(server: &Server, hosts: &str, resolv: &str) -> Result<Terminal> {
    let [hosts, resolv] = [server.write("hosts", hosts)?, server.write("resolv.conf", resolv)?];
    let script =
        r#"mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && exec "$3" top"#;
    let mut command = server.network.server.namespace.command("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", &hosts, &resolv, CTL]);
    let terminal = Terminal::start(command.env("ALLOWLIST_SOCKET", server.socket()))?;
    terminal.shows("bob", PATIENCE, |screen| screen.contains("10.77.0.3"))?;
    Ok(terminal)
}

#[test]
fn names_are_looked_up_only_when_asked_for_and_hold_nothing_up() -> Result<()> {
    let server = closed()?;
    shut_out(server.bob(), server.network.server.port(REDIS)[0])?;
    let mut top = resolving(&server, "10.77.0.3 bob.example\n", "nameserver 127.0.0.1\n")?;
    std::thread::sleep(Duration::from_millis(1200));
    ensure!(!top.text().contains("bob.example"), "{}", top.text());
    top.press("n")?;
    top.shows("a name", PATIENCE, |screen| screen.contains("10.77.0.3 bob.example"))?;
    top.press("/bob.ex\r")?;
    top.shows("it by its name", PATIENCE, |screen| {
        screen.contains("FILTER bob.ex") && screen.contains("1-1 of 1")
    })?;
    top.press("n")?;
    top.shows("no name", PATIENCE, |screen| !screen.contains("bob.example"))?;
    drop(top);

    // A server of names that takes every question and answers none.
    let _silent = server.bob().namespace.inside(|| UdpSocket::bind("10.77.0.3:53"))??;
    let mut top = resolving(&server, "127.0.0.1 localhost\n", "nameserver 10.77.0.3\n")?;
    top.press("n")?;
    top.shows("that it is awaited", PATIENCE, |screen| screen.contains("10.77.0.3 ..."))?;
    // Keys and figures go on meanwhile.
    knock(&server, 30)?;
    top.press("s")?;
    let screen = top.shows("all else", PATIENCE, |screen| {
        screen.contains("by count")
            && line(screen, "udp/7000").is_some_and(|row| row.contains(" 30 "))
    })?;
    ensure!(screen.contains("10.77.0.3 ..."), "it was answered: {screen}");
    top.shows("the end of the wait", PATIENCE, |screen| !screen.contains("..."))?;
    top.press("q")?;
    top.ends_well(0, PATIENCE)
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() -> Result<()> {
    let server = Server::with_options(&[])?;
    let signals = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT];
    for signal in signals {
        let mut top = top(&server)?;
        ensure!(!top.is_restored()?, "it is not even taken over");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(top.pid())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(signal)?)?;
        top.ends_well(0, PATIENCE).with_context(|| format!("signal {signal}"))?;
    }
    for keys in ["q", ESC, CTRL_C, "?\u{3}", "/abc\u{3}"] {
        let mut top = top(&server)?;
        top.press(keys)?;
        top.ends_well(0, PATIENCE).with_context(|| format!("{keys:?}"))?;
    }
    Ok(())
}

#[test]
fn without_a_terminal_it_says_what_there_is_instead() -> Result<()> {
    let server = Server::with_options(&[])?;
    server.fails(&["top"], 2, "status --watch")?;
    server.fails(&["top"], 2, "drops --follow")?;
    server.fails(&["--json", "top"], 2, "leave out --json")?;
    // On a terminal it needs a daemon to begin with, and ends as every command does.
    let mut command = Command::new(CTL);
    let mut top = Terminal::start(command.args(["--socket", "/nowhere/socket", "top"]))?;
    ensure!(top.ends(PATIENCE)? == 3);
    top.shows("why", PATIENCE, |screen| screen.contains("no daemon answers at /nowhere/socket"))?;
    Ok(())
}
