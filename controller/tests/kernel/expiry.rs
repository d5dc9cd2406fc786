//! Rules that end while frames arrive: the program itself turns from one epoch to the next.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use perimeter::backend::xdp::clock::{epoch, set_since};
use perimeter::backend::xdp::maps::SharedMaps;
use perimeter::backend::xdp::program::{Enforcement, Program};
use perimeter::backend::xdp::sys::{self, XdpPath};
use perimeter::compile::compile;
use perimeter::ruleset::{Action, Rule, Ruleset};
use perimeter_classifier::abi::{Clock, name};

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

/// Goal: before Linux 6.1, where a program counts from the boot on, a clock that was set since is found. Method: what a
/// program begins with, and a start as of an hour before written over it.
#[test]
fn a_clock_that_was_set_since_is_found() {
    if !may_load() {
        return;
    }
    let scene = Scene::new(Duration::from_secs(3600));
    let set = || set_since(scene.program).unwrap().expect("its rules expire");
    assert!(set().abs() < jiff::SignedDuration::from_secs(2), "{}", set());
    let program = sys::program_by_id(scene.program).unwrap();
    let maps =
        sys::program_info(program.as_fd()).unwrap().maps.into_iter().map(|id| sys::map_by_id(id).unwrap());
    let is_clock = |map: &OwnedFd| sys::map_info(map.as_fd()).unwrap().name == name::CLOCK;
    let clock = maps.into_iter().find(is_clock).unwrap();
    let mut value = [0; size_of::<Clock>()];
    sys::map_lookup(clock.as_fd(), 0, &mut value).unwrap();
    let at = std::mem::offset_of!(Clock, offset);
    let offset = u64::from_ne_bytes(value[at..at + 8].try_into().unwrap());
    value[at..at + 8].copy_from_slice(&(offset - 3_600_000_000_000).to_ne_bytes());
    sys::map_update(clock.as_fd(), 0, &value).unwrap();
    assert_eq!(set().as_secs_f64().round(), 3600.0);
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
