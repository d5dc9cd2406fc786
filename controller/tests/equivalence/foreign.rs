//! Captures that nobody here made, from a folder beside the project that is no part of it.
//!
//! Without the folder the test says so and judges nothing; `PERIMETER_CAPTURES` names another one.

use crate::campaign::compare;
use crate::generate::{self, Rng};
use crate::oracle::plain::{entry, open, open_with};
use perimeter::capture::Capture;
use perimeter::ruleset::{Fragments, IpOptions, Oversize, Ruleset, VlanRange};
use perimeter::simulate::Model;
use std::fs::File;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    std::env::var_os("PERIMETER_CAPTURES").map_or(beside, PathBuf::from)
}

/// The Ethernet frames of a capture, up to where it is cut or corrupt.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let Ok(mut capture) = Capture::new(file) else { return Vec::new() };
    let mut frames = Vec::new();
    while let Some(Ok(frame)) = capture.next_frame() {
        frames.push(frame.bytes.to_vec());
    }
    frames
}

fn policies() -> Vec<Ruleset> {
    let lenient = open_with(|interface| {
        interface.ip_options = IpOptions::Pass;
        interface.fragments = Fragments::Stateless;
        interface.oversize = Oversize::Count;
        interface.vlans = vec![entry(VlanRange::Untagged), entry(VlanRange::Single { low: 1, high: 4094 })];
    });
    let random = (1..4).map(|seed| generate::ruleset(&mut Rng::with_seed(seed), 30));
    [open(), lenient].into_iter().chain(random).collect()
}

#[test]
fn foreign_captures() {
    let folder = folder();
    let Ok(listed) = std::fs::read_dir(&folder) else {
        println!("skipped (no-captures): {} is not there", folder.display());
        return;
    };
    let frames: Vec<Vec<u8>> =
        listed.filter_map(Result::ok).flat_map(|entry| frames(&entry.path())).collect();
    for policy in policies() {
        compare::<Model>(&policy, frames.iter().cloned());
    }
    println!("{} frames of {}", frames.len(), folder.display());
}
