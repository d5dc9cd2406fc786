//! Which series the accounting of an interface counts.
//!
//! Promises: what `accounting:` switches on has all its series from the start, each label with both outcomes; what it
//! switches off has none.

use super::{FragmentKind, Outcome, SIZE_BOUNDS, Series, Subject};
use crate::ruleset::{Family, Ruleset, VlanLabels};

/// Every series that one interface of a ruleset counts beside [`super::series`].
pub fn account_series(ruleset: &Ruleset, index: usize) -> Vec<Series> {
    let interface = &ruleset.interfaces[index];
    let (on, dropped) = (interface.accounting, Outcome::dropped(interface.enforce));
    let one = |outcome, subject| Series { interface: interface.name.clone(), outcome, subject };
    let mut wanted = Vec::new();
    if on.vlan {
        for label in VlanLabels::of(ruleset, index).names() {
            wanted.push(one(Outcome::Pass, Subject::Vlan(label.clone())));
            wanted.push(one(dropped, Subject::Vlan(label.clone())));
            wanted.push(one(Outcome::Pass, Subject::Oversize(label.clone())));
        }
    }
    let mut rest = Vec::new();
    if on.size {
        rest.extend((0..=SIZE_BOUNDS.len()).map(|bucket| Subject::Size(bucket as u8)));
    }
    if on.fragments {
        rest.extend(FragmentKind::ALL.map(Subject::Fragment));
    }
    if on.pmtu {
        rest.extend([Family::V4, Family::V6].map(Subject::Pmtu));
    }
    wanted.extend(rest.into_iter().map(|subject| one(Outcome::Pass, subject)));
    wanted
}
