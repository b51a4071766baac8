//! What lies over the figures: the keys, an explanation, the dialog that adds a source.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Wrap},
};

use super::{FAINT, HEADING, SELECTED, Theme};
use crate::cli::{
    console::clean,
    top::{
        dialog::{Dialog, QUESTIONS, Step},
        state::{Overlay, State},
    },
};

/// Columns that an overlay takes where the screen has them.
const WIDTH: u16 = 76;

const HELP: [&str; 16] = [
    "s            sort by rate, count, name or the last one",
    "p, Space     pause: figures stay as they are",
    "/            filter services and sources by a text; Esc shows all",
    "Up, Down     select a source; PgUp, PgDn, Home, End",
    "[ ]          go through services that there is no room for",
    "n            look up the names of the addresses on the screen",
    "e, Enter     explain what becomes of the selected source's packets",
    "a            add the selected source to a service or group",
    "q, Esc       quit; Ctrl-C quits at any time",
    "",
    "Services: packets a second that are admitted and denied, and how that was",
    "in the last minute. OPEN: everyone is admitted.",
    "Sources: packets that were reported; of a flood not all are. Those with ~",
    "were admitted, and would be denied in mode enforce.",
    "",
    "Any key goes back.",
];

/// Draws it, where there is one.
pub(super) fn overlay(state: &State, theme: Theme, frame: &mut Frame<'_>) {
    match &state.overlay {
        None | Some(Overlay::Filter) => {}
        Some(Overlay::Help) => {
            window(frame, "Keys", HELP.map(Line::raw).to_vec(), 0);
        }
        Some(Overlay::Explanation { title, lines, from }) => {
            let shown = match lines {
                None => vec![Line::styled("asking the daemon ...", FAINT)],
                Some(lines) => lines.iter().map(|line| harmless(line)).collect(),
            };
            window(frame, title, shown, *from);
        }
        Some(Overlay::Add(dialog)) => {
            window(frame, "Add to the allowlist", dialog_lines(dialog, theme), 0);
        }
    }
}

fn harmless(text: &str) -> Line<'static> {
    Line::raw(clean(text).into_owned())
}

/// The lines of the dialog.
fn dialog_lines(dialog: &Dialog, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (index, (question, field)) in QUESTIONS.iter().zip(&dialog.fields).enumerate() {
        let mut spans = vec![
            Span::styled(format!("{question:<17} "), HEADING),
            Span::raw(clean(&field.0).into_owned()),
        ];
        if dialog.step == Step::Asking && dialog.at == index {
            spans.push(Span::styled(" ", SELECTED));
        }
        lines.push(Line::from(spans));
    }
    lines.push(Line::default());
    let (said, style, next): (&[String], Style, &str) = match &dialog.step {
        Step::Asking => {
            (&[], Style::new(), "Enter goes on, Up and Down change the field, Esc gives up")
        }
        Step::Trying => (&[], Style::new(), "asking the daemon what that would do ..."),
        Step::Doing => (&[], Style::new(), "asking the daemon to do it ..."),
        Step::Offered { lines, .. } => {
            (lines, Style::new(), "Do it? y does it, n changes it, Esc gives up")
        }
        Step::Done(lines) => (lines, theme.admitted(), "Enter goes back"),
        Step::Refused(lines) => (lines, theme.error(), "Enter changes it, Esc gives up"),
    };
    if dialog.step != Step::Asking {
        lines.push(Line::styled(clean(&dialog.command()).into_owned(), HEADING));
    }
    lines.extend(said.iter().map(|line| harmless(line).style(style)));
    if !said.is_empty() {
        lines.push(Line::default());
    }
    lines.push(Line::styled(next, FAINT));
    lines
}

/// A window over the middle of the screen, as large as its lines take.
fn window(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'static>>, from: usize) {
    let screen = frame.area();
    let width = WIDTH.min(screen.width);
    let inner = usize::from(width.saturating_sub(2)).max(1);
    let rows: usize = lines.iter().map(|line| line.width().div_ceil(inner).max(1)).sum();
    // Words that are kept together may take another line now and then.
    let slack = lines.iter().filter(|line| line.width() > inner).count();
    let height = u16::try_from(rows + slack + 2).unwrap_or(u16::MAX).min(screen.height);
    let area: Rect = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let from = u16::try_from(from).unwrap_or(u16::MAX);
    let block = Block::bordered().title(clean(title).into_owned());
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((from, 0)).block(block);
    frame.render_widget(Clear, area);
    frame.render_widget(text, area);
}
