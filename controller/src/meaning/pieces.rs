//! The two sides as regions: what their rules match, what their settings refuse.

use rustc_hash::FxHashSet;

use super::{Cause, Side};
use crate::ruleset::Action;
use crate::space::{Addresses, Region, of_rule, refusals};

/// One side.
pub(super) struct Pieces {
    /// What `allow` rules match, with the rule's position.
    pub(super) allow: Vec<(Region, usize)>,
    /// What `deny` rules match and changed settings refuse.
    pub(super) deny: Vec<(Region, Cause)>,
    /// What settings refuse that are the same on both sides.
    pub(super) settled: Vec<Region>,
}

/// Both sides.
pub(super) fn both(before: Side<'_>, after: Side<'_>) -> (Pieces, Pieces) {
    let mut addresses = Addresses::default();
    let (mut was, mut is) = (pieces(before, &mut addresses), pieces(after, &mut addresses));
    let settings = |pieces: &Pieces| -> FxHashSet<Region> {
        let of_settings = pieces.deny.iter().filter(|(_, cause)| matches!(cause, Cause::Setting(_)));
        of_settings.map(|(region, _)| region.clone()).collect()
    };
    let (ours, theirs) = (settings(&was), settings(&is));
    for pieces in [&mut was, &mut is] {
        let is_settled = |(region, cause): &(Region, Cause)| {
            matches!(cause, Cause::Setting(_)) && ours.contains(region) && theirs.contains(region)
        };
        let (settled, deny) = std::mem::take(&mut pieces.deny).into_iter().partition(is_settled);
        pieces.deny = deny;
        let settled: Vec<(Region, Cause)> = settled;
        pieces.settled = settled.into_iter().map(|(region, _)| region).collect();
    }
    (was, is)
}

/// One side for itself: nothing counts as settled.
pub(super) fn of_side(side: Side<'_>) -> Pieces {
    pieces(side, &mut Addresses::default())
}

fn pieces(side: Side<'_>, addresses: &mut Addresses) -> Pieces {
    let interface = &side.ruleset.interfaces[side.interface];
    let settings = refusals(side.ruleset, interface, addresses);
    let mut pieces = Pieces {
        allow: Vec::new(),
        deny: settings.into_iter().map(|one| (one.region, Cause::Setting(one.setting))).collect(),
        settled: Vec::new(),
    };
    for (at, rule) in side.ruleset.rules.iter().enumerate() {
        if !rule.interfaces.contains(&side.interface) {
            continue;
        }
        for region in of_rule(rule, addresses) {
            match rule.action {
                Action::Allow => pieces.allow.push((region, at)),
                Action::Deny => pieces.deny.push((region, Cause::Deny(at))),
            }
        }
    }
    pieces
}
