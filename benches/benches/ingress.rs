//! The ingress chain of nftables under live frames: perimeter's table beside one written by hand for the same policy.
//!
//! Allowed 64-byte TCP segments enter the network stack from a program that passes them (live frames of
//! `BPF_PROG_TEST_RUN`), in a network namespace for each table; the processor time of the thread that sends them, which the
//! kernel lets judge them too. Tables take turns, so that what else happens on the machine meets all of them; medians.
//!
//! `cargo bench -p perimeter-bench --bench ingress [-- FRAMES]`; needs root and `nft`.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result, ensure};
use perimeter::backend::nft::{Options, lower, text};
use perimeter::backend::xdp::sys;
use perimeter_bench::ingress::{Asks, contest};
use perimeter_bench::{median, processor_time, verdict_program};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Turns of each table.
const ROUNDS: usize = 15;

/// Two instructions that say so.
const XDP_PASS: i32 = 2;

/// A table in a namespace of its own.
struct Lane {
    name: String,
    go: Sender<()>,
    /// Nanoseconds a frame.
    told: Receiver<Result<f64>>,
}

fn main() -> Result<()> {
    let turn: u32 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200_000);
    let mut lanes = Vec::new();
    for asks in [Asks::Exact, Asks::Intervals] {
        for rules in [10, 1_000, 10_000] {
            let contest = contest(asks, rules);
            let table = lower(&contest.ruleset, 0, &Options::default())?;
            let name = format!("{asks:?} {rules}").to_lowercase();
            let ours = text::render(&table);
            for (who, text) in [("floor", FLOOR), ("by hand", &contest.by_hand), ("perimeter", &ours)] {
                lanes.push(lane(format!("{name} {who}"), text.to_owned(), contest.frames.clone(), turn)?);
            }
        }
    }
    let mut figures = vec![Vec::new(); lanes.len()];
    for _ in 0..ROUNDS {
        for (lane, figures) in lanes.iter().zip(&mut figures) {
            lane.go.send(()).context("the lane has ended")?;
            figures.push(lane.told.recv()?.with_context(|| lane.name.clone())?);
        }
    }
    let medians: Vec<f64> = figures.into_iter().map(median).collect();
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>16} {:>14}",
        "rules", "no rules", "by hand", "perimeter", "rate to by hand", "rate to 10"
    );
    for (at, of) in medians.chunks(3).enumerate() {
        let name = lanes[at * 3].name.trim_end_matches(" floor");
        let ten = medians[at / 3 * 9 + 2];
        let (floor, hand, ours) = (of[0], of[1], of[2]);
        println!(
            "{name:<20} {floor:>9.0} {hand:>9.0} {ours:>9.0} {:>16.2} {:>14.2}",
            hand / ours,
            ten / ours
        );
    }
    Ok(())
}

/// A chain that lets everything through.
const FLOOR: &str = "table netdev floor {
    chain ingress {
        type filter hook ingress device lo priority 0; policy accept;
    }
}
";

/// Loads `text` in a namespace of its own and waits for turns.
fn lane(name: String, text: String, frames: Vec<Vec<u8>>, turn: u32) -> Result<Lane> {
    let (go, turns) = channel::<()>();
    let (tell, told) = channel();
    let (ready, started) = channel();
    std::thread::spawn(move || {
        let program = match ready_to_judge(&text) {
            Ok(program) => program,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        for frame in frames.iter().cycle() {
            if turns.recv().is_err() || tell.send(time(&program, frame, turn)).is_err() {
                return;
            }
        }
    });
    started.recv()?.with_context(|| name.clone())?;
    Ok(Lane { name, go, told })
}

fn ready_to_judge(text: &str) -> Result<OwnedFd> {
    // SAFETY: only this thread is moved, which shares no file descriptor table or working directory that this changes.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("making a network namespace (needs root)")?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    ensure!(up.success(), "ip link set lo up");
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("nft")?;
    nft.stdin.take().context("the pipe to nft")?.write_all(text.as_bytes())?;
    ensure!(nft.wait()?.success(), "nft does not take the table");
    verdict_program(XDP_PASS)
}

/// Nanoseconds a frame, of `repeats`.
fn time(program: &OwnedFd, frame: &[u8], repeats: u32) -> Result<f64> {
    let start = processor_time();
    sys::program_live_run(program.as_fd(), frame, repeats)?;
    Ok((processor_time() - start) / f64::from(repeats))
}
