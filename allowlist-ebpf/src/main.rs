//! The XDP program: judge a packet, count the verdict, act on it.

#![no_std]
#![no_main]
#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over")]
#![expect(
    clippy::inline_always,
    reason = "the program is one function, and the verifier follows it better so"
)]

mod aftermath;
mod checksum;
mod clock;
mod events;
mod explain;
mod limit;
mod maps;
mod observe;
mod packet;
mod reject;
mod tries;

use allowlist_common::{
    decide,
    parse::{self, Flow},
};
use aya_ebpf::{bindings::xdp_action::XDP_PASS, macros::xdp, programs::XdpContext};
use aya_log_ebpf::debug;

use crate::{packet::Frame, tries::KernelTries};

/// The filter for drivers and kernels that hand over a packet in one buffer.
#[xdp]
fn allowlist(ctx: XdpContext) -> u32 {
    filter::<false, true>(&ctx)
}

/// The same in one function, for kernels that call none in a program with tail calls (Linux before 6.0 on arm64).
#[xdp]
fn allowlist_in_one(ctx: XdpContext) -> u32 {
    filter::<false, false>(&ctx)
}

/// The same filter for packets in several buffers; the headers are in the first one.
#[xdp(frags)]
fn allowlist_frags(ctx: XdpContext) -> u32 {
    filter::<true, true>(&ctx)
}

#[inline(always)]
fn filter<const FRAGS: bool, const CALLS: bool>(ctx: &XdpContext) -> u32 {
    // No policy: nothing is protected yet. The daemon attaches only after it has put one here.
    let Some(table) = maps::policy() else { return XDP_PASS };
    let frame = Frame::new(ctx);
    let ifindex = packet::ifindex(ctx);
    let mut flow = Flow::EMPTY;
    let parsed = parse::parse(&frame, &mut flow);
    // Asking the kernel costs a call, which a packet that ends in the first buffer does not need.
    let is_whole = parsed.is_ok() && u64::from(flow.end) <= frame.len();
    let length = if FRAGS && !is_whole { packet::length_of_all_buffers(ctx) } else { frame.len() };
    let verdict = decide::decide(table, &KernelTries::<CALLS>, ifindex, parsed, &flow);
    if verdict.service == 0 {
        maps::count_unmatched(verdict.unmatched, length);
    } else {
        maps::count(verdict.service, verdict.judged, length);
        maps::note_hit(verdict.entry);
    }
    let is_observed = observe::is_observed(table, &verdict);
    if verdict.is_plain() && !is_observed {
        return XDP_PASS;
    }
    let (service, entry) = (verdict.service, verdict.entry);
    debug!(ctx, "interface {}: service {} entry {}", ifindex, service, entry);
    aftermath::begin(ctx, &verdict, is_observed)
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lends the helpers that read maps only to programs under a licence compatible with the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
