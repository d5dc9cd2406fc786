//! What is told of single frames: of which, to how many, and what is known of those of which nothing was told.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use perimeter::backend::xdp::events::{Ring, totals};
use perimeter::backend::xdp::namespace;
use perimeter::counters::{Event, EventTotals, HEADER_BYTES};
use perimeter::events::{Place, Stream};

use perimeter::capture::Capture;
use rustix::process::{Pid, Signal};

use crate::serve::perimeter;
use crate::world::{World, tagged, udp};

pub(crate) const POLICY: &str = "
version: 1
interfaces: { wan0: { vlans: [untagged, mgmt] } }
vlans: { mgmt: { id: 10 } }
allow:
  - { id: web, service: udp/8000 }
  - { id: told, service: udp/8001, log: true }
deny:
  - { id: bad, from: 203.0.113.66 }
";

pub(crate) fn place(world: &World) -> Place {
    let namespace = world.within("gw", || namespace().unwrap());
    let [_, state_dir, _, bpffs] = world.places().map(Into::into);
    Place { bpffs, state_dir, namespace }
}

fn counted(world: &World) -> EventTotals {
    let place = place(world);
    totals(&place.bpffs, place.namespace).unwrap()
}

/// Events until there are `count`, or for five seconds.
pub(crate) fn next(stream: &mut Stream, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..50 {
        events.extend(stream.next(Duration::from_millis(100)).unwrap());
        if events.len() >= count {
            break;
        }
    }
    events
}

/// How many events there are by now.
fn next_now(stream: &mut Stream) -> u64 {
    stream.next(Duration::from_millis(100)).unwrap().len() as u64
}

#[test]
fn drops_and_logged_rules_are_told_and_nothing_else() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    world.send("wan0", &udp([192, 0, 2, 1], 9), 4);
    world.settled("wan0", 4);
    assert_eq!(counted(&world), EventTotals { unheard: 4, ..EventTotals::default() }, "nobody reads yet");

    let (mut first, mut second) =
        (Stream::open(place(&world)).unwrap(), Stream::open(place(&world)).unwrap());
    // Who reads is noticed within a tenth of a second.
    std::thread::sleep(Duration::from_millis(150));
    let denied = tagged(&udp([203, 0, 113, 66], 8000), 10);
    world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
    world.send("wan0", &udp([192, 0, 2, 1], 8001), 1);
    world.send("wan0", &denied, 1);
    world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
    let mut events = next(&mut first, 3);
    events.sort_by_key(Event::decision);
    let told: Vec<String> = events.iter().map(Event::decision).collect();
    assert_eq!(told, ["drop: denied, rule bad", "drop: no_rule", "pass: rule told"]);
    let vlans: Vec<_> = events.iter().map(|event| (event.stack(), event.vlan.clone().unwrap())).collect();
    let vlan = |stack: &str, label: &str| (stack.to_owned(), label.to_owned());
    assert_eq!(vlans, [vlan("10", "mgmt"), vlan("untagged", "untagged"), vlan("untagged", "untagged")]);
    assert_eq!((&events[0].header, events[0].length as usize), (&denied, denied.len()));
    let mut heard = next(&mut second, 3);
    heard.sort_by_key(Event::decision);
    assert_eq!(heard, events, "who comes second hears the same");

    drop(first);
    // The second finds that the first is gone, takes its place, and reads.
    for _ in 0..3 {
        assert_eq!(second.next(Duration::from_millis(1)).unwrap(), []);
    }
    assert_eq!(second.missed(), 0);
    world.ok(&["apply", &world.policy("b.yaml", &POLICY.replace("8001", "8002")), "--yes"]);
    // The apply may have taken longer than a reader counts as there.
    assert_eq!(second.next(Duration::from_millis(1)).unwrap(), []);
    std::thread::sleep(Duration::from_millis(150));
    world.send("wan0", &[udp([192, 0, 2, 1], 9), vec![7; 500]].concat(), 1);
    let after = next(&mut second, 1);
    assert_eq!((after[0].header.len(), after[0].length), (HEADER_BYTES, 560), "the ring survives an apply");
    assert_eq!(counted(&world).emitted, 4);
}

/// Goal: in front of nftables XDP tells of what it lets through as of what it drops. Method: shadow mode, one frame of each.
#[test]
fn in_front_of_nftables_what_would_be_dropped_is_told_as_that() {
    let Some(world) = World::new(&["wan0"]) else { return };
    let policy = POLICY.replace("{ vlans", "{ mode: both, enforce: false, vlans");
    world.ok(&["apply", &world.policy("a.yaml", &policy), "--yes"]);
    let mut stream = Stream::open(place(&world)).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    let denied = tagged(&udp([203, 0, 113, 66], 8000), 10);
    let frames = [udp([192, 0, 2, 1], 8000), udp([192, 0, 2, 1], 8001), denied, udp([192, 0, 2, 1], 9)];
    frames.iter().for_each(|frame| world.send("wan0", frame, 1));
    let mut events = next(&mut stream, 3);
    events.sort_by_key(Event::decision);
    let told: Vec<_> = events.iter().map(|event| (event.decision(), event.vlan.clone().unwrap())).collect();
    let is = |decision: &str, vlan: &str| (decision.to_owned(), vlan.to_owned());
    assert_eq!(
        told,
        [
            is("pass: rule told", "untagged"),
            is("would drop: denied, rule bad", "mgmt"),
            is("would drop: no_rule", "untagged")
        ]
    );
    let counters = world.settled("wan0", 4);
    assert_eq!((&counters["passed"]["packets"], &counters["would_drop"]["packets"]), (&2.into(), &2.into()));
    let hits = &world.json(&["counters"])["accounting"][0]["last_hits"];
    assert!(["web", "told", "bad"].iter().all(|rule| hits[rule].is_string()), "{hits}");
}

#[test]
fn a_full_ring_costs_a_count_and_no_frame() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let Place { bpffs, namespace, .. } = place(&world);
    let mut ring = Ring::open(&bpffs, namespace).unwrap().unwrap();
    ring.listen().unwrap();
    // The reader stands still for less than its lease: the ring fills up at the rate of the limit, and runs over.
    let (begun, mut sent) = (Instant::now(), 0);
    while !counted(&world).is_major_non_conformity() && begun.elapsed() < Duration::from_secs(60) {
        for port in [9, 8001] {
            world.send("wan0", &udp([192, 0, 2, 1], port), 1_000);
        }
        sent += 2_000;
        ring.listen().unwrap();
    }
    let counters = world.settled("wan0", sent);
    assert_eq!(counters["dropped"]["packets"], sent / 2, "every frame was judged and counted");
    let totals = counted(&world);
    assert!(totals.is_major_non_conformity(), "{totals:?}");
    let all = totals.emitted + totals.suppressed + totals.lost + totals.unheard;
    assert_eq!(all, sent, "each frame was told, or it is known why not: {totals:?}");
    assert_eq!(ring.read(Duration::ZERO).unwrap().len() as u64, totals.emitted);
    let status = world.perimeter(&["status"]);
    assert!(status.out.contains("! major non-conformity: "), "{status:?}");
}

#[test]
fn the_command_writes_a_capture_with_reasons() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let file = world.policy("drops.pcapng", "");
    let said = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            world.ok(&[
                "events", "--write", &file, "--json", "--reason", "no_rule", "--count", "1", "--for", "60s",
            ])
        });
        while !run.is_finished() {
            world.send("wan0", &udp([192, 0, 2, 1], 8001), 1);
            world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
            std::thread::sleep(Duration::from_millis(20));
        }
        run.join().unwrap()
    });
    let event: Event = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!((event.decision().as_str(), said.lines().count()), ("drop: no_rule", 1));
    assert!(String::from_utf8_lossy(&fs::read(&file).unwrap()).contains("drop: no_rule"));
    let replayed = world.ok(&["replay", &world.policy("a.yaml", POLICY), &file]);
    assert!(replayed.contains("1 frame") && replayed.contains("no_rule 1"), "{replayed}");
}

/// Goal: who stops showing events holds nobody up. Method: a command whose output nobody takes, and a second follower; then
/// the agent's claim, which takes the ring from the command.
#[test]
fn an_output_that_stalls_holds_up_nobody_else() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let mut stalled = perimeter(&world).args(["events", "--json", "--count", "800"]).spawn_piped();
    let lock = place(&world).state_dir.join(format!("events-{}.lock", place(&world).namespace.cookie));
    let reader = || fs::read_to_string(&lock).unwrap_or_default();
    wait(|| reader() == stalled.id().to_string());
    let mut follower = Stream::open(place(&world)).unwrap();
    // The reader may not have its socket yet, and takes a follower in between two looks: what was told before is not missed.
    let mut heard = 0;
    wait(|| {
        world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
        heard += next_now(&mut follower);
        heard > 0
    });
    std::thread::sleep(Duration::from_millis(500));
    while let more @ 1.. = next_now(&mut follower) {
        heard += more;
    }
    let before = counted(&world).emitted - heard;
    // Of 370 bytes each as text: many times what a pipe holds.
    while counted(&world).emitted < 800 {
        world.send("wan0", &udp([192, 0, 2, 1], 9), 50);
        world.send("wan0", &udp([192, 0, 2, 1], 8001), 50);
        heard += next(&mut follower, 1).len() as u64;
    }
    wait(|| {
        heard += next_now(&mut follower);
        before + heard >= counted(&world).emitted
    });
    assert_eq!((before + heard, follower.missed()), (counted(&world).emitted, 0), "{:?}", counted(&world));

    let mut agent = Stream::claim(place(&world)).unwrap();
    wait(|| {
        agent.next(Duration::from_millis(50)).unwrap();
        reader() == std::process::id().to_string()
    });
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stalled.stdout.take().unwrap(), &mut said).unwrap();
    assert!(stalled.wait().unwrap().success());
    assert_eq!(said.lines().count(), 800, "what it had read is shown once somebody takes it");
    assert!(said.lines().all(|line| serde_json::from_str::<Event>(line).is_ok()));
}

/// Goal: who gives the ring away goes on to be told, whoever else stalls. Method: one follower that never reads, and a claim.
#[test]
fn a_follower_that_stalls_holds_nobody_up_who_gives_way() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let mut owner = Stream::open(place(&world)).unwrap();
    let stalled = Stream::open(place(&world)).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    // More than its socket holds.
    while counted(&world).emitted < 1_500 {
        world.send("wan0", &udp([192, 0, 2, 1], 9), 50);
        world.send("wan0", &udp([192, 0, 2, 1], 8001), 50);
        next(&mut owner, 1);
    }
    let mut agent = Stream::claim(place(&world)).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(
        move || {
            while tell.send(owner.next(Duration::from_millis(100)).unwrap().len()).is_ok() {}
        },
    );
    let begun = Instant::now();
    let mut from_agent = 0;
    while from_agent == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody reads the ring");
        world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
        from_agent += agent.next(Duration::from_millis(50)).unwrap().len();
    }
    told.try_iter().for_each(drop);
    wait(|| {
        world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
        agent.next(Duration::from_millis(10)).unwrap();
        told.try_iter().any(|events| events > 0)
    });
    drop(stalled);
}

/// Goal: a reader that was stopped altogether is told of. Method: stop it, and follow.
#[test]
fn a_reader_that_is_stopped_is_named() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let mut reader = perimeter(&world).args(["events"]).spawn_piped();
    let lock = place(&world).state_dir.join(format!("events-{}.lock", place(&world).namespace.cookie));
    wait(|| fs::read_to_string(&lock).unwrap_or_default() == reader.id().to_string());
    let signal = |signal| rustix::process::kill_process(Pid::from_child(&reader), signal).unwrap();
    signal(Signal::STOP);
    let mut agent = Stream::claim(place(&world)).unwrap();
    let mut error = None;
    wait(|| {
        error = agent.next(Duration::from_millis(500)).err();
        error.is_some()
    });
    assert!(error.unwrap().to_string().starts_with(&format!("process {} reads", reader.id())));
    signal(Signal::CONT);
    wait(|| {
        let _ = agent.next(Duration::from_millis(50));
        fs::read_to_string(&lock).unwrap_or_default() == std::process::id().to_string()
    });
    reader.kill().unwrap();
    reader.wait().unwrap();
}

/// Goal: an event that lay in the ring for a while is told with the time of its frame. Method: a reader that leaves some
/// behind, a pause, and the command.
#[test]
fn what_is_told_late_has_the_time_of_its_frame() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let Place { bpffs, namespace, .. } = place(&world);
    let ring = Ring::open(&bpffs, namespace).unwrap().unwrap();
    ring.listen().unwrap();
    let sent = jiff::Timestamp::now();
    wait(|| {
        world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
        counted(&world).emitted > 0
    });
    let told = jiff::Timestamp::now();
    drop(ring);
    std::thread::sleep(Duration::from_millis(2_200));
    let file = world.policy("late.pcapng", "");
    let said = world.perimeter(&["events", "--json", "--write", &file, "--count", "1", "--for", "20s"]);
    let event: Event = serde_json::from_str(&said.out).unwrap();
    let margin = jiff::SignedDuration::from_millis(20);
    assert!(event.time > sent - margin && event.time < told + margin, "{sent} {told} {event:?}");
    assert!(said.err.contains("the first events are old") && said.err.contains("s ago"), "{said:?}");
    let mut capture = Capture::new(fs::File::open(&file).unwrap()).unwrap();
    assert_eq!(capture.next_frame().unwrap().unwrap().time, Some(event.time));
}

/// Waits until something holds, for twenty seconds.
pub(crate) fn wait(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come to hold");
        std::thread::sleep(Duration::from_millis(20));
    }
}

trait SpawnPiped {
    fn spawn_piped(&mut self) -> Child;
}

impl SpawnPiped for Command {
    fn spawn_piped(&mut self) -> Child {
        self.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }
}
