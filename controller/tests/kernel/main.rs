//! The XDP program in this kernel: verified, run on frames, attached.
//!
//! Needs root. Elsewhere each test says so and ends; with `CI=true` that is a failure, so that no run skips unseen.

mod budget;
mod edge;
mod expiry;
mod frames;
mod loading;
mod scene;
mod test_runs;
mod wire;

/// Whether this process may load programs; says so where it may not.
pub(crate) fn may_load() -> bool {
    // SAFETY: takes nothing and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let must = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(root || !must, "CI=true, but loading programs needs root");
    if !root {
        println!("skipped: needs root");
    }
    root
}
