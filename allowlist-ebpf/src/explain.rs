//! The judging program's twin: it judges a frame of a test run as the other would, over the same maps, and leaves
//! nothing behind but its answer.

use allowlist_common::{
    abi::Explanation,
    decide,
    parse::{self, Flow},
};
use aya_ebpf::{bindings::xdp_action::XDP_PASS, macros::xdp, programs::XdpContext};

use crate::{clock, maps, packet::Frame, tries::KernelTries};

/// The twin of `allowlist` and `allowlist_frags`; never on an interface.
#[xdp]
fn explain(ctx: XdpContext) -> u32 {
    answer::<true>(&ctx);
    XDP_PASS
}

/// The twin of `allowlist_in_one`, which follows fewer prefixes that have ended.
#[xdp]
fn explain_in_one(ctx: XdpContext) -> u32 {
    answer::<false>(&ctx);
    XDP_PASS
}

#[inline(always)]
fn answer<const CALLS: bool>(ctx: &XdpContext) -> Option<()> {
    let explanation = maps::explanation()?;
    let table = maps::policy()?;
    let now = clock::boot_seconds();
    let mut flow = Flow::EMPTY;
    let parsed = parse::parse(&Frame::new(ctx), &mut flow);
    let verdict = decide::decide(table, &KernelTries::<CALLS>, explanation.ifindex, parsed, &flow);
    let aside = match parsed {
        Ok(()) => 0,
        Err(aside) => aside as u8 + 1,
    };
    *explanation = Explanation {
        ifindex: explanation.ifindex,
        now,
        entry: verdict.entry,
        service: verdict.service,
        judged: verdict.judged as u8,
        // There are fewer counters than a byte has values.
        unmatched: (verdict.unmatched.counter() & 0xff) as u8,
        passes: verdict.passes().into(),
        rejects: verdict.reject.into(),
        is_answered: 1,
        aside,
    };
    Some(())
}
