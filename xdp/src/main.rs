//! The XDP program: `perimeter_classifier` judges; this crate lends it eyes (`frame`), a memory (`tables`), a pen
//! (`stats`), a voice (`events`) and a watch (`clock`).
//!
//! Promises: one verdict a frame, counted once; bytes that do not lie in the first buffer are read through the
//! kernel's own bounded copy, never guessed; in shadow mode every frame passes. Needs Linux 5.18 (`xdp.frags`), and 6.0 for maps of
//! more than 4 MiB (`array_map_alloc_check`).
#![no_std]
#![no_main]

mod clock;
mod events;
mod frame;
mod stats;
mod tables;

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use perimeter_classifier::abi::{self, EventKind};
use perimeter_classifier::classify::{at_a_glance, walk};
use perimeter_classifier::learned::Judged;
use perimeter_classifier::verdict::Decision;

use crate::frame::{Linear, Scattered};
use crate::tables::Generation;

/// The program, under the name [`abi::name::PROGRAM`].
#[xdp(frags)]
#[inline(always)]
fn perimeter(ctx: XdpContext) -> u32 {
    clock::keep(&Generation);
    let frame = Linear::new(ctx.ctx);
    let pass = |rule, label| act(ctx.ctx, Judged::labelled(Decision::Pass(rule), label), frame.bytes());
    let stop = |decision, label| stop(ctx.ctx, abi::encode(decision), label, frame.bytes());
    match at_a_glance(&frame, &Generation, pass, stop) {
        Some(action) => action,
        None => judge(ctx.ctx),
    }
}

/// Acts on a plain frame that does not pass; `code` is the decision.
#[inline(never)]
fn stop(ctx: *mut xdp_md, code: u32, label: u32, len: u64) -> u32 {
    match abi::decode(code) {
        Some(decision) => act(ctx, Judged::labelled(decision, label), len),
        None => xdp_action::XDP_ABORTED,
    }
}

/// Judges any frame. In a function of its own, so that the plain frame has the registers and the stack for itself; and so
/// have those below, whose stacks would not fit on top of each other.
#[inline(never)]
fn judge(ctx: *mut xdp_md) -> u32 {
    if Linear::new(ctx).is_whole() { judge_whole(ctx) } else { judge_scattered(ctx) }
}

#[inline(never)]
fn judge_whole(ctx: *mut xdp_md) -> u32 {
    let frame = Linear::new(ctx);
    act(ctx, walk(&frame, &Generation), frame.bytes())
}

/// The rare case.
#[inline(never)]
fn judge_scattered(ctx: *mut xdp_md) -> u32 {
    match Scattered::new(ctx) {
        Some(frame) => act(ctx, walk(&frame, &Generation), frame.bytes()),
        None => xdp_action::XDP_ABORTED,
    }
}

/// Counts one frame of `len` bytes, and tells of it where there is something to tell; the return value is an XDP action,
/// or the decision where one was asked for.
#[inline(always)]
fn act(ctx: *mut xdp_md, judged: Judged, len: u64) -> u32 {
    let generation = Generation;
    if generation.reports() {
        return abi::encode(judged.decision);
    }
    let counted = stats::count(&generation, judged, len);
    match judged.decision {
        Decision::Pass(_) => {
            if counted.logged {
                events::tell(ctx, EventKind::Log as u32, counted.slot, counted.vlan);
            }
            xdp_action::XDP_PASS
        }
        Decision::Denied(_) | Decision::Drop(_) => {
            let kind = if counted.logged { EventKind::Log } else { EventKind::Drop };
            events::tell(ctx, kind as u32, counted.slot, counted.vlan);
            if generation.enforces() { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
        }
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
