//! Which interfaces are to be attached, and how they fare.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{error, info, warn};

use super::config::{Fragments, InterfaceConfig};
use crate::{
    api::{InterfaceState, InterfaceStatus},
    kernel::{AttachError, Interface, Kernel, XdpMode, interfaces},
};

/// The interfaces that are to be attached: those of flags and configuration and those attached by command,
/// without those detached by command.
pub(super) struct Wanted {
    modes: BTreeMap<String, XdpMode>,
    /// Those of flags and configuration.
    configured: BTreeMap<String, XdpMode>,
    /// What was attached (`true`) or detached by command.
    remembered: BTreeMap<String, bool>,
    default_mode: XdpMode,
    detached: BTreeSet<String>,
    /// Interfaces on which later fragments pass only from sources that some service admits.
    strict: BTreeSet<String>,
    /// Why an interface is not attached, said once for each reason.
    reasons: BTreeMap<String, (InterfaceState, String)>,
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
            reasons: BTreeMap::new(),
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

    /// Whether an interface is to be attached.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.modes.contains_key(name)
    }

    /// Whether an interface would be attached if this were remembered of it.
    pub(super) fn would_want(&self, name: &str, remembered: Option<bool>) -> bool {
        remembered.unwrap_or_else(|| self.configured.contains_key(name))
    }

    /// The interfaces that were detached by command.
    pub(super) fn detached(&self) -> impl Iterator<Item = &str> {
        self.detached.iter().map(String::as_str)
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

    /// Attaches every wanted interface that is there and not attached; the errors of those that are there and
    /// cannot be.
    pub(super) fn attach_missing(&mut self, kernel: &mut Kernel) -> Vec<AttachError> {
        for name in kernel.forget_lost() {
            warn!(
                interface = name,
                "the filter is no longer on it: the interface went, or somebody cut the link"
            );
        }
        let present = match interfaces() {
            Ok(present) => present,
            Err(error) => return vec![AttachError::Netlink(error)],
        };
        let mut errors = Vec::new();
        for (name, mode) in self.modes.clone() {
            if kernel.attached().any(|attached| attached.interface == name) {
                continue;
            }
            let Some(interface) = present.iter().find(|interface| interface.name == name) else {
                let reason =
                    "there is no such interface now; the filter is put on it when it appears";
                if self.is_news(&name, InterfaceState::Missing, reason) {
                    warn!(interface = name, "{reason}");
                }
                continue;
            };
            if let Err(error) = self.attach(kernel, interface, mode) {
                errors.push(error);
            }
        }
        errors
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
        let interface = present
            .iter()
            .find(|interface| interface.name == name)
            .ok_or_else(|| AttachError::NoSuchInterface(name.into()))?;
        let mode = mode.or(self.modes.get(name).copied()).unwrap_or(self.default_mode);
        self.attach(kernel, interface, mode)?;
        self.modes.insert(name.into(), mode);
        self.detached.remove(name);
        self.remembered.insert(name.into(), true);
        Ok(())
    }

    /// No longer wants an interface.
    pub(super) fn give_up(&mut self, name: &str) {
        self.become_as(name, Some(false));
    }

    fn attach(
        &mut self,
        kernel: &mut Kernel,
        interface: &Interface,
        mode: XdpMode,
    ) -> Result<(), AttachError> {
        let name = &interface.name;
        match kernel.attach(interface, mode, self.strict.contains(name)) {
            Ok(attached) => {
                self.reasons.remove(name);
                match &attached.generic {
                    None => info!(interface = name, mode = "native", "filtering"),
                    Some(why) => {
                        warn!(interface = name, mode = "generic", "filtering, slower: {why}");
                    }
                }
                Ok(())
            }
            Err(error) => {
                if self.is_news(name, InterfaceState::Failed, &error.to_string()) {
                    error!(interface = name, "not filtering: {error}");
                }
                Err(error)
            }
        }
    }

    fn is_news(&mut self, name: &str, state: InterfaceState, reason: &str) -> bool {
        let now = (state, reason.to_owned());
        self.reasons.insert(name.into(), now.clone()) != Some(now)
    }

    /// How the interfaces fare.
    pub(super) fn status(&self, kernel: &Kernel) -> Vec<InterfaceStatus> {
        let programs: BTreeMap<String, Option<u32>> = interfaces()
            .unwrap_or_default()
            .into_iter()
            .map(|interface| (interface.name, interface.program))
            .collect();
        let blank = |name: &str, state| InterfaceStatus {
            name: name.into(),
            state,
            ifindex: None,
            mode: None,
            program_id: None,
            reason: None,
        };
        let attached = kernel.attached().map(|attached| InterfaceStatus {
            ifindex: Some(attached.ifindex),
            mode: Some(if attached.generic.is_some() { "generic" } else { "native" }.into()),
            program_id: programs.get(&attached.interface).copied().flatten(),
            reason: attached.generic.clone(),
            ..blank(&attached.interface, InterfaceState::Attached)
        });
        let others = self.reasons.iter().map(|(name, (state, reason))| InterfaceStatus {
            reason: Some(reason.clone()),
            ..blank(name, *state)
        });
        let detached = self.detached.iter().map(|name| blank(name, InterfaceState::Detached));
        let mut all: Vec<InterfaceStatus> = attached.chain(others).chain(detached).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}
