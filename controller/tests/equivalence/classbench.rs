//! ClassBench's rule sets, loaded as nftables and judged on their own traces.
//!
//! They lie in a folder beside the project that is no part of it; without it the test says so and judges nothing.

use crate::campaign::compare;
use crate::nft::can_judge;
use crate::shapes;
use perimeter::backend::nft::judge::Judge;
use std::path::Path;

/// Frames of each trace.
const FRAMES: usize = 400;

#[test]
fn nft_judges_classbench_traces() {
    for name in ["acl1_1k", "fw1_1k"] {
        let trace =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/classbench/{name}_trace"));
        match (shapes::classbench(name), std::fs::read_to_string(&trace)) {
            (Some(ruleset), Ok(trace)) if can_judge() => {
                compare::<Judge>(&ruleset, trace.lines().take(FRAMES).map(frame));
            }
            _ => println!("skipped: ../shared/classbench/{name} is not here, or no namespace can be made"),
        }
    }
}

/// A packet as a line of a trace has it: source, destination, ports, protocol.
fn frame(line: &str) -> Vec<u8> {
    let fields: Vec<u32> =
        line.split_whitespace().take(5).map(|field| field.parse().expect("a number")).collect();
    let [source, destination, from, to, protocol] = fields[..] else { panic!("five fields: {line}") };
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol as u8, 0, 0]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend((from as u16).to_be_bytes());
    frame.extend((to as u16).to_be_bytes());
    // An acknowledgement, or a datagram of 20 bytes.
    let rest = if protocol == 17 { [0, 20, 0, 0, 0, 0, 0, 0] } else { [0, 0, 0, 1, 0, 0, 0, 1] };
    frame.extend(rest);
    frame.extend([0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame
}
