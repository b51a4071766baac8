//! A question to the kernel by netlink, and its answer (netlink(7)).

use std::{io, iter};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

/// The kernel sends dumps in datagrams of up to 32 KiB.
const BUFFER: usize = 64 * 1024;

/// How often a dump is begun anew when what it lists changes under it.
const ATTEMPTS: u32 = 10;

/// A socket to one part of the kernel.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Socket,
    buffer: Vec<u8>,
    /// Number of the latest question; its answers carry it.
    sequence: u32,
}

impl Channel {
    /// Opens one, say to [`NETLINK_ROUTE`](netlink_sys::protocols::NETLINK_ROUTE).
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER), sequence: 0 })
    }

    /// Asks for a list, and keeps of each item what `read` makes of it.
    ///
    /// # Errors
    /// What the kernel answered, or that the list changed at each of ten attempts to read it.
    pub(crate) fn dump<M, T>(
        &mut self,
        question: impl Into<NetlinkPayload<M>>,
        mut read: impl FnMut(M) -> Option<T>,
    ) -> io::Result<Vec<T>>
    where
        M: NetlinkDeserializable + NetlinkSerializable,
    {
        let mut question = NetlinkMessage::new(NetlinkHeader::default(), question.into());
        question.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
        until_whole(|| {
            let sequence = self.send(&mut question)?;
            let mut dump = Dump::default();
            while !dump.is_done {
                dump.take(self.receive()?, sequence, &mut read)?;
            }
            Ok(dump)
        })
    }

    /// Asks for a list that may be very long, and reads about `most` items of it. Says also whether there are more.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(crate) fn dump_at_most<M, T>(
        mut self,
        most: usize,
        question: impl Into<NetlinkPayload<M>>,
        mut read: impl FnMut(M) -> Option<T>,
    ) -> io::Result<(Vec<T>, bool)>
    where
        M: NetlinkDeserializable + NetlinkSerializable,
    {
        let mut question = NetlinkMessage::new(NetlinkHeader::default(), question.into());
        question.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
        let sequence = self.send(&mut question)?;
        let mut dump = Dump::default();
        // The kernel gives a dump up with the socket, which ends here.
        while !dump.is_done && dump.items < most {
            dump.take(self.receive()?, sequence, &mut read)?;
        }
        Ok((dump.found, !dump.is_done))
    }

    /// Asks a question that has a single answer.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(crate) fn ask<M>(&mut self, question: impl Into<NetlinkPayload<M>>) -> io::Result<M>
    where
        M: NetlinkDeserializable + NetlinkSerializable,
    {
        let mut question = NetlinkMessage::new(NetlinkHeader::default(), question.into());
        question.header.flags = NLM_F_REQUEST;
        let sequence = self.send(&mut question)?;
        loop {
            for message in messages::<M>(self.receive()?) {
                let message = message?;
                if message.header.sequence_number != sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => return Ok(answer),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }

    /// Sends a question, and says which number its answers carry.
    fn send<M>(&mut self, question: &mut NetlinkMessage<M>) -> io::Result<u32>
    where
        M: NetlinkSerializable,
    {
        self.sequence = self.sequence.wrapping_add(1);
        question.header.sequence_number = self.sequence;
        question.finalize();
        let mut bytes = vec![0; question.buffer_len()];
        question.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(self.sequence)
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Ok(length) if length > self.buffer.len() => {
                    let message = format!("a netlink datagram of {length} bytes is too large");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                Ok(_) => return Ok(&self.buffer),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a dump has brought so far.
#[derive(Debug)]
struct Dump<T> {
    found: Vec<T>,
    /// How many there were, those of which nothing was kept too.
    items: usize,
    is_done: bool,
    /// Something changed meanwhile: items may be missing, or there twice.
    is_interrupted: bool,
}

impl<T> Default for Dump<T> {
    fn default() -> Self {
        Self { found: Vec::new(), items: 0, is_done: false, is_interrupted: false }
    }
}

impl<T> Dump<T> {
    fn take<M: NetlinkDeserializable>(
        &mut self,
        datagram: &[u8],
        sequence: u32,
        read: &mut impl FnMut(M) -> Option<T>,
    ) -> io::Result<()> {
        for message in messages(datagram) {
            let NetlinkMessage { header, payload, .. } = message?;
            if header.sequence_number != sequence {
                continue;
            }
            self.is_interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
            match payload {
                NetlinkPayload::InnerMessage(item) => {
                    self.items += 1;
                    self.found.extend(read(item));
                }
                // A dump that fails on its way says so at its end.
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                }
                NetlinkPayload::Done(_) => self.is_done = true,
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::Overrun(_) => return Err(io::ErrorKind::InvalidData.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Dumps until nothing changes meanwhile.
fn until_whole<T>(mut dump: impl FnMut() -> io::Result<Dump<T>>) -> io::Result<Vec<T>> {
    for _ in 0..ATTEMPTS {
        let dump = dump()?;
        if !dump.is_interrupted {
            return Ok(dump.found);
        }
    }
    let message = "the network's configuration changes too fast to be read; try again";
    Err(io::Error::new(io::ErrorKind::Interrupted, message))
}

/// The messages of a datagram.
fn messages<M: NetlinkDeserializable>(
    mut datagram: &[u8],
) -> impl Iterator<Item = io::Result<NetlinkMessage<M>>> {
    iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let message = NetlinkMessage::deserialize(datagram).map_err(io::Error::other);
        let length = message.as_ref().map_or(datagram.len(), |message| {
            // Messages start at multiples of four bytes (RFC 3549, section 2.2), a header apart at least.
            (message.header.length as usize).next_multiple_of(4).max(16)
        });
        datagram = datagram.get(length..).unwrap_or_default();
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{DoneMessage, ErrorMessage};
    use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};

    use super::*;

    const SEQUENCE: u32 = 7;

    type Payload = NetlinkPayload<RouteNetlinkMessage>;

    fn link(ifindex: u32) -> Payload {
        let mut link = LinkMessage::default();
        link.header.index = ifindex;
        RouteNetlinkMessage::NewLink(link).into()
    }

    fn done(code: i32) -> Payload {
        let mut done = DoneMessage::default();
        done.code = code;
        NetlinkPayload::Done(done)
    }

    fn error(code: i32) -> Payload {
        let mut error = ErrorMessage::default();
        error.code = code.try_into().ok();
        error.header = vec![0; 16];
        NetlinkPayload::Error(error)
    }

    fn bytes(sequence: u32, flags: u16, payload: Payload) -> Vec<u8> {
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), payload);
        message.header.sequence_number = sequence;
        message.header.flags = flags;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
        message.serialize(&mut bytes);
        bytes
    }

    fn ifindex(message: RouteNetlinkMessage) -> Option<u32> {
        match message {
            RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
            _ => None,
        }
    }

    /// What has become of a dump: the interfaces, whether it is done, whether it was interrupted.
    type Outcome = Result<(Vec<u32>, bool, bool), Option<i32>>;

    #[test]
    fn datagrams_of_a_dump_are_read_to_its_end() {
        let whole = |payload| bytes(SEQUENCE, 0, payload);
        let interrupted = |payload| bytes(SEQUENCE, NLM_F_DUMP_INTR, payload);
        let cases: [(&str, Vec<Vec<u8>>, Outcome); 9] = [
            ("nothing", vec![], Ok((vec![], false, false))),
            ("two items", vec![whole(link(1)), whole(link(2))], Ok((vec![1, 2], false, false))),
            ("the end", vec![whole(link(1)), whole(done(0))], Ok((vec![1], true, false))),
            (
                "a change before an item",
                vec![whole(link(1)), interrupted(link(2)), whole(done(0))],
                Ok((vec![1, 2], true, true)),
            ),
            ("a change before the end", vec![interrupted(done(0))], Ok((vec![], true, true))),
            ("a failure on the way", vec![whole(link(1)), whole(done(-2))], Err(Some(2))),
            ("a refusal", vec![whole(error(-1))], Err(Some(1))),
            (
                "answers to an earlier question",
                vec![
                    bytes(SEQUENCE - 1, NLM_F_DUMP_INTR, link(1)),
                    bytes(SEQUENCE - 1, 0, error(-1)),
                    bytes(SEQUENCE - 1, 0, done(0)),
                    whole(link(3)),
                ],
                Ok((vec![3], false, false)),
            ),
            ("a message cut off", vec![whole(link(1))[..20].to_vec()], Err(None)),
        ];
        for (description, messages, expected) in cases {
            let mut dump = Dump::default();
            let result = dump.take(&messages.concat(), SEQUENCE, &mut ifindex);
            let outcome = result
                .map(|()| (dump.found, dump.is_done, dump.is_interrupted))
                .map_err(|error| error.raw_os_error());
            assert_eq!(outcome, expected, "{description}");
        }
    }

    #[test]
    fn a_dump_is_begun_anew_when_something_changes() {
        let cases = [
            ("no change", 0, Ok(vec![1])),
            ("two changes", 2, Ok(vec![3])),
            ("changes at all attempts but the last", ATTEMPTS - 1, Ok(vec![ATTEMPTS])),
            ("changes at every attempt", ATTEMPTS, Err(io::ErrorKind::Interrupted)),
        ];
        for (description, changes, expected) in cases {
            let mut attempts = 0;
            let outcome = until_whole(|| {
                attempts += 1;
                let is_interrupted = attempts <= changes;
                Ok(Dump { found: vec![attempts], items: 1, is_done: true, is_interrupted })
            });
            assert_eq!(outcome.map_err(|error| error.kind()), expected, "{description}");
        }
    }

    #[test]
    fn a_long_dump_is_left_where_enough_was_read() {
        let open = || Channel::open(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
        let question = || RouteNetlinkMessage::GetLink(LinkMessage::default());
        let (all, is_cut) = open().dump_at_most(1 << 20, question(), ifindex).unwrap();
        assert!(all.contains(&1) && !is_cut);
        let (none, is_cut) = open().dump_at_most(0, question(), ifindex).unwrap();
        assert!(none.is_empty() && is_cut);
    }

    #[test]
    fn a_channel_takes_one_question_after_the_other() {
        let mut channel = Channel::open(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
        let question = || RouteNetlinkMessage::GetLink(LinkMessage::default());
        for _ in 0..2 {
            assert!(channel.dump(question(), ifindex).unwrap().contains(&1));
        }
        let mut loopback = LinkMessage::default();
        loopback.header.index = 1;
        let answer = channel.ask(RouteNetlinkMessage::GetLink(loopback)).unwrap();
        assert_eq!(ifindex(answer), Some(1));

        let mut missing = LinkMessage::default();
        missing.header.index = i32::MAX.unsigned_abs();
        let error = channel.ask(RouteNetlinkMessage::GetLink(missing)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        assert!(channel.dump(question(), ifindex).unwrap().contains(&1), "after a refusal");
    }
}
