//! What happens to a command on its way: it is killed before a system call, or a call fails as it may on a machine in
//! trouble. `strace` injects.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use crate::world::{World, program};

/// One fault in one run.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Killed before its `nth` system call, which is after the one before.
    Kill { nth: usize },
    /// The `nth` call of this name fails.
    Error { call: String, nth: usize, errno: &'static str },
}

impl Fault {
    /// In the words of `strace -e`.
    pub(super) fn inject(&self) -> String {
        match self {
            Fault::Kill { nth } => format!("inject=all:signal=KILL:when={nth}"),
            Fault::Error { call, nth, errno } => format!("inject={call}:error={errno}:when={nth}"),
        }
    }
}

/// How a system call may fail on a machine that is in trouble.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "bpf" => &["ENOMEM", "EPERM", "EBUSY", "EINVAL", "EAGAIN"],
        "openat" => &["EMFILE", "EIO"],
        "write" | "pwrite64" => &["ENOSPC", "EINTR"],
        "fsync" | "fdatasync" | "unlink" | "unlinkat" | "newfstatat" | "statx" | "read" => &["EIO"],
        "rename" | "renameat" | "renameat2" | "mkdir" | "mkdirat" => &["ENOSPC", "EROFS"],
        "ioctl" => &["EOPNOTSUPP", "EPERM"],
        "sendto" | "sendmsg" | "recvfrom" | "recvmsg" => &["ENOBUFS", "EINTR"],
        "mmap" | "brk" => &["ENOMEM"],
        "socket" | "pipe2" => &["EMFILE"],
        "clone" | "clone3" | "vfork" => &["EAGAIN"],
        "flock" => &["EINTR"],
        _ => &[],
    }
}

/// How many points of a scenario are tried; 0 for all.
fn sample() -> usize {
    match std::env::var("PERIMETER_CRASH_POINTS").as_deref() {
        Ok("all") => 0,
        Ok(number) => number.parse().expect("PERIMETER_CRASH_POINTS is a number, or `all`"),
        Err(_) => 2,
    }
}

/// Whether a scenario of this name is to be tried.
pub(super) fn is_wanted(scenario: &str) -> bool {
    std::env::var("PERIMETER_CRASH_SCENARIO").map_or(true, |wanted| wanted == scenario)
}

/// The points of a command, from the calls of a clean run. What comes before the state directory is touched is the
/// loader's and the policy's reader's, and can change nothing.
pub(super) fn points(calls: &[String]) -> Vec<Fault> {
    let first = calls.iter().position(|call| call == "bpf" || call == "flock").unwrap_or(0);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let nth = seen.entry(call).or_default();
        *nth += 1;
        if at < first {
            continue;
        }
        points.push(Fault::Kill { nth: at + 1 });
        let error = |errno: &&'static str| Fault::Error { call: call.clone(), nth: *nth, errno };
        points.extend(errors(call).iter().map(error));
    }
    match sample() {
        0 => points,
        wanted => {
            let step = (points.len() / wanted).max(1);
            points.into_iter().skip(step / 2).step_by(step).collect()
        }
    }
}

impl World {
    /// Runs the program under `strace` with these options.
    pub(super) fn traced(&self, options: &[&str], args: &[String]) -> Output {
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace("gw")))
            .args(["strace", "-qq"])
            .args(options)
            .arg(program())
            .args(self.places())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("strace and nsenter are installed")
    }

    /// The names of the system calls of a clean run, in order.
    pub(super) fn calls(&self, args: &[String]) -> Vec<String> {
        let log = self.policy("strace.log", "");
        let output = self.traced(&["-o", &log], args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().filter_map(|line| Some(line.split_once('(')?.0.to_owned())).collect()
    }
}
