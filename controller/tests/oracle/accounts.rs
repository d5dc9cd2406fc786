//! What is counted of one frame beside its verdict, told naively from the contract's words for the metrics.

use super::{fragments, layer2, layer4, network, sources_that_apply};
use perimeter::counters::FragmentKind;
use perimeter::ruleset::{Family, Fragments, Interface, Ruleset, VlanId};
use perimeter_classifier::verdict::DropReason;

/// What accounting is to count of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// `None`: on no VLAN that is allowed.
    pub(crate) vlan: Option<VlanId>,
    pub(crate) oversize: bool,
    pub(crate) fragment: Option<FragmentKind>,
    /// A message that a packet was too large, and the MTU that it announces; 0 where it announces none.
    pub(crate) pmtu: Option<(Family, u32)>,
}

/// The account of a frame that the interface at `index` receives.
pub(crate) fn account(ruleset: &Ruleset, index: usize, frame: &[u8]) -> Account {
    let mut account = Account::default();
    // How far it comes does not matter: what was learned before stays.
    let _ = learn(ruleset, &ruleset.interfaces[index], frame, &mut account);
    account
}

fn learn(
    ruleset: &Ruleset,
    interface: &Interface,
    frame: &[u8],
    account: &mut Account,
) -> Result<(), DropReason> {
    let (vlan, _) = layer2::vlan(interface, frame)?;
    account.vlan = Some(vlan);
    let link = layer2::read(interface, frame)?;
    let content = network::read(interface.ip_options, &link)?;
    let named = ruleset.vlans.iter().find(|one| one.id == vlan);
    let sources = sources_that_apply(interface, named);
    super::addresses::check(&content, sources)?;
    let mtu = named.and_then(|one| one.mtu).unwrap_or(interface.mtu);
    account.oversize = content.layer3_size(&link) > mtu as usize;
    super::check_size(interface, named, content.layer3_size(&link))?;
    let network::Content::Ip(packet) = &content else { return Ok(()) };
    account.fragment = packet.fragment.filter(|_| packet.is_fragment()).and_then(|fragment| {
        match (fragments::check(Fragments::Stateless, packet), fragment.offset, fragment.more) {
            (Err(DropReason::FragmentTiny), ..) => Some(FragmentKind::Tiny),
            (Err(_), ..) => None,
            (Ok(()), 0, _) => Some(FragmentKind::First),
            (Ok(()), _, true) => Some(FragmentKind::Middle),
            (Ok(()), _, false) => Some(FragmentKind::Last),
        }
    });
    fragments::check(interface.fragments, packet)?;
    layer4::check(packet, sources)?;
    let number = |at: std::ops::Range<usize>| {
        let bytes = packet.payload.get(at).unwrap_or_default();
        bytes.iter().fold(0, |number, &byte| number * 256 + u32::from(byte))
    };
    account.pmtu = match (packet.family(), packet.protocol) {
        _ if packet.is_later_fragment() => None,
        (Family::V4, 1) if packet.payload[..2] == [3, 4] => Some((Family::V4, number(6..8))),
        (Family::V6, 58) if packet.payload[0] == 2 => Some((Family::V6, number(4..8))),
        _ => None,
    };
    Ok(())
}
