//! The links that are held: on which interfaces they are, and what somebody else did to them.
//!
//! The kernel is asked by a link's descriptor, so that no file in the BPF file system decides about enforcement. A link
//! goes with its interface: to another name, to another network namespace and back, where it may come with another
//! index. What the interface is wanted by is its label, which services that are limited to interfaces go by.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::AsFd as _,
};

use aya::programs::ProgramError;
use tracing::{debug, warn};

use super::{
    AttachError, Interface, Kernel, SyncError, XdpMode, attach, link::Link, sys::LinkState,
};
use crate::policy::table::Placement;

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
    link: Link,
}

impl Attached {
    /// Number of its link, which no other one has.
    #[must_use]
    pub const fn link(&self) -> u32 {
        self.link.id()
    }
}

/// A link that an earlier daemon left in force.
#[derive(Debug)]
pub struct Pinned {
    /// The name that its interface was wanted by.
    pub interface: String,
    link: Link,
    state: LinkState,
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

/// Where a link is, as far as it matters for what is judged there.
#[derive(Clone, Debug)]
struct Place<'a> {
    label: &'a str,
    ifindex: u32,
    is_here: bool,
    strict: bool,
}

impl Kernel {
    /// The links that an earlier daemon left in force. Pins of others, and of links without an interface, are removed.
    ///
    /// # Errors
    /// What the file system answered.
    pub fn pinned(&self, present: &[Interface]) -> io::Result<Vec<Pinned>> {
        let mut found = Vec::new();
        for pin in self.pins.pinned_links()? {
            let label = pin.label();
            let path = self.pins.link(&pin);
            match Link::from_pin(&self.pins, pin) {
                Ok(Some((link, state))) if state.ifindex != 0 => {
                    let named = || {
                        let is_it = |one: &&Interface| is_on(&state, one, state.program);
                        present.iter().find(is_it).map(|one| one.name.clone())
                    };
                    let interface =
                        label.or_else(named).unwrap_or_else(|| format!("if{}", state.ifindex));
                    found.push(Pinned { interface, link, state });
                }
                other => {
                    debug!("the pin {} is stale: {other:?}", path.display());
                    if let Err(error) = std::fs::remove_file(&path) {
                        warn!("cannot remove the stale pin {}: {error}", path.display());
                    }
                }
            }
        }
        Ok(found)
    }

    /// Takes the program off the interface that an earlier daemon left it on.
    ///
    /// # Errors
    /// What the file system answered.
    pub fn take_off(&self, pinned: &Pinned) -> io::Result<()> {
        pinned.link.unpin(&self.pins)
    }

    /// Takes over links that an earlier daemon left in force: in one step for each, so that no packet is judged by
    /// nothing. Those that the kernel does not have run this program stay as they are, with the reason.
    ///
    /// # Errors
    /// [`AttachError`]; none of them is taken over then.
    pub fn take_over(
        &mut self,
        pinned: Vec<Pinned>,
        present: &[Interface],
        strict: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, io::Error)>, AttachError> {
        for Pinned { interface, link, state } in pinned {
            let strict = strict(&interface);
            self.attached.push(Attached {
                interface,
                now: None,
                ifindex: state.ifindex,
                generic: None,
                unpinned: None,
                strict,
                link,
            });
        }
        let states: Vec<_> = self.attached.iter().map(|attached| attached.link.state()).collect();
        self.find(&states, present);
        if let Err(error) = self.place(present) {
            self.attached.clear();
            return Err(error.into());
        }
        let mut left = Vec::new();
        for attached in std::mem::take(&mut self.attached) {
            match self.run_on(&attached.link) {
                Ok(()) => self.attached.push(attached),
                Err(error) => left.push((attached.interface, error)),
            }
        }
        Ok(left)
    }

    /// Puts the program on an interface, or has the link that is held there go by the interface's name.
    ///
    /// # Errors
    /// [`AttachError`]; the interface is as before then.
    pub fn attach(
        &mut self,
        interface: &Interface,
        present: &[Interface],
        mode: XdpMode,
        strict: bool,
    ) -> Result<&Attached, AttachError> {
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
        let (link, generic) = attach::create(program.as_fd(), interface, mode)?;
        link.pin(&self.pins).map_err(|source| AttachError::Pin {
            interface: interface.name.clone(),
            path: self.pins.directory().to_owned(),
            source,
        })?;
        self.attached.push(Attached {
            interface: interface.name.clone(),
            now: Some(interface.name.clone()),
            ifindex: interface.ifindex,
            generic,
            unpinned: None,
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
        // A pin that is gone is put back with the next look.
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
    /// What the file system answered.
    pub fn detach_all(&mut self) -> io::Result<()> {
        self.attached.clear();
        self.pins.remove_all()
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
            let attached = &self.attached[number];
            let name = attached.interface.clone();
            if let Ok(LinkState { program, .. }) = states[number]
                && program != self.program_id
            {
                let again = self.run_on(&attached.link);
                happened.push(Happening::Replaced(name.clone(), program, again));
            }
            let attached = &mut self.attached[number];
            if !attached.link.is_pinned(&self.pins) {
                let again = attached.link.pin(&self.pins);
                let reason = again.as_ref().err().map(ToString::to_string);
                // Said once for each reason.
                if reason.is_none() || reason != attached.unpinned {
                    happened.push(Happening::Unpinned(name, again));
                }
                attached.unpinned = reason;
            } else {
                attached.unpinned = None;
            }
        }
        (happened, placed)
    }

    /// Finds the interface of each link.
    fn find(&mut self, states: &[io::Result<LinkState>], present: &[Interface]) {
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

    fn run_on(&self, link: &Link) -> io::Result<()> {
        let program = self.program().map_err(io::Error::other)?;
        link.run(program.as_fd())
    }

    fn program(&self) -> Result<&aya::programs::ProgramFd, AttachError> {
        let not_loaded = |_: ProgramError| AttachError::NotLoaded;
        self.loaded.program().and_then(|program| program.fd()).map_err(not_loaded)
    }
}

/// Whether a link is on this interface of the namespace, and not on one of the same index elsewhere.
fn is_on(state: &LinkState, interface: &Interface, program: u32) -> bool {
    let runs = [Some(program), Some(state.program)];
    state.ifindex == interface.ifindex && runs.contains(&interface.program)
}

/// The indices that go by each name. Where two links have the same index, the one that is here has it.
///
/// In the driver of a bond's member a packet has the member's index, so these go by the bond's name, unless they are
/// attached themselves.
fn placements<'a>(
    places: impl Iterator<Item = Place<'a>>,
    present: &[Interface],
) -> BTreeMap<String, Placement> {
    let (here, elsewhere): (Vec<Place<'_>>, Vec<Place<'_>>) =
        places.partition(|place| place.is_here);
    let is_bond = |ifindex: u32| {
        let is_it = |one: &Interface| one.ifindex == ifindex && one.kind.as_deref() == Some("bond");
        present.iter().any(is_it)
    };
    let members = |place: &Place<'a>| -> Vec<Place<'a>> {
        let bond = Some(place.ifindex).filter(|ifindex| is_bond(*ifindex));
        let of_bond = present.iter().filter(|one| bond.is_some() && one.master == bond);
        of_bond.map(|one| Place { ifindex: one.ifindex, ..place.clone() }).collect()
    };
    let members: Vec<Place<'a>> = here.iter().flat_map(members).collect();
    let mut claimed = BTreeSet::new();
    let mut placed: BTreeMap<String, Placement> = BTreeMap::new();
    for Place { label, ifindex, strict, .. } in here.into_iter().chain(members).chain(elsewhere) {
        if claimed.insert(ifindex) {
            let placement = placed.entry(label.to_owned()).or_default();
            placement.ifindices.insert(ifindex);
            placement.strict |= strict;
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(label: &str, ifindex: u32, is_here: bool) -> Place<'_> {
        Place { label, ifindex, is_here, strict: label == "strict0" }
    }

    #[test]
    fn each_index_goes_by_one_name() {
        let interface = |ifindex, kind: &str, master| Interface {
            ifindex,
            kind: Some(kind.to_owned()),
            master,
            ..Interface::default()
        };
        // bond0 (4) of 2 and 3, a bridge (5) of 6.
        let present = [
            interface(2, "", Some(4)),
            interface(3, "", Some(4)),
            interface(4, "bond", None),
            interface(5, "bridge", None),
            interface(6, "veth", Some(5)),
        ];
        let table: [(&str, Vec<Place<'_>>, &[(&str, &[u32], bool)]); 7] = [
            ("nothing", vec![], &[]),
            ("one", vec![place("eth0", 7, true)], &[("eth0", &[7], false)]),
            ("a strict one", vec![place("strict0", 7, true)], &[("strict0", &[7], true)]),
            (
                "a bond and its members",
                vec![place("bond0", 4, true)],
                &[("bond0", &[2, 3, 4], false)],
            ),
            (
                "a member that is attached itself",
                vec![place("bond0", 4, true), place("eth0", 2, true)],
                &[("bond0", &[3, 4], false), ("eth0", &[2], false)],
            ),
            ("a bridge without its ports", vec![place("br0", 5, true)], &[("br0", &[5], false)]),
            (
                "the index of one that is elsewhere",
                vec![place("eth0", 7, false), place("eth1", 7, true), place("eth2", 8, false)],
                &[("eth1", &[7], false), ("eth2", &[8], false)],
            ),
        ];
        for (description, places, expected) in table {
            let found = placements(places.into_iter(), &present);
            let found: Vec<(&str, Vec<u32>, bool)> = found
                .iter()
                .map(|(name, placement)| {
                    let indices = placement.ifindices.iter().copied().collect();
                    (name.as_str(), indices, placement.strict)
                })
                .collect();
            let expected: Vec<(&str, Vec<u32>, bool)> = expected
                .iter()
                .map(|(name, indices, strict)| (*name, indices.to_vec(), *strict))
                .collect();
            assert_eq!(found, expected, "{description}");
        }
    }
}
