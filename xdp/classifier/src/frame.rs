//! Bounded reads of one frame.
//!
//! Promises: a read either lies wholly inside the frame or is `None`; an accessor on a view cannot fail, because its
//! offset is checked against the view's length when the program is compiled. Two implementations exist: byte slices
//! (here) and packet memory in the kernel (`perimeter-xdp`).

/// One frame, from the destination MAC on, as it was on the wire.
pub trait Frame {
    /// `N` bytes of the frame, known to be there.
    type View<const N: usize>: View<N>;

    /// Length of the whole frame in bytes, every buffer counted.
    fn len(&self) -> u32;

    /// The `N` bytes that begin at `offset`, or `None` where the frame ends before them.
    fn view<const N: usize>(&self, offset: u32) -> Option<Self::View<N>>;

    /// Whether the frame has no bytes at all.
    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `N` bytes of a frame. `AT` is an offset inside the view; multi-byte reads are in network order.
pub trait View<const N: usize> {
    /// The byte at `AT`.
    fn u8<const AT: usize>(&self) -> u8;
    /// The big-endian 16-bit number at `AT`.
    fn be16<const AT: usize>(&self) -> u16;
    /// The big-endian 32-bit number at `AT`.
    fn be32<const AT: usize>(&self) -> u32;
    /// The big-endian 64-bit number at `AT`.
    fn be64<const AT: usize>(&self) -> u64;
}
