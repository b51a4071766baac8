//! The parser on any bytes: it never panics, stays inside the frame, and never reads padding.

#![no_main]

use std::hint::black_box;

use allowlist_common::parse::{Flow, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let mut flow = Flow::EMPTY;
    if black_box(parse(black_box(frame), &mut flow)).is_err() {
        return;
    }
    // The ports lie inside the frame and inside what the IP header calls the packet.
    let (transport, end) = (usize::from(flow.transport), flow.end as usize);
    assert!(transport + 4 <= frame.len().min(end));
    assert!(usize::from(flow.network) + 20 <= transport);
    let port = u16::from_be_bytes([frame[transport + 2], frame[transport + 3]]);
    assert_eq!(port, flow.port);

    // What stands behind the packet's end says nothing.
    let mut padded = frame[..end.min(frame.len())].to_vec();
    padded.extend([0xa5; 64]);
    let mut again = Flow::EMPTY;
    if end <= frame.len() {
        assert_eq!(parse(padded.as_slice(), &mut again), Ok(()));
        assert_eq!(flow, again);
    }

    // Cut anywhere before the ports' end, it is no flow any more.
    let mut cut = Flow::EMPTY;
    assert!(parse(&frame[..transport + 3], &mut cut).is_err());
});
