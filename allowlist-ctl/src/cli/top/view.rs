//! The screen, drawn: made for 80 columns and 24 lines, and for what there is.

mod overlays;
mod rows;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use self::{
    overlays::overlay,
    rows::{services, sources},
};
use super::{
    figures::{short, short_rate},
    state::State,
};
use crate::cli::console::clean;

/// How things stand out: by colour only where that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    /// Whether there are colours.
    pub(super) colours: bool,
}

impl Theme {
    fn coloured(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn alarm(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn error(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn denied(self) -> Style {
        self.coloured(Color::Red)
    }

    fn admitted(self) -> Style {
        self.coloured(Color::Green)
    }
}

const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Keys as the last line has them.
const KEYS: &str = "q quit  s sort  p pause  / filter  n names  e explain  a add  ? help";

/// Draws everything.
pub(super) fn draw(state: &mut State, theme: Theme, frame: &mut Frame<'_>) {
    let alarms = alarms(state, theme);
    let area = frame.area();
    let alarm_lines = u16::from(!alarms.is_empty());
    // The heading of both tables, the blank line between them, and what is above and below.
    let others = 6 + alarm_lines;
    let rows = area.height.saturating_sub(others);
    let wanted = u16::try_from(state.services().len().max(1)).unwrap_or(u16::MAX);
    let services_rows = wanted.min(rows / 2).max(1);
    let [title, alarm, upper, _, lower, news, keys] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(alarm_lines),
        Constraint::Length(services_rows + 1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ]));
    let happened = state.news.as_deref().map(|news| clean(news).into_owned()).unwrap_or_default();
    line(frame, title, heading(state));
    line(frame, alarm, alarms);
    services(state, theme, frame, upper);
    sources(state, theme, frame, lower);
    line(frame, news, Line::styled(happened, FAINT));
    line(frame, keys, bottom(state));
    overlay(state, theme, frame);
}

fn line<'a>(frame: &mut Frame<'_>, area: Rect, text: impl Into<Line<'a>>) {
    frame.render_widget(text.into(), area);
}

/// The first line: what it is about, in all.
fn heading(state: &State) -> Line<'static> {
    let figures = &state.figures;
    let services = &figures.services;
    let denied = services.iter().map(|service| service.denied.rate).sum();
    let admitted = services.iter().map(|service| service.admitted.rate).sum();
    let [denied, admitted]: [String; 2] = [denied, admitted].map(short_rate);
    let time = state.now.strftime("%H:%M:%SZ");
    Line::from(vec![
        Span::styled("allowlist", HEADING),
        Span::raw(format!(
            "  {time}  revision {}  admitted {admitted}/s  denied {denied}/s  by {}",
            figures.revision,
            state.sort.word()
        )),
    ])
}

/// What somebody must not miss.
fn alarms(state: &State, theme: Theme) -> Vec<Span<'static>> {
    let figures = &state.figures;
    let mut alarms: Vec<(String, Style)> = Vec::new();
    if let Some(complaint) = state.complaint() {
        alarms.push((clean(&complaint).into_owned(), theme.error()));
    }
    if state.is_paused {
        alarms.push(("PAUSED".to_owned(), theme.alarm()));
    }
    if !state.filter.0.is_empty() {
        alarms.push((format!("FILTER {}", clean(&state.filter.0)), theme.alarm()));
    }
    if figures.degraded > 0 {
        alarms.push(("DEGRADED: see `allowlist-ctl status`".to_owned(), theme.error()));
    }
    if figures.is_pending {
        alarms.push(("TO BE CONFIRMED: `allowlist-ctl confirm`".to_owned(), theme.alarm()));
    }
    let mut spans = Vec::new();
    for (text, style) in alarms {
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        spans.push(Span::styled(text, style));
    }
    spans
}

/// The last line: keys, or the filter as it is typed.
fn bottom(state: &State) -> Line<'static> {
    match &state.overlay {
        Some(super::state::Overlay::Filter) => Line::from(vec![
            Span::styled("filter: ", HEADING),
            Span::raw(clean(&state.filter.0).into_owned()),
            Span::styled(" ", SELECTED),
            Span::styled("  Enter keeps it, Esc shows all", FAINT),
        ]),
        _ => Line::raw(KEYS),
    }
}

/// A text that is made harmless and that fits so many columns, its end told where it does not.
fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text.into_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}\u{2026}")
}

/// How many seconds ago, in at most four characters.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{}s", seconds.max(0)),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The rest of what was dropped, where not all of it has a row.
fn unreported(state: &State) -> Option<String> {
    let flow = &state.figures.unreported;
    let rate = flow.rate.filter(|rate| *rate > 0.0);
    match (rate, flow.packets) {
        (_, 0) => None,
        (None, packets) => Some(format!("and {} packets more, not reported", short(packets))),
        (rate, _) => Some(format!("and {} packets/s more, not reported", short_rate(rate))),
    }
}

#[cfg(test)]
mod tests;
