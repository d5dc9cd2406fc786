//! What cannot be carried out, and what to do about it.

use crate::backend::{
    Device, Enforcement, Engine, Feature, Foreign, Nftables, Observed, Refused, Wanted, list,
};
use crate::ruleset::{Interface, Ruleset};

use super::choice;

/// Why a policy cannot be put in force on an interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("interface {0} does not exist in this network namespace; `ip link` lists those that do")]
    Missing(String),
    #[error("{interface} is called {now} now, and is enforced as before; {}", renamed(.interface, .now))]
    Renamed { interface: String, now: String },
    #[error("{interface} is not an Ethernet device (ARPHRD {kind}); a policy judges Ethernet frames")]
    NotEthernet { interface: String, kind: u16 },
    #[error(
        "{interface}: another XDP program is attached (id {}, \"{}\"); it is left alone: remove it with its own tool, with `ip link set dev {interface} xdp off`, or, where a link holds it (`bpftool link` lists them), with `bpftool link detach id ID`; or write `mode: nft`, which judges behind it",
        .program.id, .program.name
    )]
    Foreign { interface: String, program: Foreign },
    #[error("{interface}: {}; `mode: auto` or `mode: nft` can do without", list(.refused))]
    NoXdp { interface: String, refused: Vec<Refused> },
    #[error(
        "{interface}: {} is on and the device does not let it be switched off; frames would be judged as they were not on the wire",
        .feature.name()
    )]
    FixedOffload { interface: String, feature: Feature },
    #[error("{interface}: {why}")]
    Obstacle { interface: String, why: String },
}

/// Every reason against putting `ruleset` in force. `observed` begins with its interfaces, in order.
pub(super) fn refusals(ruleset: &Ruleset, observed: &[Observed]) -> Vec<Refusal> {
    let one = |(wish, fact): (&Interface, &Observed)| match called_now(&wish.name, observed) {
        Some(now) if fact.device == Device::Missing => {
            vec![Refusal::Renamed { interface: wish.name.clone(), now: now.to_owned() }]
        }
        _ => interface(wish, fact),
    };
    ruleset.interfaces.iter().zip(observed).flat_map(one).collect()
}

/// The name of the device that was called `interface` when what judges it was put in force, where it has another one now.
pub fn called_now<'a>(interface: &str, observed: &'a [Observed]) -> Option<&'a str> {
    let is_it = |one: &&Observed| {
        one.interface != interface && one.in_force().is_some_and(|record| record.interface == interface)
    };
    observed.iter().find(is_it).map(|one| one.interface.as_str())
}

/// What to do where a device has another name than the policy's.
pub fn renamed(was: &str, now: &str) -> String {
    format!("rename it back (`ip link set {now} name {was}`), or write {now} into the policy and apply that")
}

fn interface(wish: &Interface, fact: &Observed) -> Vec<Refusal> {
    let interface = wish.name.clone();
    match fact.device {
        Device::Missing => return vec![Refusal::Missing(interface)],
        Device::NotEthernet { kind } => return vec![Refusal::NotEthernet { interface, kind }],
        Device::Ethernet { .. } => {}
    }
    let mut refusals = Vec::new();
    if let Enforcement::Foreign(program) = &fact.enforcement
        && !Wanted::of(wish.mode).xdp.is_empty()
    {
        refusals.push(Refusal::Foreign { interface: interface.clone(), program: program.clone() });
    }
    let wanted = Wanted::of(wish.mode);
    let engines = choice::choose(wish.mode, None, fact).engines;
    // That the kernel takes no XDP program at all is certain; what a driver takes shows only when it is asked to. A bond may
    // take native XDP though generic is out of the question there.
    let refused = |engine| fact.refused.iter().any(|refused| refused.engine == engine);
    let no_xdp = refused(Engine::Generic) && wanted.xdp.iter().all(|engine| refused(*engine));
    if no_xdp && !wanted.xdp.is_empty() && wanted.nft != Nftables::IfRefused {
        refusals.push(Refusal::NoXdp { interface, refused: fact.refused.clone() });
        return refusals;
    }
    let harms = |feature: Feature| engines.iter().any(|engine| feature.harms(*engine));
    let fixed = fact.offloads.iter().filter(|offload| offload.on && offload.fixed && harms(offload.feature));
    refusals.extend(
        fixed.map(|offload| Refusal::FixedOffload { interface: interface.clone(), feature: offload.feature }),
    );
    // Tags that are kept out of the frame are hidden from XDP alone.
    let obstacles = fact.obstacles.iter().filter(|_| engines != [Engine::Nft]);
    refusals
        .extend(obstacles.map(|why| Refusal::Obstacle { interface: interface.clone(), why: why.clone() }));
    refusals
}
