//! The two tables: services, and sources that are denied.

use std::collections::VecDeque;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::Line,
    widgets::{Cell, RenderDirection, Row, Sparkline, Table},
};

use super::{FAINT, HEADING, SELECTED, Theme, age, fit, line, unreported};
use crate::{
    api::DropReason,
    cli::{
        render::drop_reason,
        top::{
            figures::{Flow, Key, Service, Source, short, short_rate},
            names::Shown,
            state::State,
        },
    },
};

/// Narrower than this, there is no room for sparklines.
const NARROW: u16 = 66;
/// Columns of a rate or count, its heading included.
const NUMBER: u16 = 10;
const COUNT: u16 = 7;

/// Draws the services.
pub(super) fn services(state: &State, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let services = state.services();
    let [heading, rows] =
        area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    let columns = Layout::horizontal(service_columns(area.width)).spacing(1);
    let cells: [Rect; 6] = heading.layout(&columns);
    let titles = ["SERVICE", "MODE", "ADMITTED/s", "", "DENIED/s", ""];
    for (index, (title, cell)) in titles.into_iter().zip(cells).enumerate() {
        let title = Line::styled(title, HEADING);
        line(frame, cell, if index == 2 || index == 4 { title.right_aligned() } else { title });
    }
    if services.is_empty() {
        let why = if state.figures.at.is_none() {
            "no figures yet"
        } else if state.filter.0.is_empty() {
            "nothing is protected yet: allowlist-ctl protect redis tcp/6379"
        } else {
            "no service has the filter's text"
        };
        return line(frame, rows, Line::styled(why, FAINT));
    }
    let from = state.services_from.min(services.len().saturating_sub(usize::from(rows.height)));
    for (service, row) in services[from..].iter().zip(rows.rows()) {
        draw_service(service, theme, frame, row.layout(&columns));
    }
}

const fn service_columns(width: u16) -> [Constraint; 6] {
    let spark = if width < NARROW { Constraint::Length(0) } else { Constraint::Fill(1) };
    let name = if width < NARROW { Constraint::Fill(1) } else { Constraint::Fill(2) };
    let number = Constraint::Length(NUMBER);
    [name, Constraint::Length(7), number, spark, number, spark]
}

fn draw_service(service: &Service, theme: Theme, frame: &mut Frame<'_>, cells: [Rect; 6]) {
    let [name, mode, admitted, admitted_past, denied, denied_past] = cells;
    let shown = fit(service.name.as_str(), name.width.into());
    line(frame, name, shown);
    // One that lets everyone in is the first to be looked after.
    let (word, style) =
        if service.is_open { ("OPEN", theme.alarm()) } else { (service.mode.word(), Style::new()) };
    line(frame, mode, Line::styled(word, style));
    let flows = [
        (&service.admitted, admitted, admitted_past, theme.admitted()),
        (&service.denied, denied, denied_past, theme.denied()),
    ];
    for (flow, rate, past, style) in flows {
        line(frame, rate, Line::styled(short_rate(flow.rate), style).right_aligned());
        spark(flow, frame, past, style);
    }
}

/// The last minute, the last second at the right.
fn spark(flow: &Flow, frame: &mut Frame<'_>, area: Rect, style: Style) {
    let Flow { past, .. } = flow;
    let bars: VecDeque<u64> = past.iter().rev().copied().take(area.width.into()).collect();
    let bars = Sparkline::default()
        .data(bars)
        .direction(RenderDirection::RightToLeft)
        .absent_value_symbol(" ")
        .style(style);
    frame.render_widget(bars, area);
}

/// Draws the sources, and notes which of them there was room for.
pub(super) fn sources(state: &mut State, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let [heading, rows] =
        area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    state.page = usize::from(rows.height).max(1);
    let columns = source_columns(area.width);
    let titles = ["", "DENIED SOURCE", "SERVICE", "PORT", "COUNT", "RATE/s", "LAST"];
    let titles = titles.map(|title| Cell::from(Line::styled(title, HEADING)));
    let shown = state.sources();
    let at = state.position(&shown);
    // A page at a time, so that rows do not move while the selection does.
    let from = at / state.page * state.page;
    let widths = Layout::horizontal(columns).spacing(1).split(rows);
    let page: Vec<&Source> = shown.iter().skip(from).take(state.page).copied().collect();
    let visible = page.iter().filter_map(|source| source.key.source).collect();
    let row = |(index, source): (usize, &&Source)| {
        let row = source_row(source, state, theme, widths[1].width, widths[2].width);
        if from + index == at { row.style(SELECTED) } else { row }
    };
    let table = Table::new(page.iter().enumerate().map(row), columns).column_spacing(1);
    frame.render_widget(Table::new([Row::new(titles)], columns).column_spacing(1), heading);
    let more = unreported(state);
    if page.is_empty() {
        let nothing = match (state.filter.0.is_empty(), &more) {
            (false, _) => "no source has the filter's text".to_owned(),
            (true, None) => "no packet was dropped since the daemon started".to_owned(),
            (true, Some(more)) => more.clone(),
        };
        line(frame, rows, Line::styled(nothing, FAINT));
    } else {
        frame.render_widget(table, rows);
    }
    let told = format!("{}-{} of {}", from + 1, from + page.len(), shown.len());
    let told = more.into_iter().chain((!page.is_empty()).then_some(told));
    let told = told.collect::<Vec<_>>().join("; ");
    state.visible = visible;
    // On the blank line above, which belongs to nobody.
    if let Some(y) = area.y.checked_sub(1) {
        let above = Rect { y, height: 1, ..area }.intersection(frame.area());
        line(frame, above, Line::styled(told, FAINT).right_aligned());
    }
}

const fn source_columns(width: u16) -> [Constraint; 7] {
    // Where there is no room for all, the least wanted go first.
    let (service, last) = if width < NARROW { (8, 0) } else { (13, 4) };
    [
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(service),
        Constraint::Length(if width < NARROW { 0 } else { 10 }),
        Constraint::Length(COUNT),
        Constraint::Length(COUNT),
        Constraint::Length(last),
    ]
}

fn source_row(
    source: &Source,
    state: &State,
    theme: Theme,
    width: u16,
    service_width: u16,
) -> Row<'static> {
    let Source { key, reason, count, rate, last } = source;
    let Key { source: address, service, port, passed } = key;
    // What would be dropped has passed.
    let (mark, style) = if *passed { ("~", theme.alarm()) } else { ("", Style::new()) };
    let mut from = address.map_or("unknown".to_owned(), |address| address.to_string());
    if state.with_names
        && let Some(address) = address
    {
        match state.names.of(*address, state.moment) {
            Shown::Name(name) => from = format!("{from} {name}"),
            Shown::Awaited | Shown::Unasked => from.push_str(" ..."),
            Shown::None => {}
        }
    }
    let service = match service {
        Some(name) => name.to_string(),
        None if *reason == DropReason::Denied => "-".to_owned(),
        None => drop_reason(*reason).replace("unreadable: ", ""),
    };
    let seconds = state.now.duration_since(*last).as_secs();
    let number = |text: String| Line::raw(text).right_aligned();
    Row::new(vec![
        Cell::from(mark),
        Cell::from(fit(&from, width.into())),
        Cell::from(fit(&service, service_width.into())),
        Cell::from(port.map_or("-".to_owned(), |port| port.to_string())),
        Cell::from(number(short(*count))),
        Cell::from(number(short_rate(*rate))),
        Cell::from(number(age(seconds))),
    ])
    .style(style)
}
