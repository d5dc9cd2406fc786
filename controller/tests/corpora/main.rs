//! The committed fuzzing corpora, through the functions that the fuzz targets call.

#[path = "../fuzzed/mod.rs"]
mod fuzzed;
#[path = "../generate/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod generate;
#[path = "../oracle/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod oracle;

use std::path::Path;

/// Every file of a corpus, in the order of names; at least `least` of them.
fn each(folder: &str, least: usize, judge: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listed.map(|entry| entry.expect("a corpus can be listed").path()).collect();
    files.retain(|file| file.is_file());
    files.sort();
    assert!(files.len() >= least, "{} has {} files", folder.display(), files.len());
    for file in files {
        println!("{}", file.display());
        judge(&std::fs::read(&file).expect("a corpus can be read"));
    }
}

#[test]
fn frames() {
    each("../xdp/classifier/fuzz/corpus/frame", 10, fuzzed::frame);
}

#[test]
fn policies() {
    each("fuzz/corpus/policy", 5, fuzzed::policy);
    each("tests/policies/valid", 20, fuzzed::policy);
    each("tests/policies/invalid", 20, fuzzed::policy);
}

#[test]
fn captures() {
    each("fuzz/corpus/capture", 5, fuzzed::capture);
    each("../pcaps", 20, fuzzed::capture);
}

/// Each capture of `pcaps/` cut after every byte.
#[test]
fn cut_captures() {
    for name in ["arp.pcap", "icmp.pcapng"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps").join(name);
        let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for length in 0..=file.len() {
            fuzzed::capture(&file[..length]);
        }
    }
}

/// Each frame of every shape cut after every byte, and with every bit flipped.
#[test]
fn cut_and_flipped_frames() {
    let mut rng = generate::Rng::with_seed(9);
    let shapes = generate::ruleset(&mut rng, 60);
    for choice in 0..8 {
        for _ in 0..12 {
            let mut input = vec![choice];
            input.extend(generate::frame(&mut rng, &shapes, 0));
            input.truncate(200);
            for length in 1..=input.len() {
                fuzzed::frame(&input[..length]);
            }
            for bit in 8..input.len() * 8 {
                input[bit / 8] ^= 1 << (bit % 8);
                fuzzed::frame(&input);
                input[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
