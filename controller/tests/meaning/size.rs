//! Ten thousand rules: what a change means is told in seconds, and never wrongly called nothing.

use crate::claims::claim_of;
use crate::oracle::plain;
use crate::shapes::{self, Seed};
use perimeter::compile::compile;
use perimeter::meaning::STEPS;
use perimeter::ruleset::{Action, AddressSet, Fragments, Rule, Ruleset, Service, VlanRange};
use std::time::Duration;

const RULES: usize = 10_000;

/// Ample for an unoptimized build on a busy machine; release takes under two.
const MOST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 2 });

/// Time this thread has had a processor: a busy machine does not lengthen it.
fn worked() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds = schedule.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first field is time on a processor"))
}

/// A change with its name, and whether it opens and closes something.
struct Edit {
    name: &'static str,
    after: Ruleset,
    expected: (bool, bool),
}

fn edit(
    name: &'static str,
    before: &Ruleset,
    expected: (bool, bool),
    change: impl FnOnce(&mut Ruleset),
) -> Edit {
    let mut after = before.clone();
    change(&mut after);
    after.rules.sort_by_key(|rule| rule.action);
    Edit { name, after, expected }
}

fn https() -> Vec<Service> {
    vec![Service { protocol: Some(6), destination_ports: Some((443, 443)), ..Service::default() }]
}

fn edits(before: &Ruleset, seed: Seed) -> Vec<Edit> {
    let host = AddressSet::new(vec![(0xc612_0001, 0xc612_0001)], Vec::new());
    vec![
        edit("nothing but words", before, (false, false), |after| {
            after.rules.reverse();
            after.rules.iter_mut().for_each(|rule| rule.id.push('x'));
            let whole: Rule = after.rules[7].clone();
            after.rules.push(Rule { id: "twice".into(), ..whole });
        }),
        edit("a rule less", before, (false, true), |after| {
            after.rules.retain(|rule| rule.id != "only");
        }),
        edit("a rule more", before, (true, false), |after| {
            after.rules.push(Rule { from: host.clone(), ..plain::allow("new", &https()) });
        }),
        edit("a rule for everybody", before, (true, false), |after| {
            after.rules.push(plain::allow("new", &https()));
        }),
        edit("everything", before, (true, false), |after| {
            after.rules.push(plain::allow("new", &[Service::default()]));
        }),
        edit("a deny rule", before, (false, true), |after| {
            let some = AddressSet::new(vec![(0, u32::MAX / 3)], Vec::new());
            after.rules.push(Rule { from: some, ..plain::rule("no", Action::Deny) });
        }),
        edit("mtu", before, (true, false), |after| after.interfaces[0].mtu = 9000),
        edit("fragments", before, (false, true), |after| after.interfaces[0].fragments = Fragments::Drop),
        edit("vlans", before, (true, false), |after| {
            after.interfaces[0].vlans.push(plain::entry(VlanRange::Single { low: 10, high: 19 }));
        }),
        edit("sources", before, (false, true), |after| {
            after.interfaces[0].sources = Some(AddressSet::new(vec![(0, u32::MAX / 2)], Vec::new()));
        }),
        Edit { name: "all other rules", after: shapes::ruleset(seed, RULES + 1), expected: (true, true) },
    ]
}

/// The rule sets to change: every shape there is, where that does not take minutes.
fn seeds() -> &'static [Seed] {
    if cfg!(debug_assertions) { &[Seed::Acl] } else { &[Seed::Acl, Seed::Firewall, Seed::Ipc] }
}

/// Goal: an administrator does not wait. Method: the edits above, on rule sets with the structure of real ones.
#[test]
fn changes_to_ten_thousand_rules() {
    for &seed in seeds() {
        let mut before = shapes::ruleset(seed, RULES);
        let odd = AddressSet::new(vec![(0xdf00_0001, 0xdf00_0001)], Vec::new());
        before.rules.push(Rule { from: odd.clone(), to: odd, ..plain::allow("only", &https()) });
        let was = compile(&before, 0).expect("within the budget of the compiler");
        for Edit { name, after, expected } in edits(&before, seed) {
            let Ok(is) = compile(&after, 0) else {
                println!("{seed:?} {name}: beyond the budget of the compiler");
                continue;
            };
            let start = worked();
            let claim = claim_of((&before, &was), (&after, &is), 0, STEPS);
            let took = worked() - start;
            let meaning = &claim.meaning;
            let (opens, closes) = (meaning.opens.len(), meaning.closes.len());
            let whole = meaning.is_complete;
            println!("{seed:?} {name}: {took:.2?}, opens {opens}, closes {closes}, whole {whole}");
            claim.check_witnesses();
            // A set of the last shape has rules for everybody, which cover what the others would change.
            if !matches!(seed, Seed::Ipc) {
                assert_eq!((opens > 0, closes > 0), expected, "{name}");
            }
            assert!(took < MOST, "{name} took {took:?}");
        }
    }
}
