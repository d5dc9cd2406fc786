//! What is told of single frames: of which, to how many, and what is known of those of which nothing was told.

use std::fs;
use std::time::{Duration, Instant};

use perimeter::backend::xdp::events::totals;
use perimeter::backend::xdp::namespace;
use perimeter::counters::{Event, EventTotals, HEADER_BYTES};
use perimeter::events::{Place, Stream};

use crate::world::{World, tagged, udp};

const POLICY: &str = "
version: 1
interfaces: { wan0: { vlans: [untagged, mgmt] } }
vlans: { mgmt: { id: 10 } }
allow:
  - { id: web, service: udp/8000 }
  - { id: told, service: udp/8001, log: true }
deny:
  - { id: bad, from: 203.0.113.66 }
";

fn place(world: &World) -> Place {
    let namespace = world.within("gw", || namespace().unwrap());
    let [_, state_dir, _, bpffs] = world.places().map(Into::into);
    Place { bpffs, state_dir, namespace }
}

fn counted(world: &World) -> EventTotals {
    let place = place(world);
    totals(&place.bpffs, place.namespace).unwrap()
}

/// Events until there are `count`, or for five seconds.
fn next(stream: &mut Stream, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..50 {
        events.extend(stream.next(Duration::from_millis(100)).unwrap());
        if events.len() >= count {
            break;
        }
    }
    events
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
    assert_eq!(first.next(Duration::from_millis(1)).unwrap(), []);
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
    world.ok(&["apply", &world.policy("b.yaml", &POLICY.replace("8001", "8002")), "--yes"]);
    std::thread::sleep(Duration::from_millis(150));
    world.send("wan0", &[udp([192, 0, 2, 1], 9), vec![7; 500]].concat(), 1);
    let after = next(&mut second, 1);
    assert_eq!((after[0].header.len(), after[0].length), (HEADER_BYTES, 560), "the ring survives an apply");
    assert_eq!(counted(&world).emitted, 4);
}

#[test]
fn a_full_ring_costs_a_count_and_no_frame() {
    let Some(world) = World::new(&["wan0"]) else { return };
    world.ok(&["apply", &world.policy("a.yaml", POLICY), "--yes"]);
    let mut stream = Stream::open(place(&world)).unwrap();
    stream.next(Duration::from_millis(1)).unwrap();
    // The reader stands still for less than its lease: the ring fills up at the rate of the limit, and runs over.
    let (begun, mut sent) = (Instant::now(), 0);
    while !counted(&world).is_major_non_conformity() && begun.elapsed() < Duration::from_secs(60) {
        for port in [9, 8001] {
            world.send("wan0", &udp([192, 0, 2, 1], port), 1_000);
        }
        sent += 2_000;
        stream.listen().unwrap();
    }
    let counters = world.settled("wan0", sent);
    assert_eq!(counters["dropped"]["packets"], sent / 2, "every frame was judged and counted");
    let totals = counted(&world);
    assert!(totals.is_major_non_conformity(), "{totals:?}");
    let all = totals.emitted + totals.suppressed + totals.lost + totals.unheard;
    assert_eq!(all, sent, "each frame was told, or it is known why not: {totals:?}");
    assert_eq!(next(&mut stream, totals.emitted as usize).len() as u64, totals.emitted);
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
                "events", "--write", &file, "--json", "--reason", "no_rule", "--count", "1", "--for", "20s",
            ])
        });
        let sender = scope.spawn(|| {
            while counted(&world).emitted < 4 {
                world.send("wan0", &udp([192, 0, 2, 1], 8001), 1);
                world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        sender.join().unwrap();
        run.join().unwrap()
    });
    let event: Event = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!((event.decision().as_str(), said.lines().count()), ("drop: no_rule", 1));
    assert!(String::from_utf8_lossy(&fs::read(&file).unwrap()).contains("drop: no_rule"));
    let replayed = world.ok(&["replay", &world.policy("a.yaml", POLICY), &file]);
    assert!(replayed.contains("1 frame") && replayed.contains("no_rule 1"), "{replayed}");
}
