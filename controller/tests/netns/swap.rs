//! Policies change under traffic, and no frame is judged by half of one: what both policies forbid never passes, what both
//! allow is never dropped, and every frame is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::crash::frames::End;
use crate::world::{World, send, udp};

fn policy(port: u16) -> String {
    format!(
        "version: 1\ninterfaces: {{ wan0: }}\nallow:\n  - {{ id: always, service: udp/8000 }}\n  \
         - {{ id: now-and-then, service: udp/{port} }}\n"
    )
}

/// A hundred, or as many as `PERIMETER_APPLIES` says; `PERIMETER_PROGRAM=target/release/perimeter` makes them faster.
fn applies() -> u64 {
    std::env::var("PERIMETER_APPLIES").ok().and_then(|number| number.parse().ok()).unwrap_or(100)
}

/// How long the first tenth of the applies took and how long the last: each pays for itself alone, not for those before.
fn told(took: &[Duration]) -> String {
    let tenth = took.len().div_ceil(10).max(1);
    let mean = |some: &[Duration]| some.iter().sum::<Duration>() / some.len().max(1) as u32;
    let (first, last) =
        (mean(&took[..tenth.min(took.len())]), mean(&took[took.len().saturating_sub(tenth)..]));
    format!("the first took {first:.0?} each, the last {last:.0?}")
}

#[test]
fn no_frame_meets_half_a_policy() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policies = [world.policy("a.yaml", &policy(8001)), world.policy("b.yaml", &policy(8002))];
    policies.iter().for_each(|policy| drop(world.ok(&["apply", policy, "--yes"])));
    let clean = world.remains();
    let (mut sender, _) = world.channel("out", "wan0p");
    let (_, mut witness) = world.channel("gw", "wan0");
    let (allowed, forbidden) = (udp([192, 0, 2, 1], 8000), udp([192, 0, 2, 1], 9999));
    let (done, world) = (AtomicBool::new(false), &world);
    let mut took = Vec::new();
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = 0u64;
            while !done.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    send(&mut *sender, &allowed);
                    send(&mut *sender, &forbidden);
                }
                sent += 64;
                // A pause, so that two cores have time for the applies too.
                std::thread::sleep(Duration::from_millis(5));
            }
            sent
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if let Ok(frame) = witness.next() {
                    assert!(
                        frame.len() < 38 || frame[36..38] != 9999u16.to_be_bytes(),
                        "a forbidden frame passed"
                    );
                }
            }
        });
        let end = End(&done);
        for turn in 0..applies() {
            let begun = Instant::now();
            world.ok(&["apply", &policies[(turn % 2) as usize], "--yes"]);
            took.push(begun.elapsed());
        }
        drop(end);
        sending.join().unwrap()
    });
    let counters = world.settled("wan0", 2 * sent);
    println!("{} applies, {} frames; {}", applies(), 2 * sent, told(&took));
    assert_eq!(counters["received"]["packets"], 2 * sent, "{counters:#}");
    assert_eq!(counters["passed"]["packets"], sent, "an allowed frame was dropped: {counters:#}");
    assert_eq!(counters["dropped"]["packets"], sent, "a forbidden frame passed: {counters:#}");
    assert_eq!(world.json(&["status"])["interfaces"][0]["generation"], 2 + applies());
    assert_eq!(world.remains(), clean, "something is left");
}
