//! The daemon does what `/v1/openapi.json` says: asked by schemathesis in every way that the description has, and in
//! some that it has not.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::support::{Outcome, PATIENCE, Server, bridge, exchange};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api");
/// The same every time, so that a failure comes again; `ALLOWLIST_API_SEED` sets another one.
const SEED: &str = "20261125";
/// Examples of each operation; `ALLOWLIST_API_EXAMPLES` sets another number.
const EXAMPLES: &str = "20";
/// So many seeds are tried until every operation was done.
const ATTEMPTS: u64 = 3;
/// The first would end it, the second has no end, and the third is asked for before all.
const NOT_ASKED: [&str; 3] = ["shutdown", "events", "openapi"];

/// An environment of its own for exactly the packages of `requirements.txt`.
fn schemathesis() -> Result<PathBuf> {
    let requirements = fs::read_to_string(Path::new(FILES).join("requirements.txt"))?;
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    let program = environment.join("bin/st");
    // Written last, when all is there.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|known| known == requirements) {
        return Ok(program);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .context("no environment for Python; `cargo xtask setup` installs what that takes")?;
    let pip = environment.join("bin/pip");
    let listed = Path::new(FILES).join("requirements.txt");
    run(Command::new(pip).args(["install", "--quiet", "--no-deps", "--requirement"]).arg(listed))
        .context("schemathesis cannot be installed from PyPI")?;
    fs::write(installed, requirements)?;
    Ok(program)
}

fn run(command: &mut Command) -> Result<Outcome> {
    let outcome: Outcome = command.output()?.into();
    ensure!(outcome.code == Some(0), "{command:?}: {}{}", outcome.stdout, outcome.stderr);
    Ok(outcome)
}

/// What the daemon says of itself.
fn description(server: &Server) -> Result<Value> {
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(&server.socket(), request)?;
    ensure!(answer.status() == Some(200), "{answer:?}");
    ensure!(answer.0.contains("content-type: application/json\r\n"), "{answer:?}");
    answer.json().context("the description is not JSON")
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// How often an operation was answered with each status.
type Answers = BTreeMap<String, BTreeMap<u16, u64>>;

/// Asks the daemon whatever comes to schemathesis' mind, and fails where an answer is not as described.
fn asked(server: &Server, program: &Path, seed: u64) -> Result<Answers> {
    let namespace = &server.network.server.namespace;
    let daemon = format!("http://{}", bridge(namespace, server.socket())?);
    let answers = server.path("answers.json");
    let (seed, examples) = (seed.to_string(), setting("ALLOWLIST_API_EXAMPLES", EXAMPLES));
    eprintln!("seed {seed}, {examples} examples of each operation");
    let outcome: Outcome = namespace
        .command(program)
        .arg("--no-color")
        .args(["--config-file", &format!("{FILES}/schemathesis.toml")])
        .args(["run", &format!("{daemon}/v1/openapi.json")])
        .args(["--seed", &seed, "--max-examples", &examples])
        .current_dir(server.directory())
        .env("PYTHONPATH", FILES)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DAEMON", &daemon)
        .env("ANSWERS", &answers)
        .output()?
        .into();
    eprintln!("{}", outcome.stdout);
    ensure!(outcome.code == Some(0), "{}{}", outcome.stdout, outcome.stderr);
    let answers = fs::read(answers).context("nothing was asked")?;
    Ok(serde_json::from_slice(&answers)?)
}

/// The operations of the description that are to be asked, and have never been done.
fn never_done(server: &Server, answers: &Answers) -> Result<Vec<String>> {
    let description = description(server)?;
    let paths = description["paths"].as_object().context("no paths")?;
    let operations = paths.values().filter_map(Value::as_object).flat_map(|path| path.values());
    let ids = operations.filter_map(|operation| operation["operationId"].as_str());
    let done = |id: &str| answers.get(id).is_some_and(|statuses| statuses.contains_key(&200));
    Ok(ids.filter(|id| !NOT_ASKED.contains(id) && !done(id)).map(ToOwned::to_owned).collect())
}

#[test]
fn the_daemon_answers_as_its_description_says() -> Result<()> {
    let program = schemathesis()?;
    let server = Server::new()?;
    let first: u64 = setting("ALLOWLIST_API_SEED", SEED).parse()?;
    let mut all = Answers::new();
    // What is done depends on what chance has made and removed before; another seed does the rest.
    for seed in first..first + ATTEMPTS {
        for (id, statuses) in asked(&server, &program, seed)? {
            let known = all.entry(id).or_default();
            for (status, count) in statuses {
                *known.entry(status).or_default() += count;
            }
        }
        if never_done(&server, &all)?.is_empty() {
            return server.status().map(drop);
        }
    }
    let unmet = never_done(&server, &all)?;
    bail!("never done: {}; answered: {all:#?}", unmet.join(", "))
}

#[test]
fn a_method_that_is_not_to_be_had_is_answered_with_those_that_are() -> Result<()> {
    let server = Server::with_options(&[])?;
    let table = [
        ("POST /v1/status", "GET,HEAD"),
        ("PATCH /v1/lists/redis", "GET,HEAD,PUT"),
        ("GET /v1/services/redis", "PUT,DELETE"),
        ("OPTIONS /v1/shutdown", "POST"),
    ];
    for (line, allowed) in table {
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(&server.socket(), request.as_bytes())?;
        ensure!(answer.status() == Some(405), "{line}: {answer:?}");
        ensure!(answer.0.contains(&format!("allow: {allowed}\r\n")), "{line}: {answer:?}");
    }
    Ok(())
}

#[test]
fn the_answer_without_end_is_of_the_type_that_is_described() -> Result<()> {
    let server = Server::with_options(&[])?;
    let description = description(&server)?;
    let content = &description["paths"]["/v1/events"]["get"]["responses"]["200"]["content"];
    let (described, _) =
        content.as_object().and_then(|types| types.iter().next()).context("no type")?;
    let mut stream = UnixStream::connect(server.socket())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head)?;
    ensure!(head.contains(&format!("content-type: {described}\r\n")), "{described}: {head}");
    Ok(())
}
