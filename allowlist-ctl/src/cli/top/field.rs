//! A line of text that somebody types.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// More characters than a prefix, a name or a comment may have.
const LONGEST: usize = 600;

/// A line of text; what is typed is put to its end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Field(pub(super) String);

impl Field {
    /// Takes a key; `false` where it is none that writes.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let with = key.modifiers - KeyModifiers::SHIFT;
        match key.code {
            KeyCode::Char('u') if with == KeyModifiers::CONTROL => self.0.clear(),
            KeyCode::Char('w') if with == KeyModifiers::CONTROL => {
                let rest = self.0.trim_end().rfind(char::is_whitespace).map_or(0, |end| end + 1);
                self.0.truncate(rest);
            }
            KeyCode::Char(typed) if with.is_empty() => {
                if !typed.is_control() && self.0.chars().count() < LONGEST {
                    self.0.push(typed);
                }
            }
            KeyCode::Backspace => drop(self.0.pop()),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_typed_and_taken_back() {
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        let typed = |c| plain(KeyCode::Char(c));
        let table: [(&str, KeyEvent, &str, bool); 10] = [
            ("ab", typed('c'), "abc", true),
            ("ab", KeyEvent::new(KeyCode::Char('C'), KeyModifiers::SHIFT), "abC", true),
            ("ab", plain(KeyCode::Backspace), "a", true),
            ("", plain(KeyCode::Backspace), "", true),
            ("ab cd", control('w'), "ab ", true),
            ("Büro ", control('w'), "", true),
            ("ab cd", control('u'), "", true),
            ("ab", control('x'), "ab", false),
            ("ab", plain(KeyCode::Enter), "ab", false),
            ("ab", typed('\u{1b}'), "ab", true),
        ];
        for (before, key, after, is_taken) in table {
            let mut field = Field(before.into());
            assert_eq!((field.key(key), field.0.as_str()), (is_taken, after), "{before} {key:?}");
        }
        let mut field = Field("x".repeat(LONGEST));
        field.key(typed('y'));
        assert!(!field.0.contains('y'));
    }
}
