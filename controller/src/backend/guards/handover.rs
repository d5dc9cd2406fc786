//! In which order guards rise and fall when an interface passes from some to others: a table, without effects.
//!
//! Promises: between two steps at least one guard stands, with the old policy or the new one, wherever one stood before;
//! native and generic XDP never stand together, since no device takes both: nftables stands while one makes way for the
//! other. Where two guards stand, a frame passes only what both allow.

use crate::backend::{Engine, Nftables, Wanted};

/// What stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) xdp: Option<Engine>,
    pub(super) nft: bool,
}

/// One step before every interface has switched; each can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rise {
    /// nftables comes to stand, or gets the new policy between two frames.
    Nft,
    /// XDP makes way for XDP of the other kind, and is kept ready to come back.
    Aside,
    /// XDP comes to stand, or gets the new policy between two frames.
    Xdp,
}

/// What is taken down once every interface has switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fall {
    Nft,
    Xdp,
}

/// The way from some guards to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handover {
    pub(super) rise: &'static [Rise],
    pub(super) fall: Option<Fall>,
}

/// The way from what stands to what is wanted.
pub(super) fn handover(standing: Standing, wanted: Wanted) -> Handover {
    let Some(first) = wanted.xdp.first() else {
        return Handover { rise: &[Rise::Nft], fall: Some(Fall::Xdp) };
    };
    let moves = standing.xdp.is_some_and(|now| now != *first);
    let rise: &[Rise] = match (moves, wanted.nft) {
        (true, _) => &[Rise::Nft, Rise::Aside, Rise::Xdp],
        (false, Nftables::Always) => &[Rise::Nft, Rise::Xdp],
        (false, Nftables::Never | Nftables::IfRefused) => &[Rise::Xdp],
    };
    let fall = match wanted.nft {
        Nftables::Always => None,
        Nftables::Never | Nftables::IfRefused => (standing.nft || moves).then_some(Fall::Nft),
    };
    Handover { rise, fall }
}

impl Handover {
    /// Whether nftables is needed on the way.
    pub(super) fn raises_nft(self) -> bool {
        self.rise.contains(&Rise::Nft)
    }

    /// Whether XDP is needed on the way.
    pub(super) fn raises_xdp(self) -> bool {
        self.rise.contains(&Rise::Xdp)
    }
}
