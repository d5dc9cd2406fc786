//! Bounded reads of one frame.
//!
//! Promises: a read either lies wholly inside the frame or is `None`; an accessor on a view cannot fail, because its
//! offset is checked against the view's length when the program is compiled. Two implementations exist: byte slices
//! (here) and packet memory in the kernel (`perimeter-xdp`).

/// No read of the classifier begins past this offset: two tags, an IPv6 header, eight extension headers of 2,048 bytes
/// and a transport header end before it. An implementation may refuse what lies beyond.
pub const MAX_OFFSET: u32 = 0x7fff;

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
    /// A view of some of the bytes.
    type Part<const M: usize>: View<M>;

    /// The byte at `AT`.
    fn u8<const AT: usize>(&self) -> u8;
    /// The big-endian 16-bit number at `AT`.
    fn be16<const AT: usize>(&self) -> u16;
    /// The big-endian 32-bit number at `AT`.
    fn be32<const AT: usize>(&self) -> u32;
    /// The big-endian 64-bit number at `AT`.
    fn be64<const AT: usize>(&self) -> u64;
    /// The `M` bytes from `FROM` on.
    fn part<const FROM: usize, const M: usize>(&self) -> Self::Part<M>;
}

/// A frame in memory.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a>(pub &'a [u8]);

impl<'a> Frame for Slice<'a> {
    type View<const N: usize> = &'a [u8; N];

    #[inline(always)]
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    #[inline(always)]
    fn view<const N: usize>(&self, offset: u32) -> Option<&'a [u8; N]> {
        self.0.get(offset as usize..)?.first_chunk()
    }
}

impl<'a, const N: usize> View<N> for &'a [u8; N] {
    type Part<const M: usize> = &'a [u8; M];

    #[inline(always)]
    fn u8<const AT: usize>(&self) -> u8 {
        const { assert!(AT < N) };
        self[AT]
    }

    #[inline(always)]
    fn be16<const AT: usize>(&self) -> u16 {
        const { assert!(AT + 2 <= N) };
        u16::from_be_bytes([self[AT], self[AT + 1]])
    }

    #[inline(always)]
    fn be32<const AT: usize>(&self) -> u32 {
        const { assert!(AT + 4 <= N) };
        u32::from_be_bytes([self[AT], self[AT + 1], self[AT + 2], self[AT + 3]])
    }

    #[inline(always)]
    fn be64<const AT: usize>(&self) -> u64 {
        const { assert!(AT + 8 <= N) };
        u64::from_be_bytes([
            self[AT],
            self[AT + 1],
            self[AT + 2],
            self[AT + 3],
            self[AT + 4],
            self[AT + 5],
            self[AT + 6],
            self[AT + 7],
        ])
    }

    #[inline(always)]
    fn part<const FROM: usize, const M: usize>(&self) -> &'a [u8; M] {
        const { assert!(FROM + M <= N) };
        self[FROM..].first_chunk().expect("FROM + M is at most N")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn a_view_lies_inside_the_frame_or_is_none() {
        let frame = Slice(&BYTES);
        assert_eq!(frame.len(), 10);
        assert_eq!(frame.view::<4>(6), Some(&[6, 7, 8, 9]));
        assert_eq!(frame.view::<4>(7), None);
        assert_eq!(frame.view::<1>(10), None);
        assert_eq!(frame.view::<1>(u32::MAX), None);
        assert!(Slice(&[]).is_empty());
    }

    #[test]
    fn numbers_are_in_network_order() {
        let view = &BYTES;
        assert_eq!(view.u8::<9>(), 9);
        assert_eq!(view.be16::<8>(), 0x0809);
        assert_eq!(view.be32::<6>(), 0x0607_0809);
        assert_eq!(view.be64::<1>(), 0x0102_0304_0506_0708);
    }
}
