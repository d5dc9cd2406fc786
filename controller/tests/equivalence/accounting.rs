//! What the program counts beside its verdicts, against what the oracle would: every series, to the packet and the byte.
//!
//! Needs root, as `kernel` does. `PERIMETER_POLICIES` and `PERIMETER_FRAMES` scale it.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use perimeter::backend::xdp::maps::{Shared, SharedMaps};
use perimeter::backend::xdp::program::{Enforcement, Program, TestRunError};
use perimeter::backend::xdp::sys;
use perimeter::backend::xdp::tallies::Tallies;
use perimeter::counters::{
    Counted, Outcome, SIZE_BOUNDS, Series, Slots, Subject, account_series, allocate, bind, series,
};
use perimeter::ruleset::{Accounting, Ruleset, VlanId};
use perimeter_classifier::abi::{COUNTER_SLOTS, Mark};
use perimeter_classifier::verdict::Decision;

use crate::campaign::{Scale, image};
use crate::generate::{self, Rng, rulesets};
use crate::kernel::can_load;
use crate::oracle::{self, accounts};

/// Packets, and bytes; of messages about an MTU the smallest that was announced in their place.
type Sums = BTreeMap<Series, [u64; 2]>;

const ALL: Accounting = Accounting { vlan: true, size: true, fragments: true, pmtu: true, last_hit: true };

/// A program that counts, and where.
struct Counting {
    program: Program,
    shared: SharedMaps,
    slots: Slots,
}

impl Counting {
    fn new(ruleset: &Ruleset, index: usize) -> Option<Counting> {
        let mut image = image(ruleset, index)?;
        let wanted = [series(ruleset, index), account_series(ruleset, index)].concat();
        let slots = allocate(&Slots::new(), &wanted).unwrap();
        let binding = bind(&slots, ruleset, index, Counted::All);
        image.bind(&binding);
        let enforce = ruleset.interfaces[index].enforce;
        let enforcement =
            Enforcement { generation: 1, policy: [0; 32], enforce, reason_slots: binding.reasons };
        let shared = SharedMaps::create().unwrap();
        let program = Program::load(&image, enforcement, &shared).unwrap();
        Some(Counting { program, shared, slots })
    }

    fn counted(&self) -> Sums {
        let tallies = Tallies::open(self.shared.get(Shared::Counters)).unwrap();
        let sum = |(series, slot): (&Series, &u32)| {
            (series.clone(), tallies.of(*slot).fold([0, 0], |sum, cpu| added(series, sum, cpu)))
        };
        self.slots.iter().map(sum).collect()
    }

    /// Whether the rule of a series has a last hit.
    fn was_hit(&self, slot: u32) -> bool {
        let mut marks = vec![0; size_of::<Mark>() * COUNTER_SLOTS as usize];
        sys::map_lookup(self.shared.get(Shared::Marks).as_fd(), 0, &mut marks).unwrap();
        let mark = &marks[size_of::<Mark>() * slot as usize..][..size_of::<Mark>()];
        mark.iter().any(|byte| *byte != 0)
    }
}

fn added(series: &Series, sum: [u64; 2], more: [u64; 2]) -> [u64; 2] {
    let second = match series.subject {
        Subject::Pmtu(_) if sum[1] == 0 || more[1] == 0 => sum[1].max(more[1]),
        Subject::Pmtu(_) => sum[1].min(more[1]),
        _ => sum[1] + more[1],
    };
    [sum[0] + more[0], second]
}

/// What is to be counted of a frame.
fn expected(ruleset: &Ruleset, index: usize, frame: &[u8]) -> Vec<(Series, u64)> {
    let interface = &ruleset.interfaces[index];
    let dropped = Outcome::dropped(interface.enforce);
    let (account, length) = (accounts::account(ruleset, index, frame), frame.len() as u64);
    let rule = |number: u32| {
        let rule = &ruleset.rules[number as usize];
        Subject::Rule(rule.action, rule.id.clone())
    };
    let (outcome, subject) = match oracle::judge(ruleset, index, frame) {
        Decision::Pass(number) => (Outcome::Pass, rule(number)),
        Decision::Denied(number) => (dropped, rule(number)),
        Decision::Drop(reason) => (dropped, Subject::Reason(reason)),
    };
    let label = account.vlan.map_or_else(|| "other".to_owned(), |id| label(ruleset, index, id));
    let bucket = SIZE_BOUNDS.iter().filter(|bound| length > u64::from(**bound)).count() as u8;
    let mut all = vec![
        (outcome, subject, length),
        (outcome, Subject::Vlan(label.clone()), length),
        (Outcome::Pass, Subject::Size(bucket), length),
    ];
    all.extend(account.oversize.then_some((Outcome::Pass, Subject::Oversize(label), length)));
    all.extend(account.fragment.map(|kind| (Outcome::Pass, Subject::Fragment(kind), length)));
    all.extend(account.pmtu.map(|(family, mtu)| (Outcome::Pass, Subject::Pmtu(family), u64::from(mtu))));
    let series =
        |(outcome, subject, second)| (Series { interface: interface.name.clone(), outcome, subject }, second);
    all.into_iter().map(series).collect()
}

/// The policy's name for a VLAN, else the first entry that holds it.
fn label(ruleset: &Ruleset, index: usize, id: VlanId) -> String {
    let named = ruleset.vlans.iter().find(|vlan| vlan.id == id).map(|vlan| vlan.name.clone());
    let entry = ruleset.interfaces[index].vlans.iter().find(|entry| entry.range.contains(id));
    named.or(entry.map(|entry| entry.label.clone())).expect("it is allowed")
}

#[test]
fn the_kernel_counts_what_the_oracle_would() {
    if !can_load() {
        return;
    }
    let scale = Scale::from_environment(8, 24_000);
    let mut met = Sums::new();
    for seed in scale.seed..scale.seed + scale.policies {
        let mut rng = Rng::with_seed(seed);
        let size = rulesets::size(&mut rng);
        let mut ruleset = generate::ruleset(&mut rng, size);
        ruleset.interfaces[0].accounting = ALL;
        let Some(counting) = Counting::new(&ruleset, 0) else { continue };
        let mut sums: Sums = counting.slots.keys().map(|series| (series.clone(), [0, 0])).collect();
        for _ in 0..scale.frames / scale.policies {
            let frame = generate::frame(&mut rng, &ruleset, 0);
            match counting.program.time(&frame, 1) {
                Err(TestRunError::Length(_)) => continue,
                ran => drop(ran.unwrap()),
            }
            for (series, second) in expected(&ruleset, 0, &frame) {
                let sum =
                    sums.get_mut(&series).unwrap_or_else(|| panic!("seed {seed}: no slot for {series:?}"));
                *sum = added(&series, *sum, [1, second]);
            }
        }
        for (series, counted) in counting.counted() {
            assert_eq!(counted, sums[&series], "seed {seed}: {series:?}");
            if matches!(series.subject, Subject::Rule(..)) {
                assert_eq!(
                    counting.was_hit(counting.slots[&series]),
                    counted[0] > 0,
                    "seed {seed}: {series:?}"
                );
            }
        }
        met.extend(sums.into_iter().filter(|(_, sum)| sum[0] > 0));
    }
    let kinds = |is: fn(&Subject) -> bool| met.keys().filter(|series| is(&series.subject)).count();
    assert!(kinds(|subject| matches!(subject, Subject::Fragment(_))) > 0, "fragments were met");
    assert!(kinds(|subject| matches!(subject, Subject::Oversize(_))) > 0, "frames over the MTU were met");
    assert!(kinds(|subject| matches!(subject, Subject::Pmtu(_))) > 0, "messages about an MTU were met");
}
