//! Frames given to the loaded program: it decides as the model does, wherever the bytes lie, and counts whole frames.

use perimeter::backend::xdp::maps::{Shared, SharedMaps};
use perimeter::backend::xdp::program::{LONGEST, Program, SHORTEST, TestRunError};
use perimeter::backend::xdp::tallies::Tallies;
use perimeter::compile::compile;
use perimeter::ruleset::Ruleset;
use perimeter::simulate::Model;
use perimeter_classifier::verdict::Decision;

use crate::frames::{kinds, padded, tcp4, tcp6};
use crate::loading::enforcing;
use crate::{edge, may_load};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// What one page holds beside headroom and bookkeeping; a byte more and the frame lies in two buffers.
const ONE_BUFFER: usize = 3520;

/// The program and the model over the same tables.
struct Pair {
    program: Program,
    model: Model,
}

impl Pair {
    fn new(rules: &Ruleset) -> Self {
        let image = compile(rules, 0).unwrap();
        Pair { program: Program::private(&image).unwrap(), model: Model::from(image) }
    }

    fn judge(&self, frame: &[u8]) -> Decision {
        let (kernel, model) = (self.program.test_run(frame).unwrap(), self.model.judge(frame));
        assert_eq!(kernel, model, "{} bytes: {:02x?}", frame.len(), &frame[..frame.len().min(64)]);
        kernel
    }
}

#[test]
fn every_kind_of_frame_at_every_length() {
    if !may_load() {
        return;
    }
    for rules in [edge::small(), edge::full()] {
        let pair = Pair::new(&rules);
        for frame in kinds() {
            pair.judge(&frame);
            for length in SHORTEST..frame.len().min(200) {
                pair.judge(&frame[..length]);
            }
            for length in [ONE_BUFFER - 1, ONE_BUFFER, ONE_BUFFER + 1, 4096, 9018, 65_535, LONGEST] {
                pair.judge(&padded(frame.clone(), length));
            }
        }
    }
}

#[test]
fn headers_are_found_in_every_buffer() {
    if !may_load() {
        return;
    }
    let pair = Pair::new(&edge::full());
    let frame = tcp6(&[2048; 8]);
    assert!(frame.len() > 16_400);
    assert_eq!(pair.judge(&frame), Decision::Pass(1));
    // The boundary between the buffers runs through every header once.
    for first in (8..=2048).step_by(8) {
        assert_eq!(pair.judge(&tcp6(&[first, 1416])), Decision::Pass(1), "first header of {first} bytes");
    }
    for cut in frame.len() - 40..frame.len() {
        assert_ne!(pair.judge(&frame[..cut]), Decision::Pass(1));
    }
}

#[test]
fn lengths_that_the_kernel_does_not_take_are_an_error() {
    if !may_load() {
        return;
    }
    let pair = Pair::new(&edge::small());
    for length in [0, SHORTEST - 1, LONGEST + 1] {
        let error = pair.program.test_run(&vec![0; length]).unwrap_err();
        assert!(matches!(error, TestRunError::Length(given) if given == length), "{error}");
    }
}

#[test]
fn one_count_a_frame_and_all_its_bytes() {
    if !may_load() {
        return;
    }
    let counters = SharedMaps::create().unwrap();
    let program = enforcing(true, &counters);
    let mut stranger = tcp4();
    stranger[18 + 12] = 11;
    for length in [64, ONE_BUFFER + 1, 9018] {
        assert_eq!(program.time(&padded(tcp4(), length), 1).unwrap().0, XDP_PASS);
        assert_eq!(program.time(&padded(stranger.clone(), length), 3).unwrap().0, XDP_DROP);
    }
    let bytes = (64 + ONE_BUFFER as u64 + 1) + 9018;
    assert_eq!(read(&counters, 32), (3, bytes));
    assert_eq!(read(&counters, 0), (9, 3 * bytes));
}

#[test]
fn shadow_mode_counts_and_passes() {
    if !may_load() {
        return;
    }
    let counters = SharedMaps::create().unwrap();
    let program = enforcing(false, &counters);
    assert_eq!(program.time(&padded(tcp6(&[]), 100), 1).unwrap().0, XDP_PASS);
    assert_eq!(read(&counters, 0), (1, 100));
}

/// Packets and bytes of a slot, all CPUs together.
pub(crate) fn read(counters: &SharedMaps, slot: u32) -> (u64, u64) {
    let tallies = Tallies::open(counters.get(Shared::Counters)).unwrap();
    tallies.of(slot).fold((0, 0), |sum, [packets, bytes]| (sum.0 + packets, sum.1 + bytes))
}
