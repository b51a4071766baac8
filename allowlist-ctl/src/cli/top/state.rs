//! What is shown and how, and what keys do to it.

use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use jiff::Timestamp;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    dialog::{Addition, Dialog, Pressed},
    field::Field,
    figures::{Figures, Key, Sample, Service, Sort, Source, sort_services, sort_sources},
    names::{Names, Shown},
};
use crate::policy::{Name, port::Ports};

/// After so many seconds without an answer somebody is told; one comes every second.
const SILENCE: u64 = 3;

/// Something that is to be done beside the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// End.
    Quit,
    /// Find out what becomes of a source's packets and why; with the question's number.
    Explain(u64, IpAddr, Option<Ports>),
    /// Ask what adding an entry would do; with the question's number.
    Try(u64, Addition),
    /// Add an entry, if this is still the revision; with the question's number.
    Do(u64, Addition, u64),
}

/// What lies over the figures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Overlay {
    /// The keys.
    Help,
    /// The filter is being typed.
    Filter,
    /// Why a source's packets are admitted or dropped.
    Explanation {
        /// What it is about.
        title: String,
        /// What was found out; none yet.
        lines: Option<Vec<String>>,
        /// The first line that is shown.
        from: usize,
    },
    /// A source is being added.
    Add(Dialog),
}

/// All that decides what is on the screen.
#[derive(Debug)]
pub(super) struct State {
    /// What was counted.
    pub(super) figures: Figures,
    /// Why there are no newer figures.
    pub(super) trouble: Option<String>,
    /// When the daemon answered last.
    pub(super) answered: Option<Instant>,
    /// The last thing that happened.
    pub(super) news: Option<String>,
    /// How rows are sorted.
    pub(super) sort: Sort,
    /// Whether figures stay as they are.
    pub(super) is_paused: bool,
    /// What rows have to have in them.
    pub(super) filter: Field,
    /// Whether names are shown.
    pub(super) with_names: bool,
    /// The names that are known.
    pub(super) names: Names,
    /// The source that keys are about.
    pub(super) selected: Option<Key>,
    /// What lies over the figures.
    pub(super) overlay: Option<Overlay>,
    /// The first service that is shown.
    pub(super) services_from: usize,
    /// Sources that the screen has room for.
    pub(super) page: usize,
    /// Addresses on the screen.
    pub(super) visible: BTreeSet<IpAddr>,
    /// The time for ages.
    pub(super) now: Timestamp,
    /// The same by a clock that is never set.
    pub(super) moment: Instant,
    /// The last question's number: an answer to an earlier one is no longer wanted.
    asked: u64,
}

impl State {
    /// With nothing to show yet.
    pub(super) fn new(now: Timestamp, moment: Instant) -> Self {
        Self {
            figures: Figures::default(),
            trouble: None,
            answered: None,
            news: None,
            sort: Sort::default(),
            is_paused: false,
            filter: Field::default(),
            with_names: false,
            names: Names::default(),
            selected: None,
            overlay: None,
            services_from: 0,
            page: 1,
            visible: BTreeSet::new(),
            now,
            moment,
            asked: 0,
        }
    }

    /// Takes a sample, or why there is none.
    pub(super) fn take(&mut self, sample: Result<Sample, String>) {
        match sample {
            Ok(sample) => {
                self.trouble = None;
                self.answered = Some(sample.at);
                if !self.is_paused {
                    self.figures.take(sample);
                }
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// What is wrong with the daemon's answers.
    pub(super) fn complaint(&self) -> Option<String> {
        let silence = self.answered.map(|at| self.moment.saturating_duration_since(at));
        let seconds = silence.map_or(0, |silence| silence.as_secs());
        match &self.trouble {
            Some(why) => Some(format!("{why}; its last answer was {seconds} s ago")),
            None if seconds >= SILENCE => {
                Some(format!("no answer from the daemon for {seconds} s"))
            }
            None => None,
        }
    }

    /// Services that the filter lets through, in their order.
    pub(super) fn services(&self) -> Vec<&Service> {
        let wanted = self.filter.0.to_lowercase();
        let is_wanted = |service: &&Service| service.name.as_str().contains(&wanted);
        let mut services: Vec<_> = self.figures.services.iter().filter(is_wanted).collect();
        sort_services(&mut services, self.sort);
        services
    }

    /// Sources that the filter lets through, in their order.
    pub(super) fn sources(&self) -> Vec<&Source> {
        let wanted = self.filter.0.to_lowercase();
        let is_wanted = |source: &&Source| wanted.is_empty() || self.has(source, &wanted);
        let mut sources: Vec<_> = self.figures.sources.iter().filter(is_wanted).collect();
        sort_sources(&mut sources, self.sort);
        sources
    }

    fn has(&self, source: &Source, wanted: &str) -> bool {
        let Key { source, service, port, .. } = &source.key;
        let name = source.map(|address| self.names.of(address, self.moment));
        service.as_ref().is_some_and(|name| name.as_str().contains(wanted))
            || source.is_some_and(|address| address.to_string().contains(wanted))
            || port.is_some_and(|port| port.to_string().contains(wanted))
            || matches!(name, Some(Shown::Name(name)) if self.with_names && name.to_lowercase().contains(wanted))
    }

    /// Where the selected source is among those that are shown; the first one where there is none.
    pub(super) fn position(&self, sources: &[&Source]) -> usize {
        let is_it = |source: &&Source| Some(&source.key) == self.selected.as_ref();
        sources.iter().position(is_it).unwrap_or(0)
    }

    fn current(&self) -> Option<Key> {
        let sources = self.sources();
        sources.get(self.position(&sources)).map(|source| source.key.clone())
    }

    /// Addresses on the screen whose names nobody has asked for yet.
    pub(super) fn nameless(&self) -> Vec<IpAddr> {
        let is_unasked = |address: &IpAddr| self.names.of(*address, self.moment) == Shown::Unasked;
        let visible = self.visible.iter().copied().filter(|_| self.with_names);
        visible.filter(is_unasked).collect()
    }

    /// Takes a key, and says what else is to be done.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Some(Action::Quit);
        }
        match self.overlay.take() {
            None => self.key_of_figures(key),
            Some(Overlay::Help) => None,
            Some(Overlay::Filter) => {
                match key.code {
                    KeyCode::Enter => {}
                    KeyCode::Esc => self.filter.0.clear(),
                    _ => {
                        self.filter.key(key);
                        self.overlay = Some(Overlay::Filter);
                    }
                }
                None
            }
            Some(Overlay::Explanation { title, lines, from }) => {
                let last = lines.as_ref().map_or(0, |lines| lines.len().saturating_sub(1));
                let from = match key.code {
                    KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
                    KeyCode::Down | KeyCode::Char('j') => (from + 1).min(last),
                    KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => return None,
                    _ => from,
                };
                self.overlay = Some(Overlay::Explanation { title, lines, from });
                None
            }
            Some(Overlay::Add(mut dialog)) => {
                let pressed = dialog.key(key);
                let number = self.asked + 1;
                let action = match pressed {
                    Pressed::Close => return None,
                    Pressed::Stay => None,
                    Pressed::Try(addition) => Some(Action::Try(number, addition)),
                    Pressed::Do(addition, revision) => Some(Action::Do(number, addition, revision)),
                };
                if action.is_some() {
                    self.asked = number;
                }
                self.overlay = Some(Overlay::Add(dialog));
                action
            }
        }
    }

    fn key_of_figures(&mut self, key: KeyEvent) -> Option<Action> {
        match key.code {
            KeyCode::Char('q') => return Some(Action::Quit),
            // What was filtered is shown again, before it is the end.
            KeyCode::Esc if self.filter.0.is_empty() => return Some(Action::Quit),
            KeyCode::Esc => self.filter.0.clear(),
            KeyCode::Char('?' | 'h') => self.overlay = Some(Overlay::Help),
            KeyCode::Char('/') => self.overlay = Some(Overlay::Filter),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('n') => self.with_names = !self.with_names,
            KeyCode::Char('[') => self.services_from = self.services_from.saturating_sub(1),
            KeyCode::Char(']') => {
                let last = self.services().len().saturating_sub(1);
                self.services_from = (self.services_from + 1).min(last);
            }
            KeyCode::Up | KeyCode::Char('k') => self.select(|at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(|at, _| at + 1),
            KeyCode::PageUp => self.select(usize::saturating_sub),
            KeyCode::PageDown => self.select(|at, page| at + page),
            KeyCode::Home => self.select(|_, _| 0),
            KeyCode::End => self.select(|_, _| usize::MAX),
            KeyCode::Enter | KeyCode::Char('e') => return self.explain(),
            KeyCode::Char('a') => {
                let current = self.current();
                if let Some(Key { source: Some(source), service, .. }) = current {
                    let list = service.as_ref().map(Name::as_str);
                    self.overlay = Some(Overlay::Add(Dialog::new(source.to_string(), list)));
                }
            }
            _ => {}
        }
        None
    }

    fn select(&mut self, moved: impl FnOnce(usize, usize) -> usize) {
        let sources = self.sources();
        let last = sources.len().saturating_sub(1);
        let at = moved(self.position(&sources), self.page).min(last);
        self.selected = sources.get(at).map(|source| source.key.clone());
    }

    fn explain(&mut self) -> Option<Action> {
        let Key { source, port, .. } = self.current()?;
        let source = source?;
        let port_shown = port.map(|port| format!(" to {port}")).unwrap_or_default();
        let title = format!("{source}{port_shown}");
        self.overlay = Some(Overlay::Explanation { title, lines: None, from: 0 });
        self.asked += 1;
        Some(Action::Explain(self.asked, source, port))
    }

    /// Takes an explanation.
    pub(super) fn explained(&mut self, number: u64, answer: Vec<String>) {
        if let Some(Overlay::Explanation { lines, .. }) = &mut self.overlay
            && number == self.asked
        {
            *lines = Some(answer);
        }
    }

    /// Takes what adding an entry would do.
    pub(super) fn tried(
        &mut self,
        number: u64,
        answer: Result<(Vec<String>, Option<u64>), Vec<String>>,
    ) {
        if let Some(Overlay::Add(dialog)) = &mut self.overlay
            && number == self.asked
        {
            dialog.tried(answer);
        }
    }

    /// Takes what adding an entry did.
    pub(super) fn done(&mut self, number: u64, answer: Result<Vec<String>, Vec<String>>) {
        if let Some(Overlay::Add(dialog)) = &mut self.overlay
            && number == self.asked
        {
            dialog.done(answer);
        }
    }
}

#[cfg(test)]
mod tests;
