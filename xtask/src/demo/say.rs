//! How the demo speaks: headings, commands, their output; coloured on a terminal, and kept for a picture.

use std::{
    cell::{Cell, RefCell},
    env,
    io::IsTerminal as _,
};

/// What a line is, which says its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heading,
    /// As it is typed, after the host that it is typed on and a `$`.
    Command {
        prompt: usize,
    },
    Output,
    /// What is seen, other than output.
    Note,
}

/// A line that was said, or an empty one.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// Prints with or without colours.
#[derive(Debug)]
pub(super) struct Say {
    colour: bool,
    /// Whether the part that is being said belongs into the picture.
    is_pictured: Cell<bool>,
    lines: RefCell<Vec<Line>>,
}

impl Say {
    pub(super) fn new() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: !refused && std::io::stdout().is_terminal(),
            is_pictured: Cell::new(false),
            lines: RefCell::default(),
        }
    }

    /// What belongs into the picture, in its order.
    pub(super) fn pictured(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn keep(&self, kind: Kind, text: &str) {
        if self.is_pictured.get() {
            self.lines.borrow_mut().push(Line { kind, text: text.to_owned() });
        }
    }

    /// Begins a part.
    pub(super) fn heading(&self, text: &str) {
        self.is_pictured.set(false);
        println!("\n{}", self.paint(1, text));
    }

    /// Begins a part that belongs into the picture.
    pub(super) fn scene(&self, text: &str) {
        self.heading(text);
        self.is_pictured.set(true);
        if !self.lines.borrow().is_empty() {
            self.keep(Kind::Output, "");
        }
        self.keep(Kind::Heading, text);
    }

    /// A command as it is typed on this host.
    pub(super) fn command(&self, host: &str, command: &str) {
        let prompt = format!("{host}$");
        println!("{} {}", self.paint(36, &prompt), self.paint(1, command));
        self.keep(Kind::Command { prompt: prompt.len() }, &format!("{prompt} {command}"));
    }

    /// What a command printed.
    pub(super) fn output(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        print!("{text}");
        for line in text.lines() {
            self.keep(Kind::Output, line);
        }
    }

    /// What is seen, other than output.
    pub(super) fn note(&self, text: &str) {
        let text = format!("({text})");
        println!("{}", self.paint(2, &text));
        self.keep(Kind::Note, &text);
    }

    pub(super) fn good(&self, text: &str) {
        println!("\n{}", self.paint(32, text));
    }
}
