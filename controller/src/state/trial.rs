//! Generations on trial, and those that were kept: what the journal says of them.
//!
//! Promises: pure. A generation is on trial from the moment it is begun until it is confirmed, fails, something else is in
//! force, or a command has ended enforcement on all that is its own and all that would come back; one that was put in force
//! without a trial is kept at once. README, "Undone by itself", tells what comes back: what was guarded, so also where the
//! trial itself has ended it, but nothing that a command has detached, before the trial or since.

use super::{Enforced, Event, Namespace, Occasion, What, expected};

/// A generation that goes unless it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    pub generation: u64,
    /// What comes back; nothing was enforced where this is `None`.
    pub before: Option<u64>,
    pub until: jiff::Timestamp,
    /// The interfaces of the generation, but for those that were detached since.
    pub interfaces: Vec<String>,
    /// The interfaces on which `before` comes back: where it was in force, but for those that were detached since.
    pub back: Vec<String>,
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
    undecided(events, namespace).and_then(|(trial, is_begun)| is_begun.then_some(trial))
}

/// The same, and one that is announced: no frame may have met it yet.
pub fn announced(events: &[Event], namespace: Namespace) -> Option<Trial> {
    undecided(events, namespace).map(|(trial, _)| trial)
}

/// The last trial, where nothing has decided it, and whether it has begun.
fn undecided(events: &[Event], namespace: Namespace) -> Option<(Trial, bool)> {
    let is_here = |event: &Event| event.occasion.namespace == namespace;
    let is_trial = |event: &Event| is_here(event) && matches!(event.what, What::Trial { .. });
    let (past, later) = events.split_at(events.iter().rposition(is_trial)?);
    let (noted, later) = later.split_first()?;
    let What::Trial { generation, before, until } = noted.what else { return None };
    let back = expected(past, namespace).settled.map_or(Vec::new(), |enforced| enforced.interfaces);
    let mut trial = Trial { generation, before, until, interfaces: noted.interfaces.clone(), back };
    let mut is_begun = false;
    for event in later.iter().filter(|event| is_here(event)) {
        match &event.what {
            What::Begun { generation: it, .. } => is_begun |= *it == generation,
            What::Confirmed { generation: it } | What::Failed { generation: it, .. } if *it == generation => {
                return None;
            }
            What::InForce { generation: it, .. } if *it != generation => return None,
            What::Detached => {
                let is_left = |name: &String| !event.interfaces.contains(name);
                trial.interfaces.retain(is_left);
                if !is_its_own(event, &noted.occasion) {
                    trial.back.retain(is_left);
                }
                if trial.interfaces.is_empty() && trial.back.is_empty() {
                    return None;
                }
            }
            What::InForce { .. }
            | What::Confirmed { .. }
            | What::Failed { .. }
            | What::Trial { .. }
            | What::Reverting { .. } => {}
        }
    }
    Some((trial, is_begun))
}

/// Whether enforcement ended by the apply that began the trial, whose policy does not name the interface, and not by a
/// command of its own: what one command does has one occasion.
fn is_its_own(ended: &Event, trial: &Occasion) -> bool {
    ended.occasion == *trial
}

/// The generation that was in force last and was not on trial then, or was confirmed: the one to come back to after a
/// reboot, on the interfaces that no command has detached since. Nothing where that is none. One that was put in force on
/// some of its interfaces only, since the others were gone, does not count.
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

/// A generation on trial that may be kept yet.
struct Tried<'a> {
    generation: u64,
    occasion: &'a Occasion,
    enforced: Option<Enforced>,
}

/// Every generation that was kept, in order, and what is left of the last.
fn all_kept(events: &[Event], namespace: Namespace) -> (Vec<Enforced>, Option<Enforced>) {
    let (mut past, mut kept): (Vec<Enforced>, Option<Enforced>) = (Vec::new(), None);
    let mut tried: Option<Tried<'_>> = None;
    for event in events.iter().filter(|event| event.occasion.namespace == namespace) {
        let new = match &event.what {
            What::Trial { generation, .. } => {
                tried = Some(Tried { generation: *generation, occasion: &event.occasion, enforced: None });
                None
            }
            // A crash may keep the second of these from being noted.
            What::Begun { generation, .. } | What::InForce { generation, .. } => {
                let is_whole = !matches!(event.what, What::InForce { partial: true, .. });
                let enforced = enforced(event).filter(|_| is_whole);
                match &mut tried {
                    Some(tried) if tried.generation == *generation => {
                        tried.enforced = enforced;
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
                tried.take_if(|tried| tried.generation == *generation).and_then(|tried| tried.enforced)
            }
            What::Detached => {
                if !tried.as_ref().is_some_and(|tried| is_its_own(event, tried.occasion)) {
                    end(kept.as_mut(), &event.interfaces);
                }
                end(tried.as_mut().and_then(|tried| tried.enforced.as_mut()), &event.interfaces);
                None
            }
            What::Failed { .. } | What::Reverting { .. } => None,
        };
        if let Some(new) = new {
            past.push(new.clone());
            kept = Some(new);
        }
    }
    (past, kept.filter(|enforced| !enforced.interfaces.is_empty()))
}

fn end(enforced: Option<&mut Enforced>, ended: &[String]) {
    if let Some(enforced) = enforced {
        enforced.interfaces.retain(|name| !ended.contains(name));
    }
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
        for end in [What::Confirmed { generation: 2 }, failed, in_force(3)] {
            assert_eq!(on_trial_after(&[&running[..], &[end]].concat()), None);
        }
        assert_eq!(on_trial(&[&events(&running)[..], &[detached(&["wan0"])]].concat(), HERE), None);
        let reverting = What::Reverting { generation: 2, why: String::new() };
        assert_eq!(on_trial_after(&[&running[..], &[reverting]].concat()), Some(2), "not yet reverted");
        assert_eq!(on_trial(&events(&running), Namespace { cookie: 2 }), None);
    }

    /// What a command of its own has ended, some time after everything else.
    fn detached(interfaces: &[&str]) -> Event {
        let mut event = events(&[What::Detached]).remove(0);
        event.occasion.at = jiff::Timestamp::MAX;
        on(event, interfaces)
    }

    fn on(mut event: Event, interfaces: &[&str]) -> Event {
        event.interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
        event
    }

    const BOTH: &[&str] = &["wan0", "wan1"];

    /// Generation 1 on both interfaces, less what was detached; a trial of a policy that names wan0 only, which ends wan1.
    fn from_two_to_one(before: &[&str]) -> Vec<Event> {
        let mut first: Vec<Event> = events(&[begun(1), in_force(1)]);
        first = first.into_iter().map(|event| on(event, BOTH)).collect();
        if before.len() < BOTH.len() {
            first.push(detached(&["wan1"]));
        }
        first.extend(events(&[trial(2, Some(1)), begun(2), in_force(2)]));
        if before.len() == BOTH.len() {
            first.push(on(events(&[What::Detached]).remove(0), &["wan1"]));
        }
        first
    }

    /// What a trial still guards and what comes back after it; nothing where it is decided.
    fn sides(events: &[Event]) -> Option<(String, String)> {
        on_trial(events, HERE).map(|trial| (trial.interfaces.join(" "), trial.back.join(" ")))
    }

    fn kept_on(events: &[Event]) -> Option<(u64, String)> {
        kept(events, HERE).map(|enforced| (enforced.generation, enforced.interfaces.join(" ")))
    }

    #[test]
    fn what_a_trial_itself_has_ended_comes_back_and_is_kept() {
        let events = from_two_to_one(BOTH);
        assert_eq!(sides(&events), Some(("wan0".into(), "wan0 wan1".into())));
        assert_eq!(kept_on(&events), Some((1, "wan0 wan1".into())));
    }

    #[test]
    fn a_trial_goes_on_while_something_is_to_come_back() {
        let mut events = from_two_to_one(BOTH);
        events.push(detached(&["wan0"]));
        assert_eq!(sides(&events), Some((String::new(), "wan1".into())));
        assert_eq!(kept_on(&events), Some((1, "wan1".into())));
        events.push(detached(&["wan1"]));
        assert_eq!((sides(&events), kept_on(&events)), (None, None), "everything was detached by a command");
    }

    #[test]
    fn what_was_detached_before_a_trial_does_not_come_back_after_it() {
        let events = from_two_to_one(&["wan0"]);
        assert_eq!(sides(&events), Some(("wan0".into(), "wan0".into())));
        assert_eq!(kept_on(&events), Some((1, "wan0".into())));
    }

    #[test]
    fn what_was_detached_during_a_trial_is_not_kept_with_it() {
        let whole = events(&[trial(1, None), begun(1), in_force(1)]);
        let mut events: Vec<Event> = whole.into_iter().map(|event| on(event, BOTH)).collect();
        events.push(detached(&["wan0"]));
        assert_eq!(sides(&events), Some(("wan1".into(), String::new())));
        events.push(on(self::events(&[What::Confirmed { generation: 1 }]).remove(0), &["wan1"]));
        assert_eq!(kept_on(&events), Some((1, "wan1".into())));
    }

    #[test]
    fn a_trial_is_announced_before_it_has_begun() {
        let events = events(&[begun(1), in_force(1), trial(2, Some(1))]);
        assert_eq!(announced(&events, HERE).unwrap().back, ["wan0"]);
    }

    #[test]
    fn what_is_on_trial_is_not_kept_until_it_is_confirmed() {
        let running = [begun(1), in_force(1), trial(2, Some(1)), begun(2), in_force(2)];
        assert_eq!(kept_after(&running), Some(1));
        assert_eq!(kept_after(&[&running[..], &[What::Confirmed { generation: 2 }]].concat()), Some(2));
        assert_eq!(kept_after(&[&running[..], &[in_force(3)]].concat()), Some(3), "the revert is kept");
        assert_eq!(kept_on(&[&events(&running)[..], &[detached(&["wan0"])]].concat()), None);
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
