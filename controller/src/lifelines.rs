//! Connections that a policy would cut: the one that the command is typed in, and those of others.
//!
//! Promises: pure. A connection is judged as the segments that would arrive for it, on every interface of the policy that
//! holds its local address, directly, through a VLAN device on it, or as a port of the bridge or bond that does. Refuses
//! to guess for addresses that none of them holds: such connections are not told.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use perimeter_classifier::verdict::Decision;
use serde::Serialize;

use crate::backend::sessions::{Connection, Holder, Sessions};
use crate::meaning::segment;
use crate::ruleset::{Ruleset, VlanId};
use crate::simulate::judge;
use crate::tables::Image;

/// A connection that would end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub interface: String,
    /// "10", "untagged".
    pub vlan: String,
    pub peer: String,
    pub local: String,
    /// Whether the command is typed in it.
    pub is_own: bool,
    /// The drop reason.
    pub reason: &'static str,
    /// The `deny` rule, where one drops it.
    pub denied_by: Option<String>,
}

/// The connections that `ruleset` would cut, the own one first. `images` are its tables by interface.
pub fn cuts(ruleset: &Ruleset, images: &[Image], sessions: &Sessions) -> Vec<Cut> {
    let devices = &sessions.devices;
    let is_local = |address: IpAddr| devices.iter().any(|device| device.addresses.contains(&address));
    let others =
        sessions.established.iter().filter(|one| Some(**one) != sessions.own && !is_local(one.peer.ip()));
    let all: Vec<(&Connection, bool)> =
        sessions.own.iter().map(|own| (own, true)).chain(others.map(|one| (one, false))).collect();
    let mut cuts = Vec::new();
    for (at, interface) in ruleset.interfaces.iter().enumerate().filter(|(_, one)| one.enforce) {
        let held = held(devices, &interface.name);
        for (connection, is_own) in &all {
            for (_, vlan) in held.iter().filter(|(address, _)| *address == connection.local.ip()) {
                let Some(frame) = segment(*vlan, interface.outer_tag, connection.peer, connection.local)
                else {
                    continue;
                };
                let decision = judge(&images[at], &frame);
                let Some(reason) = decision.reason() else { continue };
                let denied_by = match decision {
                    Decision::Denied(rule) => Some(ruleset.rules[rule as usize].id.clone()),
                    _ => None,
                };
                cuts.push(Cut {
                    interface: interface.name.clone(),
                    vlan: vlan.to_string(),
                    peer: connection.peer.to_string(),
                    local: connection.local.to_string(),
                    is_own: *is_own,
                    reason: reason.name(),
                    denied_by,
                });
            }
        }
    }
    cuts.sort_by_key(|cut| !cut.is_own);
    cuts
}

/// The addresses that frames on an interface may be for, each with the VLAN that they then come in.
fn held(devices: &[Holder], interface: &str) -> Vec<(IpAddr, VlanId)> {
    let Some(port) = devices.iter().find(|device| device.name == interface) else { return Vec::new() };
    let mut found = Vec::new();
    let bases = [Some(port.index), port.controller];
    for base in bases.into_iter().flatten() {
        for (index, vlan) in stacked_on(devices, base) {
            let holder = devices.iter().find(|device| device.index == index);
            found.extend(
                holder.into_iter().flat_map(|holder| &holder.addresses).map(|address| (*address, vlan)),
            );
        }
    }
    found
}

/// A device and the VLAN devices on it, with what they add to a frame.
fn stacked_on(devices: &[Holder], base: u32) -> Vec<(u32, VlanId)> {
    let on = |parent: u32| {
        devices.iter().filter_map(move |device| {
            device.vlan.filter(|(index, _)| *index == parent).map(|(_, id)| (device.index, id))
        })
    };
    let mut found = vec![(base, VlanId::Untagged)];
    for (outer_device, outer) in on(base) {
        found.push((outer_device, VlanId::Single(outer)));
        found.extend(on(outer_device).map(|(device, inner)| (device, VlanId::Stacked { outer, inner })));
    }
    found
}
