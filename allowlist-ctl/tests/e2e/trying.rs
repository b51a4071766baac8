//! A policy on trial: who would be judged otherwise is told, and nobody is.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::{Connection, PingLoop, Process, until};

use super::{
    learning::{begin, interrupted},
    support::{PATIENCE, REDIS, Server, User, served, shut_out},
};

/// `redis` admits alice.
fn server() -> Result<Server> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "fd77::2"])?;
    Ok(server)
}

/// Waits until something is on trial, or nothing is.
pub(crate) fn on_trial(server: &Server, is_on: bool) -> Result<()> {
    until("the trial", PATIENCE, || {
        (server.status().ok()?["trial"].is_null() != is_on).then_some(())
    })
}

/// Begins a trial that lasts until it is ended.
fn trial(server: &Server, arguments: &[&str]) -> Result<Process> {
    let trial = begin(server, "try", &[&["try"], arguments, &["--for", "1h"]].concat())?;
    on_trial(server, true)?;
    Ok(trial)
}

/// The sources of a report: address, service and what would become of them.
fn sources(report: &Value) -> Vec<[&str; 3]> {
    let sources = report["sources"].as_array().into_iter().flatten();
    let told = sources.map(|one| {
        ["source", "service", "would"].map(|field| one[field].as_str().unwrap_or_default())
    });
    told.collect()
}

#[test]
fn who_would_be_dropped_or_admitted_is_told_and_nobody_is() -> Result<()> {
    let server = server()?;
    let [v4, v6] = server.network.server.port(REDIS);
    let pings = PingLoop::start(Connection::open(server.alice(), v4, PATIENCE)?, Duration::ZERO);
    let list = server.write("bob.txt", "10.77.0.3 # bob\nfd77::2 # alice over IPv6\n")?;
    let before = (server.get("/v1/policy")?, server.trail()?.len());
    let trial = trial(&server, &["redis", "-f", &list])?;
    shut_out(server.bob(), v4)?;
    shut_out(server.bob(), v6)?;
    served(server.alice(), v6)?;
    let answers = pings.answers();
    until("answers", PATIENCE, || (pings.answers() > answers + 10).then_some(()))?;
    let report = until("the sources", PATIENCE, || {
        let report = server.get("/v1/trial").ok()?;
        (sources(&report).len() == 2).then_some(report)
    })?;
    let expected = [["10.77.0.2", "redis", "dropped"], ["10.77.0.3", "redis", "admitted"]];
    ensure!(sources(&report) == expected, "{report}");
    ensure!(report["newly_dropped"].as_u64() > Some(9), "{report}");
    ensure!(report["packets"].as_u64() > report["newly_dropped"].as_u64(), "{report}");
    let cut = &report["cuts"];
    ensure!(cut.as_array().map(Vec::len) == Some(1), "{report}");
    ensure!(cut[0]["peer"].to_string().starts_with("\"10.77.0.2:"), "{report}");

    // One at a time; and what is in force may change meanwhile.
    server.fails(&["try", "redis", "-f", &list], 5, "'replace redis' of root is on trial, for ")?;
    let after = (server.get("/v1/policy")?, server.trail()?.len());
    ensure!(after == before, "a trial has changed something: {after:?}");
    server.done(&["add", "redis", "192.0.2.1"])?;
    let said = interrupted(trial)?;
    for line in [
        "on trial for 1h, until 2",
        "'replace redis' was on trial for ",
        "moved on from revision 2 to 3",
        "Would be dropped: 1 source, ",
        "Would be admitted: 1 source, ",
        "Would be cut: 1 established connection",
        &format!("To enforce it: allowlist-ctl replace redis -f {list}"),
    ] {
        ensure!(said.contains(line), "no {line:?} in {said}");
    }
    ensure!(!said.contains("Nothing would change"), "{said}");
    on_trial(&server, false)?;
    let log = server.log();
    ensure!(log.contains("'replace redis' is on trial") && log.contains("seconds=3600"), "{log}");
    // It is no longer judged by, and all is as it was.
    let ended = server.get("/v1/trial")?;
    ensure!(!ended["ended"].is_null(), "{ended}");
    served(server.alice(), v4)?;
    shut_out(server.bob(), v4)?;
    ensure!(server.get("/v1/trial")? == ended);
    Ok(())
}

#[test]
fn services_are_called_by_whichever_policy_drops_their_packets() -> Result<()> {
    let server = server()?;
    let [v4, _] = server.network.server.port(REDIS);
    let policy = server.write(
        "policy.toml",
        "[service.valkey]\nports = [\"tcp/6379\"]\nentries = [\"10.77.0.3\"]\n",
    )?;
    let trial = trial(&server, &["-f", &policy])?;
    served(server.alice(), v4)?;
    shut_out(server.bob(), v4)?;
    let report = server.get("/v1/trial")?;
    let expected = [["10.77.0.2", "valkey", "dropped"], ["10.77.0.3", "redis", "admitted"]];
    ensure!(sources(&report) == expected, "{report}");
    let said = interrupted(trial)?;
    ensure!(said.contains(&format!("To enforce it: allowlist-ctl apply -f {policy}")), "{said}");
    // The policy in force is on trial: nobody would notice.
    let policy = server.write("same.toml", &server.done(&["export"])?)?;
    let mut same = begin(&server, "same", &["try", "-f", &policy, "--for", "2s"])?;
    on_trial(&server, true)?;
    served(server.alice(), v4)?;
    shut_out(server.bob(), v4)?;
    same.wait(PATIENCE)?;
    let said = same.log();
    ensure!(said.contains("It is the policy that was in force when it began."), "{said}");
    ensure!(said.contains("Nothing would change for anybody seen in 2 s."), "{said}");
    ensure!(!said.contains("; 0 packets were"), "{said}");
    Ok(())
}

#[test]
fn a_trial_ends_though_the_client_is_gone() -> Result<()> {
    let server = server()?;
    let [v4, _] = server.network.server.port(REDIS);
    let list = server.write("bob.txt", "10.77.0.3\n")?;
    let mut gone = begin(&server, "gone", &["try", "redis", "-f", &list, "--for", "2s"])?;
    on_trial(&server, true)?;
    gone.kill()?;
    served(server.alice(), v4)?;
    on_trial(&server, false)?;
    let report = server.get("/v1/trial")?;
    ensure!(!report["ended"].is_null() && report["newly_dropped"].as_u64() > Some(0), "{report}");
    served(server.alice(), v4)?;
    shut_out(server.bob(), v4)?;
    ensure!(server.get("/v1/trial")? == report);
    // There is room for another one.
    let again = json!({"entries": [{"entry": "10.77.0.3"}]});
    let told = server.make("POST /v1/trial/redis?seconds=600", &again)?;
    let other = told["id"].as_u64().context("no id")? + 1;
    let line = format!("DELETE /v1/trial?id={other}");
    server.ask(&line, &Value::Null)?.refused(404, "not_found")?;
    on_trial(&server, true)?;
    let said = server.done(&["try", "--end"])?;
    ensure!(said.starts_with("'replace redis' was on trial for "), "{said}");
    on_trial(&server, false)
}

#[test]
fn a_daemon_that_ends_during_a_trial_leaves_what_is_in_force() -> Result<()> {
    let mut server = server()?;
    let [v4, _] = server.network.server.port(REDIS);
    for is_killed in [true, false] {
        let body = json!({"entries": [{"entry": "10.77.0.3"}]});
        server.make("POST /v1/trial/redis?seconds=600", &body)?;
        let daemon = server.daemon()?;
        if is_killed {
            daemon.kill()?
        } else {
            daemon.terminate()?
        };
        served(server.alice(), v4)?;
        shut_out(server.bob(), v4)?;
        server.start()?;
        on_trial(&server, false)?;
        server.ask("GET /v1/trial", &Value::Null)?.refused(404, "not_found")?;
        served(server.alice(), v4)?;
        shut_out(server.bob(), v4)?;
    }
    Ok(())
}

#[test]
fn what_could_not_be_changed_is_not_tried() -> Result<()> {
    let server = server()?;
    let write = |name: &str, text: &str| server.write(name, text);
    let bad = write("bad.txt", "10.77.0.3\nnonsense\n")?;
    let good = write("good.txt", "10.77.0.3\n")?;
    let toml = write(
        "bad.toml",
        "[service.a]\nports = [\"tcp/80\"]\n[service.b]\nports = [\"tcp/80\"]\n",
    )?;
    let table: [(&[&str], i32, &str); 5] = [
        (&["try", "redis", "-f", &bad], 1, "line 2: 'nonsense' is not an address"),
        (&["try", "valkey", "-f", &good], 6, "there is no service or group 'valkey'"),
        (&["try", "-f", &toml], 1, "overlaps"),
        (&["try", "redis", "-f", "/nowhere"], 1, "cannot read /nowhere"),
        (&["try", "redis", "-f", &good, "--for", "0s"], 2, "'0s' is no time at all"),
    ];
    for (command, code, said) in table {
        server.fails(command, code, said)?;
    }
    for seconds in [0, 604_801] {
        let line = format!("POST /v1/trial?seconds={seconds}");
        server.ask(&line, &json!({}))?.refused(400, "invalid")?;
    }
    on_trial(&server, false)
}

#[test]
fn admins_alone_put_policies_on_trial() -> Result<()> {
    let access =
        "[access]\nadmins = [\"4001\"]\n[[access.editor]]\nname = \"redis\"\nwho = [\"4003\"]\n";
    let server = Server::for_users(access)?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let body = json!({"entries": [{"entry": "10.77.0.3"}]});
    for (user, may) in [(User::new(4003), false), (User::new(4001), true)] {
        for (line, body) in [
            ("POST /v1/trial/redis?seconds=600", &body),
            ("DELETE /v1/trial", &Value::Null),
            ("POST /v1/trial?seconds=600", &json!({})),
        ] {
            let reply = user.ask(&server, line, body)?;
            ensure!((reply.status == 200) == may, "{line}: {reply:?}");
            ensure!(may || reply.status == 403, "{line}: {reply:?}");
        }
    }
    User::new(4003).ask(&server, "GET /v1/trial", &Value::Null)?.done().map(drop)
}
