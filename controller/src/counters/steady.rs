//! Losses as a Prometheus counter has to tell them: never less than before.
//!
//! What was lost after the program is a difference of two counters that cannot be read at one moment, and may so come out a
//! little less than it did before. Promises: a series falls only where the device itself begins anew, which its count of
//! received frames shows. A device that cannot be asked for a moment keeps what it has lost.

use std::collections::BTreeMap;

use super::{Loss, Lost};

/// What was told of each device last.
#[derive(Clone, Debug, Default)]
pub struct Steady(BTreeMap<String, Loss>);

impl Steady {
    /// What is to be told of a device that says `read` now; `None` stands for one that does not answer.
    pub fn tell(&mut self, interface: &str, read: Option<Loss>) -> Option<Loss> {
        let before = self.0.remove(interface);
        let told = match (before, read) {
            (Some(before), Some(read)) if read.received.packets >= before.received.packets => {
                raise(&before, read)
            }
            (before, read) => read.or(before)?,
        };
        self.0.insert(interface.to_owned(), told.clone());
        Some(told)
    }

    /// Forgets the devices that are no longer looked at.
    pub fn keep(&mut self, interfaces: &[&str]) {
        self.0.retain(|name, _| interfaces.contains(&name.as_str()));
    }
}

/// The larger number of each cause.
fn raise(before: &Loss, mut read: Loss) -> Loss {
    for lost in &mut read.causes {
        let known = before.causes.iter().find(|known| known.cause == lost.cause);
        if let Some(Lost { packets, counters, .. }) = known.filter(|known| known.packets > lost.packets) {
            (lost.packets, lost.counters) = (*packets, counters.clone());
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, Total};
    use super::*;

    fn loss(received: u64, after: u64) -> Loss {
        let lost = |cause, packets| Lost { cause, packets, counters: vec![format!("rx_dropped {packets}")] };
        Loss {
            interface: "wan0".into(),
            received: Total { packets: received, bytes: 0 },
            causes: vec![lost(Cause::RingOverrun, received / 10), lost(Cause::AfterXdp, after)],
        }
    }

    #[test]
    fn a_series_does_not_fall_between_two_scrapes() {
        let mut steady = Steady::default();
        let mut told = |received, after| {
            let told = steady.tell("wan0", Some(loss(received, after))).unwrap();
            (told.causes[0].packets, told.causes[1].packets, told.causes[1].counters.clone())
        };
        let dropped = |packets: u64| vec![format!("rx_dropped {packets}")];
        assert_eq!(told(100, 7), (10, 7, dropped(7)));
        assert_eq!(told(200, 5), (20, 7, dropped(7)), "read apart, the difference came out less");
        assert_eq!(told(200, 9), (20, 9, dropped(9)));
        assert_eq!(told(50, 1), (5, 1, dropped(1)), "the device was made anew");
    }

    #[test]
    fn a_device_that_does_not_answer_keeps_what_it_has_lost() {
        let mut steady = Steady::default();
        assert_eq!(steady.tell("wan0", None), None);
        steady.tell("wan0", Some(loss(100, 7)));
        assert_eq!(steady.tell("wan0", None), Some(loss(100, 7)));
        assert_eq!(steady.tell("lan0", None), None);
        steady.keep(&["lan0"]);
        assert_eq!(steady.tell("wan0", None), None);
    }
}
