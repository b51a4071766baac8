//! The guide's page of all commands, made of the definitions of the command lines.

use std::fmt::Write as _;

use allowlist::{cli, daemon};
use clap::{Arg, Command};

/// Where the page is, from the project's root.
pub(super) const PAGE: &str = "docs/reference/commands.md";
/// What writes it there.
pub(super) const RENEW: &str = "cargo run -p allowlist-ctl --example pages";

const HEAD: &str = "\
# Commands

`allowlist-ctl` says who may reach which port; `allowlistd` is the daemon that it asks. What a command does is in force when
it returns. `COMMAND --help` says on the terminal what stands here, and `man allowlist-ctl-add` does where the package is
installed. Names of commands, options, services, groups and interfaces complete with the Tab key in bash, zsh and fish.
";

const EXIT_CODES: &str = "
## Exit codes

Errors go to standard error: one sentence, and what to do next. With `--json` they are a document on standard error.

| code | means |
| --- | --- |
| 0 | done; also where nothing had to be changed |
| 1 | failed: the daemon could not do it, or a line of a file cannot be read |
| 2 | usage: an argument is missing, unknown or cannot be read |
| 3 | no daemon answers at the socket |
| 4 | the caller's role does not allow it, or the socket may not be opened: see [roles](../roles.md) |
| 5 | refused by a guard; not answered with yes; a change waits to be confirmed; a policy is on trial; or a group is still included |
| 6 | something that was named does not exist |
| 7 | the policy is at another revision than `--if-revision` says |
| 10 | `check` says that a packet would be dropped, or that an assertion does not hold |

`allowlistd` ends with 0, with 1 where it fails, and with 2 where its arguments cannot be read.
";

const TAIL: &str = "
## Where to go on

[The configuration](configuration.md) has what the daemon's file may say, and [the API](api.md) what programs ask for at the
socket.
";

/// The options of each change, by their names.
const OF_CHANGES: [&str; 5] = ["yes", "force", "dry_run", "confirm", "if_revision"];

/// The page.
pub(super) fn commands() -> String {
    let mut client = cli::command().disable_help_subcommand(true);
    client.build();
    let mut daemon = daemon::command();
    daemon.build();

    let mut page = format!("<!-- Not edited by hand: `{RENEW}` writes it. -->\n\n{HEAD}\n");
    page += "| command | does |\n| --- | --- |\n";
    for command in client.get_subcommands() {
        let (name, about) = (command.get_name(), about(command));
        let _ = writeln!(page, "| [`{name}`](#allowlist-ctl-{name}) | {} |", cell(&about));
    }
    let _ = writeln!(page, "| [`allowlistd`](#allowlistd) | {} |", cell(&about(&daemon)));
    page += EXIT_CODES;

    page += "\n## Options of every command\n\n";
    page += &options(client.get_arguments().filter(|arg| arg.is_global_set()));
    page += "\n## Options of every change\n\n";
    let change = client.get_subcommands().find(|command| is_change(command));
    page += &options(
        change.into_iter().flat_map(Command::get_arguments).filter(|arg| is_of_changes(arg)),
    );

    for command in client.get_subcommands() {
        page += &section(command);
    }
    page += &section(&daemon);
    page + TAIL
}

/// What the page says of a command.
fn section(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ");
    let long = command.get_long_about().map_or_else(|| about(command), ToString::to_string);
    let mut text = format!("\n## {name}\n\n`{usage}`\n");
    for paragraph in long.split("\n\n") {
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = if words.ends_with('.') { "" } else { "." };
        let _ = write!(text, "\n{words}{end}\n");
    }
    let is_change = is_change(command);
    let own = || command.get_arguments().filter(|arg| !arg.is_global_set() && is_own(arg));
    if own().next().is_some_and(|_| own().any(|arg| !is_change || !is_of_changes(arg))) {
        text += "\n";
        text += &options(own().filter(|arg| !is_change || !is_of_changes(arg)));
    }
    if is_change {
        text += "\nIt also takes [the options of every change](#options-of-every-change).\n";
    }
    text + &examples(command)
}

/// What help adds to the options: how it is typed.
fn examples(command: &Command) -> String {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let program = command.get_bin_name().and_then(|name| name.split(' ').next());
    let lines = after.lines().map(|line| line.trim_start_matches("Example:").trim());
    let typed: Vec<_> =
        lines.filter(|line| line.split(' ').next() == program).map(ToOwned::to_owned).collect();
    if typed.is_empty() {
        String::new()
    } else {
        format!("\n```sh read\n{}\n```\n", typed.join("\n"))
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn is_change(command: &Command) -> bool {
    OF_CHANGES.iter().all(|id| command.get_arguments().any(|arg| arg.get_id() == id))
}

fn is_of_changes(arg: &Arg) -> bool {
    OF_CHANGES.iter().any(|id| arg.get_id() == id)
}

fn is_own(arg: &Arg) -> bool {
    !["help", "version"].iter().any(|id| arg.get_id() == id)
}

/// A table of arguments and options.
fn options<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut table = "| argument | means |\n| --- | --- |\n".to_owned();
    for argument in arguments {
        let _ =
            writeln!(table, "| `{}` | {} |", cell(&written(argument)), cell(&meaning(argument)));
    }
    table
}

/// How an argument is written.
fn written(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let takes_value = argument.get_action().takes_values();
    let value = names.first().map(ToString::to_string).filter(|_| takes_value);
    let Some(long) = argument.get_long() else { return value.unwrap_or_default() };
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let is_optional = argument.get_num_args().is_some_and(|range| range.min_values() == 0);
    let value =
        value.map(|value| if is_optional { format!(" [{value}]") } else { format!(" {value}") });
    format!("{short}--{long}{}", value.unwrap_or_default())
}

/// What help says of an argument, its values and what holds without it.
fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let mut text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    if argument.get_action().takes_values() {
        let values = argument.get_possible_values().into_iter().map(|value| {
            let help = value.get_help().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("`{}`{help}", value.get_name())
        });
        let values: Vec<_> = values.collect();
        if !values.is_empty() {
            let _ = write!(text, ": {}", values.join(", "));
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() {
            let _ = write!(text, "; not given: `{}`", defaults.join(" "));
        }
        if let Some(variable) = argument.get_env() {
            let _ = write!(text, ", or what the variable `{}` has", variable.to_string_lossy());
        }
    }
    text
}

/// A text such that it does not end the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', r"\|")
}
