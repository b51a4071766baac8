//! Completion of what is being typed.
//!
//! A shell's script runs this program with [`VARIABLE`] in its environment and the words so far; services, groups and
//! interfaces are those of the daemon and of this host at that moment.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::Command;
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCandidates, CompletionCandidate},
    env::{Bash, EnvCompleter, Fish, Zsh},
};
use serde::Deserialize;

use super::{
    args::{Shell, socket_at},
    client::Client,
    request::Request,
};
use crate::kernel;

const VARIABLE: &str = "ALLOWLIST_CTL_COMPLETE";
const PROGRAM: &str = "allowlist-ctl";

/// Nobody waits longer for a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// What names something that is there.
#[derive(Clone, Copy)]
enum Names {
    Services,
    Groups,
    Lists,
    /// What rows of the audit trail may be about.
    Subjects,
    /// This host's.
    Interfaces,
    /// Those that the filter is to be on.
    Attached,
}

/// Which arguments of which commands take them.
const TAKEN: &[(&[&str], &str, Names)] = &[
    (&["protect", "unprotect", "mode", "learn"], "name", Names::Services),
    (&["check"], "port", Names::Services),
    (&["group", "ungroup"], "name", Names::Groups),
    (&["protect"], "include", Names::Groups),
    (&["add", "remove", "replace", "edit", "list", "try"], "name", Names::Lists),
    (&["audit"], "name", Names::Subjects),
    (&["protect"], "interfaces", Names::Interfaces),
    (&["attach", "check"], "interface", Names::Interfaces),
    (&["detach"], "interface", Names::Attached),
];

/// What a status says of names, whatever else a daemon of another release says.
#[derive(Deserialize)]
struct Status {
    services: Vec<Named>,
    groups: Vec<Named>,
    interfaces: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Answers a shell, and ends the process, where one asks.
pub(super) fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).completer(PROGRAM).complete();
}

/// Writes what has a shell ask.
///
/// # Errors
/// What the writer answered.
pub(super) fn script(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, out)?;
    if Zsh.is(shell.name()) {
        // As a file of zsh's own functions it is run for the first time when there is something to complete.
        writeln!(
            out,
            "if [ \"$funcstack[1]\" = \"_{PROGRAM}\" ]; then _clap_dynamic_completer_{} \"$@\"; fi",
            PROGRAM.replace('-', "_")
        )?;
    }
    Ok(())
}

/// The commands and options, with what completes them.
fn command() -> Command {
    super::command().mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        // One by one, a changed argument would come to be the last of those without a name.
        command.mut_args(|argument| {
            let id = argument.get_id().as_str();
            match TAKEN.iter().find(|(of, taken, _)| of.contains(&&*name) && *taken == id) {
                Some((.., names)) => {
                    argument.add(ArgValueCandidates::new(|| names.candidates(env::args_os())))
                }
                None => argument,
            }
        })
    })
}

impl Names {
    /// Those that there are; none where nobody can be asked.
    fn candidates(self, words: impl Iterator<Item = OsString>) -> Vec<CompletionCandidate> {
        let names: BTreeSet<String> = match self {
            Self::Interfaces => kernel::interfaces()
                .unwrap_or_default()
                .into_iter()
                .map(|interface| interface.name)
                .collect(),
            _ => status(socket(words)).map(|status| self.among(&status)).unwrap_or_default(),
        };
        names.into_iter().map(CompletionCandidate::new).collect()
    }

    fn among(self, status: &Status) -> BTreeSet<String> {
        let names = |named: &[Named]| named.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let [services, groups, interfaces] =
            [&status.services, &status.groups, &status.interfaces].map(|named| names(named));
        let lists = match self {
            Self::Services => vec![services],
            Self::Groups => vec![groups],
            Self::Lists => vec![services, groups],
            Self::Subjects => vec![services, groups, interfaces],
            Self::Interfaces | Self::Attached => vec![interfaces],
        };
        lists.into_iter().flatten().collect()
    }
}

/// The socket that somebody typed, or else the one without.
fn socket(mut words: impl Iterator<Item = OsString>) -> PathBuf {
    let typed = words.find_map(|word| {
        let word = word.into_string().ok()?;
        if word == "--socket" {
            return Some(None);
        }
        word.strip_prefix("--socket=").map(|path| Some(path.into()))
    });
    let typed = typed.and_then(|here| here.or_else(|| words.next()));
    socket_at(typed.or_else(|| env::var_os("ALLOWLIST_SOCKET")).unwrap_or_default())
}

/// What the daemon says, if it does so soon.
fn status(socket: PathBuf) -> Option<Status> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let asked = Client::new(&socket)
            .and_then(|client| client.send(&Request::get("/v1/status"))?.document::<Status>());
        sender.send(asked.ok())
    });
    receiver.recv_timeout(PATIENCE).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{
        super::testing::{FakeDaemon, http},
        *,
    };

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split_whitespace().map(OsString::from).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_table_names_arguments_that_there_are() {
        let all = command();
        for (commands, argument, _) in TAKEN {
            for command in *commands {
                let command = all.find_subcommand(command).unwrap();
                let found = command.get_arguments().find(|found| found.get_id() == argument);
                assert!(found.unwrap().get::<ArgValueCandidates>().is_some(), "{argument}");
            }
        }
    }

    #[test]
    fn the_socket_that_was_typed_is_asked() {
        for (line, expected) in [
            ("allowlist-ctl -- allowlist-ctl --socket /a add r", "/a"),
            ("allowlist-ctl -- allowlist-ctl add --socket=/b r", "/b"),
            ("allowlist-ctl -- allowlist-ctl add r", "/run/allowlist/allowlistd.sock"),
            ("allowlist-ctl -- allowlist-ctl --socket", "/run/allowlist/allowlistd.sock"),
        ] {
            assert_eq!(socket(words(line)), PathBuf::from(expected), "{line}");
        }
    }

    #[test]
    fn nobody_waits_long_for_a_word() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        assert!(status(path.clone()).is_none());
        // It takes connections and says nothing.
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let begin = Instant::now();
        assert!(status(path).is_none());
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn names_are_those_that_the_daemon_has() {
        let status = r#"{"services": [{"name": "web", "new": 1}, {"name": "redis"}], "new": 1,
            "groups": [{"name": "trusted"}, {"name": "office"}], "interfaces": [{"name": "eth0"}]}"#;
        for (names, expected) in [
            (Names::Services, &["redis", "web"][..]),
            (Names::Groups, &["office", "trusted"]),
            (Names::Lists, &["office", "redis", "trusted", "web"]),
            (Names::Subjects, &["eth0", "office", "redis", "trusted", "web"]),
            (Names::Attached, &["eth0"]),
        ] {
            let daemon = FakeDaemon::answering([http(200, status)]);
            let line = format!("a -- a --socket {} add", daemon.socket().display());
            let found = names.candidates(words(&line));
            let found: Vec<_> = found.iter().map(|one| one.get_value().to_str().unwrap()).collect();
            assert_eq!(found, expected);
            assert!(daemon.requests()[0].starts_with("GET /v1/status "));
        }
        assert!(Names::Services.candidates(words("a --socket /none")).is_empty());
        let own = Names::Interfaces.candidates(words(""));
        assert!(own.iter().any(|interface| interface.get_value() == "lo"));
    }
}
