//! The state of everything, for a terminal of 80 columns.

mod groups;
mod observed;

use std::io::{self, Write};

use self::{groups::groups, observed::observed};
use super::{FIRST_STEP, count, destination, mode_name, span, state_name, without_entries};
use crate::{
    api::{
        Degraded, InterfaceState, InterfaceStatus, Pending, ServiceState, ServiceStatus, Status,
        Traffic,
    },
    cli::{
        console::{Paint, Style, clean},
        table::{Cell, Table, wrap},
    },
    policy::{
        Name,
        service::{Action, Mode},
    },
};

/// Columns that ports may take before they go on below.
const PORTS_WIDTH: usize = 16;
/// The same where all columns are there.
const NARROW_PORTS_WIDTH: usize = 10;
/// Columns that a line under a service may take.
const NOTE_WIDTH: usize = 60;

/// Writes the state of everything.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn status(status: &Status, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
    let Status { version, revision, store, .. } = status;
    for Degraded { what, message, since } in &status.degraded {
        let what = what.word().to_uppercase();
        let line = format!("DEGRADED: {what}, since {since}: {}", clean(message));
        writeln!(out, "{}", paint.paint(Style::Error, &line))?;
    }
    if !status.degraded.is_empty() {
        writeln!(out, "What is enforced stays enforced, but for what is said here.")?;
        writeln!(out)?;
    }
    let (version, store) = (clean(version), clean(store));
    writeln!(out, "allowlistd {version}, revision {revision}, store {store}")?;
    writeln!(out)?;
    if let Some(pending) = &status.pending {
        for line in waiting(pending) {
            writeln!(out, "{}", paint.paint(Style::Alarm, &clean(&line)))?;
        }
        writeln!(out)?;
    }
    for line in observed(status) {
        writeln!(out, "{}\n", clean(&line))?;
    }
    if status.interfaces.is_empty() {
        writeln!(out, "No interface has the filter.")?;
    } else {
        interfaces(&status.interfaces).write_wrapped(out, paint)?;
    }
    writeln!(out)?;
    if status.services.is_empty() {
        writeln!(out, "{FIRST_STEP}")?;
    } else {
        services(&status.services).write(out, paint)?;
        for service in status.services.iter().filter(|service| service.entries == 0) {
            let sentence = without_entries(&service.name, service.state);
            writeln!(out, "{}", paint.paint(Style::Alarm, &sentence))?;
        }
        writeln!(out)?;
        writeln!(out, "{}", unmatched(status))?;
    }
    if let Some(groups) = groups(&status.groups) {
        writeln!(out)?;
        groups.write_wrapped(out, paint)?;
    }
    if !status.warnings.is_empty() {
        writeln!(out)?;
    }
    for warning in &status.warnings {
        writeln!(out, "{} {}", paint.paint(Style::Alarm, "warning:"), clean(warning))?;
    }
    Ok(())
}

/// The change that is taken back unless somebody confirms it.
fn waiting(pending: &Pending) -> [String; 2] {
    let Pending { what, by, revision, seconds_left, .. } = pending;
    if *seconds_left == 0 {
        return [
            format!("NOT CONFIRMED: '{what}' of {}, is being taken back", by.name),
            format!("revision {revision}; its time is over: make the change again"),
        ];
    }
    [
        format!("TO BE CONFIRMED: '{what}' of {}, taken back in {}", by.name, span(*seconds_left)),
        format!(
            "revision {revision}; keep it: allowlist-ctl confirm, undo it: allowlist-ctl rollback"
        ),
    ]
}

fn interfaces(interfaces: &[InterfaceStatus]) -> Table {
    let has_reasons = interfaces.iter().any(|interface| interface.reason.is_some());
    let mut titles = vec!["INTERFACE", "STATE", "MODE", "PROGRAM"];
    titles.extend(has_reasons.then_some("REASON"));
    let mut table = Table::new(titles);
    for interface in interfaces {
        let InterfaceStatus { name, state, mode, program_id, reason, .. } = interface;
        let mut row = vec![
            Cell::text(name),
            interface_state(*state),
            Cell::text(mode.as_deref().unwrap_or("-")),
            Cell::number(program_id.map_or("-".to_owned(), |id| id.to_string())),
        ];
        if has_reasons {
            row.push(Cell::text(reason.as_deref().unwrap_or("-")));
        }
        table.row(row);
    }
    table
}

fn interface_state(state: InterfaceState) -> Cell {
    match state {
        InterfaceState::Attached => Cell::text("attached").style(Style::Good),
        InterfaceState::Missing => Cell::text("missing").style(Style::Alarm),
        InterfaceState::Failed => Cell::text("failed").style(Style::Error),
        InterfaceState::Detached => Cell::text("detached").style(Style::Alarm),
    }
}

fn services(services: &[ServiceStatus]) -> Table {
    let is_monitored =
        |service: &ServiceStatus| service.mode == Mode::Monitor || service.would_deny.packets > 0;
    let is_any_monitored = services.iter().any(is_monitored);
    let is_any_rejected = services.iter().any(|service| service.reject_sent.packets > 0);
    let (would_deny, ports_width) = if is_any_monitored && is_any_rejected {
        ("WOULD\nDENY", NARROW_PORTS_WIDTH)
    } else {
        ("WOULD DENY", PORTS_WIDTH)
    };
    let mut titles = vec!["SERVICE", "PORTS", "MODE", "STATE", "ENTRIES", "ADMITTED", "DENIED"];
    titles.extend(is_any_rejected.then_some("REJECTED"));
    titles.extend(is_any_monitored.then_some(would_deny));
    let mut table = Table::new(titles);
    for service in services {
        let admitted = service.admitted.packets.saturating_add(service.admitted_open.packets);
        let (ports, addresses) = ports(service, ports_width);
        let mut row = vec![
            Cell::text(service.name.as_str()),
            ports,
            mode(service.mode, service.action),
            state(service.state),
            Cell::number(service.entries),
            Cell::number(admitted),
            Cell::number(service.denied.packets),
        ];
        if is_any_rejected {
            row.push(Cell::number(service.reject_sent.packets));
        }
        if is_any_monitored {
            row.push(Cell::number(service.would_deny.packets));
        }
        table.row(row);
        for address in &addresses {
            table.note(address);
        }
        let includes = std::iter::once("includes").chain(service.include.iter().map(Name::as_str));
        if !service.include.is_empty() {
            for line in wrap(includes, " ", NOTE_WIDTH) {
                table.note(&line);
            }
        }
        if service.expired > 0 {
            let expired = count(service.expired, "entry has", "entries have");
            table.note(&format!("{expired} expired"));
        }
    }
    table
}

/// The ports, and below them the interfaces and addresses to which the service is limited; addresses that
/// are too long for it have lines of their own.
fn ports(service: &ServiceStatus, width: usize) -> (Cell, Vec<String>) {
    let ports: Vec<String> = service.ports.iter().map(ToString::to_string).collect();
    let mut lines = wrap(ports.iter().map(String::as_str), " ", width);
    lines.extend(service.interfaces.iter().map(|interface| format!("on {interface}")));
    let mut addresses: Vec<String> =
        service.addresses.iter().map(|address| format!("to {}", destination(address))).collect();
    if addresses.iter().all(|address| address.len() <= width) {
        lines.append(&mut addresses);
    }
    (Cell::lines(lines), addresses)
}

/// The mode, and below it the action where that is not to drop.
fn mode(mode: Mode, action: Action) -> Cell {
    let style = match mode {
        Mode::Enforce => Style::Plain,
        Mode::Monitor | Mode::Off => Style::Alarm,
    };
    let action = (action == Action::Reject).then_some("reject");
    let lines = std::iter::once(mode_name(mode)).chain(action);
    Cell::lines(lines.map(str::to_owned)).style(style)
}

fn state(state: ServiceState) -> Cell {
    let style = match state {
        ServiceState::Open => Style::Alarm,
        ServiceState::Closed => Style::Good,
    };
    Cell::text(state_name(state)).style(style)
}

/// What became of packets of no service; their kinds are told by JSON.
fn unmatched(status: &Status) -> String {
    let (mut passed, mut unreadable, mut dropped) = (0_u64, 0_u64, 0_u64);
    for (kind, Traffic { packets, .. }) in &status.unmatched {
        let count = match kind.as_str() {
            kind if kind.ends_with("_dropped") => &mut dropped,
            kind if kind.ends_with("_passed") => &mut unreadable,
            _ => &mut passed,
        };
        *count = count.saturating_add(*packets);
    }
    let mut told = vec![format!("{passed} passed")];
    let counts = [(unreadable, "unreadable passed"), (dropped, "unreadable dropped")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    told.extend(counts.map(|(count, what)| format!("{count} {what}")));
    format!("Packets of no service: {}", told.join(", "))
}

#[cfg(test)]
mod tests;
