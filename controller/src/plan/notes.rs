//! What is worth knowing of an interface though nothing would be done about it: what changed around it since, and what
//! could be had now.
//!
//! Promises: pure. Nothing of it stops a plan, makes one, or counts as drift: what is enforced is what was asked for. What
//! perimeter can mend is not told here but done.

use super::words;
use crate::backend::nft::divergence;
use crate::backend::{Bond, Enforcement, Engine, Observed, Wanted};
use crate::counters::grouped;
use crate::ruleset::{Interface, Mode, Oversize, Rule, Ruleset};

/// The notes on one interface of a ruleset that `engines` are to judge.
pub fn notes(ruleset: &Ruleset, index: usize, observed: &Observed, engines: &[Engine]) -> Vec<String> {
    let interface = &ruleset.interfaces[index];
    let bond = observed.bond.as_ref().and_then(|bond| unguarded(bond, &ruleset.interfaces));
    let mtu = observed.mtu.and_then(|bytes| mtu(bytes, interface, largest(ruleset, interface)));
    let better = better(interface.mode, observed, engines);
    let uncounted = uncounted(interface, engines);
    let silent = silent(observed, engines).filter(|_| is_told(ruleset, index));
    let refused = refused(ruleset, index, engines);
    [better, mtu, bond, refused, uncounted, silent].into_iter().flatten().collect()
}

/// What the policy may pass and nftables drops whatever it says.
fn refused(ruleset: &Ruleset, index: usize, engines: &[Engine]) -> Option<String> {
    let felt = divergence::felt(ruleset, index);
    (engines.contains(&Engine::Nft) && !felt.is_empty()).then(|| {
        let frames: Vec<&str> = felt.iter().map(|class| class.what).collect();
        format!("nftables drops, whatever the policy says: {}", frames.join("; "))
    })
}

/// What the policy asks to be counted and nobody counts.
fn uncounted(interface: &Interface, engines: &[Engine]) -> Option<String> {
    let asked = words::accounting(interface.accounting);
    (asked != "none" && engines == [Engine::Nft]).then(|| {
        format!(
            "nftables alone counts by reason and rule: `accounting: {asked}` has no series here (vlan, size, fragments, \
             pmtu and last_hit need XDP; `none` would leave out the events of drops too)"
        )
    })
}

/// Whether people are to be told of frames where nftables judges alone.
fn is_told(ruleset: &Ruleset, index: usize) -> bool {
    let is_logged = |rule: &Rule| rule.log && rule.interfaces.contains(&index);
    !ruleset.interfaces[index].accounting.is_none() || ruleset.rules.iter().any(is_logged)
}

/// That nobody hears of single frames.
fn silent(observed: &Observed, engines: &[Engine]) -> Option<String> {
    let alone = engines == [Engine::Nft] && observed.engines() == engines;
    (observed.silent && alone).then(|| {
        "nftables tells of no frame here, not of drops and not for `log: true`, as the kernel had no nfnetlink_log, or no \
         nft_log or nft_limit, when this was put in force: `modprobe -a nfnetlink_log nft_log nft_limit`; the next change of \
         the policy makes it tell"
            .to_owned()
    })
}

/// The engine that `mode: auto` would prefer to the one that judges, and that nothing is known against now.
fn better(mode: Mode, observed: &Observed, engines: &[Engine]) -> Option<String> {
    let standing = *engines.first().filter(|_| mode == Mode::Auto)?;
    // The way is barred, by somebody else's program or by frames that XDP would not see whole.
    if matches!(observed.enforcement, Enforcement::Foreign(_)) || !observed.obstacles.is_empty() {
        return None;
    }
    let is_to_be_had = |engine: &Engine| {
        let is_refused = observed.refused.iter().any(|refused| refused.engine == *engine);
        let is_fixed = observed.offloads.iter().any(|one| one.on && one.fixed && one.feature.harms(*engine));
        !is_refused && !is_fixed && (*engine != Engine::Native || observed.offers_native)
    };
    let before = Wanted::of(mode).xdp.iter().take_while(|engine| **engine != standing);
    let better = before.copied().find(is_to_be_had)?;
    let (standing, mode) = (standing.name(), if better == Engine::Native { "native" } else { "generic" });
    let better = better.name();
    Some(format!(
        "{standing} judges, though {better} could now: `mode: {mode}` changes over without a gap, or says why it cannot; \
         `mode: auto` keeps it from then on"
    ))
}

/// The largest layer-3 size of any VLAN that the interface allows.
fn largest(ruleset: &Ruleset, interface: &Interface) -> u32 {
    let is_here = |id| interface.vlans.iter().any(|entry| entry.range.contains(id));
    let of_vlans = ruleset.vlans.iter().filter(|vlan| is_here(vlan.id)).filter_map(|vlan| vlan.mtu);
    of_vlans.fold(interface.mtu, u32::max)
}

/// Whether device and policy differ on how large a packet may be.
fn mtu(device: u32, interface: &Interface, largest: u32) -> Option<String> {
    let (name, wanted) = (&interface.name, interface.mtu);
    let [takes, allows] = [device, largest].map(|bytes| grouped(bytes.into()));
    if device > largest {
        let what = match interface.oversize {
            Oversize::Drop => "dropped",
            Oversize::Count => "counted",
        };
        return Some(format!(
            "its MTU is {takes} and the policy's {allows}: larger packets are {what} as oversize; write `mtu: {device}`, \
             or `ip link set dev {name} mtu {largest}`"
        ));
    }
    (device < wanted).then(|| {
        format!(
            "its MTU is {takes} and the policy's {}: the driver may drop larger packets before they are judged and \
             counted; write `mtu: {device}`, or `ip link set dev {name} mtu {wanted}`",
            grouped(wanted.into())
        )
    })
}

/// The other members of a bond, where the policy does not name them: what comes in there is not judged.
fn unguarded(bond: &Bond, named: &[Interface]) -> Option<String> {
    let Bond { name, kind, others } = bond;
    let is_named = |other: &&String| named.iter().any(|interface| interface.name == **other);
    let open: Vec<&str> = others.iter().filter(|other| !is_named(other)).map(String::as_str).collect();
    (!open.is_empty()).then(|| {
        format!(
            "it is a member of {name} ({kind}), and what comes in by {} is not judged: name every member in the policy, or \
             {name} alone",
            open.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Feature, InForce, Offload, Refused};
    use crate::digest::Digest;
    use crate::ruleset::{Vlan, VlanEntry, VlanId, VlanRange};
    use crate::samples;

    use Engine::{Generic, Native, Nft};

    fn told(ruleset: &Ruleset, observed: &Observed, engines: &[Engine]) -> String {
        notes(ruleset, 0, observed, engines).join("\n")
    }

    fn device() -> Observed {
        Observed { mtu: Some(1500), ..samples::observed("wan0", Enforcement::Off) }
    }

    /// A ruleset without accounting.
    fn bare() -> Ruleset {
        let mut ruleset = samples::ruleset(&["wan0"]);
        ruleset.interfaces[0].accounting = samples::NO_ACCOUNTING;
        ruleset
    }

    #[test]
    fn what_nobody_counts_where_nftables_judges_alone_is_told_where_it_is_asked_for() {
        let mut ruleset = bare();
        let says = |ruleset: &Ruleset, engines: &[Engine]| {
            told(ruleset, &Observed { obstacles: vec!["no XDP".into()], ..device() }, engines)
        };
        assert_eq!(says(&ruleset, &[Nft]), "");
        ruleset.interfaces[0].accounting.vlan = true;
        ruleset.interfaces[0].accounting.last_hit = true;
        assert!(says(&ruleset, &[Nft]).contains("`accounting: vlan, last_hit` has no series here"));
        assert_eq!(says(&ruleset, &[Native, Nft]), "");
    }

    #[test]
    fn a_better_engine_is_told_where_auto_would_take_it_and_nothing_is_known_against_it() {
        let ruleset = bare();
        let offers = Observed { offers_native: true, ..device() };
        let native = "generic XDP judges, though native XDP could now: `mode: native`";
        assert!(told(&ruleset, &offers, &[Generic]).starts_with(native));
        assert!(told(&ruleset, &offers, &[Nft]).starts_with("nftables judges, though native XDP could now"));
        assert!(
            told(&ruleset, &device(), &[Nft]).starts_with("nftables judges, though generic XDP could now")
        );
        assert_eq!(told(&ruleset, &device(), &[Generic]), "", "the driver does not say so");
        assert_eq!(told(&ruleset, &offers, &[Native]), "");
        let mut asked = ruleset.clone();
        asked.interfaces[0].mode = Mode::Nft;
        assert_eq!(told(&asked, &offers, &[Nft]), "", "it is what the policy asks for");
        let refused = vec![Refused { engine: Native, reason: "no".into() }];
        assert_eq!(told(&ruleset, &Observed { refused, ..offers.clone() }, &[Generic]), "");
        let offloads = vec![Offload { feature: Feature::RxVlan, on: true, fixed: true }];
        assert_eq!(told(&ruleset, &Observed { offloads, ..offers.clone() }, &[Nft]), "");
        let obstacles = vec!["its other end cannot be seen".to_owned()];
        assert_eq!(told(&ruleset, &Observed { obstacles, ..offers }, &[Nft]), "");
    }

    #[test]
    fn an_mtu_that_is_not_the_policys_is_told_with_what_becomes_of_the_packets_between() {
        let mut ruleset = samples::ruleset(&["wan0"]);
        let says =
            |ruleset: &Ruleset, bytes| told(ruleset, &Observed { mtu: Some(bytes), ..device() }, &[Native]);
        assert_eq!(says(&ruleset, 1500), "");
        let larger = says(&ruleset, 9000);
        assert!(
            larger.starts_with("its MTU is 9,000 and the policy's 1,500: larger packets are dropped"),
            "{larger}"
        );
        assert!(larger.ends_with("write `mtu: 9000`, or `ip link set dev wan0 mtu 1500`"), "{larger}");
        ruleset.interfaces[0].oversize = Oversize::Count;
        assert!(says(&ruleset, 9000).contains("larger packets are counted as oversize"));
        let smaller = says(&ruleset, 1400);
        assert!(smaller.contains("may drop larger packets before they are judged"), "{smaller}");
        // A VLAN of the interface may have a larger one of its own.
        let storage = VlanId::Single(20);
        ruleset.vlans = vec![Vlan { name: "storage".into(), id: storage, sources: None, mtu: Some(9000) }];
        assert_ne!(says(&ruleset, 9000), "", "it is not allowed here");
        let range = VlanRange::from(storage);
        ruleset.interfaces[0].vlans.push(VlanEntry { label: "storage".into(), range });
        assert_eq!(says(&ruleset, 9000), "");
    }

    #[test]
    fn that_nobody_is_told_of_frames_is_said_where_nftables_judges_alone() {
        let mut ruleset = bare();
        let record = samples::record("wan0", Digest::of(&ruleset), 1);
        let behind = Enforcement::InForce(InForce { engine: Nft, ..record });
        let silent = Observed { silent: true, obstacles: vec!["no XDP".into()], behind, ..device() };
        assert_eq!(told(&ruleset, &silent, &[Nft]), "", "nobody asks for it");
        ruleset.rules[0].log = true;
        assert!(told(&ruleset, &silent, &[Nft]).starts_with("nftables tells of no frame here"));
        assert_eq!(told(&ruleset, &silent, &[Native, Nft]), "");
        assert_eq!(told(&ruleset, &Observed { silent: false, ..silent }, &[Nft]), "");
    }

    /// As recorded of two veth devices under a bond in active-backup mode (Linux 6.1), and of a third that joined.
    #[test]
    fn members_of_a_bond_that_nobody_judges_are_named() {
        let member = |others: &[&str]| {
            let others = others.iter().map(|name| (*name).to_owned()).collect();
            Observed { bond: Some(Bond { name: "bond0".into(), kind: "bond".into(), others }), ..device() }
        };
        let both = samples::ruleset(&["wan0", "wan1"]);
        assert_eq!(told(&both, &member(&["wan1"]), &[Native]), "");
        let joined = told(&both, &member(&["wan1", "wan2"]), &[Native]);
        assert!(
            joined.starts_with("it is a member of bond0 (bond), and what comes in by wan2 is not judged"),
            "{joined}"
        );
        assert!(told(&samples::ruleset(&["wan0"]), &member(&["wan1"]), &[Native]).contains("by wan1 is not"));
    }
}
