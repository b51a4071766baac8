//! Reports of packets that were dropped, or would have been.

use allowlist_common::{abi::Drop, parse};

use crate::{aftermath::Handover, clock, maps, packet::Frame};

/// Whether this CPU's budget lasts for another report.
#[inline(always)]
pub(crate) fn may_report() -> bool {
    let Some(budget) = maps::event_budget() else { return false };
    if *budget == 0 {
        maps::count_lost_event();
        return false;
    }
    *budget -= 1;
    true
}

/// Reports a packet; of one that could not be parsed, what was found before that.
#[inline(always)]
pub(crate) fn report(frame: &Frame, ifindex: u32, length: u64, handover: &Handover) {
    let Some(mut entry) = maps::EVENTS.reserve_untyped::<Drop>(0) else {
        maps::count_lost_event();
        return;
    };
    let event = entry.write(Drop {
        time: clock::nanoseconds(),
        source: handover.found.source,
        ifindex,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        entry: handover.entry,
        service: handover.service,
        port: handover.found.port,
        vlan: 0,
        protocol: handover.found.protocol,
        family: handover.found.family,
        reason: handover.reason,
        padding: [0; 11],
    });
    if let Ok(link) = parse::ethernet(frame) {
        event.vlan = link.vlan;
    }
    entry.submit(0);
}
