//! Holding what is claimed against the oracle.

use crate::fields::fields;
use crate::oracle;
use perimeter::compile::compile;
use perimeter::meaning::{Difference, Meaning, Side, compare_within};
use perimeter::ruleset::Ruleset;
use perimeter::tables::Image;
use perimeter_classifier::verdict::Decision;

/// One change, with what is claimed about it.
pub(crate) struct Claim<'a> {
    pub(crate) before: &'a Ruleset,
    pub(crate) after: &'a Ruleset,
    pub(crate) interface: usize,
    pub(crate) meaning: Meaning,
}

/// A comparison of the two on one interface; `None` where a policy is beyond the compiler's budget.
pub(crate) fn claim<'a>(
    before: &'a Ruleset,
    after: &'a Ruleset,
    interface: usize,
    steps: usize,
) -> Option<Claim<'a>> {
    let tables = [before, after].map(|ruleset| compile(ruleset, interface).ok());
    let [Some(was), Some(is)] = &tables else { return None };
    Some(claim_of((before, was), (after, is), interface, steps))
}

/// [`claim`] with tables that are compiled already.
pub(crate) fn claim_of<'a>(
    (before, was): (&'a Ruleset, &Image),
    (after, is): (&'a Ruleset, &Image),
    interface: usize,
    steps: usize,
) -> Claim<'a> {
    let was = Side { ruleset: before, interface, tables: was };
    let is = Side { ruleset: after, interface, tables: is };
    let meaning = compare_within(was, is, steps);
    Claim { before, after, interface, meaning }
}

fn passes(ruleset: &Ruleset, interface: usize, frame: &[u8]) -> bool {
    matches!(oracle::judge(ruleset, interface, frame), Decision::Pass(_))
}

impl Claim<'_> {
    /// Every witness is judged as it says, and is in what it stands for.
    pub(crate) fn check_witnesses(&self) {
        for (differences, opens) in [(&self.meaning.opens, true), (&self.meaning.closes, false)] {
            for difference in differences {
                let frame = &difference.witness.frame;
                let judged =
                    (passes(self.before, self.interface, frame), passes(self.after, self.interface, frame));
                assert_eq!(judged, (!opens, opens), "{difference:#?}");
                assert!(is_in(difference, frame), "{:?} {difference:#?}", fields(frame));
                assert!(difference.regions.iter().any(|region| {
                    fields(frame).is_some_and(|(kind, values)| region.contains(kind, &values))
                }));
            }
        }
    }

    /// The frame is judged differently if and only if that is claimed; what is claimed whether or not it is all.
    pub(crate) fn check(&self, frame: &[u8]) -> bool {
        let (was, is) =
            (passes(self.before, self.interface, frame), passes(self.after, self.interface, frame));
        let among = |differences: &[Difference]| differences.iter().any(|one| is_in(one, frame));
        let claimed = (among(&self.meaning.opens), among(&self.meaning.closes));
        let truth = (!was && is, was && !is);
        let fine = if self.meaning.is_complete {
            claimed == truth
        } else {
            (!claimed.0 || truth.0) && (!claimed.1 || truth.1)
        };
        let told = || serde_json::to_string(&[self.before, self.after]).expect("plain data");
        let frame = || (fields(frame), frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        assert!(fine, "claimed {claimed:?}, is {truth:?}: {:?} on {} of {}", frame(), self.interface, told());
        was != is
    }
}

fn is_in(difference: &Difference, frame: &[u8]) -> bool {
    fields(frame)
        .is_some_and(|(kind, values)| difference.exact.iter().any(|region| region.contains(kind, &values)))
}
