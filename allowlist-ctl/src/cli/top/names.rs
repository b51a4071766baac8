//! Reverse names of addresses, looked up only when somebody asks for them.
//!
//! A lookup may take as long as the resolver likes, and nothing can call it off: a few threads wait for them, a few
//! more addresses wait for those threads, and the screen waits for nobody. What has no answer in time has no name.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, SyncSender, TrySendError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::cli::console::clean;

/// Lookups at once.
const THREADS: usize = 4;
/// Addresses that wait for one.
const WAITING: usize = 64;
/// Longest time that somebody waits for a name.
const DEADLINE: Duration = Duration::from_secs(5);
/// Names that are kept.
const KEPT: usize = 4096;

/// What is known of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Known {
    /// It was asked for then.
    Asked(Instant),
    /// It has this name, or none.
    Name(Option<String>),
}

/// The names that are known.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<IpAddr, Known>);

/// What there is to show of a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown<'a> {
    /// Nobody has asked for it.
    Unasked,
    /// It is being looked up.
    Awaited,
    /// There is none, or none came in time.
    None,
    /// This.
    Name(&'a str),
}

impl Names {
    /// What there is to show.
    pub(super) fn of(&self, address: IpAddr, now: Instant) -> Shown<'_> {
        match self.0.get(&address) {
            None => Shown::Unasked,
            Some(Known::Asked(when)) if now.saturating_duration_since(*when) < DEADLINE => {
                Shown::Awaited
            }
            Some(Known::Asked(_) | Known::Name(None)) => Shown::None,
            Some(Known::Name(Some(name))) => Shown::Name(name),
        }
    }

    /// Notes that an address was asked for.
    pub(super) fn asked(&mut self, address: IpAddr, now: Instant) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(address, Known::Asked(now));
    }

    /// Takes what was found, late as it may be.
    pub(super) fn found(&mut self, address: IpAddr, name: Option<String>) {
        if let Some(known) = self.0.get_mut(&address) {
            // Whoever rules an address writes its name.
            *known = Known::Name(name.map(|name| clean(&name).into_owned()));
        }
    }
}

/// Threads that look names up.
pub(super) struct Lookups(SyncSender<IpAddr>);

impl Lookups {
    /// Starts them; what is found goes to `found`.
    pub(super) fn start(
        look_up: fn(IpAddr) -> Option<String>,
        found: impl Fn(IpAddr, Option<String>) -> bool + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel::<IpAddr>(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let (receiver, found) = (Arc::clone(&receiver), found.clone());
            let work = move || {
                loop {
                    let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(address) = next else { return };
                    if !found(address, look_up(address)) {
                        return;
                    }
                }
            };
            thread::Builder::new().name("names".into()).spawn(work)?;
        }
        Ok(Self(sender))
    }

    /// Asks for the name of an address; `false` where too many wait already.
    pub(super) fn ask(&self, address: IpAddr) -> bool {
        !matches!(self.0.try_send(address), Err(TrySendError::Full(_)))
    }
}

/// The name that the host's resolver has for an address (getnameinfo(3)); none where it has just the address.
pub(super) fn look_up(address: IpAddr) -> Option<String> {
    let name = dns_lookup::lookup_addr(&address).ok()?;
    (name.parse::<IpAddr>().is_err() && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

    #[test]
    fn a_name_is_awaited_only_so_long() {
        let (mut names, asked) = (Names::default(), Instant::now());
        assert_eq!(names.of(ADDRESS, asked), Shown::Unasked);
        names.found(ADDRESS, Some("nobody.asked".into()));
        assert_eq!(names.of(ADDRESS, asked), Shown::Unasked);
        names.asked(ADDRESS, asked);
        let table = [
            (Duration::ZERO, Shown::Awaited),
            (DEADLINE.saturating_sub(Duration::from_millis(1)), Shown::Awaited),
            (DEADLINE, Shown::None),
        ];
        for (later, expected) in table {
            assert_eq!(names.of(ADDRESS, asked + later), expected, "{later:?}");
        }
        // It comes late, and steers no terminal.
        names.found(ADDRESS, Some("evil\x1b[2J.example".into()));
        let shown = names.of(ADDRESS, asked + DEADLINE * 2);
        assert_eq!(shown, Shown::Name("evil\\u{1b}[2J.example"));
        names.found(ADDRESS, None);
        assert_eq!(names.of(ADDRESS, asked), Shown::None);
    }

    #[test]
    fn no_more_names_are_kept_than_there_is_room_for() {
        let (mut names, now) = (Names::default(), Instant::now());
        for number in 0..=u32::try_from(KEPT).unwrap() {
            names.asked(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(names.0.len(), 1);
    }

    #[test]
    fn lookups_that_hang_hold_nobody_up() {
        fn hang(_: IpAddr) -> Option<String> {
            thread::park();
            None
        }
        let lookups = Lookups::start(hang, |_, _| true).unwrap();
        let asked = (0..1000_u32).filter(|number| lookups.ask(IpAddr::from(number.to_be_bytes())));
        let taken = asked.count();
        assert!((WAITING..=WAITING + THREADS).contains(&taken), "{taken}");
    }

    #[test]
    fn what_is_found_is_told() {
        fn named(address: IpAddr) -> Option<String> {
            address.is_ipv4().then(|| format!("host-of-{address}"))
        }
        let (sender, found) = mpsc::channel();
        let tell = move |address, name| sender.send((address, name)).is_ok();
        let lookups = Lookups::start(named, tell).unwrap();
        assert!(lookups.ask(ADDRESS));
        assert_eq!(found.recv().unwrap(), (ADDRESS, Some("host-of-203.0.113.7".into())));
    }
}
