//! Which engines are to judge an interface, as far as that can be told without trying, and why those.
//!
//! Promises: pure. What stands and is asked for stays what it is: `mode: auto` does not try anew, at every apply, what the
//! device has refused before.

use serde::{Deserialize, Serialize};

use crate::backend::{Enforcement, Engine, Feature, Nftables, Observed, Wanted, list};
use crate::ruleset::Mode;

/// The engines of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub mode: Mode,
    /// What is expected to judge, in the order in which a frame meets it. An engine that shows only when it is tried that
    /// it is not to be had gives way to the next that the mode allows, and `apply` and `status` say so.
    pub engines: Vec<Engine>,
    /// What judges now.
    pub before: Vec<Engine>,
    /// What keeps better engines away, or what happens on the way; empty where there is nothing to say.
    pub why: String,
}

/// Chooses for `mode`. `before` is the mode of the policy that is in force, where that is known.
pub(super) fn choose(mode: Mode, before: Option<Mode>, observed: &Observed) -> Choice {
    let mut wanted = Wanted::of(mode);
    let now = observed.engines();
    let standing = now.first().copied().filter(|engine| *engine != Engine::Nft);
    let tried = matches!(before, None | Some(Mode::Auto | Mode::Both));
    if standing == Some(Engine::Generic) && tried {
        wanted = wanted.without_native();
    }
    let refused = |engine: &Engine| observed.refused.iter().any(|refused| refused.engine == *engine);
    let xdp = match standing.filter(|standing| wanted.xdp.first() == Some(standing)) {
        Some(standing) => Some(standing),
        None => wanted.xdp.iter().find(|engine| !refused(engine)).or(wanted.xdp.last()).copied(),
    };
    let all_refused = wanted.xdp.iter().all(refused) && standing.is_none();
    let engines = match wanted.nft {
        Nftables::Never => xdp.into_iter().collect(),
        Nftables::IfRefused if all_refused => vec![Engine::Nft],
        Nftables::IfRefused => xdp.into_iter().collect(),
        Nftables::Always => xdp.into_iter().chain([Engine::Nft]).collect(),
    };
    let why = why(&engines, wanted, observed);
    Choice { mode, engines, before: now, why }
}

/// Why not a better engine, where one is known not to be had.
fn why(engines: &[Engine], wanted: Wanted, observed: &Observed) -> String {
    let better = wanted.xdp.iter().take_while(|engine| engines.first() != Some(engine));
    let known = better.filter_map(|engine| observed.refused.iter().find(|one| one.engine == *engine));
    list(&known.cloned().collect::<Vec<_>>())
}

/// Whether what stands is what `mode` asks for, and nothing is left beside it.
pub(super) fn is_met(mode: Mode, observed: &Observed) -> bool {
    let known = |one: &Enforcement| !matches!(one, Enforcement::Lost { .. } | Enforcement::OtherVersion(_));
    Wanted::of(mode).accepts(&observed.engines()) && known(&observed.enforcement) && known(&observed.behind)
}

impl Choice {
    /// What judges already stays.
    pub(super) fn kept(mode: Mode, observed: &Observed) -> Choice {
        let engines = observed.engines();
        Choice { mode, engines: engines.clone(), before: engines, why: String::new() }
    }

    /// What is to be tried.
    pub fn wanted(&self) -> Wanted {
        let wanted = Wanted::of(self.mode);
        let generic = |engines: &[Engine]| engines.first() == Some(&Engine::Generic);
        if generic(&self.before) && generic(&self.engines) { wanted.without_native() } else { wanted }
    }

    /// Whether other engines are to judge than do now.
    pub fn changes(&self) -> bool {
        self.engines != self.before
    }

    /// Whether nftables stands in while XDP of one kind makes way for XDP of the other.
    pub fn has_interlude(&self) -> bool {
        let xdp = |engines: &[Engine]| engines.first().copied().filter(|engine| *engine != Engine::Nft);
        matches!((xdp(&self.before), xdp(&self.engines)), (Some(before), Some(after)) if before != after)
            && !(self.before.contains(&Engine::Nft) && self.engines.contains(&Engine::Nft))
    }

    /// What was switched off and harms none of the engines.
    pub(super) fn frees(&self, observed: &Observed) -> Vec<Feature> {
        let harms = |feature: &Feature| self.engines.iter().any(|engine| feature.harms(*engine));
        observed.switched_off.iter().copied().filter(|feature| !harms(feature)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Refused;

    use Engine::{Generic, Native, Nft};

    fn observed(obstacles: &[Engine]) -> Observed {
        let refused = |&engine: &Engine| Refused { engine, reason: "no".into() };
        Observed { refused: obstacles.iter().map(refused).collect(), ..Observed::nothing("wan0") }
    }

    #[test]
    fn auto_takes_the_best_engine_that_nothing_is_known_against_and_says_why() {
        let choose = |obstacles: &[Engine]| choose(Mode::Auto, None, &observed(obstacles));
        assert_eq!((choose(&[]).engines, choose(&[]).why), (vec![Native], String::new()));
        assert_eq!(choose(&[Native]).engines, [Generic]);
        assert_eq!(choose(&[Native]).why, "native XDP was refused: no");
        assert_eq!(choose(&[Native, Generic]).engines, [Nft]);
        assert_eq!(choose(&[Native, Generic]).why, "native XDP was refused: no; generic XDP was refused: no");
    }

    #[test]
    fn the_other_modes_take_what_they_name() {
        let engines = |mode| choose(mode, None, &observed(&[])).engines;
        assert_eq!(engines(Mode::Native), [Native]);
        assert_eq!(engines(Mode::Generic), [Generic]);
        assert_eq!(engines(Mode::Nft), [Nft]);
        assert_eq!(engines(Mode::Both), [Native, Nft]);
        assert_eq!(choose(Mode::Both, None, &observed(&[Native])).engines, [Generic, Nft]);
    }
}
