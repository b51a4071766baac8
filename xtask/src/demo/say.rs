//! How the demo speaks: headings, commands, their output; coloured on a terminal.

use std::{env, io::IsTerminal as _};

/// Prints with or without colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say {
    colour: bool,
}

impl Say {
    pub(super) fn new() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: !refused && std::io::stdout().is_terminal() }
    }

    fn paint(self, code: u8, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn heading(self, text: &str) {
        println!("\n{}", self.paint(1, text));
    }

    /// A command as it is typed on this host.
    pub(super) fn command(self, host: &str, command: &str) {
        println!("{} {}", self.paint(36, &format!("{host}$")), self.paint(1, command));
    }

    /// What is seen, other than output.
    pub(super) fn note(self, text: &str) {
        println!("{}", self.paint(2, &format!("({text})")));
    }

    pub(super) fn good(self, text: &str) {
        println!("\n{}", self.paint(32, text));
    }
}
