//! What stands beside, above and behind a device: what it belongs to, who else judges its frames, what never comes by.

use crate::backend::facts::{HostFacts, Link, NicFacts};
use crate::backend::is_fed;
use crate::backend::nft::owner;
use crate::doctor::Finding;
use crate::ruleset::Mode;

pub(super) fn findings(facts: &NicFacts, link: &Link, host: &HostFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        [layer(facts, link), member(link), virtual_functions(facts, link)].into_iter().flatten().collect();
    findings.push(tc(facts));
    findings.extend(nftables(facts, host));
    findings
}

/// A device made of others.
fn layer(facts: &NicFacts, link: &Link) -> Option<Finding> {
    let below = link.parent.as_deref().unwrap_or("its parent");
    let show = format!("ip -d link show dev {}", facts.name);
    let kind = link.software.as_deref()?;
    let (what, why) = match kind {
        "vlan" => (
            format!("this is one VLAN of {below}"),
            format!(
                "frames come here after {below}, without their tag; name {below} and the VLAN in the policy"
            ),
        ),
        "macvlan" | "macvtap" | "ipvlan" | "ipvtap" => (
            format!("it stands on {below}"),
            format!("it gets a part of what {below} receives; what the policy does to {below} comes first"),
        ),
        "bond" | "team" => (
            "frames come by way of its members".to_owned(),
            "name this device or its members in a policy, never both; offloads belong to the members"
                .to_owned(),
        ),
        "bridge" => (
            "it receives what is for this host".to_owned(),
            "what goes from port to port does not come by; name the ports to judge that".to_owned(),
        ),
        _ if is_fed(kind) => (
            format!("a {kind} hands it frames of another device"),
            "name that device to judge them before".to_owned(),
        ),
        _ => return None,
    };
    let finding = Finding::note("layer", what, why).remedy(show);
    // Generic XDP would not see the outer tag, which the kernel takes out before.
    Some(if is_fed(kind) { finding.excluding(&[Mode::Generic]) } else { finding })
}

/// A device that others are made of.
fn member(link: &Link) -> Option<Finding> {
    let (above, kind) = link.controller.as_ref()?;
    let why = match kind.as_str() {
        "bond" | "team" => {
            format!(
                "name {above} or its members in a policy, never both; a member that joins later is not judged"
            )
        }
        "bridge" => "what goes to other ports is judged too, not only what is for this host".to_owned(),
        _ => format!("what it receives goes on to {above}"),
    };
    let what = format!("it belongs to {above} ({kind})");
    Some(Finding::note("member", what, why).remedy(format!("ip link show master {above}")))
}

fn virtual_functions(facts: &NicFacts, link: &Link) -> Option<Finding> {
    let count = Some(link.virtual_functions).filter(|count| *count > 0)?;
    let why = "what the NIC delivers to them never comes by here";
    let off = format!("echo 0 > /sys/class/net/{}/device/sriov_numvfs", facts.name);
    Some(Finding::warning("sriov", format!("it has {count} virtual functions"), why).remedy(off))
}

fn tc(facts: &NicFacts) -> Finding {
    let check = "tc";
    match &facts.tc {
        Err(cause) => Finding::unknown(check, "what stands at tc's ingress", cause),
        Ok(found) if found.is_empty() => Finding::ok(check, "nothing stands at tc's ingress"),
        Ok(found) => {
            let why = "it comes after XDP and before nftables, and may change, redirect or drop what XDP has passed";
            Finding::note(check, format!("at tc's ingress: {}", found.join(", ")), why)
                .remedy(format!("tc filter show dev {} ingress", facts.name))
        }
    }
}

/// Chains and flowtables on this device. That nftables could not be read is told with the host.
fn nftables(facts: &NicFacts, host: &HostFacts) -> Vec<Finding> {
    let Ok(nftables) = &host.nftables else { return Vec::new() };
    let here = |devices: &[String]| devices.contains(&facts.name);
    let list = "nft list ruleset";
    let mut findings = Vec::new();
    let chains: Vec<String> = nftables
        .chains
        .iter()
        .filter(|chain| here(&chain.devices) && owner(&chain.name).is_none())
        .map(|chain| format!("{} (priority {})", chain.name, chain.priority))
        .collect();
    if !chains.is_empty() {
        let why = "they come after XDP, and before or after `mode: nft` by their priority: what perimeter passes they may drop";
        let what = format!("nftables chains on it: {}", chains.join(", "));
        findings.push(Finding::note("ingress", what, why).remedy(list));
    }
    for table in nftables.flowtables.iter().filter(|table| table.hardware && here(&table.devices)) {
        let what = format!("the NIC may forward connections of flowtable {} by itself", table.name);
        findings.push(Finding::warning("flowtable", what, "their packets never come by here").remedy(list));
    }
    findings
}
