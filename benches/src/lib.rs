//! What the benchmarks share: rule sets of every size that credit the same rule, the frame that they time, and
//! arithmetic that noise does not move.

pub mod ingress;
pub mod shapes;

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use aya_obj::generated::bpf_insn;
use perimeter::backend::xdp::sys::{self, ProgramSpec};
use perimeter::ruleset::{AddressSet, Ruleset, Service, VlanEntry, VlanRange};
use rustix::time::{ClockId, clock_gettime};
use shapes::Seed;

/// The VLAN of the timed frame.
const VLAN: u16 = 10;
/// 203.0.113.7 and 198.51.100.10.
const SOURCE: u32 = 0xcb00_7107;
const DESTINATION: u32 = 0xc633_640a;

/// `count` rules of a shape on a trunk, of which number `count / 2` is the one that [`frame`] is credited to.
pub fn ruleset(seed: Seed, count: usize) -> Ruleset {
    let mut ruleset = shapes::ruleset(seed, count);
    let trunk = VlanRange::Single { low: VLAN, high: VLAN + 9 };
    ruleset.interfaces[0].vlans = vec![VlanEntry { label: "10-19".into(), range: trunk }];
    let timed = &mut ruleset.rules[count / 2];
    timed.from = AddressSet::new(vec![(SOURCE & !0xff, SOURCE | 0xff)], Vec::new());
    timed.to = AddressSet::new(vec![(DESTINATION, DESTINATION)], Vec::new());
    timed.services =
        vec![Service { protocol: Some(6), destination_ports: Some((443, 443)), ..Service::default() }];
    timed.vlans = Some(vec![VlanRange::Single { low: VLAN, high: VLAN }]);
    // No other rule may claim the frame first.
    for rule in &mut ruleset.rules[..count / 2] {
        let timed = AddressSet::new(vec![(SOURCE, SOURCE)], Vec::new());
        rule.from = rule.from.difference(&timed);
    }
    ruleset
}

/// An allowed TCP segment of 64 bytes with an 802.1Q tag.
pub fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, VLAN as u8, 8, 0];
    frame.extend([0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(SOURCE.to_be_bytes());
    frame.extend(DESTINATION.to_be_bytes());
    frame.extend([0xc0, 0, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(64, 0);
    frame
}

/// The middle one of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A program that gives one verdict and does nothing else.
///
/// # Errors
/// The kernel refuses it, as it does without root.
pub fn verdict_program(verdict: i32) -> Result<OwnedFd> {
    let mut instructions = [instruction(0xb7, verdict), instruction(0x95, 0)];
    instructions[0].set_dst_reg(0);
    let spec = ProgramSpec { name: "verdict", instructions: &instructions, license: c"GPL", flags: 0 };
    sys::program_load(spec, None).context("loading an empty program (needs root)")
}

fn instruction(code: u8, imm: i32) -> bpf_insn {
    bpf_insn { code, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(0, 0), off: 0, imm }
}

/// Nanoseconds that this thread has run.
pub fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
