//! Rules that end while frames arrive: the program itself turns from one epoch to the next.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use perimeter::backend::xdp::clock::epoch;
use perimeter::backend::xdp::maps::SharedMaps;
use perimeter::backend::xdp::program::{Enforcement, Program};
use perimeter::backend::xdp::sys::{self, XdpPath};
use perimeter::compile::compile;
use perimeter::ruleset::{Action, Rule, Ruleset};

use crate::frames::tcp4;
use crate::scene::Wire;
use crate::test_runs::read;
use crate::{edge, may_load};

/// Slots of the rules below, and of `no_rule`.
const BAD: u32 = 32;
const WEB: u32 = 33;
const VISITORS: u32 = 34;
const NO_RULE: u32 = 0;

/// A rule that denies and ends, the one behind it that allows, and one that allows and ends with nothing behind it.
fn ruleset(end: jiff::Timestamp) -> Ruleset {
    let mut ruleset = edge::small();
    let [web] = <[Rule; 1]>::try_from(ruleset.rules).unwrap();
    let mut bad = Rule { id: "bad".into(), action: Action::Deny, ..web.clone() };
    let mut visitors = Rule { id: "visitors".into(), services: vec![edge::port(6, 80)], ..web.clone() };
    for rule in [&mut bad, &mut visitors] {
        rule.about.expires = Some(end.to_string());
    }
    ruleset.rules = vec![bad, web, visitors];
    ruleset
}

/// What the program takes for UTC: `CLOCK_TAI` less 37 seconds.
fn programs_now() -> jiff::Timestamp {
    let mut tai = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_TAI, &raw mut tai) }, 0);
    jiff::Timestamp::new(tai.tv_sec - 37, tai.tv_nsec as i32).unwrap()
}

/// The program on a wire, and its counters.
struct Scene {
    end: jiff::Timestamp,
    counters: SharedMaps,
    program: u32,
    wire: Wire,
    _link: OwnedFd,
    /// Pairs of frames so far: one that is denied until the end and one that is allowed until then.
    pairs: u64,
}

impl Scene {
    fn new(lead: Duration) -> Self {
        let end = programs_now() + lead;
        let counters = SharedMaps::create().unwrap();
        let mut image = compile(&edge::uncounted(ruleset(end)), 0).unwrap();
        image.bind_slots(&[BAD, WEB, VISITORS]);
        let reason_slots = std::array::from_fn(|reason| reason as u32);
        let enforcement = Enforcement { generation: 1, policy: [1; 32], enforce: true, reason_slots };
        let program = Program::load(&image, enforcement, &counters).unwrap();
        let wire = Wire::new(1500);
        let link = sys::link_create(program.as_fd(), wire.device, XdpPath::Driver).unwrap();
        let program = program.describe().unwrap().id;
        Scene { end, counters, program, wire, _link: link, pairs: 0 }
    }

    fn send(&mut self, pairs: u64) {
        let (https, mut http) = (tcp4(), tcp4());
        http[18 + 20 + 2..][..2].copy_from_slice(&80u16.to_be_bytes());
        for _ in 0..pairs {
            self.wire.send(&https);
            self.wire.send(&http);
        }
        self.pairs += pairs;
    }

    /// What the rules have counted, once every frame has been.
    fn counts(&self) -> [u64; 4] {
        settled(|| [BAD, WEB, VISITORS, NO_RULE].map(|slot| read(&self.counters, slot).0), 2 * self.pairs)
    }

    fn epoch(&self) -> u64 {
        epoch(self.program).unwrap().expect("its rules expire")
    }
}

/// A scene in which some frames were judged before the end, however slow this machine is.
fn before_the_end() -> Scene {
    for lead in [2, 8, 32] {
        let mut scene = Scene::new(Duration::from_secs(lead));
        scene.send(100);
        let counts = scene.counts();
        if programs_now() < scene.end {
            assert_eq!((counts, scene.epoch()), ([100, 0, 100, 0], 0));
            return scene;
        }
    }
    panic!("loading and a hundred frames take more than half a minute");
}

#[test]
fn rules_end_between_two_frames_and_the_next_ones_decide() {
    if !may_load() {
        return;
    }
    let mut scene = before_the_end();
    while scene.epoch() == 0 {
        scene.send(1);
        thread::sleep(Duration::from_micros(200));
        assert!(programs_now() < scene.end + Duration::from_secs(20), "the rules should have ended");
    }
    assert!(programs_now() >= scene.end);
    let [bad, web, visitors, none] = scene.counts();
    assert_eq!((bad + web, visitors + none), (scene.pairs, scene.pairs));
    assert!(bad >= 100 && bad.abs_diff(visitors) <= 1, "{bad} {web} {visitors} {none}");
    scene.send(100);
    assert_eq!(scene.counts(), [bad, web + 100, visitors, none + 100]);
}

/// The counts once they add up to `sum`, or after two seconds.
fn settled(counts: impl Fn() -> [u64; 4], sum: u64) -> [u64; 4] {
    let start = Instant::now();
    loop {
        let now = counts();
        if now.iter().sum::<u64>() >= sum || start.elapsed() > Duration::from_secs(2) {
            return now;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
