//! Taking over the links that an earlier daemon left in force.

use std::io;

use tracing::{debug, warn};

use super::{
    AttachError, Attached, Interface, Kernel,
    held::is_on,
    link::{Link, remove},
    retry::tells_nothing,
    sys::LinkState,
};

/// A link that an earlier daemon left in force.
#[derive(Debug)]
pub struct Pinned {
    /// The name that its interface was wanted by.
    pub interface: String,
    link: Link,
    state: LinkState,
}

impl Kernel {
    /// The links that an earlier daemon left in force, in the order in which they were made. Pins of others, and of links
    /// without an interface, are removed.
    ///
    /// # Errors
    /// What the file system or the kernel answered; what it does not tell about stays.
    pub fn pinned(&self, present: &[Interface]) -> io::Result<Vec<Pinned>> {
        let mut found = Vec::new();
        for pin in self.pins.pinned_links()? {
            let label = pin.label();
            let path = self.pins.link(&pin);
            let pinned =
                if path.is_dir() { Ok(None) } else { Link::from_pin(&self.pins, pin, &self.calls) };
            match pinned {
                // What is there is in force perhaps.
                Err(error) if tells_nothing(&error) => return Err(error),
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
                    if let Err(error) = remove(&path) {
                        warn!("cannot remove the stale pin {}: {error}", path.display());
                    }
                }
            }
        }
        // Ids are given in order: of two with the same index, the later one is on the interface here.
        found.sort_by_key(|pinned| pinned.link.id());
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
            self.attached.push(Attached::elsewhere(interface, state.ifindex, strict, link));
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
}
