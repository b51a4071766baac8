use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use clap::Parser as _;

use super::*;
use crate::cli::{
    args::Args,
    run::run,
    testing::{FakeDaemon, Screen, http},
};

const LISTING: &str = r#"{"revision": 7, "lists": [{"name": "office", "kind": "group",
    "follow": "/etc/office.txt", "entries": [
        {"id": 1, "prefix": "10.0.0.0/8", "kind": "allow", "comment": "all # of it",
         "origin": "manual", "added_by": {"uid": 0, "name": "root"},
         "added_at": "2026-11-22T02:00:00Z", "expires_at": null, "expired": false, "last_hit": null},
        {"id": 2, "prefix": "10.6.6.0/24", "kind": "except", "comment": null, "origin": "manual",
         "added_by": {"uid": 0, "name": "root"}, "added_at": "2026-11-22T02:00:00Z",
         "expires_at": "2026-11-22T03:00:00Z", "expired": true, "last_hit": null},
        {"id": 3, "prefix": "192.0.2.0/24", "kind": "allow", "comment": null,
         "origin": "file:/etc/office.txt", "added_by": {"uid": 0, "name": "root"},
         "added_at": "2026-11-22T02:00:00Z", "expires_at": null, "expired": false,
         "last_hit": null}]}]}"#;
const CHANGED: &str = r#"{"revision":8,"changed":true,"dry_run":false,"added":1,"updated":0,"unchanged":2,"removed":0,"messages":[],"warnings":[],"differences":{"items":[{"what":"entry","list":"office","entry":"::1/128","origin":"manual","before":null,"after":{"comment":null,"expires_at":null}}],"omitted":0}}"#;

/// What came of `edit office`.
struct Edited {
    exit: u8,
    stdout: String,
    stderr: String,
    requests: Vec<String>,
    /// What the editor was given.
    given: String,
    /// The file that it was given in.
    file: PathBuf,
}

impl Edited {
    /// Edits with a script that gets the file as `$1`; the daemon gives its list, and then these answers.
    fn by(script: &str, options: &str, screen: Screen, answers: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let text = format!(
            "#!/bin/sh\ncp \"$2\" {}\necho \"$2\" > {}\nshift\n{script}\n",
            at("given"),
            at("name")
        );
        fs::write(at("editor"), text).unwrap();
        fs::set_permissions(at("editor"), fs::Permissions::from_mode(0o755)).unwrap();
        // Of the command's words only the first is the program.
        let mut screen = screen.editing_with(format!("{} --wait", at("editor")));
        let answers = std::iter::once(http(200, LISTING)).chain(answers.iter().cloned());
        let daemon = FakeDaemon::answering(answers);
        let socket = daemon.socket().display().to_string();
        let line = format!("allowlist-ctl --socket {socket} edit office {options}");
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        let exit = run(&args, &mut screen.console());
        Self {
            exit: exit as u8,
            stdout: screen.stdout(),
            stderr: screen.stderr(),
            requests: daemon.requests(),
            given: fs::read_to_string(at("given")).unwrap(),
            file: fs::read_to_string(at("name")).unwrap().trim().into(),
        }
    }

    /// The text that was kept, which is removed now.
    fn kept(&self) -> Option<String> {
        let text = fs::read_to_string(&self.file).ok()?;
        fs::remove_file(&self.file).unwrap();
        Some(text)
    }
}

#[test]
fn the_editor_is_given_the_entries_and_how_to_write_them() {
    let edited = Edited::by("test \"$(stat -c %a \"$1\")\" = 600", "", Screen::default(), &[]);
    assert_eq!((edited.exit, edited.stdout.as_str()), (0, "Nothing changed (revision 7)\n"));
    assert!(edited.requests[0].starts_with("GET /v1/lists/office HTTP/1.1\r\n"));
    let (heading, entries) = edited.given.split_once("\n\n").unwrap();
    assert_eq!(
        entries, "10.0.0.0/8 # all # of it\n!10.6.6.0/24 until=2026-11-22T03:00:00Z\n",
        "those of the file are not there"
    );
    assert!(heading.lines().all(|line| line.starts_with('#')), "{heading}");
    assert!(heading.starts_with("# Entries of the group office at revision 7;"), "{heading}");
    assert!(heading.contains("The entries of /etc/office.txt are not here"), "{heading}");
    let name = edited.file.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("office-") && name.ends_with(".allowlist.txt"), "{name}");
    assert_eq!(edited.kept(), None);
    // The examples of the heading are entries.
    let examples = heading.lines().filter_map(|line| line.strip_prefix("#   "));
    let examples: Vec<_> = examples.map(|line| lines::parse(line).unwrap().len()).collect();
    assert_eq!(examples, [1, 1, 1]);
}

#[test]
fn what_is_saved_is_sent_for_the_revision_that_was_read() {
    let script = "echo ::1 >> \"$1\"";
    let answers = [http(200, CHANGED)];
    let edited = Edited::by(script, "--confirm 60s", Screen::default(), &answers);
    assert_eq!(edited.exit, 0, "{}", edited.stderr);
    assert_eq!(edited.stdout, "+ office ::1/128\noffice: 1 added, 2 unchanged (revision 8)\n");
    let (head, body) = edited.requests[1].split_once("\r\n\r\n").unwrap();
    let target = "PUT /v1/lists/office?confirm=60&if_revision=7 HTTP/1.1\r\n";
    assert!(head.starts_with(target) && head.contains("content-type: text/plain"), "{head}");
    assert_eq!(body, format!("{}::1\n", edited.given));
    assert_eq!(edited.kept(), None);

    // An editor may put another file in the place of the one that it was given.
    let script = "echo ::1 > \"$1.new\"; mv \"$1.new\" \"$1\"";
    let edited = Edited::by(script, "--json", Screen::default(), &answers);
    assert_eq!((edited.exit, edited.stdout.trim_end()), (0, CHANGED));
    assert!(edited.requests[1].ends_with("\r\n\r\n::1\n"), "{}", edited.requests[1]);
    assert_eq!(edited.kept(), None);
}

#[test]
fn with_json_nothing_changed_is_a_document() {
    let edited = Edited::by("true", "--json --dry-run", Screen::default(), &[]);
    let changed: Changed = serde_json::from_str(&edited.stdout).unwrap();
    assert_eq!(changed, Changed { revision: 7, dry_run: true, ..Changed::default() });
}

#[test]
fn a_text_that_is_not_taken_is_kept() {
    let conflict =
        r#"{"error":{"code":"revision_conflict","message":"the policy is at revision 8, not 7"}}"#;
    let guarded = r#"{"error":{"code":"guarded","message":"::/0 covers every address there is"}}"#;
    let unconfirmed = r#"{"error":{"code":"unconfirmed","message":"everyone gets in"}}"#;
    let table = [
        (
            "echo x >> \"$1\"; echo '10.0.0.5/24' >> \"$1\"",
            None,
            1,
            "error: 2 lines cannot be read; nothing was changed\n",
        ),
        (
            "echo ::/0 >> \"$1\"",
            Some((409, guarded)),
            5,
            "error: ::/0 covers every address there is\n",
        ),
        (": > \"$1\"", Some((409, unconfirmed)), 5, "error: everyone gets in\n"),
        (
            "echo ::1 >> \"$1\"",
            Some((412, conflict)),
            7,
            "error: the policy is at revision 8, not 7\n",
        ),
        (
            "echo ::1 >> \"$1\"; exit 3",
            None,
            1,
            "--wait' ended with exit status: 3; nothing was changed\n",
        ),
        ("printf '::1\\n\\377\\n' > \"$1\"", None, 1, "is not UTF-8 text; nothing was sent\n"),
    ];
    for (script, answer, exit, said) in table {
        let answers: Vec<_> = answer.map(|(status, body)| http(status, body)).into_iter().collect();
        let edited = Edited::by(script, "", Screen::default(), &answers);
        assert_eq!(edited.exit, exit, "{script}: {}", edited.stderr);
        assert!(edited.stderr.contains(said), "{script}: {}", edited.stderr);
        assert_eq!(edited.requests.len(), 1 + answers.len(), "{script}");
        let hint = format!("your text is in {}: ", edited.file.display());
        assert!(edited.stderr.contains(&hint), "{script}: {}", edited.stderr);
        let is_there = edited.file.exists();
        fs::remove_file(&edited.file).unwrap();
        assert!(is_there, "{script}");
    }
}

#[test]
fn each_bad_line_is_named_and_can_be_edited_again() {
    let mends = "if grep -q ^bad \"$1\"; then sed -i /^bad/d \"$1\"; else echo bad >> \"$1\"; echo ::1 >> \"$1\"; fi";
    let answers = [http(200, CHANGED)];
    let edited = Edited::by(mends, "", Screen::answering("y\n"), &answers);
    assert_eq!(edited.exit, 0, "{}", edited.stderr);
    let line = edited.given.lines().position(|line| line == "bad").unwrap() + 1;
    let said = format!(
        "error: 1 line cannot be read; nothing was changed\n  line {line}: 'bad' is not an address"
    );
    assert!(edited.stderr.starts_with(&said), "{}", edited.stderr);
    assert!(edited.stderr.ends_with("Edit it again? [y/N] "), "{}", edited.stderr);
    assert!(edited.requests[1].ends_with("\n::1\n"), "{}", edited.requests[1]);

    let edited = Edited::by("echo bad >> \"$1\"", "", Screen::answering("n\n"), &[]);
    assert_eq!(edited.exit, 1);
    assert!(edited.kept().unwrap().ends_with("\nbad\n"), "{}", edited.stderr);
}

#[test]
fn an_editor_that_fails_changes_nothing() {
    let edited = Edited::by("exit 1", "", Screen::default(), &[]);
    assert_eq!((edited.exit, edited.kept()), (1, None));
    assert!(edited.stderr.ends_with(" --wait' ended with exit status: 1; nothing was changed\n"));

    let table = [
        (None, "error: no editor was found; nothing was changed\nhint: set the environment"),
        (
            Some("/nowhere/vi"),
            "error: the editor '/nowhere/vi' cannot be run; nothing was changed\n",
        ),
    ];
    for (editor, said) in table {
        let mut screen = Screen::default();
        if let Some(editor) = editor {
            screen = screen.editing_with(editor);
        }
        let daemon = FakeDaemon::answering([http(200, LISTING)]);
        let socket = daemon.socket();
        let client = Client::new(&socket).unwrap();
        let name = "office".parse().unwrap();
        let mut console = screen.console();
        let error =
            edit(&client, &name, ChangeOptions::default(), false, &mut console).unwrap_err();
        error.tell(false, &mut console);
        assert!(screen.stderr().starts_with(said), "{}", screen.stderr());
    }
}

#[test]
fn a_text_that_was_only_tried_is_kept() {
    let changed = CHANGED.replace(r#""dry_run":false"#, r#""dry_run":true"#);
    let answers = [http(200, &changed)];
    let edited = Edited::by("echo ::1 >> \"$1\"", "--dry-run", Screen::default(), &answers);
    assert_eq!(edited.exit, 0, "{}", edited.stderr);
    assert!(edited.requests[1].starts_with("PUT /v1/lists/office?dry_run=true&if_revision=7 "));
    let note = format!("note: the text is in {}: ", edited.file.display());
    assert!(edited.stderr.starts_with(&note), "{}", edited.stderr);
    assert!(edited.kept().unwrap().ends_with("\n::1\n"));
}

#[test]
fn a_policy_that_has_moved_on_is_noticed_before_anything_is_written() {
    let daemon = FakeDaemon::answering([http(200, LISTING)]);
    let client = Client::new(&daemon.socket()).unwrap();
    let options = ChangeOptions { if_revision: Some(6), ..ChangeOptions::default() };
    let (mut screen, name) = (Screen::default(), "office".parse().unwrap());
    let error = edit(&client, &name, options, false, &mut screen.console()).unwrap_err();
    assert_eq!(error.exit() as u8, 7);
    assert_eq!(error.to_string(), "the policy is at revision 7, not 6; nothing was changed");
}
