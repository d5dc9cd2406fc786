//! What cannot be carried out, and what to do about it.

use crate::backend::{Device, Enforcement, Engine, Feature, Foreign, Observed};
use crate::ruleset::{Interface, Mode, Ruleset};

/// Why a policy cannot be put in force on an interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("interface {0} does not exist in this network namespace; `ip link` lists those that do")]
    Missing(String),
    #[error("{interface} is not an Ethernet device (ARPHRD {kind}); a policy judges Ethernet frames")]
    NotEthernet { interface: String, kind: u16 },
    #[error(
        "{interface}: another XDP program is attached (id {}, \"{}\"); it is left alone: remove it with its own tool, or with `ip link set dev {interface} xdp off`",
        .program.id, .program.name
    )]
    Foreign { interface: String, program: Foreign },
    #[error("{0}: `mode: nft` comes with a later release; write `mode: auto`, `native` or `generic`")]
    Nft(String),
    #[error(
        "{interface}: it runs in {} and `mode: {wanted}` asks for another engine, which cannot be changed under traffic; `perimeter detach --interface {interface}` first",
        .now.name()
    )]
    EngineChange { interface: String, now: Engine, wanted: &'static str },
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
    ruleset.interfaces.iter().zip(observed).flat_map(|(wish, fact)| interface(wish, fact)).collect()
}

fn interface(wish: &Interface, fact: &Observed) -> Vec<Refusal> {
    let interface = wish.name.clone();
    match fact.device {
        Device::Missing => return vec![Refusal::Missing(interface)],
        Device::NotEthernet { kind } => return vec![Refusal::NotEthernet { interface, kind }],
        Device::Ethernet { .. } => {}
    }
    let mut refusals = Vec::new();
    if let Enforcement::Foreign(program) = &fact.enforcement {
        refusals.push(Refusal::Foreign { interface: interface.clone(), program: program.clone() });
    }
    match (wish.mode, fact.engine()) {
        (Mode::Nft, _) => refusals.push(Refusal::Nft(interface.clone())),
        (mode, Some(now)) if !super::accepts(mode, now) => refusals.push(Refusal::EngineChange {
            interface: interface.clone(),
            now,
            wanted: super::words::mode(mode),
        }),
        _ => {}
    }
    let fixed = fact.offloads.iter().filter(|offload| offload.on && offload.fixed);
    refusals.extend(
        fixed.map(|offload| Refusal::FixedOffload { interface: interface.clone(), feature: offload.feature }),
    );
    let obstacles = fact.obstacles.iter();
    refusals
        .extend(obstacles.map(|why| Refusal::Obstacle { interface: interface.clone(), why: why.clone() }));
    refusals
}
