//! What waits for the daemon, the resolver, the keyboard or a signal, so that the screen never does: threads that hand
//! in what they hear.

use std::{
    io,
    net::IpAddr,
    path::Path,
    sync::mpsc::{self, Receiver, Sender, SyncSender},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyEvent};

use super::{
    adding,
    explain::explanation,
    figures::Sample,
    names::{Lookups, look_up},
    news::news,
    signals::Signals,
    state::Action,
};
use crate::{
    api::SshSession,
    cli::{client::Client, error::Error, events::Events, request::Request},
};

/// What comes in may wait for so much that came before.
const WAITING: usize = 64;
/// How often the daemon is asked.
const SECOND: Duration = Duration::from_secs(1);

/// Something that comes in.
pub(super) enum Input {
    /// A key.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// What the daemon counted, or why it does not say.
    Sampled(Result<Box<Sample>, String>),
    /// Something happened.
    Happened(String),
    /// An address has a name, or none.
    Named(IpAddr, Option<String>),
    /// What becomes of a source's packets.
    Explained(u64, Vec<String>),
    /// What an addition would do.
    Tried(u64, Result<(Vec<String>, Option<u64>), Vec<String>>),
    /// What an addition did.
    Done(u64, Result<Vec<String>, Vec<String>>),
    /// It is to end.
    End,
    /// It cannot go on.
    Broken(io::Error),
}

/// The threads.
pub(super) struct Threads {
    /// What they hand in.
    pub(super) inputs: Receiver<Input>,
    actions: Sender<Action>,
    lookups: Lookups,
}

/// Says that a thread came to an end that it was not meant to have.
struct Alarm(SyncSender<Input>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            // The panic was told already.
            let _ = self.0.send(Input::Broken(io::Error::other("a part of it failed")));
        }
    }
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// Where there are no more threads to be had.
    pub(super) fn start(
        socket: &Path,
        session: fn() -> Option<SshSession>,
        signals: Signals,
    ) -> io::Result<Self> {
        let (sender, inputs) = mpsc::sync_channel(WAITING);
        let (actions, asked) = mpsc::channel();
        spawn("sample", &sender, socket, sample_on)?;
        spawn("events", &sender, socket, follow)?;
        spawn("ask", &sender, socket, move |socket, sender| {
            ask(socket, session, &asked, sender);
        })?;
        spawn("keys", &sender, socket, |_, sender| read_keys(sender))?;
        spawn("signals", &sender, socket, move |_, sender| {
            signals.wait();
            // Whoever does not want to hear it has ended already.
            let _ = sender.send(Input::End);
        })?;
        let found = move |address, name| sender.send(Input::Named(address, name)).is_ok();
        Ok(Self { inputs, actions, lookups: Lookups::start(look_up, found)? })
    }

    /// Has something done that waits for the daemon.
    pub(super) fn act(&self, action: Action) {
        // The thread lives as long as this; what ends it has been told.
        let _ = self.actions.send(action);
    }

    /// Asks for the name of an address; `false` where too many wait already.
    pub(super) fn look_up(&self, address: IpAddr) -> bool {
        self.lookups.ask(address)
    }
}

fn spawn(
    name: &str,
    sender: &SyncSender<Input>,
    socket: &Path,
    work: impl FnOnce(&Path, &SyncSender<Input>) + Send + 'static,
) -> io::Result<()> {
    let (sender, socket) = (sender.clone(), socket.to_owned());
    let alarm = Alarm(sender.clone());
    let work = move || {
        let _alarm = alarm;
        work(&socket, &sender);
    };
    thread::Builder::new().name(name.into()).spawn(work).map(drop)
}

/// Asks the daemon for everything that is counted.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn sample(client: &Client) -> Result<Sample, Error> {
    let status = client.send(&Request::get("/v1/status"))?.document()?;
    let drops = client.send(&Request::get("/v1/drops"))?.document()?;
    Ok(Sample { at: Instant::now(), status, drops })
}

/// Asks once a second.
fn sample_on(socket: &Path, sender: &SyncSender<Input>) {
    let client = Client::new(socket);
    let mut next = Instant::now();
    loop {
        // Not more often than that, however long an answer took.
        next = (next + SECOND).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let answer = client.as_ref().map_err(ToString::to_string);
        let sampled = answer.and_then(|client| sample(client).map_err(|error| error.to_string()));
        if sender.send(Input::Sampled(sampled.map(Box::new))).is_err() {
            return;
        }
    }
}

/// Follows what happens; that the daemon is gone is told by whoever asks it.
fn follow(socket: &Path, sender: &SyncSender<Input>) {
    loop {
        let ended = Client::new(socket).and_then(|client| follow_once(&client, sender));
        if let Ok(false) = ended {
            return;
        }
        thread::sleep(SECOND);
    }
}

/// Follows until the daemon ends; `false` where nobody wants to hear it any more.
fn follow_once(client: &Client, sender: &SyncSender<Input>) -> Result<bool, Error> {
    let mut reply = client.send(&Request::get("/v1/events?only=change,interface"))?;
    let mut events = Events::default();
    while let Some(piece) = reply.chunk()? {
        for event in events.read(&piece)? {
            let line = news(&event, Timestamp::now())?;
            if line.is_some_and(|line| sender.send(Input::Happened(line)).is_err()) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Does one thing after another, each with a connection of its own.
fn ask(
    socket: &Path,
    session: fn() -> Option<SshSession>,
    actions: &Receiver<Action>,
    sender: &SyncSender<Input>,
) {
    for action in actions {
        let client = Client::new(socket);
        let input = match action {
            Action::Quit => return,
            Action::Explain(number, source, port) => {
                let lines = client
                    .and_then(|client| explanation(&client, source, port))
                    .unwrap_or_else(|error| error.lines());
                Input::Explained(number, lines)
            }
            Action::Try(number, addition) => {
                let tried = client.and_then(|client| adding::try_it(&client, &addition, session()));
                Input::Tried(number, tried.map_err(|error| error.lines()))
            }
            Action::Do(number, addition, revision) => {
                let done = client
                    .and_then(|client| adding::do_it(&client, &addition, revision, session()));
                Input::Done(number, done.map_err(|error| error.lines()))
            }
        };
        if sender.send(input).is_err() {
            return;
        }
    }
}

fn read_keys(sender: &SyncSender<Input>) {
    loop {
        let input = match event::read() {
            Ok(TerminalEvent::Key(key)) => Input::Key(key),
            Ok(TerminalEvent::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(error) => Input::Broken(error),
        };
        let is_broken = matches!(input, Input::Broken(_));
        if sender.send(input).is_err() || is_broken {
            return;
        }
    }
}
