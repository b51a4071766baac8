//! Which interfaces are to be attached, and how they fare.

mod look;
mod places;
mod plan;
mod status;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::look::{Looked, Report};
use super::config::{Fragments, InterfaceConfig};
use crate::{
    api::InterfaceState,
    kernel::{AttachError, Interface, Kernel, XdpMode, interfaces},
};

/// The interfaces that are to be attached: those of flags and configuration, those attached by command, and those that an
/// earlier daemon left filtered, without those detached by command.
pub(super) struct Wanted {
    modes: BTreeMap<String, XdpMode>,
    /// Those of flags and configuration.
    configured: BTreeMap<String, XdpMode>,
    /// What was attached (`true`) or detached by command.
    remembered: BTreeMap<String, bool>,
    default_mode: XdpMode,
    detached: BTreeSet<String>,
    /// Interfaces that were filtered at the start, though nothing names them any more.
    kept: BTreeSet<String>,
    /// Interfaces on which later fragments pass only from sources that some service admits.
    strict: BTreeSet<String>,
    /// Why an interface is not attached, said once for each reason.
    reasons: BTreeMap<String, (InterfaceState, String)>,
    /// What was said of interfaces that are attached, so that it is said once.
    told: BTreeSet<String>,
    /// Those whose filter somebody cut off, until it is back.
    cut: BTreeSet<String>,
    /// How often a filter had to be put back.
    put_back: BTreeMap<String, u64>,
    /// The interfaces there were at the last look.
    present: Vec<Interface>,
}

impl Wanted {
    pub(super) fn new(
        configured: &[InterfaceConfig],
        default_mode: XdpMode,
        remembered: BTreeMap<String, bool>,
    ) -> Self {
        let strict = configured.iter().filter(|interface| interface.fragments == Fragments::Strict);
        let strict = strict.map(|interface| interface.name.clone()).collect();
        let configured: BTreeMap<String, XdpMode> = configured
            .iter()
            .map(|interface| (interface.name.clone(), interface.mode.unwrap_or(default_mode)))
            .collect();
        let mut wanted = Self {
            modes: configured.clone(),
            configured,
            remembered: BTreeMap::new(),
            default_mode,
            detached: BTreeSet::new(),
            strict,
            kept: BTreeSet::new(),
            reasons: BTreeMap::new(),
            told: BTreeSet::new(),
            cut: BTreeSet::new(),
            put_back: BTreeMap::new(),
            present: Vec::new(),
        };
        for (name, attached) in remembered {
            wanted.become_as(&name, Some(attached));
        }
        wanted
    }

    /// Whether an interface was attached (`true`) or detached by command.
    pub(super) fn remembered(&self, name: &str) -> Option<bool> {
        self.remembered.get(name).copied()
    }

    /// Why an interface that is wanted is not attached.
    pub(super) fn reason(&self, name: &str) -> Option<&str> {
        self.reasons.get(name).map(|(_, reason)| reason.as_str())
    }

    /// Whether an interface is to be attached.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.modes.contains_key(name) || self.keeps(name)
    }

    /// Whether an interface is filtered though nothing names it, because it was at the start.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.kept.contains(name) && !self.modes.contains_key(name) && !self.detached.contains(name)
    }

    /// Whether an interface would be attached if this were remembered of it.
    pub(super) fn would_want(&self, name: &str, remembered: Option<bool>) -> bool {
        remembered.unwrap_or_else(|| self.configured.contains_key(name) || self.kept.contains(name))
    }

    /// Wants an interface as flags, configuration and what is remembered of it say, whatever was wanted before.
    pub(super) fn become_as(&mut self, name: &str, remembered: Option<bool>) {
        let configured = self.configured.get(name).copied();
        let mode = match remembered {
            Some(false) => None,
            Some(true) => Some(configured.unwrap_or(self.default_mode)),
            None => configured,
        };
        self.reasons.remove(name);
        self.detached.remove(name);
        self.remembered.remove(name);
        self.modes.remove(name);
        self.modes.extend(mode.map(|mode| (name.to_owned(), mode)));
        if let Some(attached) = remembered {
            self.remembered.insert(name.to_owned(), attached);
            if !attached {
                self.detached.insert(name.to_owned());
            }
        }
    }

    /// Attaches an interface by command.
    ///
    /// # Errors
    /// [`AttachError`]; it is as wanted as before then.
    pub(super) fn attach_now(
        &mut self,
        kernel: &mut Kernel,
        name: &str,
        mode: Option<XdpMode>,
    ) -> Result<(), AttachError> {
        let present = interfaces().map_err(AttachError::Netlink)?;
        let interface = present.iter().find(|interface| interface.name == name).cloned();
        let interface = &interface.ok_or_else(|| AttachError::NoSuchInterface(name.into()))?;
        let mode = mode.unwrap_or_else(|| self.mode(name));
        if let Err(error) = self.attach(kernel, interface, &present, mode) {
            if !self.wants(name) {
                self.reasons.remove(name);
            }
            return Err(error);
        }
        self.present = present;
        self.modes.insert(name.into(), mode);
        self.detached.remove(name);
        self.remembered.insert(name.into(), true);
        Ok(())
    }

    /// No longer wants an interface.
    pub(super) fn give_up(&mut self, name: &str) {
        self.become_as(name, Some(false));
    }

    /// The names of the interfaces that are to be attached.
    fn names(&self) -> BTreeSet<String> {
        let kept = self.kept.iter().filter(|name| self.keeps(name));
        self.modes.keys().chain(kept).cloned().collect()
    }

    fn mode(&self, name: &str) -> XdpMode {
        self.modes.get(name).copied().unwrap_or(self.default_mode)
    }
}
