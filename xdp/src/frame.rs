//! Reads of packet memory: in place where the whole frame lies in the first buffer, else through the kernel's copy.
//!
//! Promises: a view is handed out only after the comparison that the verifier follows, so a read outside the frame does
//! not load. Lengths are the whole frame's, every buffer counted.

use core::ptr;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::XdpContext;
use perimeter_classifier::frame::{Frame, View};

/// Largest end of a read in place: the verifier keeps no range for a packet pointer moved further (`MAX_PACKET_OFF`).
/// Headers never reach so far: two tags, IPv6 and eight extension headers of 2,048 bytes end before 16,448.
const FURTHEST: usize = 0xffff;

/// A frame whose bytes all lie in the first buffer.
pub(crate) struct Linear {
    data: usize,
    end: usize,
    len: u64,
}

impl Linear {
    #[inline(always)]
    pub(crate) fn new(ctx: *mut xdp_md) -> Self {
        // SAFETY: `ctx` is the context that the kernel passed to this program.
        let len = unsafe { bpf_xdp_get_buff_len(ctx) };
        let ctx = XdpContext::new(ctx);
        Linear { data: ctx.data(), end: ctx.data_end(), len }
    }

    /// Whether no part of the frame lies in another buffer.
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.end - self.data == self.len as usize
    }

    /// The length of the frame, as wide as it is counted.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> u64 {
        self.len
    }
}

impl Frame for Linear {
    type View<const N: usize> = Bytes<N>;

    #[inline(always)]
    fn len(&self) -> u32 {
        self.len as u32
    }

    #[inline(always)]
    fn view<const N: usize>(&self, offset: u32) -> Option<Bytes<N>> {
        let offset = offset as usize;
        if offset > FURTHEST - N {
            return None;
        }
        let start = self.data + offset;
        if start + N > self.end {
            return None;
        }
        Some(Bytes(start as *const u8))
    }
}

/// Bytes of scratch memory: more than all headers of a frame.
const SCRATCH: usize = 17 << 10;

/// Longest view. One bound serves views of every length: the verifier does not narrow a pointer that it has seen before
/// when the offset behind it is compared once more.
const LONGEST: usize = 64;

/// Where headers of a scattered frame are copied to, each at its own offset, so that no view overwrites another.
#[map]
static HEADERS: PerCpuArray<[u8; SCRATCH]> = PerCpuArray::with_max_entries(1, 0);

/// A frame that lies in several buffers, or whose first buffer holds less than its headers (header split).
pub(crate) struct Scattered {
    ctx: *mut xdp_md,
    scratch: *mut [u8; SCRATCH],
    len: u64,
}

impl Scattered {
    /// `None` never happens: the only element of an array always exists, but the verifier wants it asked.
    #[inline(always)]
    pub(crate) fn new(ctx: *mut xdp_md) -> Option<Self> {
        let scratch = HEADERS.get_ptr_mut(0)?;
        // SAFETY: `ctx` is the context that the kernel passed to this program.
        let len = unsafe { bpf_xdp_get_buff_len(ctx) };
        Some(Scattered { ctx, scratch, len })
    }

    /// The length of the frame, as wide as it is counted.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> u64 {
        self.len
    }
}

impl Frame for Scattered {
    type View<const N: usize> = Bytes<N>;

    #[inline(always)]
    fn len(&self) -> u32 {
        self.len as u32
    }

    #[inline(always)]
    fn view<const N: usize>(&self, offset: u32) -> Option<Bytes<N>> {
        const { assert!(N <= LONGEST, "view longer than the scratch memory allows for") };
        // One register is compared and used: Linux 6.1 does not see that two loads of one variable give one number.
        // SAFETY: reads a local variable.
        let at = unsafe { ptr::read_volatile(&raw const offset) } as usize;
        if at > SCRATCH - LONGEST {
            return None;
        }
        // SAFETY: `at + N` lies inside the scratch element, by the comparisons above.
        let copy = unsafe { self.scratch.cast::<u8>().add(at) };
        // SAFETY: `copy` has room for `N` bytes; the helper fails where the frame has fewer.
        let failed = unsafe { bpf_xdp_load_bytes(self.ctx, offset, copy.cast(), N as u32) };
        if failed != 0 {
            return None;
        }
        Some(Bytes(copy))
    }
}

/// `N` readable bytes of a frame, in the packet or in its copy.
pub(crate) struct Bytes<const N: usize>(*const u8);

impl<const N: usize> Bytes<N> {
    /// Reads a `T` at `AT`, in the order of memory.
    #[inline(always)]
    fn read<T: Copy, const AT: usize>(&self) -> T {
        const { assert!(AT + size_of::<T>() <= N, "read outside the view") };
        // SAFETY: `N` bytes from the pointer on are readable (checked when the view was made), and the read ends within
        // them by the assertion above. Only unsigned integers are read, for which every bit pattern is valid.
        unsafe { self.0.add(AT).cast::<T>().read_unaligned() }
    }
}

impl<const N: usize> View<N> for Bytes<N> {
    type Part<const M: usize> = Bytes<M>;

    #[inline(always)]
    fn u8<const AT: usize>(&self) -> u8 {
        self.read::<u8, AT>()
    }

    #[inline(always)]
    fn be16<const AT: usize>(&self) -> u16 {
        u16::from_be(self.read::<u16, AT>())
    }

    #[inline(always)]
    fn be32<const AT: usize>(&self) -> u32 {
        u32::from_be(self.read::<u32, AT>())
    }

    #[inline(always)]
    fn be64<const AT: usize>(&self) -> u64 {
        u64::from_be(self.read::<u64, AT>())
    }

    #[inline(always)]
    fn part<const FROM: usize, const M: usize>(&self) -> Bytes<M> {
        const { assert!(FROM + M <= N, "part outside the view") };
        // SAFETY: `FROM` lies within the readable bytes by the assertion above.
        Bytes(unsafe { self.0.add(FROM) })
    }
}
