//! The links that are held: on which interfaces they are, and what somebody else did to them.
//!
//! The kernel is asked by a link's descriptor, so that no file in the BPF file system decides about enforcement. A link
//! goes with its interface: to another name, to another network namespace and back, where it may come with another
//! index. What the interface is wanted by is its label, which services that are limited to interfaces go by.

use std::{collections::BTreeSet, io, os::fd::AsFd as _};

use aya::programs::ProgramError;
use tracing::debug;

use super::{
    AttachError, Interface, Kernel, RemoveError, SyncError, XdpMode, attach,
    link::Link,
    placing::{Place, placements},
    sys::LinkState,
};

/// The program on an interface.
#[derive(Debug)]
pub struct Attached {
    /// The name that the interface is wanted by.
    pub interface: String,
    /// What it is called now; `None` while it is in another network namespace.
    pub now: Option<String>,
    /// Its index, in the network namespace that it is in.
    pub ifindex: u32,
    /// Whether the program runs in generic mode, and if so why.
    pub generic: Option<String>,
    /// Why the link is not pinned, so that the filter would end with the daemon.
    pub unpinned: Option<String>,
    strict: bool,
    /// The program is on the interface for as long as this is held or pinned.
    pub(super) link: Link,
}

impl Attached {
    /// One of which it is not known yet that its interface is here.
    pub(super) const fn elsewhere(
        interface: String,
        ifindex: u32,
        strict: bool,
        link: Link,
    ) -> Self {
        Self { interface, now: None, ifindex, generic: None, unpinned: None, strict, link }
    }

    /// Number of its link, which no other one has.
    #[must_use]
    pub const fn link(&self) -> u32 {
        self.link.id()
    }
}

/// How a filter is to be on an interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Where in the way of a packet.
    pub mode: XdpMode,
    /// Whether later fragments are judged by their source.
    pub strict: bool,
    /// Whether it is also taken where its link cannot be pinned, and so would end with the daemon.
    pub unpinned: bool,
}

/// What somebody else did.
#[derive(Debug)]
pub enum Happening {
    /// The interface is gone, and the link with it.
    Gone(String),
    /// The link was cut from outside: the program is not on the interface any more.
    Cut(String),
    /// The link ran another program; whether it runs this one again.
    Replaced(String, u32, io::Result<()>),
    /// The pin was gone, or another thing: whether the link is pinned again.
    Unpinned(String, io::Result<()>),
}

impl Kernel {
    /// Puts the program on an interface, or has the link that is held there go by the interface's name.
    ///
    /// # Errors
    /// [`AttachError`]; no link is made or let go then. The maps may go by the interface's name already, and a link that is
    /// held there by its new label, until the next [`Kernel::look`].
    pub fn attach(
        &mut self,
        interface: &Interface,
        present: &[Interface],
        manner: Manner,
    ) -> Result<&Attached, AttachError> {
        let Manner { mode, strict, unpinned } = manner;
        let is_here = |one: &Attached| one.now.is_some() && one.ifindex == interface.ifindex;
        if let Some(held) = self.attached.iter().position(is_here) {
            self.label(self.attached[held].link(), &interface.name, strict);
            self.place(present)?;
            return Ok(&self.attached[held]);
        }
        let new =
            Place { label: &interface.name, ifindex: interface.ifindex, is_here: true, strict };
        let places = placements(self.places().chain([new]), present);
        self.enforced.set_interfaces(places)?;
        let program = self.program()?;
        let (link, generic) = attach::create(program.as_fd(), interface, mode, &self.calls)?;
        let unpinned = match (link.pin(&self.pins, &self.calls), unpinned) {
            (Ok(()), _) => None,
            (Err(error), true) => Some(error.to_string()),
            (Err(source), false) => {
                return Err(AttachError::Pin {
                    interface: interface.name.clone(),
                    path: self.pins.directory().to_owned(),
                    source,
                });
            }
        };
        self.attached.push(Attached {
            interface: interface.name.clone(),
            now: Some(interface.name.clone()),
            ifindex: interface.ifindex,
            generic,
            unpinned,
            strict,
            link,
        });
        let last = self.attached.len() - 1;
        Ok(&self.attached[last])
    }

    /// Has a link go by another name.
    pub fn label(&mut self, link: u32, label: &str, strict: bool) {
        let Some(attached) = self.attached.iter_mut().find(|one| one.link() == link) else {
            return;
        };
        attached.strict = strict;
        label.clone_into(&mut attached.interface);
        if let Err(error) = attached.link.label(&self.pins, label) {
            debug!("the pin of {label} keeps its name: {error}");
        }
    }

    /// Takes the program off what goes by this name; `false` where nothing does.
    ///
    /// # Errors
    /// What the file system answered when the pin was to be removed.
    pub fn detach(&mut self, interface: &str) -> io::Result<bool> {
        let goes_by = |attached: &Attached| attached.interface == interface;
        self.let_go(goes_by)
    }

    /// Takes a link off its interface.
    ///
    /// # Errors
    /// As of [`Kernel::detach`].
    pub fn detach_link(&mut self, link: u32) -> io::Result<bool> {
        self.let_go(|attached| attached.link() == link)
    }

    fn let_go(&mut self, is_it: impl Fn(&Attached) -> bool) -> io::Result<bool> {
        for attached in self.attached.iter().filter(|attached| is_it(attached)) {
            attached.link.unpin(&self.pins)?;
        }
        let before = self.attached.len();
        // The last reference: closing it takes the program off.
        self.attached.retain(|attached| !is_it(attached));
        Ok(self.attached.len() < before)
    }

    /// Takes the program off every interface and removes the pins.
    ///
    /// # Errors
    /// [`RemoveError`]; the filter stays on where it is then.
    pub fn detach_all(&mut self) -> Result<(), RemoveError> {
        // First what may fail: links that stay in force are looked after.
        self.pins.remove_all()?;
        self.attached.clear();
        Ok(())
    }

    /// The interfaces that the program is on.
    pub fn attached(&self) -> impl Iterator<Item = &Attached> {
        self.attached.iter()
    }

    /// Whether every link is as it was at the last [`Kernel::look`], asked of the kernel by descriptor alone.
    #[must_use]
    pub fn is_as_it_was(&self) -> bool {
        self.attached.iter().all(|attached| {
            let is_same = |state: LinkState| {
                state.ifindex == attached.ifindex && state.program == self.program_id
            };
            attached.link.state().is_ok_and(is_same)
                && attached.unpinned.is_none()
                && attached.link.is_pinned(&self.pins)
        })
    }

    /// Looks what became of every link, and puts right what can be: the program, the pin, and the indices in the maps.
    ///
    /// # Errors
    /// [`SyncError`] where the maps could not be told of the indices; to be tried again.
    pub fn look(&mut self, present: &[Interface]) -> (Vec<Happening>, Result<(), SyncError>) {
        let mut happened = Vec::new();
        let mut states = Vec::new();
        for attached in std::mem::take(&mut self.attached) {
            let state = attached.link.state();
            if matches!(&state, Ok(state) if state.ifindex == 0) {
                let was_it = |one: &Interface| {
                    attached.now.as_ref() == Some(&one.name) && one.ifindex == attached.ifindex
                };
                let name = attached.interface.clone();
                let is_gone = !present.iter().any(was_it);
                happened.push(if is_gone { Happening::Gone(name) } else { Happening::Cut(name) });
                // A pin of a link that holds nothing is of no use.
                if let Err(error) = attached.link.unpin(&self.pins) {
                    debug!("cannot remove a stale pin: {error}");
                }
                continue;
            }
            self.attached.push(attached);
            states.push(state);
        }
        self.find(&states, present);
        let placed = self.place(present);
        for number in 0..self.attached.len() {
            happened.extend(self.put_right(number));
        }
        (happened, placed)
    }

    /// Has a link run this program again, and pins it again, where that is needed.
    fn put_right(&mut self, number: usize) -> Vec<Happening> {
        let mut happened = Vec::new();
        let attached = &self.attached[number];
        let name = attached.interface.clone();
        if let Ok(LinkState { program, .. }) = attached.link.state()
            && program != self.program_id
        {
            let again = self.run_on(&attached.link);
            happened.push(Happening::Replaced(name.clone(), program, again));
        }
        let attached = &mut self.attached[number];
        if attached.link.is_pinned(&self.pins) {
            attached.unpinned = None;
            return happened;
        }
        let again = attached.link.pin(&self.pins, &self.calls);
        let reason = again.as_ref().err().map(ToString::to_string);
        // Said once for each reason.
        if reason.is_none() || reason != attached.unpinned {
            happened.push(Happening::Unpinned(name, again));
        }
        attached.unpinned = reason;
        happened
    }

    /// Finds the interface of each link.
    pub(super) fn find(&mut self, states: &[io::Result<LinkState>], present: &[Interface]) {
        let mut claimed = BTreeSet::new();
        // Another namespace may give an interface the index that one has here: the later link is on the one here, as
        // there was no program on it when that was attached.
        for (attached, state) in self.attached.iter_mut().zip(states).rev() {
            let Ok(state) = state else { continue };
            let on = present
                .iter()
                .find(|one| is_on(state, one, self.program_id) && !claimed.contains(&one.ifindex));
            attached.ifindex = state.ifindex;
            attached.now = on.map(|one| one.name.clone());
            if let Some(one) = on {
                claimed.insert(one.ifindex);
                if one.is_generic && attached.generic.is_none() {
                    attached.generic = Some("kept from before".into());
                }
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.attached.iter().map(|attached| Place {
            label: &attached.interface,
            ifindex: attached.ifindex,
            is_here: attached.now.is_some(),
            strict: attached.strict,
        })
    }

    /// Tells the maps which interfaces go by which names.
    ///
    /// # Errors
    /// [`SyncError`]; they know what they knew before then.
    pub fn place(&mut self, present: &[Interface]) -> Result<(), SyncError> {
        let places = placements(self.places(), present);
        if places == *self.enforced.interfaces() {
            return Ok(());
        }
        self.enforced.set_interfaces(places)
    }

    pub(super) fn run_on(&self, link: &Link) -> io::Result<()> {
        let program = self.program().map_err(io::Error::other)?;
        link.run(program.as_fd(), &self.calls)
    }

    fn program(&self) -> Result<&aya::programs::ProgramFd, AttachError> {
        let not_loaded = |_: ProgramError| AttachError::NotLoaded;
        self.loaded.program().and_then(|program| program.fd()).map_err(not_loaded)
    }
}

/// Whether a link is on this interface of the namespace, and not on one of the same index elsewhere.
pub(super) fn is_on(state: &LinkState, interface: &Interface, program: u32) -> bool {
    let runs = [Some(program), Some(state.program)];
    state.ifindex == interface.ifindex && runs.contains(&interface.program)
}
