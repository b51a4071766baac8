//! Dropped packets as they come.

use serde::de::DeserializeOwned;

use super::{
    client::Reply,
    console::Console,
    error::Error,
    events::{Event, Events},
    render::LiveDrops,
};
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
            Ok(None) => return Err(Error::Ended("it has stopped".to_owned())),
            Err(Error::Broken { reason, .. }) => return Err(Error::Ended(reason)),
            Err(error) => return Err(error),
        };
        for event in events.read(&piece)? {
            if json {
                writeln!(console.stdout, "{}", event.data)?;
            } else {
                show(&event, &mut table, console)?;
            }
        }
    }
}

fn show(event: &Event, table: &mut LiveDrops, console: &mut Console<'_>) -> Result<(), Error> {
    match event.name.as_str() {
        "drop" => {
            let packet: DroppedPacket = document(event)?;
            table.row(&packet, console.stdout, console.paint)?;
        }
        "lost" => {
            let warning = match document(event)? {
                LostEvents { events: 1 } => {
                    "1 packet is not shown, for they came too fast".to_owned()
                }
                LostEvents { events } => {
                    format!("{events} packets are not shown, for they came too fast")
                }
            };
            console.warn(&[warning])?;
        }
        // Events of later versions.
        _ => {}
    }
    Ok(())
}

fn document<T: DeserializeOwned>(event: &Event) -> Result<T, Error> {
    serde_json::from_str(&event.data).map_err(|error| Error::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests;
