//! IPv4 options under `ip_options: pass` (RFC 791, 3.1).
//!
//! Promises: every option is whole, and none routes the packet. Read byte by byte in straight line, so that neither an
//! offset nor a loop counter depends on the packet: that is what keeps the verifier's work in proportion to the 40 bytes.

use super::repeat;
use crate::frame::{Frame, View};
use crate::verdict::DropReason;

const END_OF_LIST: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
/// Type and length.
const SHORTEST: u32 = 2;
const WORD: usize = 4;

/// What the next byte is.
#[derive(Clone, Copy)]
enum Expect {
    Kind,
    LengthOf(u8),
    /// So many bytes of data; at least one.
    Data(u32),
    /// The list has ended; the rest is padding.
    Nothing,
}

struct Walk {
    expect: Expect,
    /// Bytes from the next one to the end of the header.
    left: u32,
}

/// Judges the `length` bytes of options that begin at `at`: a multiple of 4, at most 40, inside the frame.
#[inline(always)]
pub fn judge<F: Frame>(frame: &F, at: u32, length: u32) -> Result<(), DropReason> {
    let mut walk = Walk { expect: Expect::Kind, left: length };
    let mut at = at;
    'header: {
        repeat!(10, {
            if walk.left == 0 {
                break 'header;
            }
            walk.word(frame, at)?;
            at += WORD as u32;
        });
    }
    match walk.expect {
        Expect::LengthOf(_) => Err(DropReason::Malformed),
        _ => Ok(()),
    }
}

impl Walk {
    #[inline(always)]
    fn word<F: Frame>(&mut self, frame: &F, at: u32) -> Result<(), DropReason> {
        let word = frame.view::<WORD>(at).ok_or(DropReason::Truncated)?;
        self.byte(word.u8::<0>())?;
        self.byte(word.u8::<1>())?;
        self.byte(word.u8::<2>())?;
        self.byte(word.u8::<3>())
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) -> Result<(), DropReason> {
        self.expect = match self.expect {
            Expect::Kind => match byte {
                END_OF_LIST => Expect::Nothing,
                NO_OPERATION => Expect::Kind,
                kind => Expect::LengthOf(kind),
            },
            Expect::LengthOf(kind) => self.after_length(kind, u32::from(byte))?,
            Expect::Data(1) => Expect::Kind,
            Expect::Data(bytes) => Expect::Data(bytes - 1),
            Expect::Nothing => Expect::Nothing,
        };
        self.left -= 1;
        Ok(())
    }

    #[inline(always)]
    fn after_length(&self, kind: u8, length: u32) -> Result<Expect, DropReason> {
        // The type has been taken off already.
        if length < SHORTEST || length > self.left + 1 {
            return Err(DropReason::Malformed);
        }
        if kind == LOOSE_SOURCE_ROUTE || kind == STRICT_SOURCE_ROUTE {
            return Err(DropReason::IpOptions);
        }
        Ok(if length == SHORTEST { Expect::Kind } else { Expect::Data(length - SHORTEST) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Slice;
    use DropReason::{IpOptions, Malformed, Truncated};

    fn options(bytes: &[u8]) -> Result<(), DropReason> {
        judge(&Slice(bytes), 0, bytes.len() as u32)
    }

    #[test]
    fn whole_options_pass() {
        let record_route = [7, 39, 4].into_iter().chain([0; 36]).chain([0]);
        let mut longest = [0; 40];
        longest.iter_mut().zip(record_route).for_each(|(to, from)| *to = from);
        for bytes in [
            &[0x94, 4, 0, 0][..],
            &[1, 1, 1, 1],
            &[1, 1, 1, 0],
            &[68, 8, 5, 0, 0, 0, 0, 0],
            &[9, 2, 9, 2],
            &[9, 3, 0, 1],
            &[0, 131, 1, 99],
            &longest,
            &[1; 40],
        ] {
            assert_eq!(options(bytes), Ok(()), "{bytes:?}");
        }
    }

    #[test]
    fn a_length_stays_inside_the_header() {
        for bytes in [
            &[9, 0, 0, 0][..],
            &[9, 1, 0, 0],
            &[9, 5, 0, 0],
            &[1, 9, 4, 0],
            &[1, 1, 1, 9],
            &[9, 4, 0, 0, 9, 5, 0, 0],
            &[7, 255, 0, 0],
        ] {
            assert_eq!(options(bytes), Err(Malformed), "{bytes:?}");
        }
        let mut longest = [1; 40];
        longest[39] = 9;
        assert_eq!(options(&longest), Err(Malformed));
    }

    #[test]
    fn a_source_route_is_refused_after_its_length() {
        assert_eq!(options(&[131, 4, 0, 0]), Err(IpOptions));
        assert_eq!(options(&[1, 137, 3, 4]), Err(IpOptions));
        assert_eq!(options(&[137, 2, 9, 0]), Err(IpOptions));
        assert_eq!(options(&[131, 1, 0, 0]), Err(Malformed));
        assert_eq!(options(&[131, 5, 0, 0]), Err(Malformed));
        assert_eq!(options(&[1, 1, 1, 131]), Err(Malformed));
        // The first fault met counts.
        assert_eq!(options(&[131, 4, 0, 0, 9, 0, 0, 0]), Err(IpOptions));
        assert_eq!(options(&[9, 0, 0, 0, 131, 4, 0, 0]), Err(Malformed));
    }

    #[test]
    fn no_read_leaves_the_frame() {
        assert_eq!(judge(&Slice(&[1, 1, 1]), 0, 4), Err(Truncated));
        assert_eq!(judge(&Slice(&[]), 0, 0), Ok(()));
    }
}
