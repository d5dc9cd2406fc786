//! XDP and nftables as one backend: which of them stands on an interface, and how it passes from one to the other.
//!
//! Promises: while an interface changes its guard, at least one stands, with the old policy or the new one, and for that
//! moment a frame passes only what every standing guard allows; what was there before falls only once every interface
//! of the apply has switched, so that going back opens nothing either. The order of the steps is `handover`'s; a
//! failure takes back every step that was done, the last first. Frames that arrive while both stand are counted by both.

mod handover;

use handover::{Fall, Handover, Rise, Standing, handover};

use super::{
    Backend, BackendError, Enforcement, Engine, Feature, InForce, Nftables, Observed, Offloads, Refused,
    Switched, Target,
};
use crate::counters::Counts;
use crate::ruleset::Ruleset;

/// A backend whose guard can make way for another of its own kind.
pub trait Front: Backend {
    /// Takes down what judges the interface of `prepared`, and keeps it ready.
    fn stand_aside(&mut self, prepared: &mut Self::Prepared) -> Result<(), BackendError>;

    /// Raises again what stood aside.
    fn come_back(&mut self, prepared: &mut Self::Prepared) -> Result<(), BackendError>;
}

/// XDP in front, nftables behind it, and the offloads of the devices.
pub struct Guards<X, N, O> {
    pub xdp: X,
    pub nft: N,
    pub offloads: O,
}

/// A generation for one interface, and the steps that put it in force.
pub struct Prepared<X: Backend, N: Backend> {
    interface: String,
    handover: Handover,
    /// Whether nftables stands in where XDP is refused.
    falls_back: bool,
    xdp: Option<X::Prepared>,
    nft: Option<N::Prepared>,
    /// What of XDP is in force after the steps so far.
    front: Option<Engine>,
    refused: Vec<Refused>,
    /// Why nftables could not stand in, which matters only where it has to.
    no_stand_in: Option<Refused>,
    done: Vec<Rise>,
}

impl<X: Front, N: Backend, O: Offloads> Guards<X, N, O> {
    /// Prepares XDP, unless it is refused here and nftables stands in.
    fn prepare_xdp(&mut self, prepared: &mut Prepared<X, N>, target: Target<'_>) -> Result<(), BackendError> {
        match self.xdp.prepare(target) {
            Ok(xdp) => prepared.xdp = Some(xdp),
            Err(BackendError::Refused { refused, .. }) if prepared.falls_back => {
                prepared.refused = refused;
                prepared.handover = Handover { rise: &[Rise::Nft], fall: Some(Fall::Xdp) };
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Prepares nftables where it is needed, or may come to be.
    fn prepare_nft(&mut self, prepared: &mut Prepared<X, N>, target: Target<'_>) -> Result<(), BackendError> {
        match self.nft.prepare(target) {
            Ok(nft) => prepared.nft = Some(nft),
            // It would only stand in, and may not be needed: where it is, this is told.
            Err(error) if !prepared.handover.raises_nft() => {
                prepared.no_stand_in = Some(nft_refused(error));
            }
            Err(error) => return Err(with(error, &prepared.refused, &prepared.interface)),
        }
        Ok(())
    }

    fn rise(&mut self, step: Rise, prepared: &mut Prepared<X, N>) -> Result<(), BackendError> {
        let missing = |engine: Engine| {
            let what = format!("raise {} on {}", engine.name(), prepared.interface);
            BackendError::failed(what, "it was not prepared")
        };
        match step {
            Rise::Nft => {
                let nft = prepared.nft.as_mut().ok_or_else(|| missing(Engine::Nft))?;
                make_whole(&mut self.offloads, &prepared.interface)?;
                self.nft.switch(nft).map(drop)
            }
            Rise::Aside => {
                let xdp = prepared.xdp.as_mut().ok_or_else(|| missing(Engine::Native))?;
                self.xdp.stand_aside(xdp)
            }
            Rise::Xdp => {
                let xdp = prepared.xdp.as_mut().ok_or_else(|| missing(Engine::Native))?;
                let switched = self.xdp.switch(xdp)?;
                prepared.front = switched.engines.first().copied();
                prepared.refused.extend(switched.refused);
                Ok(())
            }
        }
    }

    /// nftables stands in for XDP, which was refused.
    fn fall_back(
        &mut self,
        prepared: &mut Prepared<X, N>,
        refused: Vec<Refused>,
    ) -> Result<(), BackendError> {
        prepared.refused.extend(refused);
        if let Some(nft) = prepared.no_stand_in.take() {
            prepared.refused.push(nft);
            let (interface, refused) = (prepared.interface.clone(), prepared.refused.clone());
            return Err(BackendError::Refused { interface, refused });
        }
        prepared.handover.fall = Some(Fall::Xdp);
        if !prepared.done.contains(&Rise::Nft) {
            self.rise(Rise::Nft, prepared)
                .map_err(|error| with(error, &prepared.refused, &prepared.interface))?;
            prepared.done.push(Rise::Nft);
        }
        Ok(())
    }

    /// Takes back what was done, the last first. Where one step cannot be taken back the others are left standing: they
    /// are what guards the interface.
    fn take_back(&mut self, prepared: &mut Prepared<X, N>) -> Result<(), BackendError> {
        while let Some(step) = prepared.done.pop() {
            match (step, &mut prepared.xdp, &mut prepared.nft) {
                (Rise::Nft, _, Some(nft)) => self.nft.revert(nft)?,
                (Rise::Aside, Some(xdp), _) => self.xdp.come_back(xdp)?,
                (Rise::Xdp, Some(xdp), _) => self.xdp.revert(xdp)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn standing(&self, interface: &str) -> Result<Standing, BackendError> {
        Ok(Standing {
            xdp: self.xdp.observe(interface)?.engines().first().copied(),
            // What cannot be told what it is may judge all the same: it falls with the rest.
            nft: self.nft.observe(interface)?.enforcement != Enforcement::Off,
        })
    }
}

/// Switches off what would hand merged packets to nftables, and what else falsifies frames for it.
fn make_whole<O: Offloads>(offloads: &mut O, interface: &str) -> Result<(), BackendError> {
    let mut observed = Observed::nothing(interface);
    offloads.look(&mut observed)?;
    match observed.harmful(&[Engine::Nft]).as_slice() {
        [] => Ok(()),
        features => offloads.switch_off(interface, features),
    }
}

/// An error of nftables, with what was refused before.
fn with(error: BackendError, refused: &[Refused], interface: &str) -> BackendError {
    if refused.is_empty() {
        return error;
    }
    let refused = [refused, &[nft_refused(error)]].concat();
    BackendError::Refused { interface: interface.to_owned(), refused }
}

/// Why nftables is not to be had.
fn nft_refused(error: BackendError) -> Refused {
    match error {
        BackendError::Refused { mut refused, .. } if refused.len() == 1 => refused.remove(0),
        error => Refused { engine: Engine::Nft, reason: error.to_string() },
    }
}

impl<X: Front, N: Backend, O: Offloads> Backend for Guards<X, N, O> {
    type Prepared = Prepared<X, N>;

    fn observe(&self, interface: &str) -> Result<Observed, BackendError> {
        let (mut observed, behind) = (self.xdp.observe(interface)?, self.nft.observe(interface)?);
        (observed.behind, observed.silent) = (behind.enforcement, behind.silent);
        observed.damage.extend(behind.damage);
        observed.findings.extend(behind.findings);
        self.offloads.look(&mut observed)?;
        if let Enforcement::Foreign(program) = &observed.enforcement {
            observed.findings.push(format!(
                "another XDP program (id {}, \"{}\") meets the frames before nftables does, and may drop or change them",
                program.id, program.name
            ));
        }
        Ok(observed)
    }

    fn enforced(&self) -> Result<Vec<String>, BackendError> {
        let mut names = [self.xdp.enforced()?, self.nft.enforced()?].concat();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn prepare(&mut self, target: Target<'_>) -> Result<Prepared<X, N>, BackendError> {
        let standing = self.standing(target.name())?;
        let mut prepared = Prepared {
            interface: target.name().to_owned(),
            handover: handover(standing, target.wanted),
            // Where XDP judges already, that it cannot be had is an error: nothing is to be gained by going on without it.
            falls_back: target.wanted.nft == Nftables::IfRefused && standing.xdp.is_none(),
            xdp: None,
            nft: None,
            front: None,
            refused: Vec::new(),
            no_stand_in: None,
            done: Vec::new(),
        };
        let needs_nft = prepared.handover.raises_nft() || prepared.falls_back;
        if !prepared.handover.raises_xdp() {
            self.prepare_nft(&mut prepared, target)?;
            return Ok(prepared);
        }
        let for_nft = needs_nft.then(|| target.clone());
        self.prepare_xdp(&mut prepared, target)?;
        if let Some(target) = for_nft {
            self.prepare_nft(&mut prepared, target)?;
        }
        Ok(prepared)
    }

    fn switch(&mut self, prepared: &mut Prepared<X, N>) -> Result<Switched, BackendError> {
        for step in prepared.handover.rise {
            let result = match self.rise(*step, prepared) {
                Ok(()) => {
                    prepared.done.push(*step);
                    Ok(())
                }
                Err(BackendError::Refused { refused, .. }) if *step == Rise::Xdp && prepared.falls_back => {
                    self.fall_back(prepared, refused)
                }
                Err(error) => Err(error),
            };
            if let Err(cause) = result {
                let interface = prepared.interface.clone();
                return Err(match self.take_back(prepared) {
                    Ok(()) => cause,
                    Err(back) => BackendError::HalfWay { interface, cause: cause.into(), back: back.into() },
                });
            }
        }
        let behind = prepared.done.contains(&Rise::Nft) && prepared.handover.fall != Some(Fall::Nft);
        let engines = prepared.front.into_iter().chain(behind.then_some(Engine::Nft)).collect();
        Ok(Switched { engines, refused: prepared.refused.clone() })
    }

    fn revert(&mut self, prepared: &mut Prepared<X, N>) -> Result<(), BackendError> {
        self.take_back(prepared)
    }

    fn settle(&mut self, prepared: &mut Prepared<X, N>) -> Result<(), BackendError> {
        match prepared.handover.fall {
            Some(Fall::Nft) => self.nft.lower(&prepared.interface)?,
            Some(Fall::Xdp) => self.xdp.lower(&prepared.interface)?,
            None => {}
        }
        let (raised, falls) = (prepared.done.contains(&Rise::Nft), prepared.handover.fall == Some(Fall::Nft));
        match prepared.nft.take() {
            Some(mut nft) if raised && !falls => self.nft.settle(&mut nft)?,
            Some(nft) if !raised => self.nft.discard(nft),
            _ => {}
        }
        match &mut prepared.xdp {
            Some(xdp) if prepared.front.is_some() => self.xdp.settle(xdp),
            _ => Ok(()),
        }
    }

    fn discard(&mut self, prepared: Prepared<X, N>) {
        if let Some(nft) = prepared.nft.filter(|_| !prepared.done.contains(&Rise::Nft)) {
            self.nft.discard(nft);
        }
        if let Some(xdp) = prepared.xdp.filter(|_| !prepared.done.contains(&Rise::Xdp)) {
            self.xdp.discard(xdp);
        }
    }

    fn tidy(&mut self, interface: &str) -> Result<(), BackendError> {
        self.xdp.tidy(interface)?;
        self.nft.tidy(interface)
    }

    fn lower(&mut self, interface: &str) -> Result<(), BackendError> {
        // The first error is told; the other guard goes all the same, since enforcement was to end.
        let (xdp, nft) = (self.xdp.lower(interface), self.nft.lower(interface));
        xdp.and(nft)
    }

    fn end_counters(&mut self) -> Result<(), BackendError> {
        self.xdp.end_counters()?;
        self.nft.end_counters()
    }

    fn inspect(
        &self,
        ruleset: &Ruleset,
        index: usize,
        record: &InForce,
    ) -> Result<Vec<String>, BackendError> {
        match record.engine {
            Engine::Nft => self.nft.inspect(ruleset, index, record),
            Engine::Native | Engine::Generic => self.xdp.inspect(ruleset, index, record),
        }
    }

    /// What both have counted, added up: a frame is counted by the one that decided about it.
    fn counters(&self) -> Result<Counts, BackendError> {
        let mut counts = self.xdp.counters()?;
        for (series, more) in self.nft.counters()? {
            counts.entry(series).or_default().add(more);
        }
        Ok(counts)
    }
}

impl<X, N, O: Offloads> Offloads for Guards<X, N, O> {
    fn look(&self, observed: &mut Observed) -> Result<(), BackendError> {
        self.offloads.look(observed)
    }

    fn switch_off(&mut self, interface: &str, features: &[Feature]) -> Result<(), BackendError> {
        self.offloads.switch_off(interface, features)
    }

    fn restore(&mut self, interface: &str, engines: &[Engine]) -> Result<Vec<Feature>, BackendError> {
        self.offloads.restore(interface, engines)
    }
}

#[cfg(test)]
mod tests;
