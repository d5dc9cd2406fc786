//! What `render` prints is what nft takes: `nft -c -f` on the valid policies of the corpus.
//!
//! Every sixth of them, unless `PERIMETER_POLICIES` asks for so many: a table takes about a second. Needs root and nft; without them the test says so, and fails where `CI=true` promises both.

use std::io::Write as _;
use std::process::{Command, Stdio};

use perimeter::backend::nft::{Options, lower, text};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::corpus;

#[test]
fn nft_takes_what_is_rendered() {
    let judged = std::thread::spawn(|| {
        // SAFETY: only this thread is moved to a network namespace; it shares nothing that this changes.
        if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
            let promised = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!promised, "CI=true, and yet: {error}");
            println!("skipped (no-privilege): {error}");
            return;
        }
        let policies = corpus::policies("valid");
        let some = policies.len() / 6;
        let asked = std::env::var("PERIMETER_POLICIES").ok().and_then(|number| number.parse().ok());
        let step = policies.len().div_ceil(asked.unwrap_or(some).clamp(1, policies.len()));
        policies.iter().step_by(step).for_each(|path| check_all(path));
    });
    judged.join().expect("nft takes every policy");
}

/// Checks the table of each interface of a policy. The device is the one that every namespace has.
fn check_all(path: &std::path::Path) {
    let case = corpus::case(path);
    let ruleset = corpus::read(path).ruleset.expect("the corpus is valid");
    for (index, interface) in ruleset.interfaces.iter().enumerate() {
        let Ok(table) = lower(&ruleset, index, &Options::default()) else { continue };
        let text = text::render(&table).replace(&format!("device \"{}\"", interface.name), "device \"lo\"");
        let mut nft = Command::new("nft")
            .args(["-c", "-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nft is installed");
        nft.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("nft reads");
        let said = nft.wait_with_output().expect("nft ends");
        assert!(
            said.status.success(),
            "{case}, {}: {}",
            interface.name,
            String::from_utf8_lossy(&said.stderr)
        );
    }
}
