//! How an error is told: the whole chain of causes, and the right that is missing where that is the cause.
//!
//! Promises: one line, unless more is asked for; no cause is told twice.

use std::io;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

use crate::agent::privileges;
use crate::printable::{printable, printable_lines};

/// What the kernel asks of who reads and changes what it enforces.
const NEEDED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN);

/// An error and what caused it: on one line, or with `verbose` each cause on a line of its own.
pub fn told(error: &anyhow::Error, verbose: bool) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        // Many errors end with their cause.
        if !causes.iter().any(|before| before.contains(&cause)) {
            causes.push(cause);
        }
    }
    let missing = if is_denied(error) { lacking() } else { String::new() };
    match verbose {
        true => printable_lines(&(causes.join("\n  because: ") + &missing)),
        false => printable(&(causes.join(": ") + &missing)).into_owned(),
    }
}

/// Whether the kernel said that it is not permitted. What a file's mode forbids is another error.
fn is_denied(error: &anyhow::Error) -> bool {
    let mut systems = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    systems.any(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

/// The capabilities that this process lacks, and what to do.
fn lacking() -> String {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    match privileges::names(NEEDED.difference(held).bits()) {
        missing if missing.is_empty() => String::new(),
        missing => format!("; this process lacks {}: run it as root with all of them", missing.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::backend::BackendError;

    #[test]
    fn the_whole_chain_is_told_on_one_line_and_no_cause_twice() {
        let missing = || io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
        let error = Err::<(), _>(missing()).context("cannot create /nosuch/x").unwrap_err();
        assert_eq!(told(&error, false), "cannot create /nosuch/x: No such file or directory (os error 2)");
        assert_eq!(
            told(&error, true),
            "cannot create /nosuch/x\n  because: No such file or directory (os error 2)"
        );
        let error = anyhow::Error::new(BackendError::failed("look at wan0\u{1b}", missing()));
        let text = "cannot look at wan0\\u{1b}: No such file or directory (os error 2)";
        assert_eq!([told(&error, false), told(&error, true)], [text, text]);
    }

    #[test]
    fn a_missing_right_is_looked_for_where_the_kernel_denies() {
        let denied = |number| {
            let cause = io::Error::from_raw_os_error(number);
            is_denied(&anyhow::Error::new(BackendError::failed("read the nftables tables", cause)))
        };
        assert!(denied(Errno::PERM.raw_os_error()) && !denied(Errno::ACCESS.raw_os_error()));
    }
}
