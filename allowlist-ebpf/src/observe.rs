//! Watching packets without touching them: the sources of a service, and what another policy would have decided.
//!
//! It is a program of its own, reached by a tail call while somebody watches: nobody else's packets pay for it. It goes
//! on where the judging program would have gone on without it.

use allowlist_common::{
    abi::{PolicyTable, Sighted, Source, WATCHED, next, tried},
    decide::{self, Verdict},
    parse::{self, Flow},
};
use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    macros::xdp,
    programs::XdpContext,
};

use crate::{
    maps,
    packet::{self, Frame},
    tries::KernelTries,
};

/// Whether somebody watches a packet that was judged like this.
#[inline(always)]
pub(crate) fn is_observed(table: &PolicyTable, verdict: &Verdict) -> bool {
    table.is_tried != 0
        || (table.service(verdict.service).flags & WATCHED != 0 && verdict.judged.passes())
}

/// The program that watches for `allowlist`.
#[xdp]
fn observe(ctx: XdpContext) -> u32 {
    watch::<true>(&ctx)
}

/// The program that watches for `allowlist_in_one`.
#[xdp]
fn observe_in_one(ctx: XdpContext) -> u32 {
    watch::<false>(&ctx)
}

/// The program that watches for `allowlist_frags`.
#[xdp(frags)]
fn observe_frags(ctx: XdpContext) -> u32 {
    watch::<true>(&ctx)
}

#[inline(always)]
fn watch<const CALLS: bool>(ctx: &XdpContext) -> u32 {
    let Some(handover) = maps::handover() else { return XDP_DROP };
    let passes = handover.action == XDP_PASS;
    let frame = Frame::new(ctx);
    let mut flow = Flow::EMPTY;
    let parsed = parse::parse(&frame, &mut flow);
    let sighted = |service, what| {
        maps::note_sighting(&Source::new(flow.source, flow.family, service, what));
    };
    let Some(in_force) = maps::policy() else { return handover.action };
    if passes && in_force.service(handover.service).flags & WATCHED != 0 {
        sighted(handover.service, Sighted::Passed);
    }
    if in_force.is_tried != 0
        && let Some(table) = maps::policy_on_trial()
    {
        let verdict =
            decide::decide(table, &KernelTries::<CALLS>, packet::ifindex(ctx), parsed, &flow);
        maps::count_tried(tried::ALL);
        if passes && !verdict.passes() {
            maps::count_tried(tried::NEWLY_DROPPED);
            sighted(verdict.service, Sighted::NewlyDropped);
        } else if !passes && verdict.passes() {
            maps::count_tried(tried::NEWLY_ADMITTED);
            sighted(handover.service, Sighted::NewlyAdmitted);
        }
    }
    if handover.tasks != 0 {
        maps::go_on(ctx, next::AFTERMATH);
    }
    handover.action
}
