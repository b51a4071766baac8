//! The services of a status.

use super::{
    super::{count, destination, join},
    NARROW_PORTS_WIDTH, NOTE_WIDTH, PORTS_WIDTH,
};
use crate::{
    api::{ServiceState, ServiceStatus, ServiceTraffic},
    cli::{
        console::Style,
        table::{Cell, Table, wrap},
    },
    policy::{
        Name,
        service::{Action, Mode},
    },
};

/// The services, and under each what there is to say of it.
pub(super) fn services(services: &[ServiceStatus]) -> Table {
    let is_monitored = |service: &ServiceStatus| {
        service.mode == Mode::Monitor || service.traffic.would_deny.packets > 0
    };
    let is_any_monitored = services.iter().any(is_monitored);
    let is_any_rejected = services.iter().any(|service| service.traffic.reject_sent.packets > 0);
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
        let ServiceTraffic { denied, would_deny, reject_sent, .. } = service.traffic;
        let (ports, addresses) = ports(service, ports_width);
        let mut row = vec![
            Cell::text(service.name.as_str()),
            ports,
            mode(service.mode, service.action),
            state(service.state),
            Cell::number(service.entries),
            Cell::number(admitted(&service.traffic)),
            Cell::number(denied.packets),
        ];
        if is_any_rejected {
            row.push(Cell::number(reject_sent.packets));
        }
        if is_any_monitored {
            row.push(Cell::number(would_deny.packets));
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
        if let Some(came) = last_minute(&service.last_minute) {
            table.note(&came);
        }
    }
    table
}

fn admitted(traffic: &ServiceTraffic) -> u64 {
    traffic.admitted.packets.saturating_add(traffic.admitted_open.packets)
}

/// What came in the last minute, where anything did.
fn last_minute(came: &ServiceTraffic) -> Option<String> {
    let counts = [
        (admitted(came), "admitted"),
        (came.denied.packets, "denied"),
        (came.reject_sent.packets, "rejected"),
        (came.would_deny.packets, "would be denied"),
    ];
    let counts = counts.into_iter().filter(|(packets, _)| *packets > 0);
    let told = join(counts.map(|(packets, what)| format!("{packets} {what}")), ", ");
    (!told.is_empty()).then(|| format!("last minute: {told}"))
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
    let lines = std::iter::once(mode.word()).chain(action);
    Cell::lines(lines.map(str::to_owned)).style(style)
}

fn state(state: ServiceState) -> Cell {
    let style = match state {
        ServiceState::Open => Style::Alarm,
        ServiceState::Closed => Style::Good,
    };
    Cell::text(state.word()).style(style)
}
