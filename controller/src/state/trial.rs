//! Generations on trial, and those that were kept: what the journal says of them.
//!
//! Promises: pure. A generation is on trial from the moment it is begun until it is confirmed, fails, or something else
//! is in force; one that was put in force without a trial is kept at once.

use super::{Enforced, Event, Namespace, What, expected};

/// A generation that goes unless it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    pub generation: u64,
    /// What comes back; nothing was enforced where this is `None`.
    pub before: Option<u64>,
    pub until: jiff::Timestamp,
    /// The interfaces of the generation.
    pub interfaces: Vec<String>,
    /// Where enforcement was ended since by a command of its own, which stays so.
    pub ended: Vec<String>,
}

/// How long after its deadline a trial counts as overdue: it is taken back within a second, and to look takes time too.
const GRACE: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

impl Trial {
    /// Whether it should have been taken back by `now`.
    pub fn is_overdue(&self, now: jiff::Timestamp) -> bool {
        now.duration_since(self.until) > GRACE
    }
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
                let (generation, before, until, ended) = (*generation, *before, *until, Vec::new());
                announced = Some(Trial { generation, before, until, interfaces, ended });
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

/// A trial after enforcement has ended on some interfaces. Only where it ended on one of the trial's own has somebody
/// decided so since: on those that its policy does not name the trial itself has ended it, and they come back with it.
fn without(mut trial: Trial, ended: &[String]) -> Option<Trial> {
    trial.ended.extend(ended.iter().filter(|name| trial.interfaces.contains(name)).cloned());
    trial.interfaces.retain(|name| !ended.contains(name));
    (!trial.interfaces.is_empty()).then_some(trial)
}

/// The generation that was in force last and was not on trial then, or was confirmed: the one to come back to after a
/// reboot. Nothing where enforcement has ended since. One that was put in force on some of its interfaces only, since the
/// others were gone, does not count.
pub fn kept(events: &[Event], namespace: Namespace) -> Option<Enforced> {
    all_kept(events, namespace).1
}

/// The generation before the one in force: the last that was kept and has another policy, or, where enforcement has ended,
/// the last that was kept. What was on trial and went again was never kept.
pub fn earlier(events: &[Event], namespace: Namespace) -> Option<u64> {
    let (past, _) = all_kept(events, namespace);
    let now = expected(events, namespace).settled.map(|enforced| enforced.policy);
    past.iter().rev().find(|enforced| Some(enforced.policy) != now).map(|enforced| enforced.generation)
}

/// Every generation that was kept, in order, and what is left of the last.
fn all_kept(events: &[Event], namespace: Namespace) -> (Vec<Enforced>, Option<Enforced>) {
    let (mut past, mut kept): (Vec<Enforced>, Option<Enforced>) = (Vec::new(), None);
    let mut tried: Option<(u64, Option<Enforced>)> = None;
    for event in events.iter().filter(|event| event.occasion.namespace == namespace) {
        let new = match &event.what {
            What::Trial { generation, .. } => {
                tried = Some((*generation, None));
                None
            }
            // A crash may keep the second of these from being noted.
            What::Begun { generation, .. } | What::InForce { generation, .. } => {
                let is_whole = !matches!(event.what, What::InForce { partial: true, .. });
                let enforced = enforced(event).filter(|_| is_whole);
                match &mut tried {
                    Some((on_trial, slot)) if on_trial == generation => {
                        *slot = enforced;
                        None
                    }
                    _ if matches!(event.what, What::Begun { .. }) => None,
                    _ => {
                        tried = None;
                        enforced
                    }
                }
            }
            What::Confirmed { generation } => {
                tried.take_if(|(on_trial, _)| on_trial == generation).and_then(|(_, enforced)| enforced)
            }
            What::Detached => {
                // What a trial itself has ended, its policy not naming it, is kept until the trial is.
                let own =
                    tried.as_ref().and_then(|(_, enforced)| enforced.as_ref()).map(|own| &own.interfaces);
                let is_ended = |name: &String| {
                    event.interfaces.contains(name) && own.is_none_or(|own| own.contains(name))
                };
                if let Some(enforced) = &mut kept {
                    enforced.interfaces.retain(|name| !is_ended(name));
                }
                kept = kept.filter(|enforced| !enforced.interfaces.is_empty());
                None
            }
            What::Failed { .. } | What::Reverting { .. } => None,
        };
        if let Some(new) = new {
            past.push(new.clone());
            kept = Some(new);
        }
    }
    (past, kept)
}

fn enforced(event: &Event) -> Option<Enforced> {
    let (generation, policy, guards) = match &event.what {
        What::Begun { generation, policy, .. } => (*generation, *policy, Vec::new()),
        What::InForce { generation, policy, guards, .. } => (*generation, *policy, guards.clone()),
        _ => return None,
    };
    Some(Enforced { generation, policy, interfaces: event.interfaces.clone(), guards })
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
        What::Begun { generation, policy: Digest([generation as u8; 32]), kept: None }
    }

    fn in_force(generation: u64) -> What {
        What::InForce {
            generation,
            policy: Digest([generation as u8; 32]),
            guards: Vec::new(),
            partial: false,
        }
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
    fn a_trial_knows_where_enforcement_was_ended_since() {
        let mut events = events(&[trial(2, Some(1)), begun(2), in_force(2), What::Detached]);
        events[..3].iter_mut().for_each(|event| event.interfaces.push("wan1".into()));
        let trial = on_trial(&events, HERE).unwrap();
        assert_eq!((trial.interfaces, trial.ended), (vec!["wan1".to_owned()], vec!["wan0".to_owned()]));
    }

    /// Generation 1 on wan1, a trial of a policy that names wan0 only.
    #[test]
    fn what_a_trial_itself_has_ended_comes_back_and_is_kept() {
        let mut events =
            events(&[begun(1), in_force(1), trial(2, Some(1)), begun(2), in_force(2), What::Detached]);
        for at in [0, 1, 5] {
            events[at].interfaces = vec!["wan1".into()];
        }
        let trial = on_trial(&events, HERE).unwrap();
        assert_eq!((trial.interfaces, trial.ended), (vec!["wan0".to_owned()], Vec::new()));
        let kept = kept(&events, HERE).unwrap();
        assert_eq!((kept.generation, kept.interfaces), (1, vec!["wan1".to_owned()]));
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
        let same =
            What::InForce { partial: false, generation: 3, policy: Digest([2; 32]), guards: Vec::new() };
        assert_eq!(earlier(&events(&[in_force(1), in_force(2), same]), HERE), Some(1));
        assert_eq!(earlier(&events(&[in_force(1)]), HERE), None);
    }

    #[test]
    fn going_back_never_leads_to_what_was_taken_back() {
        let again =
            What::InForce { generation: 3, policy: Digest([1; 32]), guards: Vec::new(), partial: false };
        let reverted = [begun(1), in_force(1), trial(2, Some(1)), begun(2), in_force(2), again];
        assert_eq!(earlier(&events(&reverted), HERE), None);
    }

    #[test]
    fn after_the_end_of_enforcement_the_way_back_is_to_what_ended() {
        assert_eq!(earlier(&events(&[in_force(1), in_force(2), What::Detached]), HERE), Some(2));
    }

    #[test]
    fn a_crash_before_the_note_loses_no_confirmation() {
        let crashed = [begun(1), in_force(1), trial(2, Some(1)), begun(2), What::Confirmed { generation: 2 }];
        assert_eq!(kept_after(&crashed), Some(2));
    }

    #[test]
    fn what_is_in_force_on_some_interfaces_only_is_not_what_a_boot_brings_back() {
        let part =
            What::InForce { generation: 2, policy: Digest([2; 32]), guards: Vec::new(), partial: true };
        assert_eq!(kept_after(&[in_force(1), part]), Some(1));
    }
}
