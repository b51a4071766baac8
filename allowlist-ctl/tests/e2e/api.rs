//! The daemon does what `/v1/openapi.json` says: asked by schemathesis in every way that the description has, and in
//! some that it has not.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::support::{Outcome, Server, bridge};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api");
/// The same every time, so that a failure comes again; `ALLOWLIST_API_SEED` sets another one.
const SEED: &str = "20261125";
/// Examples of each operation; `ALLOWLIST_API_EXAMPLES` sets another number.
const EXAMPLES: &str = "20";
/// The first would end it, the second has no end, and the third is asked for before all.
const NOT_ASKED: [&str; 3] = ["shutdown", "followDrops", "openapi"];

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

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[test]
fn the_daemon_answers_as_its_description_says() -> Result<()> {
    let program = schemathesis()?;
    let server = Server::new()?;
    let namespace = &server.network.server.namespace;
    let daemon = format!("http://{}", bridge(namespace, server.socket())?);
    let answers = server.path("answers.json");
    let (seed, examples) =
        (setting("ALLOWLIST_API_SEED", SEED), setting("ALLOWLIST_API_EXAMPLES", EXAMPLES));
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
    ensure!(outcome.code == Some(0), "{}{}", outcome.stdout, outcome.stderr);
    eprintln!("{}", outcome.stdout);

    let answers = fs::read(answers).context("nothing was asked")?;
    let answers: BTreeMap<String, BTreeMap<u16, u64>> = serde_json::from_slice(&answers)?;
    let description: Value = serde_json::from_str(
        &run(Command::new("curl")
            .args(["--silent", "--fail", "--unix-socket"])
            .arg(server.socket())
            .arg("http://localhost/v1/openapi.json"))?
        .stdout,
    )?;
    let paths = description["paths"].as_object().context("no paths")?;
    let operations = paths.values().filter_map(Value::as_object).flat_map(|path| path.values());
    let mut unmet = Vec::new();
    for id in operations.filter_map(|operation| operation["operationId"].as_str()) {
        if !NOT_ASKED.contains(&id)
            && answers.get(id).is_none_or(|statuses| !statuses.contains_key(&200))
        {
            unmet.push(id.to_owned());
        }
    }
    ensure!(unmet.is_empty(), "never done: {}; answered: {answers:#?}", unmet.join(", "));
    server.status().map(drop)
}
