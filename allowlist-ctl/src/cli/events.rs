//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use serde::de::DeserializeOwned;

use super::error::Error;

/// No event of the daemon is nearly as long, in bytes.
const LONGEST: usize = 1 << 20;

/// An event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Event {
    /// What kind of event; empty where the stream does not say.
    pub(super) name: String,
    /// What it tells.
    pub(super) data: String,
}

impl Event {
    /// What it tells, read.
    ///
    /// # Errors
    /// [`Error::Unreadable`]
    pub(super) fn document<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.data).map_err(|error| Error::Unreadable(error.to_string()))
    }
}

/// Makes events of the pieces in which they come.
#[derive(Debug, Default)]
pub(super) struct Events {
    unread: Vec<u8>,
    event: Event,
}

impl Events {
    /// The events that a piece completes, in their order.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where it is no text, or an event that never ends.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<Vec<Event>, Error> {
        let mut complete = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.unread.extend_from_slice(part);
            if self.unread.len() + self.event.data.len() > LONGEST {
                return Err(Error::Unreadable("one of its events never ends".to_owned()));
            }
            if self.unread.ends_with(b"\n") {
                let line = std::mem::take(&mut self.unread);
                let line = str::from_utf8(&line)
                    .map_err(|_| Error::Unreadable("its events are no text".to_owned()))?;
                complete.extend(self.line(line.trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(complete)
    }

    /// The event that ends with a line.
    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            // Without data there is no event.
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment has no name; fields of later versions mean nothing to this one.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of an event, and its data.
    type Named = (&'static str, &'static str);

    const DROP: Named = ("drop", "{\"a\":1}");

    #[test]
    fn events_are_read_from_their_lines() {
        let table: &[(&str, &str, &[Named])] = &[
            ("a comment", ": following\n\n", &[]),
            ("an event", "event: drop\ndata: {\"a\":1}\n\n", &[DROP]),
            ("no spaces", "event:drop\ndata:{\"a\":1}\n\n", &[DROP]),
            ("lines of Windows", "event: drop\r\ndata: {\"a\":1}\r\n\r\n", &[DROP]),
            ("a comment inside", "event: drop\n: x\ndata: {\"a\":1}\n\n", &[DROP]),
            ("other fields", "id: 7\nretry\nevent: drop\ndata: {\"a\":1}\n\n", &[DROP]),
            ("lines of data", "data: a\ndata: b\n\n", &[("", "a\nb")]),
            ("no data", "event: drop\n\ndata: x\n\n", &[("", "x")]),
            (
                "two events",
                "event: drop\ndata: {\"a\":1}\n\nevent: lost\ndata: {}\n\n",
                &[DROP, ("lost", "{}")],
            ),
            ("not yet complete", "event: drop\ndata: {\"a\":1}\n", &[]),
        ];
        for (description, text, expected) in table {
            // In one piece, and byte by byte.
            for size in [text.len(), 1] {
                let mut events = Events::default();
                let pieces = text.as_bytes().chunks(size);
                let read: Vec<Event> =
                    pieces.flat_map(|piece| events.read(piece).unwrap()).collect();
                let read: Vec<_> =
                    read.iter().map(|event| (event.name.as_str(), event.data.as_str())).collect();
                assert_eq!(read, *expected, "{description}, {size}");
            }
        }
    }

    #[test]
    fn what_is_no_stream_of_events_is_refused() {
        let mut endless = Events::default();
        let piece = vec![b'x'; 1 << 16];
        let refused = (0..17).map(|_| endless.read(&piece)).find_map(Result::err).unwrap();
        assert!(refused.to_string().ends_with("one of its events never ends"), "{refused}");
        let refused = Events::default().read(b"data: \xff\n").unwrap_err();
        assert!(refused.to_string().ends_with("its events are no text"), "{refused}");
    }
}
