//! Step 5: fragments that cannot be put together, and those nobody wants.

use super::network::Packet;
use super::{Step, layer4};
use perimeter::ruleset::{Family, Fragments};
use perimeter_classifier::verdict::DropReason;

/// Carries out step 5.
pub(crate) fn check(policy: Fragments, packet: &Packet<'_>) -> Step<()> {
    let Some(fragment) = packet.fragment.filter(|_| packet.is_fragment()) else { return Ok(()) };
    if fragment.offset + fragment.length + fragment.headers > 65_535 {
        return Err(DropReason::Malformed);
    }
    if fragment.more && fragment.length % 8 != 0 {
        return Err(DropReason::Malformed);
    }
    if policy == Fragments::Drop {
        return Err(DropReason::Fragment);
    }
    let first = fragment.offset == 0;
    let hides_layer4 = first && layer4::is_short(packet);
    let splits_layer4 = fragment.offset == 8 && (packet.family() == Family::V6 || packet.protocol == 6);
    if hides_layer4 || splits_layer4 { Err(DropReason::FragmentTiny) } else { Ok(()) }
}
