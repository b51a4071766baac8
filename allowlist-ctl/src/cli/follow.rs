//! Dropped packets as they come.

use super::{client::Reply, console::Console, error::Error, events::Events, render::LiveDrops};
use crate::api::{DroppedPacket, LostEvents};

/// Shows dropped packets until the daemon ends, each at once.
///
/// # Errors
/// [`Error::Ended`] in the end, [`Error::Unreadable`], [`Error::Output`].
pub(super) fn follow(
    mut reply: Reply<'_>,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let mut table = LiveDrops::new();
    if !json {
        table.heading(console.stdout, console.paint)?;
    }
    let mut events = Events::default();
    loop {
        console.stdout.flush()?;
        let piece = match reply.chunk() {
            Ok(Some(piece)) => piece,
            // However it ended: nothing of what came before is lost by it.
            Ok(None) | Err(Error::Broken { .. }) => return Err(Error::Ended),
            Err(error) => return Err(error),
        };
        for event in events.read(&piece)? {
            match event.name.as_str() {
                "drop" | "lost" if json => writeln!(console.stdout, "{}", event.data)?,
                "drop" => {
                    let packet: DroppedPacket = event.document()?;
                    table.row(&packet, console.stdout, console.paint)?;
                }
                "lost" => {
                    let LostEvents { events } = event.document()?;
                    let packets = if events == 1 { "packet is" } else { "packets are" };
                    let warning = format!("{events} {packets} not shown, for they came too fast");
                    console.warn(&[warning])?;
                }
                // Events of later versions.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
