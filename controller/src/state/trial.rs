//! Generations on trial, and those that were kept: what the journal says of them.
//!
//! Promises: pure. A generation is on trial from the moment it is begun until it is confirmed, fails, or something else
//! is in force; one that was put in force without a trial is kept at once.

use super::{Enforced, Event, Namespace, What};

/// A generation that goes unless it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    pub generation: u64,
    /// What comes back; nothing was enforced where this is `None`.
    pub before: Option<u64>,
    pub until: jiff::Timestamp,
    /// The interfaces of the generation.
    pub interfaces: Vec<String>,
}

/// The generation that is on trial in `namespace` after these events.
pub fn on_trial(events: &[Event], namespace: Namespace) -> Option<Trial> {
    let mut announced: Option<Trial> = None;
    let mut begun = false;
    for event in events.iter().filter(|event| event.occasion.namespace == namespace) {
        let is_it = |generation| announced.as_ref().is_some_and(|trial| trial.generation == generation);
        match &event.what {
            What::Trial { generation, before, until } => {
                let interfaces = event.interfaces.clone();
                announced =
                    Some(Trial { generation: *generation, before: *before, until: *until, interfaces });
                begun = false;
            }
            What::Begun { generation, .. } if is_it(*generation) => begun = true,
            What::Confirmed { generation } | What::Failed { generation, .. } if is_it(*generation) => {
                announced = None;
            }
            What::InForce { generation, .. } if !is_it(*generation) => announced = None,
            What::Detached => announced = announced.and_then(|trial| without(trial, &event.interfaces)),
            What::Begun { .. }
            | What::InForce { .. }
            | What::Confirmed { .. }
            | What::Failed { .. }
            | What::Reverting { .. } => {}
        }
    }
    announced.filter(|_| begun)
}

/// A trial after enforcement has ended on some interfaces.
fn without(mut trial: Trial, ended: &[String]) -> Option<Trial> {
    trial.interfaces.retain(|name| !ended.contains(name));
    (!trial.interfaces.is_empty()).then_some(trial)
}

/// The generation that was in force last and was not on trial then, or was confirmed: the one to come back to after a
/// reboot. Nothing where enforcement has ended since.
pub fn kept(events: &[Event], namespace: Namespace) -> Option<Enforced> {
    let mut kept: Option<Enforced> = None;
    let mut tried: Option<(u64, Option<Enforced>)> = None;
    for event in events.iter().filter(|event| event.occasion.namespace == namespace) {
        match &event.what {
            What::Trial { generation, .. } => tried = Some((*generation, None)),
            What::InForce { generation, policy, guards } => {
                let enforced = Some(Enforced {
                    generation: *generation,
                    policy: *policy,
                    interfaces: event.interfaces.clone(),
                    guards: guards.clone(),
                });
                match &mut tried {
                    Some((on_trial, slot)) if on_trial == generation => *slot = enforced,
                    _ => (kept, tried) = (enforced, None),
                }
            }
            What::Confirmed { generation } => {
                if let Some((_, Some(enforced))) = tried.take_if(|(on_trial, _)| on_trial == generation) {
                    kept = Some(enforced);
                }
            }
            What::Detached => {
                if let Some(enforced) = &mut kept {
                    enforced.interfaces.retain(|name| !event.interfaces.contains(name));
                }
                kept = kept.filter(|enforced| !enforced.interfaces.is_empty());
            }
            What::Begun { .. } | What::Failed { .. } | What::Reverting { .. } => {}
        }
    }
    kept
}

/// The generation before the one in force: the last that was in force with another policy.
pub fn earlier(events: &[Event], namespace: Namespace) -> Option<u64> {
    let here = events.iter().rev().filter(|event| event.occasion.namespace == namespace);
    let mut in_force = here.filter_map(|event| match event.what {
        What::InForce { generation, policy, .. } => Some((generation, policy)),
        _ => None,
    });
    let (_, now) = in_force.next()?;
    in_force.find(|(_, policy)| *policy != now).map(|(generation, _)| generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::state::{Author, Occasion};

    const HERE: Namespace = Namespace { cookie: 1 };

    fn events(all: &[What]) -> Vec<Event> {
        let occasion =
            Occasion { at: jiff::Timestamp::UNIX_EPOCH, author: Author::default(), namespace: HERE };
        let event = |what: &What| Event {
            occasion: occasion.clone(),
            interfaces: vec!["wan0".into()],
            what: what.clone(),
        };
        all.iter().map(event).collect()
    }

    fn trial(generation: u64, before: Option<u64>) -> What {
        What::Trial { generation, before, until: jiff::Timestamp::UNIX_EPOCH }
    }

    fn begun(generation: u64) -> What {
        What::Begun { generation, policy: Digest([generation as u8; 32]) }
    }

    fn in_force(generation: u64) -> What {
        What::InForce { generation, policy: Digest([generation as u8; 32]), guards: Vec::new() }
    }

    fn on_trial_after(all: &[What]) -> Option<u64> {
        on_trial(&events(all), HERE).map(|trial| trial.generation)
    }

    fn kept_after(all: &[What]) -> Option<u64> {
        kept(&events(all), HERE).map(|enforced| enforced.generation)
    }

    #[test]
    fn a_trial_lasts_from_the_first_switch_until_something_decides_it() {
        let announced = [begun(1), in_force(1), trial(2, Some(1))];
        assert_eq!(on_trial_after(&announced), None, "nothing was switched yet");
        let switching = [&announced[..], &[begun(2)]].concat();
        assert_eq!(
            on_trial_after(&switching),
            Some(2),
            "a crash in the middle of the switch is still on trial"
        );
        let running = [&switching[..], &[in_force(2)]].concat();
        assert_eq!(on_trial_after(&running), Some(2));
        let failed = What::Failed { generation: 2, why: String::new() };
        for end in [What::Confirmed { generation: 2 }, failed, in_force(3), What::Detached] {
            assert_eq!(on_trial_after(&[&running[..], &[end]].concat()), None);
        }
        let reverting = What::Reverting { generation: 2, why: String::new() };
        assert_eq!(on_trial_after(&[&running[..], &[reverting]].concat()), Some(2), "not yet reverted");
        assert_eq!(on_trial(&events(&running), Namespace { cookie: 2 }), None);
    }

    #[test]
    fn what_is_on_trial_is_not_kept_until_it_is_confirmed() {
        let running = [begun(1), in_force(1), trial(2, Some(1)), begun(2), in_force(2)];
        assert_eq!(kept_after(&running), Some(1));
        assert_eq!(kept_after(&[&running[..], &[What::Confirmed { generation: 2 }]].concat()), Some(2));
        assert_eq!(kept_after(&[&running[..], &[in_force(3)]].concat()), Some(3), "the revert is kept");
        assert_eq!(kept_after(&[&running[..], &[What::Detached]].concat()), None);
    }

    #[test]
    fn the_earlier_generation_is_of_another_policy() {
        let same = What::InForce { generation: 3, policy: Digest([2; 32]), guards: Vec::new() };
        assert_eq!(earlier(&events(&[in_force(1), in_force(2), same]), HERE), Some(1));
        assert_eq!(earlier(&events(&[in_force(1)]), HERE), None);
    }
}
