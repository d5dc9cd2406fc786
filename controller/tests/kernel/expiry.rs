//! Rules that end while frames arrive: the program itself turns from one epoch to the next.

use std::os::fd::AsFd;
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

#[test]
fn rules_end_between_two_frames_and_the_next_ones_decide() {
    if !may_load() {
        return;
    }
    let end = programs_now() + Duration::from_millis(1_500);
    let counters = SharedMaps::create(64).unwrap();
    let mut image = compile(&edge::uncounted(ruleset(end)), 0).unwrap();
    image.bind_slots(&[BAD, WEB, VISITORS]);
    let reason_slots = std::array::from_fn(|reason| reason as u32);
    let enforcement = Enforcement { generation: 1, policy: [1; 32], enforce: true, reason_slots };
    let program = Program::load(&image, enforcement, &counters).unwrap();
    let id = program.describe().unwrap().id;
    let wire = Wire::new(1500);
    let _link = sys::link_create(program.as_fd(), wire.device, XdpPath::Driver).unwrap();

    let (https, mut http) = (tcp4(), tcp4());
    http[18 + 20 + 3] = 80;
    let counts = || [BAD, WEB, VISITORS, NO_RULE].map(|slot| read(&counters, slot).0);
    let send = |until: jiff::Timestamp| {
        let mut sent = 0;
        while programs_now() < until {
            wire.send(&https);
            wire.send(&http);
            sent += 1;
            thread::sleep(Duration::from_micros(500));
        }
        sent
    };
    let before = send(end - Duration::from_millis(100));
    assert_eq!(settled(counts, 2 * before), [before, 0, before, 0]);
    assert_eq!(epoch(id).unwrap(), Some(0));
    // The program looks at the time every hundred ticks, a second at most.
    let meanwhile = send(end + Duration::from_millis(1_100));
    let [bad, web, visitors, none] = settled(counts, 2 * (before + meanwhile));
    assert_eq!((bad + web, visitors + none), (before + meanwhile, before + meanwhile));
    assert!(bad > before && web > 0 && bad.abs_diff(visitors) <= 1, "{bad} {web} {visitors} {none}");
    assert_eq!(epoch(id).unwrap(), Some(1));
    let after = send(programs_now() + Duration::from_millis(100));
    assert_eq!(settled(counts, 2 * (before + meanwhile + after)), [bad, web + after, visitors, none + after]);
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
