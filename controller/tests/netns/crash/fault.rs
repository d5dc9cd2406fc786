//! What happens to a command on its way: it is killed before a system call, or a call fails as it may on a machine in
//! trouble. `strace` injects.

use std::process::{Command, Output, Stdio};

use crate::world::{World, program};

/// One fault in one run.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Killed before the `nth` call of this name, which is after whatever call came before. `strace` counts each name for
    /// itself, also where it is to inject into `all`.
    Kill { call: String, nth: usize },
    /// The `nth` call of this name fails.
    Error { call: String, nth: usize, errno: &'static str },
}

impl Fault {
    /// Killed before the call at this place of a trace.
    pub(super) fn kill(trace: &[&str], at: usize) -> Fault {
        let (call, nth) = place(trace, at);
        Fault::Kill { call, nth }
    }

    /// In the words of `strace -e`.
    pub(super) fn inject(&self) -> String {
        match self {
            Fault::Kill { call, nth } => format!("inject={call}:signal=KILL:when={nth}"),
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

/// Which points of a scenario are tried.
enum Sample {
    All,
    /// Kills before each call that changes something: one between two of them leaves what one before the second does.
    Changes,
    /// So many, evenly spread.
    Some(usize),
}

fn sample() -> Sample {
    match std::env::var("PERIMETER_CRASH_POINTS").as_deref() {
        Ok("all") => Sample::All,
        Ok("changes") => Sample::Changes,
        Ok(number) => {
            Sample::Some(number.parse().expect("PERIMETER_CRASH_POINTS is a number, `all` or `changes`"))
        }
        Err(_) => Sample::Some(2),
    }
}

/// Whether a call may change what the next command finds: files, pins, links, shared maps, tables, offloads, keepers. The
/// end is one, since what came before it has been done.
fn changes(line: &str) -> bool {
    const BPF: [&str; 6] =
        ["OBJ_PIN", "LINK_CREATE", "LINK_UPDATE", "LINK_DETACH", "MAP_UPDATE", "MAP_DELETE"];
    match name(line) {
        "bpf" => BPF.iter().any(|command| line.contains(command)),
        "openat" => line.contains("O_CREAT"),
        "sendto" => line.contains("BATCH_BEGIN"),
        "ioctl" => line.contains("SIOCETHTOOL"),
        "clone" | "clone3" => !line.contains("CLONE_THREAD"),
        call => ["write", "fsync", "rename", "unlink", "mkdir", "rmdir", "mount", "vfork", "exit_group"]
            .iter()
            .any(|name| call.starts_with(name)),
    }
}

/// Whether a scenario of this name is to be tried.
pub(super) fn is_wanted(scenario: &str) -> bool {
    std::env::var("PERIMETER_CRASH_SCENARIO").map_or(true, |wanted| wanted == scenario)
}

/// The points of a command, from the trace of a clean run. What comes before the state directory is touched is the
/// loader's and the policy's reader's, and can change nothing.
pub(super) fn points(trace: &[&str]) -> Vec<Fault> {
    let sample = sample();
    let first = trace.iter().position(|line| ["bpf", "flock"].contains(&name(line))).unwrap_or(0);
    let of_changes = matches!(sample, Sample::Changes);
    let mut points = Vec::new();
    for at in first..trace.len() {
        let (call, nth) = place(trace, at);
        if of_changes {
            points.extend(changes(trace[at]).then_some(Fault::Kill { call, nth }));
            continue;
        }
        let error = |errno: &&'static str| Fault::Error { call: call.clone(), nth, errno };
        let errors = errors(&call).iter().map(error);
        points.extend([Fault::Kill { call: call.clone(), nth }].into_iter().chain(errors));
    }
    match sample {
        Sample::All | Sample::Changes => points,
        Sample::Some(wanted) => {
            let step = (points.len() / wanted).max(1);
            points.into_iter().skip(step / 2).step_by(step).collect()
        }
    }
}

/// A call of a trace in the words of `strace`: its name, and how many of this name there have been with it.
fn place(trace: &[&str], at: usize) -> (String, usize) {
    let call = name(trace[at]);
    (call.to_owned(), trace[..=at].iter().filter(|line| name(line) == call).count())
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

    /// What `strace` says of the system calls of a clean run, in order.
    pub(super) fn trace(&self, args: &[String]) -> String {
        let log = self.policy("strace.log", "");
        let output = self.traced(&["-o", &log], args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().filter(|line| !name(line).is_empty()).map(|line| format!("{line}\n")).collect()
    }
}

/// The name of the call that a line of a trace is of; empty where it is of none.
fn name(line: &str) -> &str {
    line.split_once('(').map_or("", |(name, _)| name)
}
