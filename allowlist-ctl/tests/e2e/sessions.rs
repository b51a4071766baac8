//! Commands typed over SSH: the guard names the caller's own session first.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::{Host, Process};

use super::support::{CTL, Outcome, PATIENCE, Server};

/// The port of sshd.
const SSH: u16 = 22;

/// An sshd of the server's namespace that lets root in by one key, and knows nothing of the machine's own.
struct Sshd {
    _process: Process,
    key: String,
}

impl Sshd {
    fn start(server: &Server) -> Result<Self> {
        let directory = server.path("ssh");
        fs::create_dir(&directory)?;
        let at = |name: &str| directory.join(name).display().to_string();
        for key in [at("host"), at("operator")] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
                .stdin(Stdio::null())
                .status()
                .context("ssh-keygen (of openssh-client) can't be run")?;
            ensure!(made.success(), "no key {key}");
        }
        let config = format!(
            "Port {SSH}\nListenAddress 0.0.0.0\nListenAddress ::\nHostKey {}\nPidFile none\n\
             AuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n",
            at("host"),
            at("operator.pub"),
        );
        fs::write(directory.join("config"), config)?;
        // Where sshd locks up what it does not trust; Debian makes it when the service starts.
        let empty = Path::new("/run/sshd");
        if !empty.exists() {
            fs::create_dir(empty)?;
            fs::set_permissions(empty, Permissions::from_mode(0o755))?;
        }
        let host = &server.network.server;
        let mut command = host.namespace.command("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f", &at("config")]);
        let mut process = Process::spawn("sshd", &mut command, &directory)?;
        for address in host.port(SSH) {
            process.ready_at(&host.namespace, address)?;
        }
        Ok(Self { _process: process, key: at("operator") })
    }

    /// Runs a command on the server over SSH; an address of IPv6 is to be without brackets.
    fn run(&self, from: &Host, address: &str, command: &str) -> Result<Outcome> {
        let mut ssh = from.namespace.command("ssh");
        ssh.args([
            "-F",
            "none",
            "-i",
            &self.key,
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentityAgent=none",
        ])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10"])
        .args([&format!("root@{address}"), command])
        .stdin(Stdio::null());
        Ok(ssh.output().context("ssh (of openssh-client) can't be run")?.into())
    }
}

#[test]
fn the_callers_own_ssh_session_is_named_first() -> Result<()> {
    let server = Server::new()?;
    let sshd = Sshd::start(&server)?;
    server.make("PUT /v1/services/ssh", &json!({"ports": ["tcp/22"]}))?;
    let here = &server.network.server;
    for (to, address) in here.port(SSH).into_iter().zip(["10.77.0.1", "fd77::1"]) {
        // Connections of another host, which come first by their addresses.
        let others = (0..2).map(|_| server.alice().namespace.connect(to, PATIENCE));
        let others = others.collect::<Result<Vec<_>>>()?;
        let before = (server.policy()?, server.revision()?);
        // The exit code, and what is told on the one or the other of stdout and stderr.
        let run = |environment: &str, options: &str| -> Result<(i32, Value)> {
            let socket = server.socket().display().to_string();
            let command = format!("{CTL} --socket {socket} --json add ssh 192.0.2.1 {options}");
            // The shell stays, as that of somebody who types does.
            let command = format!("{environment} {command}; exit $?");
            let outcome = sshd.run(server.bob(), address, &command)?;
            let told = format!("{}{}", outcome.stdout, outcome.stderr);
            let told = serde_json::from_str(&told).with_context(|| format!("{outcome:?}"))?;
            Ok((outcome.code.context("no exit code")?, told))
        };

        let (code, told) = run("", "--dry-run")?;
        ensure!(code == 0 && told["cuts"].as_array().is_some_and(|cuts| cuts.len() == 3), "{told}");
        ensure!(told["cuts"][0]["own_session"] == true, "{told}");
        for environment in ["", "sudo", "env -i"] {
            let (code, answer) = run(environment, "--yes")?;
            let problem = &answer["error"];
            ensure!(code == 5 && problem["code"] == "guarded", "{environment}: {answer}");
            let message = "this would cut 3 established connections, your own SSH session among \
                           them; nothing was changed";
            ensure!(problem["message"] == message, "{environment}: {problem}");
            let [own, rest @ ..] = problem["cuts"].as_array().context("no cuts")?.as_slice() else {
                anyhow::bail!("no cuts: {problem}");
            };
            let bob = if to.is_ipv4() { "10.77.0.3:" } else { "[fd77::3]:" };
            ensure!(own["own_session"] == true && own["service"] == "ssh", "{problem}");
            ensure!(own["peer"].as_str().is_some_and(|peer| peer.starts_with(bob)), "{problem}");
            ensure!(own["local"] == json!(to), "{problem}");
            ensure!(rest.iter().all(|cut| cut["own_session"].is_null()), "{problem}");
        }
        // Who comes from elsewhere is told of the others, and of none as their own.
        server.fails(
            &["add", "ssh", "192.0.2.1"],
            5,
            "would cut 2 established connections; nothing",
        )?;
        drop(others);

        let (_, answer) = run("", "")?;
        let message = answer["error"]["message"].to_string();
        ensure!(message.contains("this would cut your own SSH session; nothing"), "{answer}");
        ensure!((server.policy()?, server.revision()?) == before);
    }
    Ok(())
}

#[test]
fn a_session_that_cannot_be_read_is_refused() -> Result<()> {
    let server = Server::with_options(&[])?;
    server.make("PUT /v1/services/ssh", &json!({"ports": ["tcp/22"]}))?;
    let entry = json!({"entries": [{"entry": "192.0.2.1"}]});
    for session in ["", "192.0.2.1:1", "192.0.2.1%7C10.0.0.1:22", "a:1%7Cb:2"] {
        let line = format!("POST /v1/lists/ssh/add?session={session}");
        let problem = server.ask(&line, &entry)?.refused(400, "invalid")?;
        ensure!(problem["message"].to_string().contains("is not an SSH session"), "{problem}");
    }
    // One that is not there is no reason to refuse.
    let line = "POST /v1/lists/ssh/add?session=192.0.2.1:1%7C10.0.0.1:22";
    server.make(line, &entry).map(drop)
}
