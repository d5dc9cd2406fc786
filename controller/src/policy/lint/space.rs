//! What the services of a rule match, as boxes of numbers, and whether some boxes cover another.

use crate::ruleset::{Action, Family, Rule, Service, TcpState};

/// Inclusive ranges, one a dimension: IP protocol, destination port, source port, ICMP type and code, TCP state, and
/// whether the packet is a later fragment.
pub(super) type Space = [(u32, u32); 6];

const PORTS: (u32, u32) = (0, 65_535);
const FRAGMENT: usize = 5;
/// After step 6 of the verdict a TCP segment is either new or established.
const STATES: (u32, u32) = (0, 1);

/// The boxes of a rule's packets of one family; without later fragments if there are none to match.
pub(super) fn spaces(rule: &Rule, family: Family, has_fragments: bool) -> Vec<Space> {
    let mut spaces = Vec::with_capacity(rule.services.len());
    for service in rule.services.iter().filter(|service| service.family.is_none_or(|own| own == family)) {
        let mut space = of(service);
        if service.has_layer4_condition() {
            if has_fragments && rule.action == Action::Deny {
                // To a deny rule, conditions that a later fragment cannot show count as met.
                let bare = Service { protocol: service.protocol, ..Service::default() };
                let mut later = of(&bare);
                later[FRAGMENT] = (1, 1);
                spaces.push(later);
            }
            space[FRAGMENT] = (0, 0);
        } else if !has_fragments {
            space[FRAGMENT] = (0, 0);
        }
        spaces.push(space);
    }
    spaces
}

fn of(service: &Service) -> Space {
    let ports =
        |ports: Option<(u16, u16)>| ports.map_or(PORTS, |(low, high)| (u32::from(low), u32::from(high)));
    let protocol = service.protocol.map_or((0, 255), |protocol| (u32::from(protocol), u32::from(protocol)));
    let icmp = service.icmp.map_or((0, 65_535), |icmp| {
        let first = u32::from(icmp.kind) << 8;
        icmp.code.map_or((first, first | 255), |code| (first | u32::from(code), first | u32::from(code)))
    });
    let state = match service.tcp {
        None => STATES,
        Some(TcpState::New) => (0, 0),
        Some(TcpState::Established) => (1, 1),
    };
    [protocol, ports(service.destination_ports), ports(service.source_ports), icmp, state, (0, 1)]
}

/// Whether every packet of `inner` is in one of `outer`. Gives up, and says no, where that would take too long.
pub(super) fn covers(outer: &[Space], inner: &[Space]) -> bool {
    const STEPS: usize = 20_000;
    let mut steps = STEPS;
    inner.iter().all(|space| is_covered(*space, outer, &mut steps))
}

fn is_covered(space: Space, outer: &[Space], steps: &mut usize) -> bool {
    for (at, other) in outer.iter().enumerate() {
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        let meets = space.iter().zip(other).all(|(own, other)| own.0 <= other.1 && other.0 <= own.1);
        if !meets {
            continue;
        }
        let rest = &outer[at + 1..];
        return left_over(space, other).into_iter().all(|piece| is_covered(piece, rest, steps));
    }
    false
}

/// `space` less `other`, which it meets, as boxes that do not overlap.
fn left_over(mut space: Space, other: &Space) -> Vec<Space> {
    let mut pieces = Vec::new();
    for dimension in 0..space.len() {
        let (low, high) = space[dimension];
        let (other_low, other_high) = other[dimension];
        if low < other_low {
            let mut piece = space;
            piece[dimension] = (low, other_low - 1);
            pieces.push(piece);
        }
        if high > other_high {
            let mut piece = space;
            piece[dimension] = (other_high + 1, high);
            pieces.push(piece);
        }
        space[dimension] = (low.max(other_low), high.min(other_high));
    }
    pieces
}

/// The smallest box around `spaces`; an impossible one around none.
pub(super) fn hull(spaces: &[Space]) -> Space {
    let mut hull = [(u32::MAX, 0); 6];
    for space in spaces {
        for (around, own) in hull.iter_mut().zip(space) {
            *around = (around.0.min(own.0), around.1.max(own.1));
        }
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(low: u32, high: u32) -> Space {
        [(6, 6), (low, high), PORTS, (0, 65_535), STATES, (0, 0)]
    }

    #[test]
    fn a_box_may_be_covered_by_several() {
        assert!(covers(&[ports(0, 80), ports(81, 90)], &[ports(70, 85)]));
        assert!(!covers(&[ports(0, 80), ports(82, 90)], &[ports(70, 85)]));
        let mut new = ports(1, 9);
        new[4] = (0, 0);
        let mut established = ports(0, 20);
        established[4] = (1, 1);
        assert!(covers(&[new, established], &[ports(2, 3)]));
        assert!(!covers(&[new], &[ports(2, 3)]));
        assert!(covers(&[], &[]) && !covers(&[], &[new]));
    }

    #[test]
    fn covering_agrees_with_points() {
        let outer = [ports(3, 5), ports(9, 12), ports(5, 8)];
        for low in 0..14 {
            for high in low..14 {
                assert_eq!(covers(&outer, &[ports(low, high)]), (3..=12).contains(&low) && high <= 12);
            }
        }
    }
}
