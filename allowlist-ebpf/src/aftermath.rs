//! What follows a denial: a report, an answer.
//!
//! It is a program of its own, reached by a tail call, so that the one that judges every packet stays short, and
//! each has a stack of its own. Without it (a daemon that is just starting) packets are dropped all the same.
//!
//! What it finds in the packet goes by way of a map as well. Where the verifier does not see it, it follows the paths
//! through the answers once; else once for each path through the parser, and Linux 5.10 gives up.

use core::hint::black_box;

use allowlist_common::{
    abi::{Drop, Judged, next},
    decide::Verdict,
    parse::{self, Flow},
};
use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
    macros::xdp,
    programs::XdpContext,
};

use crate::{
    events, limit, maps,
    packet::{self, Frame},
    reject,
};

/// What the judging program tells the one that follows, by a place of this CPU, and what that one finds in the packet:
/// plain numbers, for which zeros are a value.
#[repr(C)]
pub(crate) struct Handover {
    /// Id of the entry that decided.
    pub(crate) entry: u32,
    /// What becomes of the packet if it is not answered.
    pub(crate) action: u32,
    /// Number of the service.
    pub(crate) service: u16,
    /// Why, as events have it.
    pub(crate) reason: u8,
    /// Bits of what is to be done.
    pub(crate) tasks: u8,
    /// What was found.
    pub(crate) found: Found,
}

/// A [`Flow`], as far as it was parsed.
#[repr(C)]
pub(crate) struct Found {
    pub(crate) end: u32,
    pub(crate) port: u16,
    pub(crate) network: u16,
    pub(crate) transport: u16,
    pub(crate) family: u8,
    pub(crate) protocol: u8,
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
}

const REPORT: u8 = 1;
const REJECT: u8 = 2;

/// Hands a packet over where there is something left to do, and says what becomes of it otherwise.
#[inline(always)]
pub(crate) fn begin(ctx: &XdpContext, verdict: &Verdict, is_observed: bool) -> u32 {
    let action = if verdict.passes() { XDP_PASS } else { XDP_DROP };
    let tasks = if verdict.is_plain() { 0 } else { tasks(verdict) };
    if (tasks != 0 || is_observed)
        && let Some(place) = maps::handover()
    {
        place.entry = verdict.entry;
        place.action = action;
        place.service = verdict.service;
        place.reason = Drop::reason(verdict);
        place.tasks = tasks;
        if is_observed {
            maps::go_on(ctx, next::OBSERVE);
        }
        if tasks != 0 {
            maps::go_on(ctx, next::AFTERMATH);
        }
    }
    action
}

/// What is left to do about a packet that was denied.
#[inline(always)]
fn tasks(verdict: &Verdict) -> u8 {
    let mut tasks = if events::may_report() { REPORT } else { 0 };
    if verdict.reject {
        if limit::take_reject() {
            tasks |= REJECT;
        } else {
            maps::count(verdict.service, Judged::RejectLimited, 0);
        }
    }
    tasks
}

/// The program that follows `allowlist`.
#[xdp]
fn aftermath(ctx: XdpContext) -> u32 {
    follow(&ctx, Frame::new(&ctx).len())
}

/// The program that follows `allowlist_frags`.
#[xdp(frags)]
fn aftermath_frags(ctx: XdpContext) -> u32 {
    follow(&ctx, packet::length_of_all_buffers(&ctx))
}

#[inline(always)]
fn follow(ctx: &XdpContext, length: u64) -> u32 {
    let Some(handover) = maps::handover() else { return XDP_DROP };
    let frame = Frame::new(ctx);
    find(&frame, handover);
    // Opaque, so that what was found is read from the map and not kept in a register.
    let handover = black_box(handover);
    if handover.tasks & REPORT != 0 {
        events::report(&frame, packet::ifindex(ctx), length, handover);
    }
    // Kernels (6.12 and 6.18, on a veth) free the wrong pages where a packet in several buffers is cut: it is dropped
    // without an answer.
    if handover.tasks & REJECT != 0
        && frame.len() == length
        && reject::answer(ctx, &frame, &handover.found).is_some()
    {
        maps::count(handover.service, Judged::RejectSent, length);
        return XDP_TX;
    }
    handover.action
}

/// Parses the packet anew. One that is not whole is not answered.
#[inline(always)]
fn find(frame: &Frame, handover: &mut Handover) {
    let mut flow = Flow::EMPTY;
    if parse::parse(frame, &mut flow).is_err() || flow.is_fragment {
        handover.tasks &= !REJECT;
    }
    handover.found = Found {
        end: flow.end,
        port: flow.port,
        network: flow.network,
        transport: flow.transport,
        family: flow.family as u8,
        protocol: flow.protocol as u8,
        source: flow.source,
        destination: flow.destination,
    };
}
