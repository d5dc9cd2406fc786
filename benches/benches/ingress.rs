//! The ingress chain of nftables under live frames: perimeter's table beside three written by hand for the same policy.
//!
//! `by hand` has the duty of the rules alone: one set with a counter an element, one rule, a counted default. A fragment, an
//! oversized packet, a martian source, flags that make no sense pass it where a rule's words match, and so does a frame on any
//! VLAN. `untagged` drops tags first, as the policy asks: the least that keeps VLANs apart. `careful` has most of the other steps too, a line each, still without IPv6, ARP, UDP, stacked tags and reasons told apart.
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

/// Numbers of rules, and tables for each.
const SIZES: [usize; 3] = [10, 1_000, 10_000];
const TABLES: usize = 5;
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
    for asks in Asks::ALL {
        for rules in SIZES {
            let contest = contest(asks, rules);
            let table = lower(&contest.ruleset, 0, &Options::default())?;
            let name = format!("{asks:?} {rules}").to_lowercase();
            let ours = text::render(&table);
            let texts = [
                ("floor", FLOOR),
                ("by hand", &contest.by_hand),
                ("untagged", &contest.untagged),
                ("careful", &contest.careful),
                ("perimeter", &ours),
            ];
            for (who, text) in texts {
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
        "{:<16} {:>9} {:>9} {:>9} {:>9} {:>10} {:>31} {:>11}",
        "rules",
        "no rules",
        "by hand",
        "untagged",
        "careful",
        "perimeter",
        "rate to each by hand",
        "rate to 10"
    );
    for (at, of) in medians.chunks(TABLES).enumerate() {
        let name = lanes[at * TABLES].name.trim_end_matches(" floor");
        let ten = medians[at / SIZES.len() * SIZES.len() * TABLES + TABLES - 1];
        let [floor, hand, untagged, careful, ours] = of else { continue };
        println!(
            "{name:<16} {floor:>9.0} {hand:>9.0} {untagged:>9.0} {careful:>9.0} {ours:>10.0} {:>11.2} {:>9.2} {:>9.2} {:>11.2}",
            hand / ours,
            untagged / ours,
            careful / ours,
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
