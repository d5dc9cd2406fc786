//! One loaded program: a generation on an interface, or a private one that answers what it would decide.
//!
//! Promises: a program that is returned was accepted by the verifier and refers to frozen tables; dropping it frees
//! everything that is neither attached nor pinned. Needs root's CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use aya_obj::generated::BPF_F_XDP_HAS_FRAGS;
use perimeter_classifier::abi::{self, ABI_VERSION, COUNTER_SLOTS, Info, MAGIC, name, setting};
use perimeter_classifier::verdict::Decision;
use thiserror::Error;

use super::clock::{self, Start};
use super::maps::{self, MapError, SharedMaps};
use super::object::{self, Linked, ObjectError};
use super::sys::{self, ProgramInfo, ProgramSpec};
use crate::tables::Image;

/// What a program enforces, apart from its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforcement {
    pub generation: u64,
    /// SHA-256 of the canonical ruleset.
    pub policy: [u8; 32],
    /// `false`: count what would be dropped and pass it.
    pub enforce: bool,
    /// Counter slot of each drop reason, by discriminant. The slots of the rules are in the image.
    pub reason_slots: [u32; 15],
}

/// A program in the kernel. Its descriptor ([`AsFd`]) is what a link or a pin takes.
#[derive(Debug)]
pub struct Program {
    fd: OwnedFd,
    tables: OwnedFd,
    clock: OwnedFd,
    info: Info,
}

/// Why a program cannot be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("needs root: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are missing to load an XDP program")]
    Denied,
    #[error(transparent)]
    Object(ObjectError),
    #[error("the kernel does not know XDP programs for frames in several buffers: Linux 5.18 is needed")]
    TooOld,
    #[error("the kernel's verifier refuses the program: {summary}")]
    Rejected {
        /// The verifier's last word.
        summary: String,
        /// Everything it said.
        log: String,
    },
    #[error("loading the XDP program: {0}")]
    Kernel(io::Error),
}

impl LoadError {
    /// Whether no program can be loaded by this user, on this kernel or with this build, whatever the policy.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, LoadError::Denied | LoadError::TooOld | LoadError::Object(ObjectError::Skipped))
    }
}

impl From<ObjectError> for LoadError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Map(map) => map.into(),
            other => LoadError::Object(other),
        }
    }
}

impl From<MapError> for LoadError {
    fn from(error: MapError) -> Self {
        if error.is_denied() { LoadError::Denied } else { LoadError::Object(ObjectError::Map(error)) }
    }
}

/// Why a frame was not judged by the kernel.
#[derive(Debug, Error)]
pub enum TestRunError {
    #[error("the kernel takes frames of {SHORTEST} to {LONGEST} bytes for a test run, this one has {0}")]
    Length(usize),
    #[error("the program was loaded to enforce and returns no decision: load a private one for test runs")]
    NotPrivate,
    #[error("the program answers {0:#x}, which is no decision")]
    NoDecision(u32),
    #[error("test run: {0}")]
    Kernel(#[from] io::Error),
}

/// Shortest frame of a test run, in bytes: an Ethernet header (`ETH_HLEN` in the kernel's `bpf_test_init`).
pub const SHORTEST: usize = 14;

/// Longest frame of a test run, in bytes: 65,535 of IP after an Ethernet header. The kernel (5.18) takes what its buffers
/// hold, a first page less headroom and 17 more.
pub const LONGEST: usize = 65_549;

impl Program {
    /// Loads a generation for one interface, to be attached.
    pub fn load(image: &Image, enforcement: Enforcement, shared: &SharedMaps) -> Result<Self, LoadError> {
        let info = Info {
            magic: MAGIC,
            abi: ABI_VERSION,
            generation: enforcement.generation,
            policy: enforcement.policy,
            enforce: enforcement.enforce.into(),
            report: 0,
            mask: 0,
            counters: 0,
            reason_slots: enforcement.reason_slots,
            settings: image.settings,
        };
        Self::with_info(image, info, Start::Runs, shared)
    }

    /// Loads a program for test runs alone: it returns its decision ([`Program::test_run`]) and counts nothing. No rule of it
    /// expires by itself.
    pub fn private(image: &Image) -> Result<Self, LoadError> {
        let info = Info {
            magic: MAGIC,
            abi: ABI_VERSION,
            generation: 0,
            policy: [0; 32],
            enforce: 1,
            report: 1,
            mask: 0,
            counters: 0,
            reason_slots: [0; 15],
            settings: image.settings,
        };
        Self::with_info(image, info, Start::Stands, &SharedMaps::uncounted()?)
    }

    fn with_info(
        image: &Image,
        mut info: Info,
        start: Start,
        shared: &SharedMaps,
    ) -> Result<Self, LoadError> {
        let tables;
        (tables, info.mask) = maps::tables(image)?;
        info.counters = shared.rows()? * COUNTER_SLOTS - 1;
        let clock = clock::create(start)?;
        let verified = |info: &Info| {
            let linked = object::link(info, (tables.as_fd(), clock.as_fd()), shared)?;
            verify(&linked)
        };
        let fd = match verified(&info) {
            Err(first @ LoadError::Rejected { .. }) if has_epochs(&info) => {
                // The kernel may not tell CLOCK_TAI. Where that is not it, its first word is the one to report.
                info.settings[setting::BOOT_CLOCK] = 1;
                verified(&info).map_err(|_| first)?
            }
            other => other?,
        };
        Ok(Program { fd, tables, clock, info })
    }

    /// Puts the clock of a [private](Program::private) program at an epoch: how many of the instants at which its rules
    /// expire, each counted once, have passed.
    pub fn set_epoch(&self, epoch: u32) -> io::Result<()> {
        clock::set(self.clock.as_fd(), epoch)
    }

    /// The record that the program carries.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The frozen map with the words of the image.
    pub fn tables(&self) -> BorrowedFd<'_> {
        self.tables.as_fd()
    }

    /// What the kernel says about the program: id, tag, verified instructions.
    pub fn describe(&self) -> io::Result<ProgramInfo> {
        sys::program_info(self.fd.as_fd())
    }

    /// What a [private](Program::private) program decides about one frame.
    pub fn test_run(&self, frame: &[u8]) -> Result<Decision, TestRunError> {
        if self.info.report == 0 {
            return Err(TestRunError::NotPrivate);
        }
        let (value, _) = self.time(frame, 1)?;
        abi::decode(value).ok_or(TestRunError::NoDecision(value))
    }

    /// Runs the program `repeat` times on one frame: its return value and the mean time of a run in whole nanoseconds.
    pub fn time(&self, frame: &[u8], repeat: u32) -> Result<(u32, Duration), TestRunError> {
        if !(SHORTEST..=LONGEST).contains(&frame.len()) {
            return Err(TestRunError::Length(frame.len()));
        }
        let outcome = sys::program_test_run(self.fd.as_fd(), frame, repeat)?;
        Ok((outcome.value, outcome.mean))
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether some rule expires, so that the program reads a clock.
fn has_epochs(info: &Info) -> bool {
    info.settings[setting::EPOCHS] != 0
}

/// Bytes for the verifier's log, which is asked for only after a refusal.
const LOG_SIZE: usize = 16 << 20;

/// Has the verifier judge a linked program.
fn verify(linked: &Linked) -> Result<OwnedFd, LoadError> {
    let spec = ProgramSpec {
        name: name::PROGRAM,
        instructions: &linked.instructions,
        license: &linked.license,
        flags: BPF_F_XDP_HAS_FRAGS,
    };
    let refusal = match sys::program_load(spec, None) {
        Ok(fd) => return Ok(fd),
        // Not EACCES, by which the verifier refuses a memory access.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(LoadError::Denied),
        Err(error) => error,
    };
    let mut log = vec![0; LOG_SIZE];
    // The outcome is known; this run is for its words.
    let _ = sys::program_load(spec, Some(&mut log));
    let words = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..words]).into_owned();
    match (log.is_empty(), refusal.raw_os_error()) {
        (true, Some(libc::EINVAL)) => Err(LoadError::TooOld),
        (true, _) => Err(LoadError::Kernel(refusal)),
        (false, _) => Err(LoadError::Rejected { summary: summary(&log), log }),
    }
}

/// The line of a verifier log that says what is wrong: the last that is not statistics.
fn summary(log: &str) -> String {
    let statistics = ["processed ", "verification time ", "stack depth "];
    let is_word = |line: &&str| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start));
    log.lines().map(str::trim).rfind(is_word).unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_the_last_line_that_is_not_statistics() {
        let log = "0: R1=ctx() R10=fp0\n5: (61) r1 = *(u32 *)(r6 +0)\nR6 invalid mem access 'scalar'\n\
                   verification time 90 usec\nstack depth 8\nprocessed 6 insns (limit 1000000)\n";
        assert_eq!(summary(log), "R6 invalid mem access 'scalar'");
        assert_eq!(summary(""), "it does not say why");
    }
}
