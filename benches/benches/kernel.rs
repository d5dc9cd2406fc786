//! The loaded program in the kernel: nanoseconds a frame, beside an empty `XDP_DROP`.
//!
//! One allowed 64-byte TCP frame with a VLAN tag, warm, through `BPF_PROG_TEST_RUN`; the processor time of this thread
//! over many repeats (on an idle machine that is the wall time; the kernel's own figure is cut to whole nanoseconds).
//! Beside each shape two more: every second rule but the one that decides expires some day, and that one does as well.
//! Each rule set is loaded twice: with all accounting, as a policy has it that does not say otherwise, and with the basic
//! counters alone. Programs take turns in short runs, so that what else happens on the machine meets all of them. Printed
//! are the medians, and the fastest runs: what the programs cost where nobody disturbs.
//!
//! `cargo bench -p perimeter-bench --bench kernel [-- REPEATS]`; needs root.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use perimeter::backend::xdp::maps::SharedMaps;
use perimeter::backend::xdp::program::{Enforcement, Program};
use perimeter::backend::xdp::sys;
use perimeter::compile::compile;
use perimeter::counters::{Counted, Slots, account_series, allocate, bind, series};
use perimeter::ruleset::{Accounting, Ruleset};
use perimeter_bench::{frame, median, processor_time, ruleset, shapes::Seed, verdict_program};

/// Programs of each shape.
const EACH: usize = 6;

/// Runs of each program; each run has its share of the repeats.
const ROUNDS: u32 = 200;
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
            programs.push((name, both(ruleset(seed, rules))?));
        }
        let other = |index: usize, timed: usize| index != timed && index.is_multiple_of(2);
        programs.push((format!("{seed:?} other expire").to_lowercase(), both(expiring(seed, other))?));
        programs.push((format!("{seed:?} all expire").to_lowercase(), both(expiring(seed, |_, _| true))?));
    }
    let mut floors = Vec::new();
    let mut figures = vec![[Vec::new(), Vec::new()]; programs.len()];
    for _ in 0..ROUNDS {
        floors.push(time(floor.as_fd(), repeats / ROUNDS)?);
        for ((_, pair), figures) in programs.iter().zip(&mut figures) {
            for (program, figures) in pair.iter().zip(figures) {
                figures.push(time(program.as_fd(), repeats / ROUNDS)?);
            }
        }
    }
    println!("{:<20}{:>36}{:>36}", "", "median", "fastest");
    let titles = ["ns", "over floor", "to 10 rules", "to basic"];
    println!("{:<20}{}{}", "rules", header(titles), header(titles));
    let floor = Figure::of(&floors);
    println!("{:<20}{:>7.1}{:>36.1}", "(empty XDP_DROP)", floor.median, floor.fastest);
    let figures: Vec<[Figure; 2]> =
        figures.iter().map(|pair| [0, 1].map(|at| Figure::of(&pair[at]))).collect();
    for (index, (name, _)) in programs.iter().enumerate() {
        let ([all, basic], [ten, _]) = (figures[index], figures[index / EACH * EACH]);
        let columns = |of: fn(Figure) -> f64| {
            let all = of(all);
            format!("{all:>7.1}{:>11.1}{:>12.2}{:>9.2}", all - of(floor), all / of(ten), all / of(basic))
        };
        println!("{name:<20}{}{}", columns(|figure| figure.median), columns(|figure| figure.fastest));
    }
    Ok(())
}

fn header([ns, over, growth, cost]: [&str; 4]) -> String {
    format!("{ns:>7}{over:>11}{growth:>12}{cost:>9}")
}

/// Nanoseconds a frame.
#[derive(Clone, Copy)]
struct Figure {
    median: f64,
    fastest: f64,
}

impl Figure {
    fn of(runs: &[f64]) -> Figure {
        Figure { median: median(runs.to_vec()), fastest: runs.iter().copied().fold(f64::MAX, f64::min) }
    }
}

const NONE: Accounting =
    Accounting { vlan: false, size: false, fragments: false, pmtu: false, last_hit: false };
const ALL: Accounting = Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true };

/// A thousand rules, of which those that `which` names, given the one that decides, end some day each.
fn expiring(seed: Seed, which: fn(usize, usize) -> bool) -> Ruleset {
    let mut ruleset = ruleset(seed, 1_000);
    for (index, rule) in ruleset.rules.iter_mut().enumerate().filter(|(index, _)| which(*index, 500)) {
        rule.about.expires = Some(format!("{}-{:02}-01", 2200 + index % 20, index % 12 + 1));
    }
    ruleset
}

/// The program with all accounting, and with the basic counters alone.
fn both(mut ruleset: Ruleset) -> Result<[Program; 2]> {
    let mut with = |accounting| {
        ruleset.interfaces[0].accounting = accounting;
        load(&ruleset)
    };
    Ok([with(ALL)?, with(NONE)?])
}

fn load(ruleset: &Ruleset) -> Result<Program> {
    let rules = ruleset.rules.len();
    let mut image = compile(ruleset, 0)?;
    let slots = allocate(&Slots::new(), &[series(ruleset, 0), account_series(ruleset, 0)].concat())?;
    let binding = bind(&slots, ruleset, 0, Counted::All);
    image.bind(&binding);
    let enforcement =
        Enforcement { generation: 1, policy: [0; 32], enforce: true, reason_slots: binding.reasons };
    let credited = Program::private(&image)?.test_run(&frame())?.rule();
    anyhow::ensure!(credited == Some(rules as u32 / 2), "{rules} rules: rule {credited:?} is credited");
    Ok(Program::load(&image, enforcement, &SharedMaps::create()?)?)
}

/// Nanoseconds a run.
fn time(program: BorrowedFd<'_>, repeats: u32) -> Result<f64> {
    let frame = frame();
    let start = processor_time();
    sys::program_test_run(program, &frame, repeats)?;
    Ok((processor_time() - start) / f64::from(repeats))
}
