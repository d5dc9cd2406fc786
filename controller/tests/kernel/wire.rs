//! Frames over a wire into the attached program, native and generic, in one buffer and in several.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use perimeter::backend::xdp::info::read_info;
use perimeter::backend::xdp::maps::SharedMaps;
use perimeter::backend::xdp::program::{Enforcement, Program};
use perimeter::backend::xdp::sys::{self, XdpPath};
use perimeter::compile::compile;

use crate::frames::{padded, tcp4, tcp6};
use crate::scene::Wire;
use crate::test_runs::read;
use crate::{edge, may_load};

/// Slots of the rules `bad`, `allowed` and `arp` of `edge::full`.
const SLOTS: [u32; 3] = [32, 33, 34];

#[test]
fn native() {
    judges_what_arrives(XdpPath::Driver);
}

#[test]
fn generic() {
    judges_what_arrives(XdpPath::Generic);
}

fn judges_what_arrives(path: XdpPath) {
    if !may_load() {
        return;
    }
    let counters = SharedMaps::create().unwrap();
    let mut image = compile(&edge::full(), 0).unwrap();
    image.bind_slots(&SLOTS);
    let reason_slots = std::array::from_fn(|reason| reason as u32);
    let enforcement = Enforcement { generation: 1, policy: [1; 32], enforce: true, reason_slots };
    let program = Program::load(&image, enforcement, &counters).unwrap();

    let wire = Wire::new(9000);
    let link = sys::link_create(program.as_fd(), wire.device, path).unwrap();
    let attached = sys::link_info(link.as_fd()).unwrap();
    assert_eq!(read_info(attached.program).unwrap().as_ref(), Some(program.info()));

    let mut denied = tcp4();
    denied[18 + 13] = 6;
    // Headers that end in the second and in the third buffer; the byte counts are those of whole frames.
    let passed =
        [padded(tcp4(), 64), padded(tcp4(), 9018), tcp6(&[2048, 2040]), padded(tcp6(&[2048; 4]), 9010)];
    for frame in &passed {
        wire.send(frame);
    }
    wire.send(&padded(denied, 5000));
    let bytes = passed.iter().map(|frame| frame.len() as u64).sum();
    assert_eq!(settled(&counters, SLOTS[1], 4), (4, bytes), "{path:?}");
    assert_eq!(settled(&counters, SLOTS[0], 1), (1, 5000), "{path:?}");
    assert_eq!(read(&counters, SLOTS[2]), (0, 0));
}

/// A slot once it has `packets`, or what it has after two seconds.
fn settled(counters: &SharedMaps, slot: u32, packets: u64) -> (u64, u64) {
    let start = Instant::now();
    loop {
        let now = read(counters, slot);
        if now.0 >= packets || start.elapsed() > Duration::from_secs(2) {
            return now;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
