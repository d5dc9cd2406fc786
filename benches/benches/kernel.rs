//! The loaded program in the kernel: nanoseconds a frame, beside an empty `XDP_DROP`.
//!
//! One allowed 64-byte TCP frame with a VLAN tag, warm, through `BPF_PROG_TEST_RUN`; the processor time of this thread
//! over many repeats (on an idle machine that is the wall time; the kernel's own figure is cut to whole nanoseconds).
//! Beside each shape two more: every second rule but the one that decides expires some day, and that one does as well.
//! Programs take turns, so that what else happens on the machine meets all of them; the medians are printed.
//!
//! `cargo bench -p perimeter-bench --bench kernel [-- REPEATS]`; needs root.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use perimeter::backend::xdp::maps::Counters;
use perimeter::backend::xdp::program::{Enforcement, Program};
use perimeter::backend::xdp::sys;
use perimeter::compile::compile;
use perimeter::ruleset::Ruleset;
use perimeter_bench::{frame, median, processor_time, ruleset, shapes::Seed, verdict_program};
use perimeter_classifier::abi::COUNTER_SLOTS;

/// Programs of each shape.
const EACH: usize = 6;

/// Runs of each program; each run has its share of the repeats.
const ROUNDS: u32 = 20;
/// The floor's verdict.
const XDP_DROP: i32 = 1;

fn main() -> Result<()> {
    let repeats: u32 =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20_000_000);
    let floor = verdict_program(XDP_DROP)?;
    let mut programs = Vec::new();
    for seed in [Seed::Acl, Seed::Firewall, Seed::Ipc] {
        for rules in [10, 100, 1_000, 10_000] {
            let name = format!("{seed:?} {rules}").to_lowercase();
            programs.push((name, load(&ruleset(seed, rules))?));
        }
        let other = |index: usize, timed: usize| index != timed && index.is_multiple_of(2);
        programs.push((format!("{seed:?} other expire").to_lowercase(), load(&expiring(seed, other))?));
        programs.push((format!("{seed:?} all expire").to_lowercase(), load(&expiring(seed, |_, _| true))?));
    }
    let mut figures = vec![Vec::new(); programs.len() + 1];
    for _ in 0..ROUNDS {
        figures[0].push(time(floor.as_fd(), repeats / ROUNDS)?);
        for ((_, program), figures) in programs.iter().zip(&mut figures[1..]) {
            figures.push(time(program.as_fd(), repeats / ROUNDS)?);
        }
    }
    let medians: Vec<f64> = figures.into_iter().map(median).collect();
    println!("{:<20} {:>7} {:>12} {:>12}", "rules", "ns", "over floor", "to 10 rules");
    println!("{:<20} {:>7.1}", "(empty XDP_DROP)", medians[0]);
    for (index, (name, _)) in programs.iter().enumerate() {
        let (own, ten) = (medians[index + 1], medians[index / EACH * EACH + 1]);
        println!("{name:<20} {own:>7.1} {:>12.1} {:>12.2}", own - medians[0], own / ten);
    }
    Ok(())
}

/// A thousand rules, of which those that `which` names, given the one that decides, end some day each.
fn expiring(seed: Seed, which: fn(usize, usize) -> bool) -> Ruleset {
    let mut ruleset = ruleset(seed, 1_000);
    for (index, rule) in ruleset.rules.iter_mut().enumerate().filter(|(index, _)| which(*index, 500)) {
        rule.about.expires = Some(format!("{}-{:02}-01", 2200 + index % 20, index % 12 + 1));
    }
    ruleset
}

fn load(ruleset: &Ruleset) -> Result<Program> {
    let rules = ruleset.rules.len();
    let mut image = compile(ruleset, 0)?;
    let slots: Vec<u32> = (100..).take(rules).collect();
    image.bind_slots(&slots);
    let enforcement = Enforcement {
        generation: 1,
        policy: [0; 32],
        enforce: true,
        reason_slots: std::array::from_fn(|reason| reason as u32),
    };
    let credited = Program::private(&image)?.test_run(&frame())?.rule();
    anyhow::ensure!(credited == Some(rules as u32 / 2), "{rules} rules: rule {credited:?} is credited");
    Ok(Program::load(&image, enforcement, &Counters::create(COUNTER_SLOTS)?)?)
}

/// Nanoseconds a run.
fn time(program: BorrowedFd<'_>, repeats: u32) -> Result<f64> {
    let frame = frame();
    let start = processor_time();
    sys::program_test_run(program, &frame, repeats)?;
    Ok((processor_time() - start) / f64::from(repeats))
}
