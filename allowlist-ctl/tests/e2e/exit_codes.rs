//! Commands that are refused: each with its exit code and a sentence, and nothing is changed.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use anyhow::{Result, ensure};

use super::support::{CTL, Outcome, Server, readable_by_all};

/// `redis` is closed, `web` is open.
fn server(options: &[&str]) -> Result<Server> {
    let server = Server::with_options(options)?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "--comment", "alice"])?;
    server.done(&["protect", "web", "tcp/8000-8010"])?;
    Ok(server)
}

#[test]
fn each_refusal_has_its_exit_code_and_changes_nothing() -> Result<()> {
    let server = server(&["--interface", "eth0"])?;
    let excepts = server.write("excepts.txt", "!10.0.0.0/8\n")?;
    let everyone = server.write("everyone.txt", "10.0.0.1\n::/0\n")?;
    let bad = server.write("bad.txt", "10.0.0.1\nnonsense\n")?;
    fs::write(server.path("binary.txt"), b"10.0.0.1\n\xff\xfe\n")?;
    let binary = server.path("binary.txt").display().to_string();
    let missing = server.path("missing.txt").display().to_string();
    let table: &[(&[&str], i32, &str)] = &[
        // arguments that can't be read
        (&[], 2, "Usage"),
        (&["protct"], 2, "protct"),
        (&["add"], 2, "NAME"),
        (&["add", "redis"], 2, "CIDR"),
        (&["add", "redis", "300.1.1.1"], 2, "'300.1.1.1' is not an address"),
        (&["add", "redis", "10.0.0.5/24"], 2, "use 10.0.0.0/24 for the network or 10.0.0.5/32"),
        (&["add", "redis", "10.0.0.0/33"], 2, "prefix length"),
        (&["add", "redis", "10.0.0.9-10.0.0.1"], 2, "lower address first"),
        (&["add", "redis", "10.0.0.1-::1"], 2, "same family"),
        (&["add", "redis", "fe80::1%eth0"], 2, "without '%'"),
        (&["add", "redis", "192.0.2.1", "bad1", "bad2"], 2, "'bad2'"),
        (&["add", "Redis", "192.0.2.1"], 2, "'Redis'"),
        (&["add", "../x", "192.0.2.1"], 2, "'../x'"),
        (&["remove", "redis", "nonsense"], 2, "'nonsense'"),
        (&["protect", "1a", "tcp/1"], 2, "'1a'"),
        (&["protect", "new"], 2, "PORT"),
        (&["protect", "new", "6379"], 2, "write tcp/6379"),
        (&["protect", "new", "tcp/0"], 2, "'tcp/0' is not a port"),
        (&["protect", "new", "tcp/65536"], 2, "1 to 65535"),
        (&["protect", "new", "tcp/9-1"], 2, "lower one first"),
        (&["protect", "new", "icmp/1"], 2, "'icmp' is no protocol"),
        (&["protect", "new", "tcp/1", "--mode", "on"], 2, "'on'"),
        (&["attach", "a/b"], 2, "'a/b'"),
        (&["add", "redis", "192.0.2.1", "--if-revision", "x"], 2, "'x'"),
        // failures
        (&["protect", "new", "tcp/6379"], 1, "tcp/6379 of 'new' overlaps tcp/6379 of 'redis'"),
        (&["protect", "new", "tcp/7990-8000"], 1, "overlaps tcp/8000-8010 of 'web'"),
        (&["replace", "redis", "-f", &bad], 1, "line 2: 'nonsense'"),
        (&["replace", "redis", "-f", &binary], 1, "line 2"),
        (&["replace", "redis", "-f", &missing], 1, "missing.txt"),
        // guards and questions
        (&["add", "redis", "0.0.0.0/0"], 5, "0.0.0.0/0 covers every address there is"),
        (&["add", "redis", "::/0", "--yes"], 5, "--force"),
        (&["replace", "redis", "-f", &everyone], 5, "::/0 covers every address"),
        (&["replace", "redis", "-f", &excepts], 5, "nothing but excepts"),
        (&["add", "web", "!10.0.0.0/8"], 5, "nothing but excepts"),
        (&["unprotect", "redis"], 5, "redis is accessible to everyone"),
        (&["remove", "redis", "10.77.0.2"], 5, "redis is accessible to everyone"),
        (&["detach", "eth0"], 5, "accessible to everyone on eth0"),
        // what is not there
        (&["remove", "redis", "192.0.2.1"], 6, "'redis' has no entry 192.0.2.1/32"),
        (&["remove", "redis", "10.77.0.2", "192.0.2.1"], 6, "192.0.2.1/32"),
        (&["remove", "redis", "!10.77.0.2"], 6, "!10.77.0.2/32"),
        (&["add", "nothing", "192.0.2.1"], 6, "there is no service or group 'nothing'"),
        (&["remove", "nothing", "192.0.2.1"], 6, "there is no service or group 'nothing'"),
        (&["list", "nothing"], 6, "there is no service or group 'nothing'"),
        (&["unprotect", "nothing"], 6, "there is no service 'nothing'"),
        (&["attach", "eth9"], 6, "there is no interface 'eth9'"),
        (&["detach", "eth9"], 6, "the filter is not on 'eth9'"),
        // a policy that has moved on
        (&["add", "redis", "192.0.2.1", "--if-revision", "1"], 7, "at revision 3, not 1"),
        (&["unprotect", "web", "--if-revision", "4"], 7, "at revision 3, not 4"),
    ];
    let before = (server.policy()?, server.revision()?);
    ensure!(before.1 == 3);
    let mut wrong = Vec::new();
    for (arguments, code, said) in table {
        wrong.extend(server.fails(arguments, *code, said).err().map(|error| format!("{error}\n")));
        let after = (server.policy()?, server.revision()?);
        ensure!(after == before, "{arguments:?} changed something: {after:?}");
    }
    ensure!(wrong.is_empty(), "{}", wrong.concat());
    server.done(&["add", "redis", "192.0.2.1", "--if-revision", "3"])?;
    server.done(&["add", "redis", "0.0.0.0/0", "--force"])?;
    Ok(())
}

#[test]
fn with_json_a_refusal_is_a_document() -> Result<()> {
    let server = server(&[])?;
    for (arguments, code, kind) in [
        (&["--json", "list", "nothing"][..], 6, "not_found"),
        (&["--json", "add", "redis", "x"], 2, "invalid"),
        (&["--json", "nothing"], 2, "invalid"),
        (&["add", "--json", "redis"], 2, "invalid"),
        (&["--json", "unprotect", "redis"], 5, "unconfirmed"),
        (&["--json", "add", "redis", "10.0.0.1", "--if-revision", "1"], 7, "revision_conflict"),
    ] {
        let outcome = server.ctl(arguments)?;
        ensure!(outcome.code == Some(code) && outcome.stdout.is_empty(), "{outcome:?}");
        let document: serde_json::Value = serde_json::from_str(&outcome.stderr)?;
        ensure!(document["error"]["code"] == kind, "{document}");
    }
    Ok(())
}

#[test]
fn without_a_daemon_every_command_says_so() -> Result<()> {
    let server = Server::prepare(&[])?;
    let list = server.write("list.txt", "10.0.0.1\n")?;
    for arguments in [
        &["status"][..],
        &["list"],
        &["protect", "redis", "tcp/6379"],
        &["add", "redis", "10.0.0.1"],
        &["replace", "redis", "-f", &list],
        &["detach", "eth0", "--yes"],
    ] {
        server.fails(arguments, 3, "no daemon answers at")?;
    }
    // One that was killed leaves its socket behind.
    let mut server = server;
    server.start()?;
    server.daemon()?.kill()?;
    server.fails(&["status"], 3, "no daemon answers at")
}

#[test]
fn who_may_not_open_the_socket_or_lacks_the_role_is_told_so() -> Result<()> {
    let server = server(&[])?;
    let program = readable_by_all(server.directory(), CTL)?;
    let as_nobody = |arguments: &[&str]| -> Result<Outcome> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        Ok(command.args(arguments).env("ALLOWLIST_SOCKET", server.socket()).output()?.into())
    };
    let before = (server.policy()?, server.revision()?);
    let outcome = as_nobody(&["status"])?;
    ensure!(outcome.code == Some(4), "{outcome:?}");
    ensure!(outcome.stderr.contains("may not open the daemon's socket"), "{outcome:?}");

    // Who may open it may read, and needs more to change something.
    fs::set_permissions(server.socket(), fs::Permissions::from_mode(0o666))?;
    for arguments in [&["status"][..], &["list"], &["list", "redis"]] {
        let outcome = as_nobody(arguments)?;
        ensure!(outcome.code == Some(0), "{arguments:?}: {outcome:?}");
    }
    let list = server.write("list.txt", "10.0.0.1\n")?;
    for arguments in [
        &["add", "redis", "10.77.0.3"][..],
        &["remove", "redis", "10.77.0.2", "--yes", "--force"],
        &["replace", "redis", "-f", &list, "--force"],
        &["protect", "new", "tcp/1"],
        &["unprotect", "redis", "--yes"],
        &["attach", "eth0"],
        &["detach", "eth0", "--yes"],
    ] {
        let outcome = as_nobody(arguments)?;
        ensure!(outcome.code == Some(4), "{arguments:?}: {outcome:?}");
        ensure!(
            outcome.stderr.contains("this needs the role ")
                && outcome.stderr.contains("admin, and you are a viewer"),
            "{arguments:?}: {outcome:?}"
        );
    }
    ensure!((server.policy()?, server.revision()?) == before);
    Ok(())
}
