//! Where a command reads and writes: the terminal, or memory in tests.

use std::{
    borrow::Cow,
    env,
    io::{self, BufRead, Write},
};

use crate::api::SshSession;

/// Standard input, output and error.
pub(super) struct Console<'a> {
    /// Where answers and `replace -f -` are read.
    pub(super) stdin: &'a mut dyn BufRead,
    /// Where data go.
    pub(super) stdout: &'a mut dyn Write,
    /// Where errors, warnings and questions go.
    pub(super) stderr: &'a mut dyn Write,
    /// What texts are edited with; none where there is no editor.
    pub(super) editor: Option<String>,
    /// The SSH session that the command was typed in, found where it is wanted.
    pub(super) session: fn() -> Option<SshSession>,
    /// Whether there is somebody to answer a question.
    pub(super) is_asked: bool,
    /// Whether stdin and stdout are a terminal that can be drawn on.
    pub(super) has_screen: bool,
    /// Whether stdout is a terminal.
    pub(super) is_terminal: bool,
    /// How stdout is coloured.
    pub(super) paint: Paint,
    /// How stderr is coloured.
    pub(super) stderr_paint: Paint,
}

impl Console<'_> {
    /// Writes warnings, each as a sentence of its own.
    ///
    /// # Errors
    /// What stdout answered when it was flushed, so that both appear in the right order.
    pub(super) fn warn(&mut self, warnings: &[String]) -> io::Result<()> {
        self.stdout.flush()?;
        let head = self.stderr_paint.paint(Style::Alarm, "warning:");
        for warning in warnings {
            // A warning that nobody can read must not make a change that is done a failure.
            let _: io::Result<()> = writeln!(self.stderr, "{head} {}", clean(warning));
        }
        Ok(())
    }

    /// Asks, and returns whether the answer was yes; no answer is a no.
    pub(super) fn confirm(&mut self, question: &str) -> bool {
        let asked = write!(self.stderr, "{question} [y/N] ").and_then(|()| self.stderr.flush());
        let mut answer = String::new();
        let heard = asked.and_then(|()| self.stdin.read_line(&mut answer));
        heard.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }
}

/// Whether the terminal, as the environment has it, moves its cursor where it is told to.
pub(super) fn can_draw() -> bool {
    env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How a text stands out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Style {
    /// Not at all.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// As it should be.
    Good,
    /// To be looked after.
    Alarm,
    /// An error.
    Error,
    /// Gone, in a difference.
    Gone,
    /// Other than before, in a difference.
    Other,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    pub(super) const OFF: Self = Self { on: false };

    /// Colours.
    #[cfg(test)]
    pub(super) const ON: Self = Self { on: true };

    /// Colours on a terminal, unless `NO_COLOR` (<https://no-color.org>) refuses them.
    pub(super) fn for_terminal(is_terminal: bool) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || !can_draw();
        Self { on: is_terminal && !refused }
    }

    /// Whether there are colours.
    pub(super) const fn is_on(self) -> bool {
        self.on
    }

    /// The text in this style.
    pub(super) fn paint(self, style: Style, text: &str) -> Cow<'_, str> {
        let code = match style {
            _ if !self.on => return text.into(),
            Style::Plain => return text.into(),
            Style::Heading => "1",
            Style::Good => "32",
            Style::Alarm => "1;33",
            Style::Error => "1;31",
            Style::Gone => "31",
            Style::Other => "33",
        };
        format!("\x1b[{code}m{text}\x1b[0m").into()
    }
}

/// The text with everything escaped that could steer a terminal or turn its writing around.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.into();
    }
    let mut cleaned = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            cleaned.extend(c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    cleaned.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        let table = [
            ("plain", "plain"),
            ("Büro, 東京 🙂", "Büro, 東京 🙂"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{9b}2J", "\\u{9b}2J"),
        ];
        for (text, expected) in table {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn colours_are_written_only_where_they_are_wanted() {
        assert_eq!(Paint::OFF.paint(Style::Error, "x"), "x");
        assert_eq!(Paint::ON.paint(Style::Error, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(Paint::ON.paint(Style::Plain, "x"), "x");
    }
}
