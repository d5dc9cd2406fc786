//! Offloads after which a frame is not what was on the wire: what is on, and switching it.
//!
//! Promises: a veth device is read with its other end, which keeps tags out of the frame as easily as the device itself;
//! what cannot be read is said to be so, never taken for off.

mod memory;

use std::io;

use super::device::{self, Device};
use super::ethtool::{self, State};
use super::peer::Peer;
use super::{BackendError, Engine, Feature, Offload};

pub use memory::Devices;

/// What is known of the offloads of one device.
#[derive(Debug, Default)]
struct Found {
    features: Vec<Offload>,
    /// What could not be read.
    obstacles: Vec<String>,
    /// What only the other end of a veth pair can switch off.
    findings: Vec<String>,
}

/// The kernel's name of a feature.
fn kernel_name(feature: Feature) -> &'static str {
    match feature {
        Feature::RxVlan => "rx-vlan-hw-parse",
        Feature::RxVlanStag => "rx-vlan-stag-hw-parse",
        Feature::Lro => "rx-lro",
        Feature::GroHw => "rx-gro-hw",
        Feature::PeerTxVlan => "tx-vlan-hw-insert",
        Feature::PeerTxVlanStag => "tx-vlan-stag-hw-insert",
        Feature::Gro => "rx-gro",
        Feature::GroList => "rx-gro-list",
        Feature::GroUdpForwarding => "rx-udp-gro-forwarding",
    }
}

/// Whether it is a feature of the other end of a veth pair.
fn of_peer(feature: Feature) -> bool {
    matches!(feature, Feature::PeerTxVlan | Feature::PeerTxVlanStag)
}

/// Features by which a sender hands over many packets as one.
const MERGING: [&str; 3] = ["tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"];

/// The state of every feature that matters to this device.
fn read(device: &Device) -> Result<Found, BackendError> {
    let name = &device.name;
    let states = ethtool::features(name)
        .map_err(|error| BackendError::failed(format!("read the offloads of {name}"), error))?;
    let mut offloads = Found { features: known(&states, |feature| !of_peer(feature)), ..Found::default() };
    match of_other_end(device) {
        Ok(None) => {}
        Ok(Some((peer, states))) => {
            offloads.features.extend(known(&states, of_peer));
            let command = |command: &str| peer.command(command);
            offloads.findings.extend(merging(name, &peer.name, &states, command));
        }
        Err(error) => offloads.obstacles.push(format!(
            "the offloads of its other end cannot be read ({error}), and by those a veth pair hides tags from XDP; \
             `ip netns attach NAME PID` names a network namespace"
        )),
    }
    let failed = |error| BackendError::failed(format!("look at the members of {name}"), error);
    let members = if device.is_bond() { device::members(device.index).map_err(failed)? } else { Vec::new() };
    for member in members {
        let found = read(&member)?;
        offloads.obstacles.extend(falsified(name, &member.name, &found.features));
        offloads.obstacles.extend(found.obstacles.iter().map(|why| format!("{}: {why}", member.name)));
    }
    Ok(offloads)
}

/// What a member of a bond does to its frames before XDP on the bond sees them: nothing that is set on the bond changes it.
fn falsified(bond: &str, member: &str, offloads: &[Offload]) -> Option<String> {
    let harmful = offloads.iter().filter(|one| one.on && one.feature.harms(Engine::Native));
    let harmful: Vec<&str> = harmful.map(|one| one.feature.name()).collect();
    (!harmful.is_empty()).then(|| {
        format!(
            "its member {member} has {} on, so that XDP on {bond} would judge frames as they were not on the wire; switch \
             that off on {member} with `ethtool -K`, or name the members in the policy instead of {bond}",
            harmful.join(", ")
        )
    })
}

fn known(states: &[State], which: impl Fn(Feature) -> bool) -> Vec<Offload> {
    let find = |feature| states.iter().find(|state| state.name == kernel_name(feature));
    let offload = |feature| find(feature).map(|state| Offload { feature, on: state.on, fixed: state.fixed });
    Feature::ALL.into_iter().filter(|feature| which(*feature)).filter_map(offload).collect()
}

/// The other end of a veth pair, and its features.
fn of_other_end(device: &Device) -> io::Result<Option<(Peer, Vec<State>)>> {
    let Some(peer) = Peer::of(device)? else { return Ok(None) };
    let states = peer.within(ethtool::features)?;
    Ok(Some((peer, states)))
}

/// `there` makes a command one that the other end has.
fn merging(device: &str, peer: &str, states: &[State], there: impl Fn(&str) -> String) -> Option<String> {
    let on = |name: &&str| states.iter().any(|state| state.on && state.name == *name);
    let merging: Vec<&str> = MERGING.into_iter().filter(on).collect();
    (!merging.is_empty()).then(|| {
        format!(
            "{peer}, the other end of {device}, merges packets ({}): switch that off on that side with `{}`",
            merging.join(", "),
            there(&format!("ethtool -K {peer} tso off gso off tx-udp-segmentation off"))
        )
    })
}

/// Switches one feature. The caller reads back what became of it.
fn set(device: &Device, feature: Feature, on: bool) -> Result<(), BackendError> {
    let switch = |name: &str| ethtool::switch(name, kernel_name(feature), on);
    let there = || match Peer::of(device)? {
        Some(peer) => peer.within(switch),
        None => Err(io::Error::new(io::ErrorKind::NotFound, "it is no longer one of a veth pair")),
    };
    let result = if of_peer(feature) { there() } else { switch(&device.name) };
    let what = || format!("switch {} of {} {}", feature.name(), device.name, if on { "on" } else { "off" });
    result.map_err(|error| BackendError::failed(what(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, on: bool) -> State {
        State { name: name.into(), on, fixed: false }
    }

    #[test]
    fn every_way_in_which_the_other_end_merges_is_told() {
        for name in MERGING {
            let there = |command: &str| format!("nsenter -t 42 -n {command}");
            let states = [state("rx-gro", true), state(name, true)];
            let found = merging("wan0", "wan0p", &states, there).unwrap();
            assert!(found.starts_with("wan0p, the other end of wan0") && found.contains(name), "{found}");
            assert!(found.contains("with `nsenter -t 42 -n ethtool -K wan0p tso off"), "{found}");
        }
        let off = [state("tx-tcp-segmentation", false)];
        assert_eq!(merging("wan0", "wan0p", &off, str::to_owned), None);
    }

    #[test]
    fn what_a_member_does_to_the_frames_of_its_bond_is_told() {
        let offload = |feature, on| Offload { feature, on, fixed: false };
        let found =
            falsified("bond0", "wan1", &[offload(Feature::Lro, true), offload(Feature::RxVlan, true)]);
        let found = found.unwrap();
        assert!(found.starts_with("its member wan1 has lro, rxvlan on, so that XDP on bond0"), "{found}");
        assert_eq!(
            falsified("bond0", "wan1", &[offload(Feature::RxVlan, false), offload(Feature::Gro, true)]),
            None
        );
    }

    #[test]
    fn tags_are_looked_for_on_both_ends() {
        let states = [state("rx-vlan-hw-parse", true), state("tx-vlan-stag-hw-insert", true)];
        let own = known(&states, |feature| !of_peer(feature));
        assert_eq!(own, [Offload { feature: Feature::RxVlan, on: true, fixed: false }]);
        let theirs = known(&states, of_peer);
        assert_eq!(theirs, [Offload { feature: Feature::PeerTxVlanStag, on: true, fixed: false }]);
    }
}
