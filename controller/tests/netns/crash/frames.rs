//! Frames that every policy allows and frames that none does, some 60,000 a second; and, behind the guards, a witness that
//! counts them in the kernel.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::world::{World, ip, send, udp};

const ALLOWED: u16 = 8000;
const FORBIDDEN: u16 = 9999;
/// Frames a second, of both kinds and over all interfaces.
const RATE: u64 = 60_000;
/// Pairs of frames that are sent at once.
const BURST: u64 = 64;
/// So far behind, what was missed is not sent any more: a machine that is too slow for the rate must still get on.
const BEHIND: Duration = Duration::from_millis(50);

/// Frames of each kind into each interface.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) each: u64,
    pub(super) took: Duration,
}

impl Sent {
    /// Frames of both kinds a second, into `interfaces`.
    pub(super) fn rate(&self, interfaces: usize) -> u64 {
        let all = 2 * self.each * interfaces as u64;
        all * 1000 / (self.took.as_millis() as u64).max(1)
    }
}

/// Sends into both interfaces until `done`.
pub(super) fn sends(world: &World, interfaces: &[&str], done: &AtomicBool) -> Sent {
    let mut senders: Vec<_> =
        interfaces.iter().map(|name| world.channel("out", &format!("{name}p")).0).collect();
    let (allowed, forbidden) = (udp([192, 0, 2, 1], ALLOWED), udp([192, 0, 2, 1], FORBIDDEN));
    let period = Duration::from_nanos(1_000_000_000 * 2 * BURST * interfaces.len() as u64 / RATE);
    let begun = Instant::now();
    let (mut each, mut due) = (0, begun);
    while !done.load(Ordering::Relaxed) {
        for sender in &mut senders {
            for _ in 0..BURST {
                send(&mut **sender, &allowed);
                send(&mut **sender, &forbidden);
            }
        }
        each += BURST;
        due += period;
        let now = Instant::now();
        std::thread::sleep(due.saturating_duration_since(now));
        due = due.max(now.checked_sub(BEHIND).unwrap_or(now));
    }
    Sent { each, took: begun.elapsed() }
}

/// Ends the frames, also where the test fails.
pub(crate) struct End<'a>(pub(crate) &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl World {
    /// Counts, behind every guard, what comes in on these interfaces: the last at the ingress hook.
    pub(super) fn witness(&self, interfaces: &[&str]) {
        let chain = |name: &&str| {
            format!(
                "  counter {name}-allowed {{ }}\n  counter {name}-forbidden {{ }}\n  chain {name} {{\n    \
                 type filter hook ingress device {name} priority 2000;\n    \
                 udp dport {ALLOWED} counter name {name}-allowed\n    \
                 udp dport {FORBIDDEN} counter name {name}-forbidden\n  }}\n"
            )
        };
        let chains: String = interfaces.iter().map(chain).collect();
        self.nft(&["-f", "-"], &format!("table netdev witness {{\n{chains}}}\n"));
    }

    /// How many frames of each kind the witness has seen on an interface: allowed and forbidden.
    pub(super) fn seen(&self, interface: &str) -> [u64; 2] {
        ["allowed", "forbidden"].map(|kind| {
            let name = format!("{interface}-{kind}");
            let listed = self.nft(&["-j", "list", "counter", "netdev", "witness", &name], "");
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            let counters = listed["nftables"].as_array().unwrap();
            counters.iter().find_map(|one| one["counter"]["packets"].as_u64()).unwrap()
        })
    }

    /// Frames that the other end of an interface could not hand over.
    pub(super) fn overrun(&self, interface: &str) -> u64 {
        let device = format!("{interface}p");
        let shown = ip(&["-n", &self.namespace("out"), "-s", "-j", "link", "show", &device]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown[0]["stats64"]["tx"]["dropped"].as_u64().unwrap()
    }

    /// Runs `nft` in the gateway, with an input.
    pub(crate) fn nft(&self, args: &[&str], input: &str) -> String {
        let mut nft = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace("gw")))
            .arg("nft")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nft and nsenter are installed");
        nft.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = nft.wait_with_output().unwrap();
        assert!(output.status.success(), "nft {args:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
