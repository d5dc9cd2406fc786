//! Whole frames spoilt: cut, flipped, padded.

use super::{Rng, bytes, pick};

/// Spoils one frame in one way.
pub(crate) fn spoil(rng: &mut Rng, frame: &mut Vec<u8>) {
    match rng.u32(0..8) {
        0..=2 => frame.truncate(rng.usize(0..=frame.len().min(120))),
        3 | 4 => {
            for _ in 0..rng.usize(1..4) {
                flip(rng, frame);
            }
        }
        5 => {
            let reach = frame.len().min(90);
            if reach > 12 {
                frame[rng.usize(12..reach)] = pick(rng, &[0, 1, 0x7f, 0x80, 0xff]);
            }
        }
        6 => frame.truncate(frame.len().saturating_sub(1)),
        _ => {
            let count = rng.usize(1..64);
            frame.extend(bytes(rng, count));
        }
    }
}

/// Flips one bit of the headers.
fn flip(rng: &mut Rng, frame: &mut [u8]) {
    let reach = frame.len().min(100);
    if reach > 0 {
        frame[rng.usize(0..reach)] ^= 1 << rng.u8(0..8);
    }
}
