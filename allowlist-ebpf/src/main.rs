//! The XDP program: judge a packet, count the verdict, act on it.

#![no_std]
#![no_main]
#![expect(clippy::needless_pass_by_value, reason = "the xdp macro hands the context over")]
#![expect(
    clippy::inline_always,
    reason = "the program is one function, and the verifier follows it better so"
)]

mod maps;
mod packet;

use allowlist_common::{abi::Counter, decide, decide::Verdict, parse};
use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    btf_maps::PerCpuArray,
    macros::xdp,
    programs::XdpContext,
};
use aya_log_ebpf::debug;

use crate::{maps::KernelTries, packet::Frame};

/// The filter for drivers and kernels that hand over a packet in one buffer.
#[xdp]
fn allowlist(ctx: XdpContext) -> u32 {
    filter(&ctx)
}

/// The same filter for packets in several buffers; the headers are in the first one.
#[xdp(frags)]
fn allowlist_frags(ctx: XdpContext) -> u32 {
    filter(&ctx)
}

#[inline(always)]
fn filter(ctx: &XdpContext) -> u32 {
    // No policy: nothing is protected yet. The daemon attaches only after it has put one here.
    let Some(table) = maps::policy() else { return XDP_PASS };
    let frame = Frame::new(ctx);
    // SAFETY: the context is the kernel's, valid for this run of the program.
    let ifindex = unsafe { (*ctx.ctx).ingress_ifindex };
    let verdict = decide::decide(table, &KernelTries, ifindex, parse::parse(&frame));
    count(&verdict, frame.len());
    if verdict.passes() {
        XDP_PASS
    } else {
        if let Verdict::Service { number, entry, .. } = verdict {
            debug!(ctx, "dropped on interface {}: service {} entry {}", ifindex, number, entry);
        }
        XDP_DROP
    }
}

#[inline(always)]
fn count(verdict: &Verdict, length: u64) {
    match *verdict {
        Verdict::Service { number, judged, .. } => {
            add(&maps::SERVICE_COUNTS, judged.counter(number), length);
        }
        Verdict::Unmatched(unmatched) => add(&maps::OTHER_COUNTS, unmatched.counter(), length),
    }
}

#[inline(always)]
fn add<const N: usize>(counters: &PerCpuArray<Counter, N>, index: u32, length: u64) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: the slot is this CPU's own and the program is not preempted by itself.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += length;
        }
    }
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
