//! The XDP program: `perimeter_classifier` judges; this crate lends it eyes (`frame`), a memory (`tables`), a pen
//! (`stats`) and a watch (`clock`).
//!
//! Promises: one verdict and one counter update a frame; bytes that do not lie in the first buffer are read through the
//! kernel's own bounded copy, never guessed; in shadow mode every frame passes. Needs Linux 5.18 (`xdp.frags`).
#![no_std]
#![no_main]

mod clock;
mod frame;
mod stats;
mod tables;

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use perimeter_classifier::abi;
use perimeter_classifier::classify::{at_a_glance, walk};
use perimeter_classifier::frame::Frame;
use perimeter_classifier::verdict::Decision;

use crate::frame::{Linear, Scattered};
use crate::tables::Generation;

/// The program, under the name [`abi::name::PROGRAM`].
#[xdp(frags)]
#[inline(always)]
fn perimeter(ctx: XdpContext) -> u32 {
    clock::keep(&Generation);
    let frame = Linear::new(ctx.ctx);
    match at_a_glance(&frame, &Generation) {
        Some(decision) => act(decision, frame.len()),
        None => judge(ctx.ctx),
    }
}

/// Judges any frame. In a function of its own, so that the plain frame has the registers and the stack for itself.
#[inline(never)]
fn judge(ctx: *mut xdp_md) -> u32 {
    let frame = Linear::new(ctx);
    if !frame.is_whole() {
        return judge_scattered(ctx);
    }
    act(walk(&frame, &Generation), frame.len())
}

/// The rare case, apart for the same reason.
#[inline(never)]
fn judge_scattered(ctx: *mut xdp_md) -> u32 {
    match Scattered::new(ctx) {
        Some(frame) => act(walk(&frame, &Generation), frame.len()),
        None => xdp_action::XDP_ABORTED,
    }
}

/// Counts one frame of `len` bytes; the return value is an XDP action, or the decision where one was asked for.
#[inline(always)]
fn act(decision: Decision, len: u32) -> u32 {
    let generation = Generation;
    if generation.reports() {
        return abi::encode(decision);
    }
    stats::count(&generation, decision, len);
    match decision {
        Decision::Pass(_) => xdp_action::XDP_PASS,
        Decision::Denied(_) | Decision::Drop(_) if generation.enforces() => xdp_action::XDP_DROP,
        Decision::Denied(_) | Decision::Drop(_) => xdp_action::XDP_PASS,
    }
}

/// Licences under which the program may be loaded; it calls no helper that asks for GPL.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The classifier cannot panic and the linker drops this; the language asks for it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
