//! Looking after the interfaces: what came, what went, and what somebody else did to the filter.

use anyhow::Context as _;
use tracing::{error, info, warn};

use super::{
    Wanted,
    plan::{self, Held},
};
use crate::{
    api::InterfaceState,
    kernel::{AttachError, Happening, Interface, Kernel, Manner, XdpMode, interfaces},
    policy::audit::AuditResult,
};

/// What a look brought.
#[derive(Default)]
pub(in crate::daemon) struct Looked {
    /// Why interfaces that are there are not attached.
    pub(in crate::daemon) errors: Vec<AttachError>,
    /// What somebody else did to the filter, and what was done about it.
    pub(in crate::daemon) reports: Vec<Report>,
    /// Why it was no whole look, to be tried again.
    pub(in crate::daemon) trouble: Option<String>,
}

/// Something that is to be on record.
pub(in crate::daemon) struct Report {
    pub(in crate::daemon) interface: String,
    pub(in crate::daemon) result: AuditResult,
    pub(in crate::daemon) message: String,
}

impl Wanted {
    /// Takes over what an earlier daemon left in force, wanted or not: that it is not named any more is no command to
    /// take it off. What was detached by command, or attached by a change that is `taken_back`, is taken off.
    ///
    /// # Errors
    /// Where the interfaces or the pins cannot be read, or the maps cannot be told of the interfaces.
    pub(in crate::daemon) fn take_over(
        &mut self,
        kernel: &mut Kernel,
        taken_back: Option<&str>,
    ) -> anyhow::Result<()> {
        let present = interfaces().map_err(AttachError::Netlink)?;
        let pinned = kernel.pinned(&present).context("cannot read the pins")?;
        let is_unwanted = |name: &str| {
            !self.wants(name) && (self.detached.contains(name) || taken_back == Some(name))
        };
        let (unwanted, pinned): (Vec<_>, Vec<_>) =
            pinned.into_iter().partition(|one| is_unwanted(&one.interface));
        for pinned in unwanted {
            let name = &pinned.interface;
            kernel.take_off(&pinned).with_context(|| format!("cannot detach {name}"))?;
            info!(interface = name, "took off the filter that was in force");
        }
        let left = kernel.take_over(pinned, &present, |name| self.strict.contains(name))?;
        for (name, reason) in left {
            error!(
                interface = name,
                "the filter of an earlier start stays in force there as it was, with its policy: it cannot be taken over ({reason})"
            );
        }
        let names = self.names();
        for held in held(kernel) {
            info!(interface = held.label, "took over the filter that was in force");
            let label = plan::label(&held.as_held(), &names).to_owned();
            // Nothing names it: then it goes by what it is called.
            let now = held.now.clone().filter(|_| !names.contains(&label));
            let label = now.unwrap_or(label);
            if !names.contains(&label) {
                self.kept.insert(label.clone());
            }
            kernel.label(held.link, &label, self.strict.contains(&label));
        }
        Ok(())
    }

    /// Whether a look may bring something new though nobody told of anything.
    pub(in crate::daemon) fn is_wanting(&self) -> bool {
        self.reasons.values().any(|(state, _)| *state == InterfaceState::Failed)
    }

    /// Puts right what can be, and attaches every wanted interface that is there and not attached.
    pub(in crate::daemon) fn look(&mut self, kernel: &mut Kernel) -> Looked {
        let mut looked = Looked::default();
        self.present = match interfaces() {
            Ok(present) => present,
            Err(error) => {
                let error = AttachError::Netlink(error);
                looked.trouble = Some(error.to_string());
                looked.errors.push(error);
                return looked;
            }
        };
        let present = self.present.clone();
        let (happened, placed) = kernel.look(&present);
        for happening in happened {
            looked.reports.extend(self.note(happening));
        }
        let names = self.names();
        for held in held(kernel) {
            let label = plan::label(&held.as_held(), &names);
            if label != held.label {
                info!(interface = label, "the filter of {} is now that of {label}", held.label);
                kernel.label(held.link, label, self.strict.contains(label));
            }
        }
        self.reasons.retain(|name, _| names.contains(name));
        for name in plan::from_below(names, &present) {
            self.look_at(kernel, &present, &name, &mut looked);
        }
        Self::take_off_superseded(kernel);
        if let Err(error) = placed.and_then(|()| kernel.place(&present)) {
            looked.trouble = Some(format!("the kernel was not told of the interfaces: {error}"));
        }
        self.say_news(kernel);
        looked
    }

    fn look_at(
        &mut self,
        kernel: &mut Kernel,
        present: &[Interface],
        name: &str,
        looked: &mut Looked,
    ) {
        if kernel.attached().any(|attached| attached.now.as_deref() == Some(name)) {
            self.reasons.remove(name);
            return;
        }
        let Some(interface) = present.iter().find(|interface| interface.name == name) else {
            self.cut.remove(name);
            let held = kernel.attached().find(|attached| attached.interface == name);
            let reason = match held.map(|attached| &attached.now) {
                // Renamed, and filtered all the same.
                Some(Some(_)) => {
                    self.reasons.remove(name);
                    return;
                }
                Some(None) => {
                    "it is in another network namespace, and its filter with it, which judges there until both are back"
                }
                None => "there is no such interface now; the filter is put on it when it appears",
            };
            if self.is_news(name, InterfaceState::Missing, reason) {
                warn!(interface = name, "{reason}");
            }
            return;
        };
        let was_news = self.reasons.get(name).cloned();
        match self.attach(kernel, interface, present, self.mode(name)) {
            Ok(()) => {
                if self.cut.remove(name) {
                    let message = "somebody cut the filter off; it is put back";
                    looked.reports.push(self.put_back(name, message.into()));
                }
            }
            Err(AttachError::NoSuchInterface(_)) => {
                self.cut.remove(name);
            }
            Err(error) => {
                if self.cut.contains(name) && was_news != self.reasons.get(name).cloned() {
                    looked.reports.push(Report {
                        interface: name.to_owned(),
                        result: AuditResult::Failed,
                        message: format!(
                            "somebody cut the filter off, and it cannot be put back: {error}"
                        ),
                    });
                }
                looked.errors.push(error);
            }
        }
    }

    /// Takes filters off that were kept on interfaces which were renamed, or went to another network namespace, where
    /// another interface has their name and is filtered by now.
    fn take_off_superseded(kernel: &mut Kernel) {
        let all = held(kernel);
        let links: Vec<Held<'_>> = all.iter().map(HeldLink::as_held).collect();
        for link in plan::superseded(&links) {
            let Some(old) = all.iter().find(|one| one.link == link) else { continue };
            let what = old.now.as_deref().unwrap_or("another network namespace");
            match kernel.detach_link(link) {
                Ok(_) => info!(
                    interface = old.label,
                    "took the filter off the interface that was {} before (now {what}): another one has that name, and is filtered",
                    old.label
                ),
                Err(error) => warn!("cannot take the filter off {what}: {error}"),
            }
        }
    }

    /// What is to be on record of what somebody did.
    fn note(&mut self, happening: Happening) -> Option<Report> {
        let failed = |interface: String, message: String| {
            Some(Report { interface, result: AuditResult::Failed, message })
        };
        match happening {
            Happening::Gone(name) => {
                warn!(interface = name, "the interface is gone, and the filter with it");
                self.kept.remove(&name);
                None
            }
            Happening::Cut(name) => {
                self.cut.insert(name);
                None
            }
            Happening::Replaced(name, program, Ok(())) => {
                let message = format!(
                    "somebody had program {program} run instead of the filter; it is put back"
                );
                Some(self.put_back(&name, message))
            }
            Happening::Replaced(name, program, Err(error)) => failed(
                name,
                format!(
                    "somebody had program {program} run instead of the filter, and it cannot be put back: {error}"
                ),
            ),
            Happening::Unpinned(interface, Ok(())) => Some(Report {
                interface,
                result: AuditResult::Done,
                message:
                    "the pin of the filter was gone; it is pinned again, and was in force meanwhile"
                        .into(),
            }),
            Happening::Unpinned(name, Err(error)) => failed(
                name,
                format!(
                    "the pin of the filter is gone, and it cannot be pinned again: {error}; it would end with the daemon"
                ),
            ),
        }
    }

    fn put_back(&mut self, name: &str, message: String) -> Report {
        *self.put_back.entry(name.to_owned()).or_default() += 1;
        Report { interface: name.to_owned(), result: AuditResult::Done, message }
    }

    pub(super) fn attach(
        &mut self,
        kernel: &mut Kernel,
        interface: &Interface,
        present: &[Interface],
        mode: XdpMode,
    ) -> Result<(), AttachError> {
        let name = &interface.name;
        let manner = Manner {
            mode,
            strict: self.strict.contains(name),
            // What was in force before is put back also where it would end with the daemon.
            unpinned: self.cut.contains(name),
        };
        match kernel.attach(interface, present, manner) {
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
                let is_news = self.is_news(name, InterfaceState::Failed, &error.to_string());
                // Of a filter that somebody cut off there is more to say.
                if is_news && !self.cut.contains(name) {
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

    /// Tells the log what is to be known of attached interfaces, once as long as it stays so.
    fn say_news(&mut self, kernel: &Kernel) {
        let known: Vec<(String, Vec<String>)> = kernel
            .attached()
            .map(|attached| (attached.interface.clone(), self.remarks(kernel, attached)))
            .collect();
        for (name, remarks) in &known {
            for remark in remarks.iter().filter(|remark| !self.told.contains(*remark)) {
                warn!(interface = name, "{remark}");
            }
        }
        self.told = known.into_iter().flat_map(|(_, remarks)| remarks).collect();
    }
}

/// A link that is held, on its own.
struct HeldLink {
    link: u32,
    label: String,
    now: Option<String>,
}

impl HeldLink {
    fn as_held(&self) -> Held<'_> {
        Held { link: self.link, label: &self.label, now: self.now.as_deref() }
    }
}

fn held(kernel: &Kernel) -> Vec<HeldLink> {
    let own = |attached: &crate::kernel::Attached| HeldLink {
        link: attached.link(),
        label: attached.interface.clone(),
        now: attached.now.clone(),
    };
    kernel.attached().map(own).collect()
}
