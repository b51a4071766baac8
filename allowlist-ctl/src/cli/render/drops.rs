//! Dropped packets.

use std::io::{self, Write};

use jiff::Timestamp;

use super::{short_time, time};
use crate::{
    api::{DropReason, DroppedPacket, DroppedPackets, Drops},
    cli::{
        console::{Paint, Style},
        table::{Cell, Columns, Table},
    },
};

/// Writes dropped packets by what they have in common; times of today are told without their date.
///
/// # Errors
/// What `out` answers.
pub(in crate::cli) fn drops(
    drops: &Drops,
    now: Timestamp,
    out: &mut dyn Write,
    paint: Paint,
) -> io::Result<()> {
    let Drops { lost, drops } = drops;
    if drops.is_empty() && *lost == 0 {
        return writeln!(out, "No packet was dropped since the daemon started.");
    }
    if *lost > 0 {
        let more = if drops.is_empty() { "" } else { "more " };
        let packets = if *lost == 1 { "packet was" } else { "packets were" };
        let sentence =
            format!("{lost} {more}{packets} dropped and not reported, for there were too many");
        writeln!(out, "{}", paint.paint(Style::Alarm, &sentence))?;
    }
    if drops.is_empty() {
        return Ok(());
    }
    let with_first = table(drops, now, true);
    let table = if with_first.fits() { with_first } else { table(drops, now, false) };
    table.write_wrapped(out, paint)
}

fn table(drops: &[DroppedPackets], now: Timestamp, with_first: bool) -> Table {
    let mut titles = vec!["LAST"];
    titles.extend(with_first.then_some("FIRST"));
    titles.extend(["COUNT", "SOURCE", "SERVICE", "PORT", "INTERFACE", "REASON"]);
    let mut table = Table::new(titles);
    for DroppedPackets { count, first, last } in drops {
        let mut row = vec![Cell::text(short_time(last.time, now))];
        row.extend(with_first.then(|| Cell::text(short_time(*first, now))));
        row.push(Cell::number(count));
        row.extend([source(last), service(last), port(last), interface(last), reason(last)]);
        table.row(row);
    }
    table
}

/// Dropped packets, a line each as they come; columns grow as they have to.
#[derive(Debug)]
pub(in crate::cli) struct LiveDrops {
    columns: Columns,
}

impl LiveDrops {
    /// Columns in which most packets find room.
    pub(in crate::cli) fn new() -> Self {
        let mut columns = Columns::of(&Self::titles());
        let usual = [
            Cell::text("2026-11-22T02:00:00Z"),
            Cell::text("255.255.255.255"),
            Cell::text("database"),
            Cell::text("tcp/65535"),
            Cell::text("eth0"),
            Cell::number("1514"),
        ];
        columns.fit(&usual);
        Self { columns }
    }

    fn titles() -> [Cell; 7] {
        let titles = ["TIME", "SOURCE", "SERVICE", "PORT", "INTERFACE", "BYTES", "REASON"];
        titles.map(|title| Cell::text(title).style(Style::Heading))
    }

    /// Writes the heading.
    ///
    /// # Errors
    /// What `out` answers.
    pub(in crate::cli) fn heading(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        self.columns.write(&Self::titles(), out, paint)
    }

    /// Writes the line of a packet.
    ///
    /// # Errors
    /// What `out` answers.
    pub(in crate::cli) fn row(
        &mut self,
        packet: &DroppedPacket,
        out: &mut dyn Write,
        paint: Paint,
    ) -> io::Result<()> {
        let row = [
            Cell::text(time(packet.time)),
            source(packet),
            service(packet),
            port(packet),
            interface(packet),
            Cell::number(packet.length),
            reason(packet),
        ];
        self.columns.fit(&row);
        self.columns.write(&row, out, paint)
    }
}

fn source(packet: &DroppedPacket) -> Cell {
    Cell::text(packet.source.map_or("-".to_owned(), |source| source.to_string()))
}

fn service(packet: &DroppedPacket) -> Cell {
    Cell::text(packet.service.as_ref().map_or("-", |name| name.as_str()))
}

fn port(packet: &DroppedPacket) -> Cell {
    Cell::text(packet.port.map_or("-".to_owned(), |port| port.to_string()))
}

fn interface(packet: &DroppedPacket) -> Cell {
    let DroppedPacket { interface, vlan, .. } = packet;
    Cell::text(vlan.map_or_else(|| interface.clone(), |vlan| format!("{interface} vlan {vlan}")))
}

fn reason(packet: &DroppedPacket) -> Cell {
    // What would be dropped has passed.
    let style = if packet.reason == DropReason::WouldDeny { Style::Alarm } else { Style::Plain };
    Cell::text(drop_reason(packet.reason)).style(style)
}

/// The words for a reason.
pub(in crate::cli) const fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Denied => "denied",
        DropReason::WouldDeny => "would deny",
        DropReason::FrameCutOff => "unreadable: frame cut off",
        DropReason::TooManyTags => "unreadable: too many VLAN tags",
        DropReason::BadIpHeader => "unreadable: bad IP header",
        DropReason::ExtensionCutOff => "unreadable: extension header cut off",
        DropReason::TooManyExtensions => "unreadable: too many extension headers",
        DropReason::PortsCutOff => "unreadable: ports cut off",
        DropReason::FragmentRefused => "unreadable: later fragment",
    }
}

#[cfg(test)]
mod tests;
