//! Names complete in the shells, from the daemon that runs.

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::support::{CTL, Server};

/// How each shell is asked what completes the last of these words; it reads the script from a file first.
const SHELLS: [(&str, &str); 3] = [
    (
        "bash",
        r#". "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _clap_complete_allowlist_ctl allowlist-ctl "${COMP_WORDS[COMP_CWORD]}"
        printf '%s\n' "${COMPREPLY[@]}""#,
    ),
    (
        "zsh",
        r#"compdef() { :; }
        _describe() { print -l -- ${(P)3} }
        . "$1"; shift
        words=("$@") CURRENT=$#
        _clap_dynamic_completer_allowlist_ctl"#,
    ),
    ("fish", r"source $argv[1]; complete --do-complete (string join -- ' ' $argv[2..])"),
];

/// What a shell proposes, without the help that some show beside it.
fn proposed(server: &Server, shell: &str, program: &str, words: &str) -> Result<Vec<String>> {
    let script = server.done(&["completions", shell])?;
    let script = server.write("completions", &script)?;
    let programs = Path::new(CTL).parent().context("no directory")?;
    let path = env::join_paths(
        [programs.to_owned()]
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    )?;
    let mut command = Command::new(shell);
    command.arg("-c").arg(program);
    if shell != "fish" {
        command.arg(shell);
    }
    let output = command
        .arg(script)
        .args(words.split(' '))
        .env("PATH", path)
        .env("ALLOWLIST_SOCKET", server.socket())
        .env("HOME", server.directory())
        .output()
        .with_context(|| format!("{shell} can't be run"))?;
    let said = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.is_empty(), "{shell} of {words:?}: {errors}");
    let words = said.split(['\n', '\u{b}']).map(|line| line.split([':', '\t']).next());
    Ok(words.flatten().filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

#[test]
fn names_complete_from_the_daemon_in_each_shell() -> Result<()> {
    let server = Server::new()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["protect", "web", "tcp/80"])?;
    server.done(&["group", "regulars"])?;
    for (shell, program) in SHELLS {
        for (words, expected) in [
            ("allowlist-ctl add re", &["redis", "regulars"][..]),
            ("allowlist-ctl unprotect re", &["redis"]),
            ("allowlist-ctl ungroup re", &["regulars"]),
            ("allowlist-ctl protect web tcp/80 --include re", &["regulars"]),
            ("allowlist-ctl detach et", &["eth0"]),
            ("allowlist-ctl unpro", &["unprotect"]),
            ("allowlist-ctl mode web mon", &["monitor"]),
        ] {
            let found = proposed(&server, shell, program, words)?;
            ensure!(found == expected, "{shell} of {words:?}: {found:?}");
        }
    }
    Ok(())
}

#[test]
fn without_a_daemon_commands_complete_and_names_do_not() -> Result<()> {
    let server = Server::prepare(&[])?;
    for (shell, program) in SHELLS {
        for (words, expected) in
            [("allowlist-ctl unpro", &["unprotect"][..]), ("allowlist-ctl unprotect re", &[])]
        {
            let found = proposed(&server, shell, program, words)?;
            ensure!(found == expected, "{shell} of {words:?}: {found:?}");
        }
    }
    Ok(())
}
