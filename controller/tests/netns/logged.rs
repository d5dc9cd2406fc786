//! What is told of single frames where nftables judges alone.

use std::time::{Duration, Instant};

use perimeter::backend::nft::events::{Frames, made};
use perimeter::counters::{Event, EventTotals, HEADER_BYTES};
use perimeter::events::{Stream, totals};

use crate::events::{POLICY, next, place, wait};
use crate::world::{World, tagged, udp};

fn enforced(settings: &str) -> Option<World> {
    let world = World::new(&["wan0"])?;
    let policy = POLICY.replace("{ vlans", &format!("{{ mode: nft{settings}, vlans"));
    world.ok(&["apply", &world.policy("a.yaml", &policy), "--yes"]);
    Some(world)
}

fn words(events: &mut [Event]) -> Vec<(String, String)> {
    events.sort_by_key(Event::decision);
    events.iter().map(|event| (event.decision(), event.stack())).collect()
}

/// Goal: an administrator is told the same by either engine. Method: the frames of the test of XDP, before anybody reads, to
/// two readers, after an apply, and more than the limit.
#[test]
fn nftables_tells_of_drops_and_of_logged_rules() {
    let Some(world) = enforced("") else { return };
    world.send("wan0", &udp([192, 0, 2, 1], 9), 4);
    world.settled("wan0", 4);
    world.within("gw", || {
        let place = place(&world);
        let counted = || totals(&place).unwrap();
        assert_eq!(counted(), EventTotals { unheard: 4, ..EventTotals::default() }, "nobody reads yet");
        let mut first = Stream::open(place.clone()).unwrap();
        let mut second = Stream::open(place.clone()).unwrap();
        let denied = tagged(&udp([203, 0, 113, 66], 8000), 10);
        world.send("wan0", &udp([192, 0, 2, 1], 8000), 5);
        world.send("wan0", &udp([192, 0, 2, 1], 8001), 1);
        world.send("wan0", &denied, 1);
        world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
        let (mut events, mut heard) = (next(&mut first, 3), next(&mut second, 3));
        let is = |decision: &str, stack: &str| (decision.to_owned(), stack.to_owned());
        let all = [
            is("drop: denied, rule bad", "10"),
            is("drop: no_rule", "untagged"),
            is("pass: rule told", "untagged"),
        ];
        assert_eq!((words(&mut events), words(&mut heard)), (all.to_vec(), all.to_vec()));
        assert_eq!((&events[0].header, events[0].length as usize), (&denied, denied.len()), "with its tag");
        assert_eq!((events[0].interface.as_str(), &events), ("wan0", &heard));
        wait(|| counted().emitted == 3);

        drop(first);
        let policy =
            world.policy("b.yaml", &POLICY.replace("{ vlans", "{ mode: nft, vlans").replace("8001", "8002"));
        world.ok(&["apply", &policy, "--yes"]);
        (0..3).for_each(|_| assert_eq!(second.next(Duration::from_millis(1)).unwrap(), []));
        world.send("wan0", &[udp([192, 0, 2, 1], 9), vec![7; 500]].concat(), 1);
        let after = next(&mut second, 1);
        assert_eq!(
            (after[0].header.len(), after[0].length),
            (HEADER_BYTES, 560),
            "the log survives an apply"
        );

        world.send("wan0", &udp([192, 0, 2, 1], 9), 5_000);
        let received = 4 + 8 + 1 + 5_000;
        world.settled("wan0", received);
        wait(|| {
            next(&mut second, 1);
            let EventTotals { emitted, suppressed, lost, unheard } = counted();
            (suppressed > 0, lost, unheard, emitted + suppressed) == (true, 0, 4, received - 4 - 5)
        });
    });
}

/// Goal: shadow mode says what it would do. Method: one frame of each.
#[test]
fn what_shadow_mode_would_drop_is_told_as_that() {
    let Some(world) = enforced(", enforce: false") else { return };
    world.within("gw", || {
        let mut stream = Stream::open(place(&world)).unwrap();
        for (source, port) in [([192, 0, 2, 1], 8001), ([203, 0, 113, 66], 8000), ([192, 0, 2, 1], 9)] {
            world.send("wan0", &udp(source, port), 1);
        }
        let told: Vec<String> = words(&mut next(&mut stream, 3)).into_iter().map(|one| one.0).collect();
        assert_eq!(told, ["pass: rule told", "would drop: denied, rule bad", "would drop: no_rule"]);
    });
    let counters = world.settled("wan0", 3);
    assert_eq!((&counters["passed"]["packets"], &counters["would_drop"]["packets"]), (&1.into(), &2.into()));
}

/// Goal: who does not read loses events, and never a frame; how many is known. Method: a reader that stands still until the
/// kernel has no more room for it, and then reads.
#[test]
fn a_reader_that_stands_still_costs_events_and_no_frame() {
    let Some(world) = enforced("") else { return };
    world.within("gw", || {
        let bpffs = place(&world).bpffs;
        let mut reader = Frames::open(&bpffs).unwrap().unwrap();
        let (begun, mut sent) = (Instant::now(), 0);
        let large = |source, port| [udp(source, port), vec![7; 1_400]].concat();
        let frames = [large([192, 0, 2, 1], 9), large([192, 0, 2, 1], 8001), large([203, 0, 113, 66], 9)];
        while made(&bpffs).unwrap().0 < 9_000 && begun.elapsed() < Duration::from_secs(60) {
            frames.iter().for_each(|frame| world.send("wan0", frame, 100));
            sent += 300;
        }
        let mut read = reader.read().unwrap();
        let heard = read.events.len() as u64;
        // The next that is handed over tells how many were not; by then the limit lets one be told of.
        std::thread::sleep(Duration::from_millis(200));
        world.send("wan0", &udp([192, 0, 2, 1], 8001), 1);
        let mut events = heard;
        wait(|| {
            let more = reader.read().unwrap();
            (events, read.lost) = (events + more.events.len() as u64, read.lost + more.lost);
            let (made, suppressed) = made(&bpffs).unwrap();
            (events + read.lost, made + suppressed) == (made, sent + 1)
        });
        assert!(read.lost > 0, "all were read, {heard} at first");
        let counters = world.settled("wan0", sent + 1);
        assert_eq!(counters["dropped"]["packets"], sent / 3 * 2, "every frame was judged and counted");
    });
}

/// Goal: a VLAN is found by its name though nftables tells of tags only. Method: frames within it and outside, and the command.
#[test]
fn the_command_finds_a_vlan_by_its_name() {
    let Some(world) = enforced("") else { return };
    for (option, wanted, is_there) in [
        ("--rule", "told", true),
        ("--rule", "nosuch", false),
        ("--vlan", "77", true),
        ("--vlan", "9999", false),
    ] {
        let said = world.perimeter(&["events", option, wanted, "--for", "10ms"]);
        assert_eq!(said.err.contains("no policy in force has a"), !is_there, "{option} {wanted}: {said:?}");
    }
    let said = std::thread::scope(|scope| {
        let run =
            scope.spawn(|| world.ok(&["events", "--json", "--vlan", "mgmt", "--count", "1", "--for", "60s"]));
        while !run.is_finished() {
            world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
            world.send("wan0", &tagged(&udp([192, 0, 2, 1], 9), 10), 1);
            std::thread::sleep(Duration::from_millis(20));
        }
        run.join().unwrap()
    });
    let event: Event = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!((event.stack().as_str(), event.vlan.as_deref(), said.lines().count()), ("10", None, 1));
}

/// Goal: who has the log keeps nobody from what XDP tells, and a table that tells of nothing needs no log. Method: another
/// listener of the group, beside a ring and where there is none; `mode: both` has nothing to listen to.
#[test]
fn a_log_that_another_program_holds_does_not_silence_the_ring() {
    let Some(world) = World::new(&["wan0", "wan1"]) else { return };
    let policy = |first: &str, second: &str| {
        let both = format!("wan0: {{ mode: {first}, vlans: [untagged, mgmt] }}, wan1: {{ mode: {second} }}");
        POLICY.replace("wan0: { vlans: [untagged, mgmt] }", &both)
    };
    world.ok(&["apply", &world.policy("a.yaml", &policy("both", "generic")), "--yes"]);
    world.within("gw", || {
        let place = place(&world);
        assert!(Frames::open(&place.bpffs).unwrap().is_none(), "no table tells of frames");
        world.ok(&["apply", &world.policy("b.yaml", &policy("generic", "nft")), "--yes"]);
        let held = Frames::open(&place.bpffs).unwrap().unwrap();
        let mut stream = Stream::open(place.clone()).unwrap();
        // Who reads is noticed within a tenth of a second.
        std::thread::sleep(Duration::from_millis(150));
        world.send("wan0", &udp([192, 0, 2, 1], 9), 1);
        assert_eq!(words(&mut next(&mut stream, 1))[0].0, "drop: no_rule");
        drop((stream, held));
    });
    let Some(alone) = enforced("") else { return };
    alone.within("gw", || {
        let place = place(&alone);
        let _held = Frames::open(&place.bpffs).unwrap();
        let refused = Stream::open(place).err().unwrap().to_string();
        assert!(refused.contains("nfnetlink_log, which nothing else may read"), "{refused}");
    });
}
