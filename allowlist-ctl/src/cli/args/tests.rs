use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(format!("allowlist-ctl {line}").split_whitespace())
}

#[test]
fn the_definition_holds_together() {
    Args::command().debug_assert();
}

#[test]
fn every_command_has_an_example() {
    for command in Args::command().get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let example = format!("allowlist-ctl {}", command.get_name());
        assert!(help.contains(&example), "{}", command.get_name());
        for line in help.lines().filter_map(|line| line.split("allowlist-ctl ").nth(1)) {
            let typed = line.split(['|', '>']).next().unwrap_or_default();
            assert!(parse(&typed.replace("'web servers'", "web")).is_ok(), "{line}");
        }
    }
}

#[test]
fn what_is_typed_is_told_apart() {
    let table = [
        ("status", "Status { watch: None }"),
        ("status --watch", "Status { watch: Some(2) }"),
        ("status --watch 5 --json", "Status { watch: Some(5) }"),
        ("--json status --watch", "Status { watch: Some(2) }"),
        ("list", "List { name: None }"),
        ("list redis", "List { name: Some(\"redis\") }"),
        ("completions zsh", "Completions { shell: Zsh }"),
        (
            "unprotect redis --yes",
            "Unprotect { name: \"redis\", change: ChangeArgs { yes: true, force: false, \
             dry_run: false, confirm: None, if_revision: None } }",
        ),
        (
            "attach eth0 --xdp-mode generic --dry-run",
            "Attach { interface: \"eth0\", xdp_mode: Some(Generic), change: ChangeArgs { \
             yes: false, force: false, dry_run: true, confirm: None, if_revision: None } }",
        ),
        (
            "replace redis -f - --if-revision 7 --force",
            "Replace { name: \"redis\", file: \"-\", change: ChangeArgs { yes: false, \
             force: true, dry_run: false, confirm: None, if_revision: Some(7) } }",
        ),
        (
            "remove redis !10.0.0.0/8 ::1 --except",
            "Remove { name: \"redis\", entries: EntryArgs { cidrs: [\"!10.0.0.0/8\", \"::1\"], \
             except: true }, change: ChangeArgs { yes: false, force: false, dry_run: false, confirm: None, \
             if_revision: None } }",
        ),
        (
            "protect a tcp/1 udp/2 --interface x --interface y --mode monitor --when-empty closed",
            "Protect(ProtectArgs { name: \"a\", ports: [\"tcp/1\", \"udp/2\"], interfaces: [\"x\", \"y\"], \
             addresses: [], include: [], mode: Some(Monitor), action: None, when_empty: Some(Closed), \
             change: ChangeArgs { yes: false, force: false, dry_run: false, confirm: None, if_revision: None } })",
        ),
        (
            "protect a tcp/1 --address ::1 --action reject --address 10.0.0.0/8",
            "Protect(ProtectArgs { name: \"a\", ports: [\"tcp/1\"], interfaces: [], \
             addresses: [\"::1\", \"10.0.0.0/8\"], include: [], mode: None, action: Some(Reject), \
             when_empty: None, change: ChangeArgs { yes: false, force: false, dry_run: false, confirm: None, \
             if_revision: None } })",
        ),
        (
            "mode redis off --dry-run",
            "Mode { name: \"redis\", mode: Off, change: ChangeArgs { yes: false, force: false, \
             dry_run: true, confirm: None, if_revision: None } }",
        ),
        (
            "add redis ::1 --for 2h30m --confirm 5m",
            "Add { name: \"redis\", entries: EntryArgs { cidrs: [\"::1\"], except: false }, \
             comment: None, end: EndArgs { lasting: Some(\"2h30m\"), until: None }, \
             change: ChangeArgs { yes: false, force: false, dry_run: false, confirm: Some(300), \
             if_revision: None } }",
        ),
        (
            "group office --follow list.txt",
            "Group { name: \"office\", follow: Some(\"list.txt\"), change: ChangeArgs { yes: false, \
             force: false, dry_run: false, confirm: None, if_revision: None } }",
        ),
        (
            "edit office --yes",
            "Edit { name: \"office\", change: ChangeArgs { yes: true, force: false, dry_run: false, \
             confirm: None, if_revision: None } }",
        ),
        ("export", "Export"),
        ("revisions", "Revisions"),
        ("confirm", "Confirm"),
        (
            "rollback --to 7",
            "Rollback { to: Some(7), change: ChangeArgs { yes: false, force: false, dry_run: false, \
             confirm: None, if_revision: None } }",
        ),
        ("drops", "Drops { follow: false, limit: None }"),
        ("drops --limit 7", "Drops { follow: false, limit: Some(7) }"),
        ("drops --follow", "Drops { follow: true, limit: None }"),
        ("top", "Top"),
    ];
    for (typed, expected) in table {
        assert_eq!(format!("{:?}", parse(typed).unwrap().command), expected, "{typed}");
    }
}

#[test]
fn socket_and_json_go_before_and_after_the_command() {
    for typed in
        ["--socket /s --json status", "status --socket /s --json", "--json list --socket /s"]
    {
        let args = parse(typed).unwrap();
        assert_eq!((args.socket, args.json), ("/s".into(), true), "{typed}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let table = [
        ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("frobnicate", ErrorKind::InvalidSubcommand),
        ("protect redis", ErrorKind::MissingRequiredArgument),
        ("protect redis tcp/1 --mode maybe", ErrorKind::InvalidValue),
        ("protect redis tcp/1 --action shout", ErrorKind::InvalidValue),
        ("protect redis tcp/1 --address", ErrorKind::InvalidValue),
        ("mode redis", ErrorKind::MissingRequiredArgument),
        ("mode redis maybe", ErrorKind::InvalidValue),
        ("drops redis", ErrorKind::UnknownArgument),
        ("drops --limit 0", ErrorKind::ValueValidation),
        ("drops --limit many", ErrorKind::ValueValidation),
        ("drops --follow --limit 7", ErrorKind::ArgumentConflict),
        ("drops --yes", ErrorKind::UnknownArgument),
        ("add redis", ErrorKind::MissingRequiredArgument),
        ("add redis ::1 --for 1h --until 2026-12-01T00:00Z", ErrorKind::ArgumentConflict),
        ("add redis ::1 --confirm 0s", ErrorKind::ValueValidation),
        ("add redis ::1 --confirm 60", ErrorKind::ValueValidation),
        ("remove redis ::1 --for 1h", ErrorKind::UnknownArgument),
        ("confirm --yes", ErrorKind::UnknownArgument),
        ("apply", ErrorKind::MissingRequiredArgument),
        ("apply policy.toml", ErrorKind::UnknownArgument),
        ("rollback 7", ErrorKind::UnknownArgument),
        ("rollback --to last", ErrorKind::ValueValidation),
        ("edit", ErrorKind::MissingRequiredArgument),
        ("remove redis 10.0.0.1 --comment x", ErrorKind::UnknownArgument),
        ("replace redis", ErrorKind::MissingRequiredArgument),
        ("status --yes", ErrorKind::UnknownArgument),
        ("status --watch 0", ErrorKind::ValueValidation),
        ("status --watch fast", ErrorKind::ValueValidation),
        ("list a b", ErrorKind::UnknownArgument),
        ("unprotect a --if-revision x", ErrorKind::ValueValidation),
        ("attach eth0 --xdp-mode fast", ErrorKind::InvalidValue),
        ("completions tcsh", ErrorKind::InvalidValue),
    ];
    for (typed, expected) in table {
        assert_eq!(parse(typed).unwrap_err().kind(), expected, "{typed}");
    }
}
