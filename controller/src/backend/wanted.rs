//! Which engines are to judge an interface, and why some would not.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::ruleset::Mode;

/// The engines that an interface is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Ways of XDP, in the order in which they are tried; none where XDP is not to judge.
    pub xdp: &'static [Engine],
    pub nft: Nftables,
}

/// What nftables is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nftables {
    Never,
    /// It stands in where no way of XDP is to be had.
    IfRefused,
    Always,
}

impl Wanted {
    /// What a mode asks for on an interface that nothing judges yet.
    pub fn of(mode: Mode) -> Wanted {
        let (xdp, nft): (&'static [Engine], _) = match mode {
            Mode::Auto => (&[Engine::Native, Engine::Generic], Nftables::IfRefused),
            Mode::Native => (&[Engine::Native], Nftables::Never),
            Mode::Generic => (&[Engine::Generic], Nftables::Never),
            Mode::Nft => (&[], Nftables::Always),
            Mode::Both => (&[Engine::Native, Engine::Generic], Nftables::Always),
        };
        Wanted { xdp, nft }
    }

    /// The same without trying native XDP.
    pub fn without_native(self) -> Wanted {
        match self.xdp {
            [Engine::Native, Engine::Generic] => Wanted { xdp: &[Engine::Generic], ..self },
            _ => self,
        }
    }

    /// Whether these engines, and no others, are what is wanted.
    pub fn accepts(self, engines: &[Engine]) -> bool {
        match (engines, self.nft) {
            ([Engine::Nft], Nftables::IfRefused) => true,
            ([Engine::Nft], Nftables::Always) => self.xdp.is_empty(),
            ([xdp], Nftables::Never | Nftables::IfRefused) => self.xdp.contains(xdp),
            ([xdp, Engine::Nft], Nftables::Always) => self.xdp.contains(xdp),
            _ => false,
        }
    }
}

/// An engine that is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub engine: Engine,
    /// In words, with the kernel's own.
    pub reason: String,
}

/// "native XDP was refused: ...; generic XDP was refused: ...".
pub fn list(refused: &[Refused]) -> String {
    let one = |refused: &Refused| format!("{} was refused: {}", refused.engine.name(), refused.reason);
    refused.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What to write in the policy instead.
pub(super) fn remedy(refused: &[Refused]) -> &'static str {
    let nft = refused.iter().any(|one| one.engine == Engine::Nft);
    match nft {
        true => "no engine is left that could judge it",
        false => "`mode: auto` takes the best engine that is to be had",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_accepts_its_engines_and_no_others() {
        use Engine::{Generic, Native, Nft};
        let sets: [&[Engine]; 6] = [&[], &[Native], &[Generic], &[Nft], &[Native, Nft], &[Generic, Nft]];
        let accepted = |mode| sets.map(|engines| u8::from(Wanted::of(mode).accepts(engines)));
        assert_eq!(accepted(Mode::Auto), [0, 1, 1, 1, 0, 0]);
        assert_eq!(accepted(Mode::Native), [0, 1, 0, 0, 0, 0]);
        assert_eq!(accepted(Mode::Generic), [0, 0, 1, 0, 0, 0]);
        assert_eq!(accepted(Mode::Nft), [0, 0, 0, 1, 0, 0]);
        assert_eq!(accepted(Mode::Both), [0, 0, 0, 0, 1, 1]);
    }
}
