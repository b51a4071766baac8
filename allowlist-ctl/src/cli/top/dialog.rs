//! Adding a source: what is asked for, what it would do, and what came of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::field::Field;
use crate::cli::console::clean;

/// An entry that is to be added.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Addition {
    /// The service or group.
    pub(super) list: String,
    /// The entry as it was typed.
    pub(super) entry: String,
    /// The comment; empty: none.
    pub(super) comment: String,
}

impl Addition {
    /// The command that does the same.
    pub(super) fn command(&self) -> String {
        let Self { list, entry, comment } = self;
        let mut command = format!("allowlist-ctl add {} {}", quoted(list), quoted(entry));
        if !comment.is_empty() {
            command = format!("{command} --comment {}", quoted(comment));
        }
        command
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", clean(word).replace('\'', r"'\''"))
}

/// What somebody is asked, in the order of the screen.
pub(super) const QUESTIONS: [&str; 3] = ["Entry", "Service or group", "Comment"];
const LIST: usize = 1;
const COMMENT: usize = 2;

/// How far it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// It is being typed.
    Asking,
    /// The daemon is asked what it would do.
    Trying,
    /// This would be done, at this revision; somebody has to agree.
    Offered {
        /// What would be done.
        lines: Vec<String>,
        /// The revision that it was said of.
        revision: u64,
    },
    /// The daemon is asked to do it.
    Doing,
    /// It is done, or there was nothing to do.
    Done(Vec<String>),
    /// It was refused or failed, for this reason.
    Refused(Vec<String>),
}

/// What becomes of a dialog by a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Pressed {
    /// It goes on.
    Stay,
    /// It is over.
    Close,
    /// The daemon is to be asked what it would do.
    Try(Addition),
    /// The daemon is to do it, if this is still the revision.
    Do(Addition, u64),
}

/// The dialog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Dialog {
    /// What was typed.
    pub(super) fields: [Field; 3],
    /// The field that is typed into.
    pub(super) at: usize,
    /// How far it is.
    pub(super) step: Step,
}

impl Dialog {
    /// Asks where to add an address.
    pub(super) fn new(entry: String, list: Option<&str>) -> Self {
        let fields = [entry, list.unwrap_or_default().to_owned(), String::new()].map(Field);
        let at = if list.is_none() { LIST } else { COMMENT };
        Self { fields, at, step: Step::Asking }
    }

    fn addition(&self) -> Addition {
        let [entry, list, comment] = self.fields.clone().map(|field| field.0.trim().to_owned());
        Addition { list, entry, comment }
    }

    /// The command that does the same.
    pub(super) fn command(&self) -> String {
        self.addition().command()
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Pressed {
        match (&self.step, key.code) {
            // What becomes of it must be seen.
            (Step::Doing, _) => {}
            (Step::Done(_), KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q')) => {
                return Pressed::Close;
            }
            (_, KeyCode::Esc) => return Pressed::Close,
            (Step::Offered { revision, .. }, KeyCode::Char('y' | 'Y')) => {
                let pressed = Pressed::Do(self.addition(), *revision);
                self.step = Step::Doing;
                return pressed;
            }
            (Step::Offered { .. }, KeyCode::Char('n' | 'N'))
            | (Step::Refused(_), KeyCode::Enter) => self.step = Step::Asking,
            (Step::Asking, _) => return self.ask(key),
            _ => {}
        }
        Pressed::Stay
    }

    fn ask(&mut self, key: KeyEvent) -> Pressed {
        let last = self.fields.len() - 1;
        match key.code {
            KeyCode::Enter if self.at == last => {
                self.step = Step::Trying;
                return Pressed::Try(self.addition());
            }
            KeyCode::Enter | KeyCode::Tab | KeyCode::Down => self.at = (self.at + 1).min(last),
            KeyCode::BackTab | KeyCode::Up => self.at = self.at.saturating_sub(1),
            _ => drop(self.fields[self.at].key(key)),
        }
        Pressed::Stay
    }

    /// Takes the daemon's answer to what it would do: the lines of it and the revision that they are about, where
    /// anything would change.
    pub(super) fn tried(&mut self, answer: Result<(Vec<String>, Option<u64>), Vec<String>>) {
        self.step = match answer {
            Ok((lines, Some(revision))) => Step::Offered { lines, revision },
            Ok((lines, None)) => Step::Done(lines),
            Err(lines) => Step::Refused(lines),
        };
    }

    /// Takes the daemon's answer to what it was to do.
    pub(super) fn done(&mut self, answer: Result<Vec<String>, Vec<String>>) {
        self.step = answer.map_or_else(Step::Refused, Step::Done);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;

    fn press(dialog: &mut Dialog, codes: &[KeyCode]) -> Pressed {
        let press = |code: &KeyCode| dialog.key(KeyEvent::new(*code, KeyModifiers::NONE));
        codes.iter().map(press).last().unwrap()
    }

    fn keys(text: &str) -> Vec<KeyCode> {
        text.chars().map(KeyCode::Char).collect()
    }

    #[test]
    fn the_command_is_one_that_a_shell_takes() {
        let table = [
            (["redis", "203.0.113.7", ""], "allowlist-ctl add redis 203.0.113.7"),
            (
                ["redis", "2001:db8::/32", "web"],
                "allowlist-ctl add redis 2001:db8::/32 --comment web",
            ),
            (
                ["redis", "!10.0.0.0/8", "it's"],
                r"allowlist-ctl add redis '!10.0.0.0/8' --comment 'it'\''s'",
            ),
            (["", "::1", "a b"], "allowlist-ctl add '' ::1 --comment 'a b'"),
        ];
        for ([list, entry, comment], expected) in table {
            let [list, entry, comment] = [list, entry, comment].map(str::to_owned);
            assert_eq!(Addition { list, entry, comment }.command(), expected);
        }
    }

    #[test]
    fn an_entry_is_asked_for_shown_and_only_then_added() {
        let mut dialog = Dialog::new("203.0.113.7".into(), Some("redis"));
        assert_eq!(press(&mut dialog, &keys("my office")), Pressed::Stay);
        let addition = Addition {
            list: "redis".into(),
            entry: "203.0.113.7".into(),
            comment: "my office".into(),
        };
        assert_eq!(press(&mut dialog, &[KeyCode::Enter]), Pressed::Try(addition.clone()));
        // Nothing is done before there is an answer, nor by a key that does not agree.
        assert_eq!(press(&mut dialog, &keys("y")), Pressed::Stay);
        dialog.tried(Ok((vec!["Would change".into()], Some(7))));
        assert_eq!(press(&mut dialog, &[KeyCode::Enter, KeyCode::Char('x')]), Pressed::Stay);
        assert_eq!(press(&mut dialog, &keys("y")), Pressed::Do(addition, 7));
        for key in [KeyCode::Esc, KeyCode::Char('y'), KeyCode::Enter] {
            assert_eq!(press(&mut dialog, &[key]), Pressed::Stay, "{key:?} while it is done");
        }
        dialog.done(Ok(vec!["redis: 1 added".into()]));
        assert_eq!(dialog.step, Step::Done(vec!["redis: 1 added".into()]));
        assert_eq!(press(&mut dialog, &[KeyCode::Enter]), Pressed::Close);
    }

    #[test]
    fn whoever_does_not_agree_can_change_it_or_give_it_up() {
        let mut dialog = Dialog::new("203.0.113.7".into(), None);
        assert_eq!(dialog.at, LIST);
        press(&mut dialog, &keys("web"));
        press(&mut dialog, &[KeyCode::Up, KeyCode::Up, KeyCode::Backspace, KeyCode::Char('8')]);
        assert_eq!(dialog.command(), "allowlist-ctl add web 203.0.113.8");
        press(&mut dialog, &[KeyCode::Tab, KeyCode::Down, KeyCode::Enter]);
        dialog.tried(Ok((Vec::new(), Some(7))));
        assert_eq!(press(&mut dialog, &keys("n")), Pressed::Stay);
        assert_eq!(dialog.step, Step::Asking);
        assert_eq!(press(&mut dialog, &[KeyCode::Esc]), Pressed::Close);
    }

    #[test]
    fn a_refusal_stays_until_it_was_read() {
        let refusal = vec!["this needs the role admin".to_owned()];
        for by_doing in [false, true] {
            let mut dialog = Dialog::new("203.0.113.7".into(), Some("redis"));
            press(&mut dialog, &[KeyCode::Enter]);
            if by_doing {
                dialog.tried(Ok((Vec::new(), Some(7))));
                press(&mut dialog, &keys("y"));
                dialog.done(Err(refusal.clone()));
            } else {
                dialog.tried(Err(refusal.clone()));
            }
            press(&mut dialog, &keys("y "));
            assert_eq!(dialog.step, Step::Refused(refusal.clone()));
            press(&mut dialog, &[KeyCode::Enter]);
            assert_eq!(dialog.step, Step::Asking);
        }
    }
}
